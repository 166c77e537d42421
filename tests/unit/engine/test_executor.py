"""The executor makes and rolls back each kind of change, keeps changes by others, and can be cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.unit.engine.loopback import prometheus, serving, target
from tests.unit.engine.memory import (
    OLD,
    Site,
    attempt,
    create,
    edit,
    folder,
    host_error,
    probe,
    service_action,
    service_error,
    step,
)
from wizard import journal_reader, probes
from wizard.engine import service_control
from wizard.engine.executor import Executor, refuse_changed
from wizard.engine.journal import Journal
from wizard.errors import (
    CancelledError,
    FileChangedError,
    HostError,
    JournalError,
    RollbackError,
    ServiceError,
    UnreachableError,
    ValidationError,
)
from wizard.journal_reader import Record
from wizard.model import WORKSPACE, ContentKind, FileState, Plan, PlannedStep, Probe, Supervision

Make = Callable[..., Site]


class Applied:
    """Makes the changes of a plan on a site, with a journal."""

    def __init__(
        self,
        site: Site,
        steps: Sequence[PlannedStep],
        *,
        independent: Sequence[str] = (),
        cancel: threading.Event | None = None,
        plan_probes: Sequence[Probe] = (),
    ) -> None:
        self.site = site
        self.plan: Plan = site.plan(steps, plan_probes)
        self.log = Journal.create(
            site.workspace.runs, title="a test", hosts=site.specs, changes=(), details=()
        )
        self.executor = Executor(
            site.hosts(), self.log, site.emit, cancel, plan=self.plan, independent=independent
        )
        self.failed = self.executor.apply(steps)

    @property
    def record(self) -> Record:
        """The run as the journal records it."""
        found = journal_reader.read(self.log.folder)
        assert found is not None
        return found

    def roll_back(self) -> None:
        """Rolls all changes back."""
        roll_back(self.site)


def roll_back(site: Site) -> Record:
    """Rolls the newest run back."""
    record = journal_reader.records(site.workspace.runs)[0]
    log = Journal(record.folder)
    try:
        Executor(site.hosts(), log, site.emit).roll_back(record)
    finally:
        log.close()
    return record


# -- each kind of change -----------------------------------------------------------------------------------


def test_a_file_is_edited_and_restored_byte_for_byte(make_site: Make) -> None:
    site = make_site()
    before = site.files()
    run = Applied(site, [step(edit("srv1"))])
    assert site.connections["srv1"].files["/etc/old"].content == b"new\n"
    assert run.record.begun == run.record.done == {0}
    run.roll_back()
    assert site.files() == before


def test_a_rollback_removes_a_new_file_and_its_folder(make_site: Make) -> None:
    site = make_site()
    run = Applied(site, [step(folder("srv1", "/etc/n"), create("srv1", "/etc/n/web.yml"))])
    assert site.connections["srv1"].folders == {"/etc/n": (0o750, "root", "root")}
    run.roll_back()
    assert set(site.connections["srv1"].files) == {"/etc/old"}
    assert site.connections["srv1"].folders == {}
    assert site.connections["srv1"].log[-2:] == [("remove", "/etc/n/web.yml"), ("remove folder", "/etc/n")]
    assert [event.text for event in site.events_of_kind("rollback")] == ["remove /etc/n/web.yml", ""]


def test_a_rollback_keeps_a_folder_with_other_files(make_site: Make) -> None:
    site = make_site()
    run = Applied(site, [step(folder("srv1", "/etc/n"))])
    site.connections["srv1"].files["/etc/n/other"] = OLD
    run.roll_back()
    assert "/etc/n" in site.connections["srv1"].folders


def test_a_rollback_restores_a_removed_file_with_owner_and_mode(make_site: Make) -> None:
    site = make_site()
    was = FileState(b"secret\n", 0o640, "prometheus", "prometheus", (("user.x", "y"),))
    site.connections["srv1"].files["/etc/old"] = was
    run = Applied(site, [step(edit("srv1", after=None, before=was))])
    assert "/etc/old" not in site.connections["srv1"].files
    run.roll_back()
    found = site.connections["srv1"].files["/etc/old"]
    assert (found, found.attributes) == (was, was.attributes)


def test_a_rollback_restores_the_mode(make_site: Make) -> None:
    site = make_site()
    run = Applied(site, [step(edit("srv1", after=b"old\n", before=OLD))])
    site.connections["srv1"].files["/etc/old"] = replace(OLD, mode=0o600)
    run.roll_back()
    assert site.connections["srv1"].files["/etc/old"] == OLD


def test_an_edited_file_keeps_its_access_control_list(make_site: Make) -> None:
    site = make_site()
    was = FileState(b"old\n", attributes=(("system.posix_acl_access", "x"),))
    site.connections["srv1"].files["/etc/old"] = was
    Applied(site, [step(edit("srv1", before=was))])
    assert site.connections["srv1"].files["/etc/old"].attributes == was.attributes


def test_a_rollback_restores_the_first_content_of_a_file_written_twice(make_site: Make) -> None:
    site = make_site()
    again = edit("srv1", before=FileState(b"new\n"), after=b"newer\n")
    run = Applied(site, [step(edit("srv1")), step(again, stage=1)])
    assert site.connections["srv1"].files["/etc/old"].content == b"newer\n"
    run.roll_back()
    assert site.connections["srv1"].files["/etc/old"] == OLD
    assert [event.text for event in site.events_of_kind("rollback")] == ["restore /etc/old"]


def test_a_rollback_restarts_and_reloads_services_again(make_site: Make) -> None:
    site = make_site()
    node, prometheus = site.service("srv1"), site.service("srv1", "prometheus")
    run = Applied(
        site, [step(edit("srv1"), service_action(prometheus, "reload")), step(service_action(node), stage=1)]
    )
    turned = [("reload", "srv1", "prometheus-srv1"), ("restart", "srv1", "node_exporter-srv1")]
    assert site.manager.actions == turned
    run.roll_back()
    assert site.manager.actions == turned * 2


def test_a_rollback_does_not_reload_a_stopped_service(make_site: Make) -> None:
    site = make_site()
    prometheus = site.service("srv1", "prometheus", active=False)
    run = Applied(site, [step(service_action(prometheus, "reload"))])
    site.manager.down.add(("srv1", prometheus.unit))
    run.roll_back()
    assert site.manager.actions == [("reload", "srv1", prometheus.unit)]


def test_a_rollback_starts_a_service_that_a_crash_left_down(make_site: Make) -> None:
    site = make_site()
    prometheus = site.service("srv1", "prometheus")
    run = Applied(site, [step(edit("srv1"), service_action(prometheus, "reload"))])
    site.manager.down.add(("srv1", prometheus.unit))
    run.roll_back()
    assert site.manager.actions[-1] == ("restart", "srv1", prometheus.unit)
    assert not site.manager.down


def test_a_rollback_shows_manual_commands_without_waiting(make_site: Make) -> None:
    site = make_site()
    service = site.service(
        "srv1", manager="manual", supervision=Supervision("pm2", "node", restart=("pm2 restart node",))
    )
    run = Applied(site, [step(service_action(service, by_hand=("pm2 restart node",)))])
    assert [event.text for event in site.events_of_kind("waiting")] == ["pm2 restart node"]
    run.roll_back()
    assert site.events_of_kind("waiting")[-1].state == f"restart {service.unit}"


# -- order ---------------------------------------------------------------------------------------------------


def test_stages_run_in_order_and_hosts_in_parallel(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    meeting = threading.Barrier(2, timeout=60)
    for name in ("srv1", "srv2"):
        site.connections[name].before = lambda operation, path: (
            None if operation != "stage" or path != "/etc/old" else (meeting.wait(), None)[1]
        )
    Applied(
        site,
        [
            step(edit("srv1")),
            step(edit("srv2")),
            step(create("srv1", "/etc/late"), stage=1),
        ],
    )
    finished = [(event.host, event.text) for event in site.events_of_kind("change") if event.state == "done"]
    assert set(finished[:2]) == {("srv1", "edit /etc/old"), ("srv2", "edit /etc/old")}
    assert finished[2] == ("srv1", "create /etc/late")
    assert {event.host for event in site.events_of_kind("host") if event.state == "changed"} == {
        "srv1",
        "srv2",
    }


def test_servers_of_a_host_restart_in_parallel_and_prometheus_afterwards(make_site: Make) -> None:
    site = make_site()
    one, two = site.service("srv1", unit="a"), site.service("srv1", unit="b")
    prometheus = site.service("srv1", "prometheus")
    meeting = threading.Barrier(2, timeout=60)
    site.manager.before = lambda action, service: (
        (meeting.wait(), None)[1] if service.component == "node_exporter" else None
    )
    run = Applied(
        site, [step(service_action(one), service_action(two)), step(service_action(prometheus), stage=1)]
    )
    assert site.manager.actions[2] == ("restart", "srv1", prometheus.unit)
    run.roll_back()
    assert {each[2] for each in site.manager.actions[3:5]} == {one.unit, two.unit}
    assert site.manager.actions[5:] == [("restart", "srv1", prometheus.unit)]


def test_a_client_stops_using_a_server_before_its_certificate_is_removed(make_site: Make) -> None:
    site = make_site("srv1", "prometheus")
    order: list[str] = []
    for name, connection in site.connections.items():
        connection.before = lambda operation, path, name=name: order.append(f"{name} {operation} {path}")  # type: ignore[misc]
    site.manager.before = lambda action, service: order.append(f"{action} {service.unit}")
    node, prometheus = site.service("srv1"), site.service("prometheus", "prometheus")
    run = Applied(
        site,
        [
            step(create("srv1", "/etc/node.crt")),
            step(edit("prometheus"), stage=1),
            step(service_action(prometheus, "reload"), stage=2),
            step(service_action(node), stage=3),
        ],
    )
    order.clear()
    run.roll_back()
    wanted = [
        "prometheus commit /etc/old",
        f"reload {prometheus.unit}",
        "srv1 remove /etc/node.crt",
        f"restart {node.unit}",
    ]
    assert [each for each in order if each in wanted] == wanted


# -- compare and swap ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [FileState(b"mine\n"), FileState(b"old\n", 0o600), None])
def test_a_file_changed_meanwhile_is_not_written(make_site: Make, now: FileState | None) -> None:
    site = make_site()
    files = site.connections["srv1"].files
    if now is None:
        del files["/etc/old"]
    else:
        files["/etc/old"] = now
    with pytest.raises(FileChangedError, match="no longer what the preview showed") as caught:
        Applied(site, [step(edit("srv1"))])
    assert caught.value.where == "srv1:/etc/old"
    assert files.get("/etc/old") == now
    assert not [path for path in files if "firescreen" in path], "nothing is left of what was staged"


def test_a_file_created_meanwhile_is_not_overwritten(make_site: Make) -> None:
    site = make_site()
    with pytest.raises(FileChangedError):
        Applied(site, [step(create("srv1", "/etc/old"))])
    assert site.connections["srv1"].files["/etc/old"] == OLD


def test_a_file_changed_meanwhile_is_not_removed(make_site: Make) -> None:
    site = make_site()
    site.connections["srv1"].files["/etc/old"] = FileState(b"mine\n")
    with pytest.raises(FileChangedError):
        Applied(site, [step(edit("srv1", after=None))])
    assert site.connections["srv1"].files["/etc/old"].content == b"mine\n"


def test_all_files_are_compared_before_the_first_change(make_site: Make) -> None:
    site = make_site()
    refuse_changed(site.connections["srv1"], [edit("srv1"), create("srv1", "/etc/new")])
    with pytest.raises(FileChangedError):
        refuse_changed(site.connections["srv1"], [edit("srv1"), create("srv1", "/etc/old")])


def test_a_rollback_keeps_a_file_that_was_changed_before_the_run_wrote_it(make_site: Make) -> None:
    site = make_site()
    site.connections["srv1"].files["/etc/old"] = FileState(b"mine\n")
    with pytest.raises(FileChangedError):
        Applied(site, [step(create("srv1", "/etc/new"), edit("srv1"))])
    roll_back(site)
    assert site.connections["srv1"].files["/etc/old"].content == b"mine\n"
    assert "/etc/new" not in site.connections["srv1"].files
    told = {event.text for event in site.events_of_kind("rollback") if event.state == "undone"}
    assert told == {"", "remove /etc/new"}


def test_a_rollback_keeps_a_file_changed_after_the_run_and_restores_the_others(make_site: Make) -> None:
    site = make_site()
    run = Applied(site, [step(edit("srv1"), create("srv1", "/etc/new"))])
    site.connections["srv1"].files["/etc/old"] = FileState(b"mine\n")
    with pytest.raises(FileChangedError, match="somebody changed it since the run") as caught:
        run.roll_back()
    assert caught.value.hosts == ("srv1",)
    assert site.connections["srv1"].files["/etc/old"].content == b"mine\n"
    assert "/etc/new" not in site.connections["srv1"].files
    told = {event.text for event in site.events_of_kind("rollback") if event.state == "undone"}
    assert told == {"", "remove /etc/new"}, "a file that was left as it is was not restored"


def test_a_change_between_compare_and_rename_is_kept(make_site: Make) -> None:
    site = make_site()
    run = Applied(site, [step(edit("srv1"))])
    files = site.connections["srv1"].files
    site.connections["srv1"].before = lambda operation, path: (
        files.update({"/etc/old": FileState(b"mine\n")}) if operation == "stage" else None
    )
    with pytest.raises(FileChangedError):
        run.roll_back()
    assert files["/etc/old"].content == b"mine\n"


# -- failures ------------------------------------------------------------------------------------------------


def test_a_failure_stops_the_run_before_the_remaining_changes(make_site: Make) -> None:
    site = make_site()
    before = site.files()
    site.connections["srv1"].faults["stage", "/etc/two"] = host_error()
    with pytest.raises(HostError, match="the disk is full"):
        Applied(
            site,
            [
                step(edit("srv1"), create("srv1", "/etc/two"), create("srv1", "/etc/three")),
                step(service_action(site.service("srv1")), stage=1),
            ],
        )
    assert "/etc/three" not in site.connections["srv1"].files
    record = roll_back(site)
    assert record.begun == {0, 1}
    assert record.done == {0}
    assert site.files() == before
    assert site.manager.actions == []


def test_staged_files_of_a_killed_run_are_removed(make_site: Make) -> None:
    site = make_site()
    run = Applied(site, [step(edit("srv1"))])
    number = run.log.extend([create("srv1", "/etc/new")])[0]
    run.log.begin(number)
    site.connections["srv1"].files[f"/etc/.new.firescreen-{run.log.run}-{number}"] = OLD
    run.roll_back()
    assert set(site.connections["srv1"].files) == {"/etc/old"}


def test_the_failure_of_an_independent_host_does_not_stop_others(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    site.connections["srv1"].faults["commit", "/etc/old"] = host_error()
    run = Applied(
        site,
        [
            step(edit("srv1"), create("srv1", "/etc/x")),
            step(edit("srv2")),
            step(create("srv2", "/etc/y"), stage=1),
        ],
        independent=["srv1", "srv2"],
    )
    assert list(run.failed) == ["srv1"]
    assert "/etc/x" not in site.connections["srv1"].files
    assert site.connections["srv2"].files["/etc/old"].content == b"new\n"
    assert "/etc/y" not in site.connections["srv2"].files, "the stage that follows waits for a decision"


def test_the_failure_of_a_required_host_ends_the_run(make_site: Make) -> None:
    site = make_site("srv1", "prometheus")
    site.connections["prometheus"].faults["stage", "*"] = host_error()
    with pytest.raises(HostError):
        Applied(site, [step(edit("srv1")), step(edit("prometheus"))], independent=["srv1"])


def test_a_service_that_does_not_start_ends_the_run(make_site: Make) -> None:
    site = make_site()
    service = site.service("srv1")
    site.manager.faults["restart", service.unit] = [service_error()]
    with pytest.raises(ServiceError):
        Applied(site, [step(edit("srv1"), service_action(service))])
    roll_back(site)
    assert site.manager.actions == [("restart", "srv1", service.unit)] * 2
    assert site.connections["srv1"].files["/etc/old"] == OLD


def test_a_journal_that_cannot_be_written_ends_the_run_before_the_change(
    make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()

    def full(self: Journal, number: int) -> None:
        raise JournalError("the journal cannot be written", where="here")

    monkeypatch.setattr(Journal, "begin", full)
    with pytest.raises(JournalError):
        Applied(site, [step(edit("srv1"))], independent=["srv1"])
    assert site.connections["srv1"].files["/etc/old"] == OLD
    assert [event.state for event in site.events_of_kind("change")] == ["running", "failed"]


def test_a_run_can_be_cancelled_between_two_changes(make_site: Make) -> None:
    site = make_site()
    cancel = threading.Event()
    site.connections["srv1"].before = lambda operation, path: cancel.set()
    with pytest.raises(CancelledError, match="between two changes"):
        Applied(site, [step(edit("srv1"), create("srv1", "/etc/new"))], cancel=cancel)
    assert site.connections["srv1"].files["/etc/old"].content == b"new\n"
    assert "/etc/new" not in site.connections["srv1"].files


def test_a_file_that_arrives_damaged_is_an_error(make_site: Make) -> None:
    site = make_site()
    content = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    connection = site.connections["srv1"]
    site.connections["srv1"].before = lambda operation, path: (
        connection.files.update(
            {each: FileState(b"garbled") for each in connection.files if "firescreen" in each}
        )
        if operation == "commit"
        else None
    )
    with pytest.raises(FileChangedError):
        Applied(site, [step(create("srv1", "/etc/a.crt", content, content_kind=ContentKind.CERTIFICATE))])


# -- troubles in a rollback ----------------------------------------------------------------------------------


def test_failed_restorations_are_counted_and_the_others_made(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    run = Applied(
        site,
        [step(edit("srv1"), create("srv1", "/etc/a"), create("srv1", "/etc/b")), step(edit("srv2"))],
    )
    site.connections["srv1"].faults["remove", "/etc/a"] = HostError("no", where="/etc/a")
    site.connections["srv1"].faults["remove", "/etc/b"] = HostError("neither", where="/etc/b")
    with pytest.raises(RollbackError, match="2 things") as caught:
        run.roll_back()
    assert caught.value.hosts == ("srv1",)
    assert set(caught.value.where.split(", ")) == {"a", "b"}
    assert site.connections["srv1"].files["/etc/old"] == OLD
    assert site.connections["srv2"].files["/etc/old"] == OLD


def test_services_that_do_not_start_after_a_rollback_are_a_service_error(make_site: Make) -> None:
    site = make_site()
    one, two = site.service("srv1", unit="a"), site.service("srv1", unit="b")
    run = Applied(site, [step(service_action(one), service_action(two))])
    site.manager.faults = {("restart", unit): [service_error()] for unit in "ab"}
    with pytest.raises(ServiceError, match="2 things"):
        run.roll_back()


def test_a_service_that_was_down_before_the_run_may_stay_down(make_site: Make) -> None:
    site = make_site()
    was_down, ran = site.service("srv1", unit="a", active=False), site.service("srv1", unit="b")
    run = Applied(site, [step(edit("srv1"), service_action(was_down), service_action(ran))])
    site.manager.faults["restart", "a"] = [service_error("a does not stay up")]
    record = run.record
    executor = Executor(site.hosts(), run.log, site.emit)
    executor.roll_back(record)
    assert executor.left_down == ("a on srv1 does not run, as before that run: a does not stay up",)
    assert site.connections["srv1"].files["/etc/old"] == OLD
    site.manager.faults["restart", "a"] = [service_error()]
    site.manager.faults["restart", "b"] = [service_error("b does not stay up")]
    with pytest.raises(ServiceError, match="b does not stay up"):
        executor.roll_back(record)


def test_an_unreachable_host_is_not_waited_for_twice(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    run = Applied(
        site,
        [step(edit("srv1"), create("srv1", "/etc/a"), create("srv1", "/etc/b")), step(edit("srv2"))],
    )
    asked: list[str] = []
    read = site.connections["srv1"].read

    def raise_unreachable(path: str) -> FileState | None:
        asked.append(path)
        raise UnreachableError("no answer", where="srv1")

    site.connections["srv1"].read = raise_unreachable  # type: ignore[method-assign]
    with pytest.raises(UnreachableError) as caught:
        run.roll_back()
    assert caught.value.hosts == ("srv1",)
    assert len(asked) == 1
    assert site.connections["srv2"].files["/etc/old"] == OLD
    site.connections["srv1"].read = read  # type: ignore[method-assign]
    run.roll_back()
    assert set(site.connections["srv1"].files) == {"/etc/old"}, "a rollback may be done twice"


def test_a_failed_reload_does_not_count_if_a_restart_follows(make_site: Make) -> None:
    site = make_site()
    prometheus = site.service("srv1", "prometheus")
    run = Applied(
        site, [step(service_action(prometheus, "reload")), step(service_action(prometheus), stage=1)]
    )
    site.manager.faults["reload", prometheus.unit] = [service_error("it refused")]
    run.roll_back()
    site.manager.faults["restart", prometheus.unit] = [service_error()]
    with pytest.raises(ServiceError):
        run.roll_back()


# -- checks of files by their programs ------------------------------------------------------------------------


def test_a_file_that_fails_its_check_is_not_put_in_place(make_site: Make) -> None:
    site = make_site()
    change = create("srv1", "/etc/prometheus/web.yml", b"nonsense: [\n", content_kind=ContentKind.WEB_CONFIG)
    with pytest.raises(ValidationError):
        Applied(site, [step(change)])
    assert set(site.connections["srv1"].files) == {"/etc/old"}


def test_the_check_sees_files_that_the_run_has_written(make_site: Make) -> None:
    site = make_site()
    pair = ("/etc/n/n.crt", "/etc/n/n.key")
    text = f"tls_server_config:\n  cert_file: {pair[0]}\n  key_file: {pair[1]}\n".encode()
    change = create("srv1", "/etc/n/web.yml", text, content_kind=ContentKind.WEB_CONFIG)
    with pytest.raises(ValidationError) as missing:
        Applied(site, [step(change)])
    read: list[str] = []
    reads = site.connections["srv1"].read

    def noted(path: str) -> FileState | None:
        read.append(path)
        return reads(path)

    site.connections["srv1"].read = noted  # type: ignore[method-assign]
    with pytest.raises(ValidationError) as damaged:
        Applied(site, [step(create("srv1", pair[0]), create("srv1", pair[1]), change)])
    assert missing.value.what != damaged.value.what
    assert read.count(pair[0]) == 1, "it is not read again"


# -- manual restarts -----------------------------------------------------------------------------------------


def test_a_manual_restart_is_done_when_the_right_client_is_accepted(
    make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    service = site.service("srv1", manager="manual")
    wanted = probe("srv1")
    answers = iter(["error", "200"])
    monkeypatch.setattr(probes, "run", lambda each, **_: attempt(each, next(answers)))
    cancel = threading.Event()
    monkeypatch.setattr(cancel, "wait", lambda seconds: False)
    Applied(
        site, [step(service_action(service, by_hand=("type this",)))], plan_probes=[wanted], cancel=cancel
    )
    assert next(answers, None) is None
    assert [event.text for event in site.events_of_kind("waiting")] == ["type this"]


def test_a_manual_restart_is_awaited_for_half_an_hour_at_most(
    make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    monkeypatch.setattr(service_control, "PERSON_TIMEOUT", -1.0)
    monkeypatch.setattr(probes, "run", lambda each, **_: attempt(each, "error"))
    cancel = threading.Event()
    monkeypatch.setattr(cancel, "wait", lambda seconds: False)
    manual = site.service("srv1", manager="manual")
    with pytest.raises(HostError, match="half an hour"):
        Applied(site, [step(service_action(manual))], plan_probes=[probe("srv1")], cancel=cancel)


def test_the_wait_for_a_manual_restart_can_be_cancelled(
    make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    cancel = threading.Event()

    def asked(each: Probe, **_: object) -> object:
        cancel.set()
        return attempt(each, "error")

    monkeypatch.setattr(probes, "run", asked)
    manual = site.service("srv1", manager="manual")
    with pytest.raises(CancelledError, match="waited for you"):
        Applied(site, [step(service_action(manual))], plan_probes=[probe("srv1")], cancel=cancel)


def test_a_manual_reload_that_cannot_be_checked_counts_as_done(make_site: Make) -> None:
    site = make_site()
    manual = site.service("srv1", "alertmanager", manager="manual")
    Applied(site, [step(service_action(manual, "reload", by_hand=("kill -HUP 1",)))])
    assert [event.text for event in site.events_of_kind("waiting")] == ["kill -HUP 1"]


# -- waiting until Prometheus scrapes over https ---------------------------------------------------------------


def test_the_next_change_waits_until_prometheus_scrapes_by_https(
    make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    prometheus = site.service("srv1", "prometheus")
    target = probe("srv1", "up", kind="up", instance="srv1:9100")
    urls = iter(["http://srv1:9100/metrics", "https://srv1:9100/metrics"])
    monkeypatch.setattr(probes, "run", lambda each, **_: attempt(each, "up", scrape_url=next(urls)))
    Applied(site, [step(service_action(prometheus, "reload", turns=(target,)))])
    assert next(urls, None) is None
    assert "waiting until Prometheus scrapes srv1:9100 by https" in site.events_of_kind("log")[0].text


def test_the_prometheus_api_gives_the_scheme_of_a_target(make_site: Make) -> None:
    secured = {**target("srv1:9100"), "scrapeUrl": "https://srv1:9100/metrics"}
    with serving(prometheus(secured)) as place:
        asked = probe("srv1", "up", kind="up", instance="srv1:9100", url=f"http://{place}")
        service = make_site().service("srv1", "prometheus")
        run = Applied(make_site(), [step(service_action(service, "reload", turns=(asked,)))])
        assert probes.run(asked).scrape_url == "https://srv1:9100/metrics"
    assert len(run.executor.made) == 1


def test_the_wait_for_https_times_out(make_site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site()
    monkeypatch.setattr(service_control, "TURN_TIMEOUT", 0.05)
    monkeypatch.setattr(probes, "run", lambda each, **_: attempt(each, "up", scrape_url="http://srv1:9100"))
    target = probe("srv1", "up", kind="up", instance="srv1:9100")
    run = Applied(site, [step(service_action(site.service("srv1", "prometheus"), "reload", turns=(target,)))])
    assert len(run.executor.made) == 1


def test_the_wait_for_https_can_be_cancelled(make_site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site()
    cancel = threading.Event()

    def asked(each: Probe, **_: object) -> object:
        cancel.set()
        return attempt(each, "error")

    monkeypatch.setattr(probes, "run", asked)
    target = probe("srv1", "up", kind="up", instance="srv1:9100")
    with pytest.raises(CancelledError, match="waited for Prometheus"):
        Applied(
            site,
            [step(service_action(site.service("srv1", "prometheus"), "reload", turns=(target,)))],
            cancel=cancel,
        )


def test_workspace_files_are_written_in_parallel_and_rolled_back_if_one_fails(make_site: Make) -> None:
    site = make_site()
    site.connections[WORKSPACE].faults["stage", "/workspace/b"] = host_error()
    begun: list[frozenset[int]] = []

    def note_begun(operation: str, path: str) -> None:
        (record,) = journal_reader.records(site.workspace.runs)
        begun.append(record.begun)

    site.connections[WORKSPACE].before = note_begun
    with pytest.raises(HostError):
        Applied(site, [step(*(create(WORKSPACE, f"/workspace/{name}") for name in "abc"))])
    assert begun == [{0, 1, 2}] * 3
    site.connections[WORKSPACE].before = lambda operation, path: None
    roll_back(site)
    assert site.connections[WORKSPACE].files == {}


def test_the_host_with_the_most_changes_begins_first(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    Applied(site, [step(edit("srv1"), create("srv2", "/etc/a"), create("srv2", "/etc/b"))])
    assert next(event.host for event in site.events_of_kind("change") if event.state == "running") == "srv2"


def test_the_workspace_is_changed_like_any_host(make_site: Make) -> None:
    site = make_site()
    run = Applied(site, [step(create(WORKSPACE, "/workspace/ca/ca.crt"))])
    assert not [event for event in site.events_of_kind("host") if event.host == WORKSPACE]
    run.roll_back()
    assert site.connections[WORKSPACE].files == {}
