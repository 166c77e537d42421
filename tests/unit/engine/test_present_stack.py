"""The present stack: levels from the scan, and from the journals of runs what no scan can see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.screens import example_stack
from tests.unit.engine.memory import edit
from tests.unit.planner import plan_cases
from wizard import planner
from wizard.engine import Scan
from wizard.engine.journal import Journal
from wizard.engine.present_stack import keep, present_stack
from wizard.errors import JournalError
from wizard.inventory import stack_file
from wizard.model import Answers, CertificateSpec, DoorRoute, FrontDoor, Stack

CASE = plan_cases.case("client-logins")
DOOR = FrontDoor(
    host="monitor",
    proxy="nginx",
    name="noc.example.net",
    people=("prometheus",),
    routes=(DoorRoute(to="alertmanager", path="/a"),),
)


def make_scan(state: str = "open") -> Scan:
    return Scan(
        stack=example_stack.five(),
        facts=example_stack.facts(),
        exposures=example_stack.exposures(state),
        findings=(),
    )


def record_run(runs: Path, stack: Stack, *, state: str = "proven") -> None:
    """Records a run that applied this stack."""
    log = Journal.create(runs, title="a run", hosts=stack.hosts, changes=(edit("srv1"),), details=())
    keep(log.folder, stack)
    log.begin(0)
    log.done(0)
    log.state(state)
    log.close()


def behind_front_door(stack: Stack) -> Stack:
    """The stack with its Alertmanager behind a front door."""
    parts = (replace(each, protect=()) if each.name == "alertmanager" else each for each in stack.components)
    return replace(stack, components=tuple(parts), front_doors=(DOOR,))


def with_mutual_tls(stack: Stack) -> Stack:
    parts = tuple(
        replace(each, protect=("tls", "client_cert"), min_version="TLS13") for each in stack.components
    )
    return replace(stack, components=parts, certificates=CertificateSpec(issued_by="shared", days=90))


def test_without_runs_levels_come_from_the_scan_or_the_proposal(tmp_path: Path) -> None:
    assert present_stack(make_scan(), tmp_path) == example_stack.five()
    seen = tuple(replace(each, client_certificate=True) for each in example_stack.exposures("secured")[:1])
    found = present_stack(replace(make_scan(), exposures=seen), tmp_path)
    levels = [each.protect for each in found.components]
    assert levels.count(("tls", "basic_auth", "client_cert")) == 1
    assert levels.count(("tls", "basic_auth")) == 4


def test_the_newest_applied_run_adds_what_no_scan_sees(tmp_path: Path) -> None:
    stack = replace(
        example_stack.five(), hosts=tuple(replace(host, connect="ssh") for host in example_stack.five().hosts)
    )
    scan = replace(make_scan("secured"), stack=stack)
    record_run(tmp_path, behind_front_door(stack))
    record_run(tmp_path, with_mutual_tls(stack))
    record_run(
        tmp_path, replace(stack, certificates=CertificateSpec(issued_by="self-signed")), state="undone"
    )
    record_run(tmp_path, Stack(hosts=stack.hosts, components=()))
    found = present_stack(scan, tmp_path)
    assert found.certificates == CertificateSpec(issued_by="shared", days=90)
    assert {each.name for each in found.components if each.min_version != "TLS13"} == {"alertmanager"}
    assert found.front_doors == (DOOR,), "another run has put it there"
    levels = {each.name: each.protect for each in found.components}
    assert levels.pop("alertmanager") == (), "the door protects it"
    assert set(levels.values()) == {("tls", "basic_auth")}, "the wire says it"
    assert stack_file.parse(stack_file.dump(found), source="") == replace(found, source="")
    # A level that a run has set is kept, even if it is not the recommended one.
    bare = tuple(replace(each, state="partly", password=False) for each in example_stack.exposures("secured"))
    found = present_stack(replace(scan, exposures=bare), tmp_path)
    assert found.components[0].protect == ("tls",)


def test_runs_of_other_hosts_and_unreadable_runs_are_ignored(tmp_path: Path) -> None:
    elsewhere = tuple(replace(host, address="192.0.2.99") for host in example_stack.five().hosts)
    record_run(tmp_path, replace(with_mutual_tls(example_stack.five()), hosts=elsewhere))
    record_run(tmp_path, with_mutual_tls(example_stack.five()))
    newest = max(tmp_path.glob("*/stack.yaml"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_text("version: 9\n")
    assert present_stack(make_scan(), tmp_path) == example_stack.five()
    # The way to become root makes no difference: it is the same host.
    sudo = tuple(replace(host, become="sudo") for host in example_stack.five().hosts)
    record_run(tmp_path, replace(with_mutual_tls(example_stack.five()), hosts=sudo))
    assert present_stack(make_scan("secured"), tmp_path).certificates.issued_by == "shared"


@pytest.mark.parametrize("name", ["long-term", "https://store.example.net/write"])
def test_logins_set_by_runs_match_those_in_the_configuration(tmp_path: Path, name: str) -> None:
    """The stack file may name the client by any of its names."""
    named = (
        replace(each, name=name) if each.place == "remote_write" else each
        for each in CASE.stack.client_logins
    )
    stack = replace(CASE.stack, client_logins=tuple(named))
    bare = replace(stack, client_logins=())
    before = plan_cases.with_requested_files(stack, CASE.facts)
    after = plan_cases.facts_after_plan(planner.plan(stack, before, Answers()), before)
    found = Scan(stack=bare, facts=after, exposures=(), findings=())
    assert present_stack(found, tmp_path).client_logins == (), "no run has set them"
    record_run(tmp_path, stack)
    assert set(present_stack(found, tmp_path).client_logins) == set(CASE.stack.client_logins)
    assert present_stack(replace(found, facts=before), tmp_path).client_logins == (), (
        "they are gone from there"
    )


def test_a_full_disk_ends_the_run_before_any_change(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be written down") as caught:
        keep(tmp_path / "gone", example_stack.five())
    assert "apply again" in caught.value.todo
