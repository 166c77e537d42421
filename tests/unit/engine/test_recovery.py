"""An interrupted run is found and rolled back, or forgotten if a person says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.memory import (
    OLD,
    Site,
    create,
    edit,
    folder,
    host_error,
    service_action,
    service_error,
    step,
)
from tests.unit.engine.test_executor import Applied
from wizard import journal_reader, practice
from wizard.errors import InputError, JournalError, RollbackError, UnreachableError
from wizard.model import WORKSPACE, FileState, HostSpec

Make = Callable[..., Site]


@pytest.fixture
def interrupted(make_site: Make) -> Site:
    """A run that was killed after a file, a new file in a new folder, a CA and a restart."""
    site = make_site("srv1", "srv2")
    service = site.service("srv1")
    run = Applied(
        site,
        [
            step(create(WORKSPACE, "/workspace/ca/ca.crt")),
            step(edit("srv1"), folder("srv1", "/etc/n"), create("srv1", "/etc/n/web.yml")),
            step(service_action(service), stage=1),
        ],
    )
    run.log.close()
    return site


def test_an_interrupted_run_is_found_and_rolled_back(interrupted: Site) -> None:
    engine = interrupted.engine()
    found = engine.interrupted_run()
    assert found is not None
    assert found.state == "cut-off"
    assert engine.history()[0].state == "cut-off"
    assert engine.hosts_of() == interrupted.specs
    (outcome,) = engine.recover(interrupted.emit)
    assert (outcome.state, outcome.error) == ("undone", None)
    assert interrupted.files() == {WORKSPACE: {}, "srv1": {"/etc/old": OLD}, "srv2": {"/etc/old": OLD}}
    assert engine.interrupted_run() is None
    assert engine.recover() == ()
    assert interrupted.events_of_kind("finished")[0].state == "undone"


def test_no_new_run_starts_before_the_recovery(interrupted: Site) -> None:
    engine = interrupted.engine()
    for outcome in (engine.apply(interrupted.plan([step(edit("srv2"))])), engine.undo()):
        assert isinstance(outcome.error, JournalError)
        assert outcome.error.todo == "Run: firescreen recover --yes"
    assert interrupted.connections["srv2"].files["/etc/old"] == OLD


def test_a_running_run_does_not_count_as_interrupted(interrupted: Site) -> None:
    engine = interrupted.engine()
    with interrupted.workspace.lock(f"an apply of {os.getpid()}"):
        assert engine.interrupted_run() is None
        assert engine.history()[0].state == "running"


def test_the_lock_of_a_dead_process_is_taken_over(interrupted: Site) -> None:
    mine = f'{{"workspace": "{interrupted.workspace.identity()}"}}\n'
    for name in ("srv1", "srv2"):
        interrupted.connections[name].files["/run/firescreen.lock"] = FileState(mine.encode())
    (outcome,) = interrupted.engine().recover()
    assert outcome.error is None
    for name in ("srv1", "srv2"):
        assert "/run/firescreen.lock" not in interrupted.connections[name].files


def test_a_recovery_that_fails_can_be_repeated(interrupted: Site) -> None:
    engine = interrupted.engine()
    connection = interrupted.connections["srv1"]
    connection.faults["remove", "/etc/n/web.yml"] = host_error("it is read-only")
    (outcome,) = engine.recover()
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "read-only" in outcome.error.what
    assert outcome.error.todo.endswith("firescreen recover --yes")
    connection.faults.clear()
    (again,) = engine.recover()
    assert again.error is None
    assert set(connection.files) == {"/etc/old"}


def test_a_host_locked_by_another_process_stops_the_recovery(interrupted: Site) -> None:
    other = FileState(b'{"workspace": "other", "who": "eve"}\n')
    interrupted.connections["srv1"].files["/run/firescreen.lock"] = other
    (outcome,) = interrupted.engine().recover()
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "eve" in outcome.error.what


# -- remaining changes ---------------------------------------------------------------------------------------


def test_remaining_changes_are_reported_and_the_run_is_kept(interrupted: Site) -> None:
    engine = interrupted.engine()
    interrupted.manager.down.add(("srv1", "node_exporter-srv1"))
    (left,) = engine.remains()
    assert left.hosts == ("srv1",)
    found = {(each.path, each.what) for each in left.differences}
    assert found == {
        ("/etc/old", "it is as the run left it"),
        ("/etc/n/web.yml", "the run made it, and it is still there"),
        ("node_exporter-srv1", "it ran before, and does not run now"),
    }
    copy = next(each.copy for each in left.differences if each.path == "/etc/old")
    assert Path(copy).read_bytes() == b"old\n"
    (outcome,) = engine.forget()
    assert isinstance(outcome.error, RollbackError)
    assert "3 of what it touched" in outcome.error.what
    assert "--forget" in outcome.error.todo
    assert engine.interrupted_run() is not None


def test_a_run_can_be_forgotten_if_all_is_as_before(interrupted: Site) -> None:
    engine = interrupted.engine()
    connection = interrupted.connections["srv1"]
    connection.files = {"/etc/old": OLD}
    mine = f'{{"workspace": "{interrupted.workspace.identity()}"}}\n'
    connection.files["/run/firescreen.lock"] = FileState(mine.encode())
    (outcome,) = engine.forget(emit=interrupted.emit)
    assert (outcome.state, outcome.error) == ("forgotten", None)
    assert outcome.ok
    assert "/run/firescreen.lock" not in connection.files
    (run,) = engine.history()
    assert run.state == "forgotten"
    assert not (Path(run.folder) / "before").exists()
    assert engine.interrupted_run() is None


def test_forgetting_a_run_keeps_its_copies(interrupted: Site) -> None:
    engine = interrupted.engine()
    (run,) = engine.history()
    (outcome,) = engine.forget(run.run, as_it_is=True)
    assert outcome.state == "forgotten"
    assert "stays as it is" in outcome.summary[0]
    assert (Path(run.folder) / "before").exists()
    with pytest.raises(InputError, match="nothing of this run"):
        engine.remains(run.run)
    (unknown,) = engine.forget(run.run)
    assert isinstance(unknown.error, InputError)


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (None, "it is gone"),
        (FileState(b"mine\n"), "somebody has changed it since the run"),
        (
            FileState(b"old\n", 0o600, "prometheus", "prometheus"),
            "mode and owner were 0644 root:root, and are 0600 prometheus:prometheus",
        ),
    ],
)
def test_the_present_state_of_each_file_is_described(
    now: FileState | None, what: str, interrupted: Site
) -> None:
    files = interrupted.connections["srv1"].files
    del files["/etc/n/web.yml"]
    if now is None:
        del files["/etc/old"]
    else:
        files["/etc/old"] = now
    (left,) = interrupted.engine().remains()
    assert [each.what for each in left.differences] == [what]


def test_an_unreadable_host_counts_as_a_difference(interrupted: Site) -> None:
    interrupted.connections["srv1"].faults["read", "*"] = UnreachableError("no answer", where="srv1")
    (left,) = interrupted.engine().remains()
    assert [(each.path, each.what) for each in left.differences] == [("", "it cannot be read: no answer")]


def test_a_service_without_a_status_counts_as_stopped(
    interrupted: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bool:
        raise UnreachableError("no answer", where="srv1")

    monkeypatch.setattr(interrupted.manager, "is_active", away)
    (left,) = interrupted.engine().remains()
    assert "node_exporter-srv1" in {each.path for each in left.differences}


def test_hosts_that_need_recovery_are_forgotten_one_by_one(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    run = Applied(site, [step(edit("srv1")), step(edit("srv2"))])
    run.log.mark_rollback_pending("srv1")
    run.log.state("partly")
    run.log.close()
    engine = site.engine()
    (left,) = engine.remains()
    assert left.hosts == ("srv1",)
    (outcome,) = engine.forget(as_it_is=True)
    assert outcome.state == "forgotten"
    assert engine.interrupted_run() is None
    (record,) = journal_reader.records(site.workspace.runs)
    assert (record.state, record.owed) == ("partly", frozenset())
    assert site.connections["srv1"].files["/etc/old"].content == b"new\n"


def test_hosts_that_still_fail_keep_needing_recovery(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    run = Applied(site, [step(edit("srv1")), step(edit("srv2"))])
    run.log.mark_rollback_pending("srv1")
    run.log.state("partly")
    run.log.close()
    site.connections["srv1"].faults["stage", "*"] = host_error()
    (outcome,) = site.engine().recover()
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert outcome.error.todo.endswith("firescreen recover --yes")
    site.connections["srv1"].faults.clear()
    (outcome,) = site.engine().recover()
    assert outcome.summary == ("On srv1, every file is as it was.",)
    assert site.connections["srv2"].files["/etc/old"].content == b"new\n"


def test_a_failed_restart_keeps_the_run_unfinished(interrupted: Site) -> None:
    interrupted.manager.faults["restart", "node_exporter-srv1"] = [service_error()]
    (outcome,) = interrupted.engine().recover()
    assert outcome.state == "failed"
    assert interrupted.engine().interrupted_run() is not None


@pytest.mark.parametrize("ran", [True, False])
def test_an_undo_restores_files_with_which_a_service_does_not_start(make_site: Make, *, ran: bool) -> None:
    site = make_site("srv1")
    service = site.service("srv1", active=ran)
    run = Applied(site, [step(edit("srv1"), service_action(service))])
    run.log.state("proven")
    run.log.close()
    site.manager.faults["restart", service.unit] = [service_error("it does not stay up")]
    outcome = site.engine().undo()
    assert outcome.state == "undone" and outcome.ok != ran
    summary = str(outcome.error) if ran else outcome.summary[-1]
    assert "it does not stay up" in summary and "recover" not in summary
    assert outcome.summary[0] == "Every file is as it was before that run."
    assert site.connections["srv1"].files["/etc/old"] == OLD
    assert site.engine().interrupted_run() is None and site.engine().recover() == ()
    assert site.engine().history()[0].state == "undone"


# -- the end of practice -------------------------------------------------------------------------------------


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []
    monkeypatch.setattr(practice, "down", lambda root, *, remove: calls.append((root, remove)))
    return calls


def test_the_runs_on_the_practice_stack_are_undone_with_it(make_site: Make, ended: list[Any]) -> None:
    site = make_site("srv1", connect="practice")
    run = Applied(site, [step(edit("srv1"), create(WORKSPACE, "/workspace/ca/ca.crt"))])
    run.log.state("proven")
    run.log.close()
    site.engine().practice_down()
    assert ended == [(site.workspace.root, True)]
    assert site.files() == {WORKSPACE: {}, "srv1": {"/etc/old": OLD}}
    assert site.engine().history()[0].state == "undone"


def test_a_run_that_other_hosts_depend_on_stays_when_practice_ends(make_site: Make, ended: list[Any]) -> None:
    site = make_site("srv1", connect="practice")
    run = Applied(site, [step(create(WORKSPACE, "/workspace/ca/ca.crt"))])
    run.log.state("proven")
    run.log.close()
    real = replace(site, specs=(HostSpec(name="srv1", connect="ssh"),))
    other = Applied(real, [step(edit("srv1"))])
    other.log.state("proven")
    other.log.close()
    site.engine().practice_down()
    assert "/workspace/ca/ca.crt" in site.connections[WORKSPACE].files
    assert sorted(run.state for run in site.engine().history()) == ["ended", "proven"]


def test_a_failed_undo_does_not_keep_the_practice_stack(make_site: Make, ended: list[Any]) -> None:
    site = make_site("srv1", connect="practice")
    run = Applied(site, [step(edit("srv1"))])
    run.log.state("proven")
    run.log.close()
    site.connections["srv1"].faults["stage", "*"] = host_error()
    site.engine().practice_down()
    assert len(ended) == 1
    assert site.engine().history()[0].state == "ended"
