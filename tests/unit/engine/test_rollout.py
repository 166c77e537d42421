"""A plan is applied: a canary first, a failed host is rolled back alone, and the whole run only if necessary."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.engine.fleet import Wire, fleet
from tests.unit.engine.memory import (
    MemoryManager,
    Site,
    attempt,
    create,
    folder,
    host_error,
    service_error,
    step,
)
from wizard import journal_reader
from wizard.engine.canary import canary_of, may_go_first, reason_for_none
from wizard.engine.journal import Journal
from wizard.errors import (
    CancelledError,
    InputError,
    JournalError,
    LockedError,
    RollbackError,
    UnreachableError,
)
from wizard.model import WORKSPACE, Answers, Attempt, FileState, Plan, Probe
from wizard.probes.curl import curl

UNIT = "prometheus-node-exporter"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire().install(monkeypatch)


@pytest.fixture
def three(tmp_path: Path, manager: MemoryManager) -> tuple[Site, Plan]:
    return fleet(tmp_path, manager)


def secured(site: Site, host: str) -> bool:
    return "/etc/node_exporter/web.yml" in site.connections[host].files


def state_of(site: Site) -> str:
    return journal_reader.records(site.workspace.runs)[0].state


# -- success -------------------------------------------------------------------------------------------------


def test_all_hosts_are_changed_and_verified(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    outcome = site.engine().apply(plan, site.emit)
    assert outcome.error is None
    assert (outcome.state, state_of(site)) == ("proven", "proven")
    assert {each.host: each.state for each in outcome.hosts} == dict.fromkeys(
        ("srv1", "srv2", "srv3", "prometheus"), "proven"
    )
    assert all(secured(site, name) for name in ("srv1", "srv2", "srv3"))
    assert b"scheme: https" in site.connections["prometheus"].files["/etc/prometheus/prometheus.yml"].content
    assert len(outcome.attempts) == len(plan.probes)
    assert any("undo" in line for line in outcome.summary)
    for connection in site.connections.values():
        assert not [path for path in connection.files if path.endswith("firescreen.lock")]
    assert [event.kind for event in site.events if event.kind in ("started", "finished")] == [
        "started",
        "finished",
    ]
    undone = site.engine().undo(emit=site.emit)
    assert (undone.state, undone.error) == ("undone", None)
    assert site.files() == fleet_files(plan)
    assert state_of(site) == "undone"
    assert not (Path(site.engine().history()[0].folder) / "before").exists()


def fleet_files(plan: Plan) -> dict[str, dict[str, FileState]]:
    return {
        name: {path: state for path, state in known.files.items() if state is not None}
        for name, known in plan.facts.hosts.items()
    }


def test_a_run_without_probes_ends_as_applied(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    outcome = site.engine().apply(replace(plan, probes=()))
    assert (outcome.state, outcome.attempts) == ("applied", ())
    assert wire.asked[-1:] == [] or all(each.kind == "up" for each in wire.asked), "only the turns to https"


def test_probes_that_wait_for_scrapes_can_be_verified_later(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    outcome = site.engine().apply(plan, verify_later=True)
    assert outcome.state == "changed"
    assert {each.state for each in outcome.hosts} == {"changed"}
    assert all(each.probe.kind != "up" for each in outcome.attempts)
    assert any("firescreen verify" in line for line in outcome.summary)
    engine = site.engine()
    attempts = engine.run_probes(plan)
    completed = engine.complete(plan, attempts)
    assert completed is not None
    assert (completed.state, completed.error) == ("proven", None)
    assert engine.complete(plan, attempts) is None, "it is complete"


def test_a_failed_later_verification_says_how_to_undo(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    engine = site.engine()
    run = engine.apply(plan, verify_later=True).run
    wire.broken.add("srv1")
    completed = engine.complete(plan, engine.run_probes(plan))
    assert completed is not None
    assert completed.state == "changed"
    assert completed.error is not None
    assert f"firescreen undo {run} --yes" in completed.error.todo
    assert state_of(site) == "changed"


def test_a_plan_without_changes_is_only_verified(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    outcome = site.engine().apply(replace(plan, steps=()))
    assert (outcome.state, outcome.run) == ("nothing", "")
    assert len(outcome.attempts) == len(plan.probes)
    assert journal_reader.records(site.workspace.runs) == ()
    wire.broken.add("srv2")
    failed = site.engine().apply(replace(plan, steps=()))
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error.where == "srv2/node_exporter"
    wire.broken.clear()
    away = replace(plan, steps=(), facts=replace(plan.facts, away={"srv3": "no answer"}))
    left = site.engine().apply(away)
    assert left.state == "partly"
    assert left.error is not None
    assert "srv3: no answer" in str(left.error)


# -- one host fails ------------------------------------------------------------------------------------------


def test_a_host_whose_service_does_not_start_is_rolled_back_alone(
    three: tuple[Site, Plan], wire: Wire
) -> None:
    site, plan = three

    def fail(action: str, service: object) -> None:
        if action == "restart" and getattr(service, "host", "") == "srv2" and not calls:
            calls.append(action)
            raise service_error()

    calls: list[str] = []
    site.manager.before = fail
    outcome = site.engine().apply(plan, site.emit)
    assert outcome.state == "partly"
    assert {each.host: each.state for each in outcome.hosts} == {
        "srv1": "proven",
        "srv2": "rolled-back",
        "srv3": "proven",
        "prometheus": "proven",
    }
    assert [secured(site, name) for name in ("srv1", "srv2", "srv3")] == [True, False, True]
    assert site.connections["srv2"].files == fleet_files(plan)["srv2"]
    config = site.connections["prometheus"].files["/etc/prometheus/prometheus.yml"].content.decode()
    assert "srv2:9100" in config
    assert "https" in config
    assert outcome.error is not None
    assert "srv2" in outcome.error.what
    assert not outcome.ok


def test_a_host_that_fails_its_probes_is_rolled_back_alone(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    wire.answer = lambda each: (
        attempt(each, "error", reason="x509: certificate has expired")
        if each.host == "srv3" and each.kind == "http" and each.wanted
        else None
    )
    outcome = site.engine().apply(plan, site.emit)
    assert outcome.state == "partly"
    assert [secured(site, name) for name in ("srv1", "srv2", "srv3")] == [True, True, False]
    error = next(each.error for each in outcome.hosts if each.host == "srv3")
    assert error is not None
    assert "certificate has expired" in error.what
    assert {each.probe.host for each in outcome.attempts} == {"srv1", "srv2"}


def test_a_host_that_cannot_be_rolled_back_needs_recovery(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    connection = site.connections["srv2"]

    def lose(action: str, service: object) -> None:
        if action == "restart" and getattr(service, "host", "") == "srv2":
            connection.faults["read", "*"] = UnreachableError("no answer", where="srv2")
            connection.faults["remove", "*"] = UnreachableError("no answer", where="srv2")
            raise UnreachableError("no answer", where="srv2")

    site.manager.before = lose
    engine = site.engine()
    outcome = engine.apply(plan, site.emit)
    assert {each.host: each.state for each in outcome.hosts}["srv2"] == "stuck"
    assert outcome.error is not None and outcome.error.title == "A host needs recovery"
    assert "Make srv2 reachable again" in outcome.error.todo, "it is not as it was before"
    interrupted = engine.interrupted_run()
    assert interrupted is not None
    assert interrupted.state == "owed"
    assert all(change.startswith("srv2: ") for change in interrupted.changes)
    assert [host.name for host in engine.hosts_of()] == ["srv2"]
    refused = engine.apply(plan)
    assert refused.error is not None
    assert "recover" in refused.error.todo
    # The host is reachable again.
    connection.faults.clear()
    site.manager.before = lambda action, service: None
    (recovered,) = engine.recover(site.emit)
    assert (recovered.state, recovered.error) == ("undone", None)
    assert connection.files == fleet_files(plan)["srv2"]
    assert engine.interrupted_run() is None
    assert state_of(site) == "partly"


# -- the whole run fails -------------------------------------------------------------------------------------


def test_a_failing_prometheus_rolls_everything_back(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    site.connections["prometheus"].faults["stage", "/etc/prometheus/prometheus.yml"] = host_error()
    outcome = site.engine().apply(plan, site.emit)
    assert (outcome.state, state_of(site)) == ("rolled-back", "rolled-back")
    assert outcome.error is not None
    assert "the disk is full" in outcome.error.what
    assert site.files() == fleet_files(plan)
    assert {each.state for each in outcome.hosts} == {"rolled-back"}
    assert site.events_of_kind("rollback")[0].state == "running"


def test_a_failed_probe_of_prometheus_rolls_everything_back(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    asked = replace(plan.probes[0], host="prometheus", id="extra", component="prometheus")
    wire.broken.add("prometheus")
    outcome = site.engine().apply(replace(plan, probes=(*plan.probes, asked)))
    assert outcome.state == "rolled-back"
    assert site.files() == fleet_files(plan)


@pytest.mark.parametrize("broken", [{"srv2"}, {"srv1", "srv2", "srv3"}])
def test_the_remedy_names_no_file_that_was_rolled_back(
    three: tuple[Site, Plan], wire: Wire, broken: set[str]
) -> None:
    site, plan = three
    wire.answer = lambda each: (
        attempt(each, "error", reason="x509: unknown authority", curl=curl(each))
        if each.host in broken and each.kind == "http" and each.wanted
        else None
    )
    outcome = site.engine().apply(plan, site.emit)
    errors = [each.error for each in outcome.hosts if each.host in broken]
    reported = [outcome.error, *errors]
    remedies = [
        event.error for event in site.events_of_kind("host") + site.events_of_kind("rollback") if event.error
    ]
    assert any(reported)
    for todo in (*(error.todo for error in reported if error), *(todo for *_, todo in remedies)):
        assert todo
        assert not [change.path for change in plan.changes if getattr(change, "path", "\n") in todo], todo


def test_a_run_fails_if_all_its_hosts_fail(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    wire.broken |= {"srv1", "srv2", "srv3"}
    outcome = site.engine().apply(plan)
    assert outcome.state == "rolled-back"
    assert site.files() == fleet_files(plan)


def test_a_file_changed_since_the_preview_stops_the_run_before_any_change(
    three: tuple[Site, Plan], wire: Wire
) -> None:
    site, plan = three
    config = "/etc/prometheus/prometheus.yml"
    site.connections["prometheus"].files[config] = FileState(b"mine\n")
    outcome = site.engine().apply(plan)
    assert (outcome.state, outcome.run) == ("failed", "")
    assert journal_reader.records(site.workspace.runs) == ()
    assert site.connections["srv1"].files == fleet_files(plan)["srv1"]


def test_cancelling_a_run_rolls_everything_back(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    cancel = threading.Event()
    site.manager.before = lambda action, service: cancel.set()
    outcome = site.engine().apply(plan, cancel=cancel)
    assert outcome.state == "cancelled"
    assert isinstance(outcome.error, CancelledError)
    assert site.files() == fleet_files(plan)


def test_the_verification_can_be_cancelled(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    cancel = threading.Event()

    def answer(each: Probe) -> Attempt | None:
        if each.kind == "http":
            cancel.set()
        return None

    wire.answer = answer
    outcome = site.engine().apply(plan, cancel=cancel)
    assert outcome.state == "cancelled"
    assert site.files() == fleet_files(plan)


def test_a_failed_rollback_is_reported_with_a_remedy(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    site.connections["prometheus"].faults["stage", "/etc/prometheus/prometheus.yml"] = host_error()
    connection = site.connections["srv1"]
    connection.faults["remove", "/etc/node_exporter/web.yml"] = host_error("it is read-only")
    engine = site.engine()
    outcome = engine.apply(plan)
    if outcome.state == "rolled-back":
        pytest.fail("web.yml was not written before the Prometheus' file")
    assert outcome.state == "failed"
    assert isinstance(outcome.error, RollbackError)
    assert "it is read-only" in outcome.error.what
    assert outcome.error.todo.endswith("firescreen recover --yes")
    assert {each.host: each.state for each in outcome.hosts}["srv1"] == "stuck"
    assert {each.host: each.state for each in outcome.hosts}["srv2"] == "rolled-back"
    connection.faults.clear()
    (recovered,) = engine.recover()
    assert recovered.error is None
    assert site.files() == fleet_files(plan)


def test_an_internal_error_is_reported_and_rolled_back(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    site.connections["srv1"].faults["commit", "/etc/node_exporter/web.yml"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        site.engine().apply(plan)
    assert site.files() == fleet_files(plan)
    assert state_of(site) == "rolled-back"


def test_a_full_disk_before_the_first_change_leaves_no_journal(
    three: tuple[Site, Plan], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, plan = three

    def full(self: Journal, changes: object) -> tuple[int, ...]:
        raise JournalError("the journal cannot be written: No space left on device")

    monkeypatch.setattr(Journal, "extend", full)
    outcome = site.engine().apply(plan)
    assert (outcome.state, outcome.run) == ("failed", "")
    assert list(site.workspace.runs.iterdir()) == []


def test_an_error_in_the_event_callback_does_not_stop_the_run(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three

    def broken(event: object) -> None:
        raise RuntimeError("the pipe is closed")

    with pytest.raises(RuntimeError, match="pipe"):
        site.engine().apply(plan, broken)
    assert state_of(site) == "proven"


def test_a_host_locked_by_another_firescreen_stops_the_run_unchanged(
    three: tuple[Site, Plan], wire: Wire
) -> None:
    site, plan = three
    lock = FileState(b'{"who": "eve@other", "workspace": "another", "since": 0}\n')
    site.connections["srv2"].files["/run/firescreen.lock"] = lock
    outcome = site.engine().apply(plan)
    assert isinstance(outcome.error, LockedError)
    assert site.connections["srv2"].files.pop("/run/firescreen.lock") == lock
    assert site.files() == fleet_files(plan)
    assert list(site.workspace.runs.iterdir()) == []


def test_a_service_that_is_down_before_the_run_is_not_changed(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    wire.silent.add("srv1:9100")
    wire.answer = lambda each: attempt(each, "error") if each.name == "protection" else None
    outcome = site.engine().apply(plan)
    assert isinstance(outcome.error, InputError)
    assert "does not answer at srv1:9100" in outcome.error.what
    assert site.files() == fleet_files(plan)


# -- the canary ----------------------------------------------------------------------------------------------


def test_the_canary_is_verified_before_other_hosts_are_changed(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    order: list[str] = []
    for name in ("srv1", "srv2", "srv3"):
        site.connections[name].before = lambda operation, path, name=name: order.append(name)  # type: ignore[misc]
    wire.answer = lambda each: order.append(f"probe {each.host}") if each.kind == "http" else None
    outcome = site.engine().apply(plan, site.emit, canary="srv2")
    assert outcome.state == "proven"
    first_other = min(order.index("srv1"), order.index("srv3"))
    assert order.index("srv2") < order.index("probe srv2") < first_other
    waiting = {event.host for event in site.events_of_kind("host") if event.state == "waiting"}
    assert waiting == {"srv1", "srv3", "prometheus"}
    assert all(secured(site, name) for name in ("srv1", "srv2", "srv3"))


def test_a_failed_canary_ends_the_run_before_other_hosts_are_changed(
    three: tuple[Site, Plan], wire: Wire
) -> None:
    site, plan = three
    wire.broken.add("srv1")
    outcome = site.engine().apply(plan, canary="srv1")
    assert outcome.state == "rolled-back"
    assert site.files() == fleet_files(plan)
    changed = [each for each in site.connections["srv2"].log if "lock" not in each[1]]
    assert changed == []


def test_a_canary_whose_service_fails_ends_the_run(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    site.manager.faults["restart", "node_exporter"] = [service_error()]
    site.manager.faults["restart", UNIT] = [service_error()]
    outcome = site.engine().apply(plan, canary="srv1")
    assert outcome.state == "rolled-back"
    assert site.files() == fleet_files(plan)


def test_a_host_that_fails_after_the_canary_is_rolled_back_alone(
    three: tuple[Site, Plan], wire: Wire
) -> None:
    site, plan = three
    wire.broken.add("srv3")
    outcome = site.engine().apply(plan, canary="srv1")
    assert {each.host: each.state for each in outcome.hosts} == {
        "srv1": "proven",
        "srv2": "proven",
        "srv3": "rolled-back",
        "prometheus": "proven",
    }


def test_four_or_more_hosts_get_a_canary(tmp_path: Path, manager: MemoryManager, wire: Wire) -> None:
    _, plan = fleet(tmp_path / "four", manager, 3)
    assert canary_of(plan) == "srv1", "with the Prometheus there are four"
    assert canary_of(plan, "none") == ""
    assert canary_of(plan, "srv3") == "srv3"
    _, small = fleet(tmp_path / "two", manager, 1)
    assert canary_of(small) == ""
    assert may_go_first(small) == ("srv1",)
    _, practice = fleet(tmp_path / "practice", manager, 3)
    hosts = tuple(replace(each, connect="practice") for each in practice.stack.hosts)
    assert canary_of(replace(practice, stack=replace(practice.stack, hosts=hosts))) == ""


def test_an_unsuitable_canary_is_refused(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    with pytest.raises(InputError, match="prometheus cannot be the canary") as caught:
        canary_of(plan, "prometheus")
    assert "srv1, srv2, srv3" in caught.value.todo
    with pytest.raises(InputError):
        canary_of(plan, "nobody")
    renewed = replace(plan, answers=Answers(renew=frozenset({"ca"})))
    assert reason_for_none(renewed)
    assert may_go_first(renewed) == ()
    with pytest.raises(InputError, match="replaced on all hosts"):
        canary_of(renewed, "srv1")
    assert may_go_first(replace(plan, probes=())) == ()
    known = plan.facts.hosts["prometheus"]
    encrypted = replace(
        known, services=tuple(replace(each, web_config="/etc/prometheus/web.yml") for each in known.services)
    )
    hosts = {**plan.facts.hosts, "prometheus": encrypted}
    assert "uses TLS itself" in reason_for_none(replace(plan, facts=replace(plan.facts, hosts=hosts)))
    outcome = site.engine().apply(plan, canary="prometheus")
    assert isinstance(outcome.error, InputError)


# -- undo ----------------------------------------------------------------------------------------------------


def test_an_undo_keeps_files_changed_after_the_run(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    engine = site.engine()
    assert engine.apply(plan).error is None
    after = site.files()
    site.connections["srv1"].files["/etc/node_exporter/web.yml"] = FileState(b"mine\n")
    outcome = engine.undo()
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert outcome.error.where == "srv1:/etc/node_exporter/web.yml"
    assert site.connections["srv2"].files == after["srv2"], "nothing was undone"


def test_runs_are_undone_newest_first(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    engine = site.engine()
    first = engine.apply(plan)
    own = Plan(
        stack=plan.stack,
        facts=plan.facts,
        steps=(step(create("srv1", "/etc/more")), step(folder(WORKSPACE, "/workspace/more"))),
        probes=(),
    )
    second = engine.apply(own)
    assert second.state == "applied"
    early = engine.undo(first.run)
    assert early.error is not None
    assert "came after it" in early.error.what
    unknown = engine.undo("yesterday")
    assert unknown.error is not None
    assert "history" in unknown.error.todo
    assert [run.run for run in engine.history()] == [second.run, first.run]
    assert {host.name for host in engine.hosts_of(second.run)} == {"srv1", "srv2", "srv3", "prometheus"}
    assert engine.undo(second.run).state == "undone"
    assert engine.undo().run == first.run
    nothing = engine.undo()
    assert nothing.error is not None
    assert "no run to undo" in nothing.error.what
    assert site.files() == fleet_files(plan)


def test_a_failed_undo_says_how_to_continue(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    engine = site.engine()
    engine.apply(plan)
    site.connections["srv1"].faults["remove", "*"] = host_error("it is read-only")
    outcome = engine.undo()
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert outcome.error.todo.endswith("firescreen recover --yes")
    assert state_of(site) == "cut-off"
    site.connections["srv1"].faults.clear()
    (recovered,) = engine.recover()
    assert recovered.state == "undone"
    assert site.files() == fleet_files(plan)


def test_the_report_of_a_run_is_written(three: tuple[Site, Plan], wire: Wire) -> None:
    site, plan = three
    engine = site.engine()
    run = engine.apply(plan).run
    text = engine.report(run).read_text()
    assert f"# Firescreen run {run}" in text
    assert "- srv1: create `/etc/node_exporter/web.yml`" in text
    assert any("web.yml" in line for line in engine.run_details(run))
    with pytest.raises(InputError, match="no such run"):
        engine.report("yesterday")
