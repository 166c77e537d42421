"""A site of five real hosts: a failure of one of them affects no other, and everything can be restored.

srv1 to srv4 have node_exporter, prometheus scrapes all four. Every file below /etc of all five is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bases
import pytest
from machines import Network
from sites import NODES, Site, Watch, five, full_disk, read_only, rubbish

from wizard.engine import Engine, Outcome
from wizard.errors import CredentialNeededError, FirescreenError, RollbackError, UnreachableError
from wizard.model import Event
from wizard.redact import Secret
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(network: Network) -> Iterator[Site]:
    with five(network) as site:
        yield site


@contextmanager
def engine_at(folder: Path, network: Network) -> Iterator[Engine]:
    workspace = Workspace(folder)
    workspace.ensure()
    engine = Engine(workspace)
    with network.entered():
        try:
            yield engine
        finally:
            engine.close()


def states(outcome: Outcome) -> dict[str, str]:
    return {each.host: each.state for each in outcome.hosts}


def undo_all(engine: Engine) -> None:
    for run in engine.history():
        if run.state in ("proven", "partly"):
            undone = engine.undo(run.run)
            assert undone.error is None, undone.error


def when(
    wanted: Callable[[Event], bool], act: Callable[[], None], events: list[Event]
) -> Callable[[Event], None]:
    """Returns an event callback that calls `act` once, at the first event that `wanted` accepts."""

    def emit(event: Event) -> None:
        first = wanted(event) and not any(map(wanted, events))
        events.append(event)
        if first:
            act()

    return emit


def test_five_hosts_are_secured_and_restored(site: Site, tmp_path: Path) -> None:
    """As a user with a password for sudo; no secret is visible on any host meanwhile."""
    before = site.all_files()
    events: list[Event] = []
    stack = site.stack(user="operator", become="sudo")
    with engine_at(tmp_path, site.network) as engine:
        for name in site.machines:
            engine.access.give("sudo", name, Secret(bases.PASSWORD))
        with Watch(site) as watch:
            outcome = engine.apply(engine.plan(stack), events.append)
        assert outcome.state == "proven", outcome.error
        password = (tmp_path / "users/prometheus.password").read_text()
        watch.saw_nothing_of(password, bases.PASSWORD)
        assert states(outcome) == dict.fromkeys((*NODES, "prometheus"), "proven")
        assert set(site.ups().values()) == {"up"}
        assert not engine.plan(stack).changes
        undo_all(engine)
    assert site.all_files() == before
    assert all(map(site.plain, NODES))


def test_an_unreachable_host_is_unchanged_and_secured_later(site: Site, tmp_path: Path) -> None:
    before = site.all_files()
    with engine_at(tmp_path, site.network) as engine:
        with site.unplugged("srv3"):
            plan = engine.plan(site.stack())
            assert [each.host for each in plan.warnings if each.id == "host-away"] == ["srv3"]
            outcome = engine.apply(plan, canary="none")
        assert outcome.state == "partly" and not outcome.ok
        assert states(outcome) == {**dict.fromkeys((*NODES, "prometheus"), "proven"), "srv3": "away"}
        assert site.files("srv3") == before["srv3"] and site.plain("srv3")
        later = engine.apply(engine.plan(site.stack()))
        assert later.state == "proven", later.error
        assert set(site.ups().values()) == {"up"}
        undo_all(engine)
    assert site.all_files() == before


def restarts_srv3(event: Event) -> bool:
    return (event.kind, event.host) == ("change", "srv3") and event.text.startswith("restart")


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_host_that_becomes_unreachable_during_the_run(site: Site, tmp_path: Path, moment: str) -> None:
    before = site.all_files()
    moments: dict[str, Callable[[Event], bool]] = {
        "before": lambda event: (event.kind, event.host, event.state) == ("change", "srv3", "done"),
        "during": lambda event: restarts_srv3(event) and event.state == "running",
        "after": lambda event: event.kind == "probe" and event.host == "srv3",
    }
    events: list[Event] = []
    with engine_at(tmp_path, site.network) as engine:
        plan = engine.plan(site.stack())
        emit = when(moments[moment], lambda: site.link("srv3", "down"), events)
        try:
            outcome = engine.apply(plan, emit, canary="none")
        finally:
            site.link("srv3", "up")
        assert outcome.state == "partly", outcome.error
        assert states(outcome)["srv3"] == "stuck"
        assert all(state == "proven" for host, state in states(outcome).items() if host != "srv3")
        assert "recover" in " ".join(outcome.summary)
        refused = engine.apply(engine.plan(site.stack()))
        assert refused.error is not None and "recover" in refused.error.todo
        assert engine.interrupted_run() is not None
        (settled,) = engine.recover()
        assert settled.error is None, settled.error
        assert engine.interrupted_run() is None
        assert site.files("srv3") == before["srv3"] and site.plain("srv3")
        undo_all(engine)
    assert site.all_files() == before
    assert all(map(site.plain, NODES))


def test_when_the_prometheus_host_becomes_unreachable_the_others_are_rolled_back_and_it_needs_recovery(
    site: Site, tmp_path: Path
) -> None:
    before = site.all_files()

    def turns(event: Event) -> bool:
        mine = (event.kind, event.host, event.state) == ("change", "prometheus", "running")
        return mine and event.text.startswith("restart")

    events: list[Event] = []
    with engine_at(tmp_path, site.network) as engine:
        plan = engine.plan(site.stack())
        try:
            outcome = engine.apply(plan, when(turns, lambda: site.link("prometheus", "down"), events))
        finally:
            site.link("prometheus", "up")
        assert (outcome.state, type(outcome.error)) == ("failed", RollbackError)
        assert states(outcome) == {**dict.fromkeys(NODES, "rolled-back"), "prometheus": "stuck"}
        assert outcome.error is not None
        assert outcome.error.todo.endswith("firescreen recover --yes")
        assert all(site.files(name) == before[name] for name in NODES)
        (settled,) = engine.recover()
        assert settled.error is None, settled.error
    assert site.all_files() == before
    assert all(map(site.plain, NODES))


@pytest.mark.parametrize("harm", [full_disk, read_only], ids=["full disk", "read-only /etc"])
def test_only_the_host_that_cannot_be_written_is_rolled_back(
    site: Site, tmp_path: Path, harm: Callable[[Site, str], Iterator[None]]
) -> None:
    before = site.all_files()
    with engine_at(tmp_path, site.network) as engine:
        plan = engine.plan(site.stack())
        with harm(site, "srv2"):  # type: ignore[attr-defined]
            outcome = engine.apply(plan, canary="none")
        assert outcome.state == "partly", outcome.error
        failed = next(each for each in outcome.hosts if each.state != "proven")
        assert (failed.host, failed.state) == ("srv2", "rolled-back"), failed
        assert isinstance(failed.error, FirescreenError) and failed.error.what
        assert site.files("srv2") == before["srv2"] and site.plain("srv2")
        undo_all(engine)
    assert site.all_files() == before


def test_output_of_start_up_files_is_ignored(site: Site, tmp_path: Path) -> None:
    before = site.all_files()
    with engine_at(tmp_path, site.network) as engine, rubbish(site, "srv2"):
        outcome = engine.apply(engine.plan(site.stack()))
        assert outcome.state == "proven", outcome.error
        undo_all(engine)
    assert site.all_files() == before


def test_a_wrong_sudo_password_is_reported_before_any_change(site: Site, tmp_path: Path) -> None:
    before = site.all_files()
    stack = site.stack(user="operator", become="sudo")
    with engine_at(tmp_path, site.network) as engine:
        for name in site.machines:
            engine.access.give("sudo", name, Secret("wrong" if name == "srv4" else bases.PASSWORD))
        with pytest.raises(CredentialNeededError) as asked:
            engine.plan(stack)
        assert (asked.value.kind, asked.value.host) == ("sudo", "srv4")
    assert site.all_files() == before


def test_two_wizards_at_once(site: Site, tmp_path: Path) -> None:
    """The second is refused while the first runs, and allowed afterwards."""
    stack = site.stack()
    with engine_at(tmp_path / "one", site.network) as one, engine_at(tmp_path / "two", site.network) as two:
        refused: list[Outcome] = []
        other = two.plan(stack)

        def meanwhile() -> None:
            refused.append(two.apply(other))

        emit = when(lambda event: event.kind == "started", meanwhile, [])
        assert one.apply(one.plan(stack), emit).state == "proven"
        assert refused[0].state == "failed" and refused[0].error is not None
        assert "has been at work on" in refused[0].error.what, refused[0].error
        assert two.history() == ()
        undo_all(one)
        assert two.apply(two.plan(stack)).state == "proven"
        undo_all(two)


def test_a_host_key_that_changed_between_two_runs(site: Site, tmp_path: Path) -> None:
    with engine_at(tmp_path, site.network) as engine:
        stack = site.stack()
        assert engine.apply(engine.plan(stack)).state == "proven"
    machine = site.machines["srv2"]
    machine.check(
        "cp -pr /etc/ssh /root/ssh.old && rm /etc/ssh/ssh_host_* && ssh-keygen -A && systemctl restart ssh"
    )
    try:
        with engine_at(tmp_path, site.network) as engine, pytest.raises(FirescreenError) as refused:
            engine.plan(stack)
        assert not isinstance(refused.value, UnreachableError)
        assert "SSH host key has changed" in refused.value.what, refused.value
    finally:
        machine.check(
            "cp -pr /root/ssh.old/ssh_host_* /etc/ssh/ && rm -r /root/ssh.old && systemctl restart ssh"
        )
    with engine_at(tmp_path, site.network) as engine:
        undo_all(engine)
