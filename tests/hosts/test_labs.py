"""The labs on real hosts of a classroom: srv1, srv2 and prometheus over SSH, Firescreen on a third machine.

Each step's check fails before and passes after, by hand (the printed commands, each on its host) and done for
the student; a reset restores every file below /etc of both hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from machines import Machine, Network, booted
from test_over_ssh import engine_for, etc, listen

from wizard.engine import Engine
from wizard.errors import InputError
from wizard.labs import LabSession, classroom
from wizard.labs.classroom import Classroom
from wizard.labs.environment import LabInProgressError
from wizard.labs.rehearsal import rehearse
from wizard.model import HostSpec

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

CONFIG = """\
# A campus: Prometheus asks itself and srv1.
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090']}]

  # The nodes.
  - job_name: 'node'
    # Which ones there are stands in a file of its own.
    file_sd_configs:
      - files:
          - targets.d/node.yml
"""
PATIENCE = 30.0


@pytest.fixture(scope="module", params=["bookworm", "sid"])
def site(request: pytest.FixtureRequest, network: Network) -> Iterator[dict[str, Machine]]:
    """Boots srv1 and prometheus once for all labs of a suite."""
    machines = [
        Machine(str(request.param), "srv1", network, programs=("node_exporter",)),
        Machine(str(request.param), "srv2", network, programs=("node_exporter",)),
        Machine(str(request.param), "prometheus", network, programs=("prometheus",)),
    ]
    with booted(machines):
        srv1, srv2, prometheus = machines
        prometheus.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
        prometheus.push("/etc/prometheus/targets.d/node.yml", b"- targets: ['srv1:9100']\n")
        prometheus.check(["systemctl", "restart", "prometheus"])
        for machine in machines:  # until then, only root may log in
            machine.check(["systemctl", "start", "systemd-user-sessions"])
        yield {"srv1": srv1, "srv2": srv2, "prometheus": prometheus}


def room(site: dict[str, Machine], folder: Path, *, user: str = "root", become: str = "") -> Classroom:
    """Returns the classroom file of a workshop, as one student reads it."""
    spec = {name: machine.spec() for name, machine in site.items()}
    number = site["srv1"].address.rpartition(".")[2]
    hosts = "".join(
        f"  {name}:\n    connect: ssh\n    address: {address}\n    user: {user}\n    become: '{become}'\n"
        f"    identity_file: {spec[name].identity_file}\n    known_hosts: {spec[name].known_hosts}\n"
        for name, address in (
            ("srv1", "192.0.2.{{campus}}"),
            ("srv2", site["srv2"].address),
            ("prometheus", site["prometheus"].address),
        )
    )
    path = folder / "classroom.yaml"
    path.write_text(f"campus: 1-200\nhosts:\n{hosts}    name: prometheus.campus{{{{campus}}}}.example.org\n")
    return classroom.load(path, int(number))


def open_before_and_done_after(session: LabSession, *, by_hand: bool) -> list[str]:
    """Plays a lab; returns the output of its commands."""
    output: list[str] = []
    for step in session.lab.steps:
        if step.missing:
            assert session.check(step.id).ok
            continue
        before = session.check(step.id)
        assert not before.ok, f"{step.id} counts as done before anything was done"
        if by_hand:
            for typed in session.type(step.id):
                assert typed.code == 0, f"{step.id}: {typed.command}\n{typed.output}"
                output.append(typed.output)
        else:
            outcome = session.solve(step.id)
            assert outcome.error is None, (step.id, outcome.error.what, outcome.error.todo)
        after = session.check(step.id, patience=PATIENCE)
        assert after.ok, f"{step.id}: {after.what} - {after.todo}"
    return output


def opened(engine: Engine, lab: str, where: Classroom) -> LabSession:
    return LabSession.open(engine, lab, classroom=where)


@pytest.fixture
def engine(network: Network, tmp_path: Path) -> Iterator[Engine]:
    """Returns Firescreen on the third machine."""
    with engine_for(tmp_path / "workspace", network, {}) as engine:
        yield engine
        engine.close()


@pytest.fixture
def before(site: dict[str, Machine]) -> dict[str, dict[str, tuple[str, int]]]:
    """Returns every file below /etc of each host, before the lab."""
    return {name: etc(machine) for name, machine in site.items()}


def all_back(site: dict[str, Machine], before: dict[str, dict[str, tuple[str, int]]]) -> bool:
    """Returns whether every file is as before, and Prometheus scrapes an unprotected srv1 again."""
    assert {name: etc(machine) for name, machine in site.items()} == before
    return "# TYPE node_load1" in site["srv1"].check(["curl", "-sS", "http://srv1:9100/metrics"])


@pytest.mark.parametrize("by_hand", [True, False], ids=["by-hand", "done-for-you"])
def test_tls_and_then_a_password(
    site: dict[str, Machine],
    engine: Engine,
    before: dict[str, dict[str, tuple[str, int]]],
    tmp_path: Path,
    by_hand: bool,
) -> None:
    # Where the login is not root, files are copied through this machine, with sudo at both ends.
    sudo = by_hand and site["srv1"].suite == "sid"
    where = room(site, tmp_path, user="admin", become="sudo") if sudo else room(site, tmp_path)
    with pytest.raises(InputError, match="goes on where 'TLS for a node_exporter' ends"):
        opened(engine, "node-password", where)
    open_before_and_done_after(opened(engine, "node-tls", where), by_hand=by_hand)
    between = {name: etc(machine) for name, machine in site.items()}
    session = opened(engine, "node-password", where)
    open_before_and_done_after(session, by_hand=by_hand)
    if by_hand:
        # Another lab starts on the hosts as they were before the first.
        with pytest.raises(LabInProgressError, match="discard"):
            opened(engine, "mutual-tls", where)
        session = LabSession.open(engine, "mutual-tls", classroom=where, anew=True)
    else:
        session.reset()
        assert {name: etc(machine) for name, machine in site.items()} == between
        session = opened(engine, "node-tls", where)
        session.reset()
    assert not session.done
    assert all_back(site, before)


@pytest.mark.parametrize("lab", ["mutual-tls", "workshop"])
def test_certificates_for_both_ends(
    site: dict[str, Machine],
    engine: Engine,
    before: dict[str, dict[str, tuple[str, int]]],
    tmp_path: Path,
    lab: str,
) -> None:
    session = opened(engine, lab, room(site, tmp_path))
    output = "\n".join(open_before_and_done_after(session, by_hand=True))
    assert "rejected" in output and "node_load1 " in output
    missing = {step.id: step.missing for step in session.lab.steps if step.missing}
    if lab == "workshop":
        assert missing == {"more": "this classroom has no host srv3"}
        assert any(command.startswith("scp -3 ") for command in session.lab.step("second").commands)
    else:
        assert list(missing) == (["names"] if site["srv1"].suite == "bookworm" else [])
    session.reset()
    assert all_back(site, before)


@pytest.mark.parametrize("lab", ["mutual-tls", "workshop"])
@pytest.mark.parametrize("site", ["bookworm"], indirect=True)
def test_doing_the_last_step_does_all_steps(
    site: dict[str, Machine],
    engine: Engine,
    before: dict[str, dict[str, tuple[str, int]]],
    tmp_path: Path,
    lab: str,
) -> None:
    session = opened(engine, lab, room(site, tmp_path))
    last = [step for step in session.lab.steps if not step.missing][-1]
    outcome = session.solve(last.id)
    assert outcome.error is None, (outcome.error.what, outcome.error.todo)
    assert session.check(last.id, patience=PATIENCE).ok
    # Known from the recorded progress: checking an earlier step again passes, too.
    assert session.done >= {step.id for step in session.lab.steps if not step.missing}
    session.reset()
    assert all_back(site, before)


@pytest.mark.parametrize("site", ["bookworm"], indirect=True)
def test_a_prometheus_on_loopback_is_queried_through_its_host(
    site: dict[str, Machine], engine: Engine, tmp_path: Path
) -> None:
    """By hand, so that each check makes its own requests; the wizard's machine cannot reach that Prometheus."""
    listen(site["prometheus"], "prometheus", "127.0.0.1:9090")
    try:
        before = {name: etc(machine) for name, machine in site.items()}
        where = room(site, tmp_path)
        open_before_and_done_after(opened(engine, "node-tls", where), by_hand=True)
        open_before_and_done_after(session := opened(engine, "node-password", where), by_hand=True)
        session.reset()
        opened(engine, "node-tls", where).reset()
        assert all_back(site, before)
    finally:
        listen(site["prometheus"], "prometheus", "0.0.0.0:9090")


