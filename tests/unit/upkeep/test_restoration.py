"""Each of the thirty kinds of drift is restored to the verified state, or reported as not restored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.planner import plan_cases
from tests.unit.upkeep.test_drift import (
    CHANGES,
    HOST,
    NODE,
    PROMETHEUS,
    UNIT,
    file,
    find_differences,
    secured,
    text,
)
from wizard import planner
from wizard.config_files import unit_settings
from wizard.errors import InputError
from wizard.model import Answers, Facts, FileState, Plan, RunService, Stack, WriteFile
from wizard.planner import paths
from wizard.upkeep import copies, reference
from wizard.upkeep.comparison import Comparison
from wizard.upkeep.restoration import Restoration, combine_plans, steps_of
from wizard.workspace import Workspace

__all__ = ["secured"]

LEFT = {
    "a new component",
    "a folder for all",
    "a folder of somebody else",
    "a cron job asks by http",
}
"""Kinds of drift in no file of a component, which a person has to restore."""
BY_PLAN = {"another key", "a key is gone"}
"""Kinds of drift that the stack's plan restores with a new key, as no copies of keys are kept."""


def restore(stack: Stack, facts: Facts, changed: Facts, folder: Path) -> Restoration:
    """Returns the restoration of the changed files from copies on disk."""
    workspace = Workspace(folder)
    known = reference.make_reference(stack, facts, "key")
    copies.keep(workspace, stack, facts)
    here = Plan(stack=stack, facts=changed, steps=(), probes=())
    found = Comparison(changed, here, (), find_differences(stack, known, changed), known.at, known)
    units = {
        (each.host, each.path): next(
            (
                FileState(content.encode())
                for service in changed.hosts[each.host].services
                for path, content in unit_settings.split_files(service.unit_text)
                if path == each.path
            ),
            None,
        )
        for each in found.differences
        if each.kind == "unit"
    }
    steps = steps_of(found, units, lambda host, path: copies.load(workspace, stack, host, path))
    rest = planner.plan(
        stack,
        plan_cases.facts_after_plan(Plan(stack=stack, facts=changed, steps=steps, probes=()), changed),
        Answers(),
    )
    return combine_plans(found, steps, rest)


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_restored_or_reported(name: str, secured: tuple[Stack, Facts], tmp_path: Path) -> None:
    stack, facts = secured
    change, kind, host, path, _ = CHANGES[name]
    if name == "a service is gone":
        with pytest.raises(InputError, match="Install and start it"):
            restore(stack, facts, change(facts), tmp_path)
        return
    found = restore(stack, facts, change(facts), tmp_path)
    assert {each.host for each in found.left} == ({host} if name in LEFT else set()), found.left
    if name in LEFT:
        return
    after = plan_cases.facts_after_plan(found.plan, change(facts))
    if path and kind != "unit" and name not in BY_PLAN:
        assert after.hosts[host].files[path] == facts.hosts[host].files[path]
    if path:
        assert name in BY_PLAN or (host, path) in {(each.host, each.path) for each in found.plan.changes}
    else:
        assert [each.action for each in found.plan.restarts] == ["restart"]
    if name in BY_PLAN:
        keys = [
            each
            for each in found.plan.changes
            if each.path.startswith(f"{NODE}/node_exporter") and each.path.endswith(".key")
        ]
        assert len(keys) == 1
    # Every change has manual commands.
    assert all(each.commands() for each in found.plan.changes if isinstance(each, WriteFile))


def test_prometheus_reloads_a_restored_configuration(secured: tuple[Stack, Facts], tmp_path: Path) -> None:
    stack, facts = secured
    found = restore(stack, facts, text(PROMETHEUS, "15s", "10s")(facts), tmp_path)
    assert [(each.kind, each.path) for each in found.plan.changes] == [
        ("edit", PROMETHEUS),
        ("reload", paths.scrapers(stack, facts)[0].service.unit),
    ]


def test_a_drop_in_is_removed_and_the_service_restarted(secured: tuple[Stack, Facts], tmp_path: Path) -> None:
    stack, facts = secured
    found = restore(stack, facts, CHANGES["a drop-in"][0](facts), tmp_path)
    assert [(each.kind, each.path) for each in found.plan.changes if not isinstance(each, RunService)] == [
        ("remove", UNIT)
    ]
    assert [each.action for each in found.plan.restarts] == ["restart"]


def test_restoring_permissions_needs_no_restart_and_shows_no_key(
    secured: tuple[Stack, Facts], tmp_path: Path
) -> None:
    stack, facts = secured
    key = f"{NODE}/node_exporter.key"

    def opened(state: FileState) -> FileState:
        return replace(state, mode=0o644)

    found = restore(stack, facts, file(key, opened)(facts), tmp_path)
    (change,) = found.plan.changes
    assert isinstance(change, WriteFile) and change.kind == "mode"
    assert "PRIVATE" not in change.diff() and "0644" in change.diff()
    assert change.commands()[-1] == f"chmod 0640 {key}"


def test_copies_contain_no_secret_and_are_private(secured: tuple[Stack, Facts], tmp_path: Path) -> None:
    stack, facts = secured
    workspace = Workspace(tmp_path)
    for _ in range(2):
        copies.keep(workspace, stack, facts)
    kept = [path for path in (tmp_path / "upkeep").rglob("*") if path.is_file()]
    assert kept
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in kept)
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in {each.parent for each in kept})
    assert not any(b"PRIVATE KEY" in path.read_bytes() for path in kept)
    assert copies.load(workspace, stack, HOST, f"{NODE}/node_exporter.key") is None
    # An altered copy is not restored.
    known = reference.make_reference(stack, facts, "key")
    changed = text(PROMETHEUS, "15s", "10s")(facts)
    found = Comparison(
        changed,
        Plan(stack=stack, facts=changed, steps=(), probes=()),
        (),
        find_differences(stack, known, changed),
        known.at,
        known,
    )
    assert steps_of(found, {}, lambda host, path: b"altered") == ()
