"""The timer's files and plans for systemd and cron, with any characters in paths."""

from __future__ import annotations

import posixpath
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.model import (
    WORKSPACE,
    Answers,
    Facts,
    FileState,
    MakeFolder,
    PathInfo,
    RunService,
    Stack,
    WriteFile,
)
from wizard.upkeep import timer
from wizard.upkeep.timer import Timer

ROOT = Timer(
    kind="system",
    stack="/srv/my stack 100%.yaml",
    workspace="/root/$HOME/ws",
    program=("/opt/firescreen/bin/firescreen",),
    user="root",
    home="/root",
    metrics="/var/lib/prometheus/node-exporter/firescreen.prom",
    writable=("/etc/prometheus",),
)
ME = ("root", "root")


def unit(found: Timer, ending: str) -> str:
    return next(text for path, text in found.files().items() if path.endswith(ending))


def test_the_service_is_hardened_and_writes_no_more_than_it_needs() -> None:
    text = unit(ROOT, ".service")
    assert (
        'ExecStart=/opt/firescreen/bin/firescreen --workspace "/root/$$HOME/ws" renew "/srv/my stack 100%%.yaml" '
        "--due --yes\n" in text
    )
    assert "\nExecStopPost=/opt/firescreen/bin/firescreen " in text
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=read-only", "UMask=0077"):
        assert f"\n{line}\n" in text
    writable = [line for line in text.splitlines() if line.startswith("ReadWritePaths=")]
    assert writable == [
        'ReadWritePaths="-/root/$HOME/ws"',
        'ReadWritePaths="-/etc/prometheus"',
        'ReadWritePaths="-/run"',
        'ReadWritePaths="-/tmp"',
        'ReadWritePaths="-/var/lib/prometheus/node-exporter"',
    ]
    assert "User=" not in text and "LoadCredential=" not in text
    locked = unit(replace(ROOT, passphrase_file="/root/ca pass", user="bob"), ".service")
    assert "\nLoadCredential=firescreen-passphrase:/root/ca pass\n" in locked and "\nUser=bob\n" in locked
    assert "NoNewPrivileges" not in unit(replace(ROOT, sudo=True), ".service"), "sudo could not gain any"


def test_the_timer_makes_up_for_missed_times_and_starts_with_the_system() -> None:
    text = unit(ROOT, ".timer")
    assert "\nPersistent=true\n" in text and "\nRandomizedDelaySec=30min\n" in text
    assert unit(ROOT, ".conf").endswith(f"[Unit]\nWants={ROOT.name}.timer\n")
    own = replace(ROOT, kind="user", home="/home/bob")
    assert all(path.startswith("/home/bob/.config/systemd/user/") for path in own.files())
    assert replace(ROOT, stack="/srv/other.yaml").name != ROOT.name


def test_cron_gets_one_line_with_its_percent_signs_escaped() -> None:
    cron = replace(ROOT, kind="cron", passphrase_file="/root/pass")
    (path, text), = cron.files().items()  # fmt: skip
    assert path == f"/etc/cron.d/{cron.name}"
    line = text.splitlines()[1]
    minute, hours, *rest = line.split(" ")
    assert 0 <= int(minute) < 60 and hours == "*/6" and rest[3] == "root"
    assert "'/srv/my stack 100\\%.yaml'" in line and "--passphrase-file /root/pass" in line
    plan = timer.installation(cron, {}, {}, ME)
    assert plan.changes and plan.restarts == ()


@pytest.mark.parametrize("kind", ["system", "user"])
def test_the_timer_is_installed_once_and_removed_completely(kind: timer.Kind) -> None:
    found = replace(ROOT, kind=kind)
    missing: dict[str, PathInfo | None] = {f"{found.folder}/timers.target.d": None}
    plan = timer.installation(found, {}, missing, ME)
    assert [type(change) for change in plan.changes] == [
        WriteFile,
        WriteFile,
        MakeFolder,
        WriteFile,
        RunService,
    ]
    assert all(change.commands() for change in plan.changes)
    there = {path: FileState(text.encode()) for path, text in found.files().items()}
    assert timer.installation(found, there, {}, ME).changes == ()
    removal = timer.removal(found, there)
    written = [change for change in removal.changes if isinstance(change, WriteFile)]
    assert {change.path for change in written} == set(there)
    assert all(change.after is None for change in written)
    assert timer.removal(found, {}).changes == ()


def test_passwords_are_replaced_by_age_if_requested() -> None:
    aged = replace(ROOT, password_days=180)
    assert " --due --yes --passwords 180\n" in unit(aged, ".service")
    assert "--passwords" not in unit(ROOT, ".service")
    assert " --passwords 180" in unit(replace(aged, kind="cron", home=""), aged.name)
    there = {path: FileState(text.encode()) for path, text in ROOT.files().items()}
    plan = timer.installation(aged, there, {}, ME)
    (changed,) = (change for change in plan.changes if isinstance(change, WriteFile))
    assert "+ExecStart=" in changed.diff() and "--passwords 180" in changed.diff()
    assert "--passwords 180" in plan.steps[0].why


@pytest.mark.parametrize(
    "name", ["all-mutual-tls", "alertmanager-cluster", "front-door", "grafana", "file-sd"]
)
def test_the_service_can_write_all_files_of_a_renewal(name: str) -> None:
    case = plan_cases.case(name)
    facts = plan_cases.facts_after_plan(case.plan(), case.facts)
    stack, facts = as_local(case.stack, plan_cases.with_requested_files(case.stack, facts))
    plan = planner.plan(stack, facts, Answers(renew=frozenset({"ca", "passwords"})))
    written = {
        posixpath.dirname(each.path)
        for each in plan.changes
        if isinstance(each, WriteFile) and each.host != WORKSPACE
    }
    assert written
    assert written <= set(timer.writable_folders(stack, facts))


def as_local(stack: Stack, facts: Facts) -> tuple[Stack, Facts]:
    """Returns the stack and facts with every host as this machine."""
    specs = tuple(replace(spec, connect="local") for spec in stack.hosts)
    hosts = {
        host: replace(known, spec=replace(known.spec, connect="local")) if host != WORKSPACE else known
        for host, known in facts.hosts.items()
    }
    return replace(stack, hosts=specs), replace(facts, hosts=hosts)