@pytest.mark.parametrize("site", ["bookworm"], indirect=True)
def test_a_rehearsal_says_which_host_is_not_ready_and_restores_all(
    site: dict[str, Machine],
    engine: Engine,
    before: dict[str, dict[str, tuple[str, int]]],
    tmp_path: Path,
) -> None:
    where = room(site, tmp_path)
    found = list(rehearse(engine, where, ("node-tls", "node-password"), lambda _: None))
    assert [(each.lab, each.ok, each.why) for each in found] == [
        ("node-tls", True, ""),
        ("node-password", True, ""),
    ]
    assert all_back(site, before)
    # A host whose exporter cannot start again.
    program = "/usr/bin/prometheus-node-exporter"
    site["srv1"].check(["mv", program, f"{program}.away"])
    try:
        bad, unrestored = rehearse(engine, where, ("node-tls",), lambda _: None)
    finally:
        site["srv1"].check(["mv", f"{program}.away", program])
        # systemd may have given up on it: five starts in ten seconds, which count for this start, too.
        site["srv1"].run(["systemctl", "reset-failed", "prometheus-node-exporter"])
        site["srv1"].check(["systemctl", "restart", "prometheus-node-exporter"])
    assert not bad.ok and (bad.lab, bad.host) == ("node-tls", "srv1") and "No such file" in bad.why
    assert not unrestored.ok and "does not stay up" in unrestored.why, (
        "its service could not be started again"
    )
    assert all_back(site, before)
    # An unreachable host is named before any lab starts.
    gone = replace(where, hosts=(*where.hosts, HostSpec(name="srv9", connect="ssh", address="192.0.2.254")))
    found = list(rehearse(engine, gone, (), lambda _: None))
    assert [(each.host, each.lab, each.ok) for each in found] == [("srv9", "", False)]
