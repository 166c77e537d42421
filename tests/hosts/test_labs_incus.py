"""The labs in a workshop's setting: node_exporter on srv1, and Prometheus in a container on srv1.

The commands are those of the labs: on srv1, in the container, and between the two with `incus file push` and
`pull`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bases
import pytest
from incus_hosts import Instance
from machines import Machine, Network
from test_labs import CONFIG, open_before_and_done_after, opened
from test_over_incus import srv1, state  # noqa: F401 - a fixture
from test_over_ssh import engine_for

from wizard.labs import classroom

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]


@pytest.fixture
def prometheus(instance: Instance, srv1: Machine) -> Iterator[Instance]:  # noqa: F811
    """Yields the container, whose Prometheus reads its targets from a file; restores it when the test is over."""
    folder = "/etc/prometheus"
    before = {path: instance.check(["cat", path]) for path in (f"{folder}/prometheus.yml", "/etc/hosts")}
    config, hosts = before
    written = {config: CONFIG, hosts: f"{before[hosts]}{srv1.address} srv1\n"}
    instance.check(
        f"mkdir {folder}/targets.d && echo \"- targets: ['srv1:9100']\" > {folder}/targets.d/node.yml"
    )
    for texts in (written, before):
        for path, text in texts.items():
            instance.check(["sh", "-c", f"cat > {path}"], stdin=text)
        if texts is before:
            instance.check(["rm", "-r", f"{folder}/targets.d"])
        instance.check(["systemctl", "restart", "prometheus"])
        if texts is written:
            yield instance


@pytest.mark.parametrize("instance", ["bookworm"], indirect=True)
def test_on_the_command_line_of_srv1_itself(srv1: Machine, prometheus: Instance) -> None:  # noqa: F811
    """A student who is logged in on srv1: it is this machine, and the container is on it."""
    hosts: list[Machine | Instance] = [srv1, prometheus]
    srv1.push("/tmp/room.yaml", b"hosts: {srv1: {connect: local}, prometheus: {connect: incus}}\n")
    fire = f"{bases.HOME}/bin/firescreen --workspace /tmp/w lab"
    begun = srv1.check(f"{fire} start node-tls --classroom /tmp/room.yaml")
    assert "On srv1, which is this machine:" in begun
    before = [state(host) for host in hosts]
    not_yet = srv1.run(f"{fire} check")
    assert not_yet.returncode == 1 and "not done yet: there is no certificate" in not_yet.stdout
    assert "and verifies its certificate: up=1" in srv1.check(f"{fire} solve scrape", timeout=120)
    assert "(4 steps done" in srv1.check(f"{fire} list")
    refused = srv1.run(f"{fire} start faults")
    assert refused.returncode == 2 and "on the practice stack only" in refused.stderr
    srv1.check(f"{fire} reset node-tls")
    assert [state(host) ^ was for host, was in zip(hosts, before, strict=True)] == [set(), set()]
    srv1.check(["rm", "-r", "/tmp/w", "/tmp/room.yaml"])


@pytest.mark.parametrize(
    ("instance", "labs"),
    [
        ("bookworm", ("workshop",)),
        ("bookworm", ("node-tls", "node-password")),
        ("sid", ("workshop",)),
        ("sid", ("mutual-tls",)),
    ],
    indirect=["instance"],
    ids=["bookworm-workshop", "bookworm-password", "sid-workshop", "sid-mutual-tls"],
)
def test_a_lab_by_hand_with_prometheus_in_a_container(
    srv1: Machine,  # noqa: F811
    prometheus: Instance,
    network: Network,
    tmp_path: Path,
    labs: tuple[str, ...],
) -> None:
    hosts: list[Machine | Instance] = [srv1, prometheus]
    before = [state(host) for host in hosts]
    spec = srv1.spec()
    file = tmp_path / "classroom.yaml"
    file.write_text(
        f"hosts:\n  srv1: {{connect: ssh, address: {srv1.address}, user: root, identity_file: {spec.identity_file},"
        f" known_hosts: {spec.known_hosts}}}\n  prometheus: {{connect: incus, via: srv1}}\n"
    )
    with engine_for(tmp_path / "workspace", network, {}) as engine:
        sessions = []
        for lab in labs:
            sessions.append(opened(engine, lab, classroom.load(file)))
            open_before_and_done_after(sessions[-1], by_hand=True)
        typed = [
            (place, text)
            for session in sessions
            for step in session.lab.steps
            for place, text in zip(step.places, step.commands, strict=True)
            if text.startswith("incus file ")
        ]
        assert typed and {place for place, _ in typed} == {"srv1"}
        assert not any(
            "scp" in text for session in sessions for step in session.lab.steps for text in step.commands
        )
        for session in reversed(sessions):
            session.reset()
        engine.close()
    assert [state(host) ^ was for host, was in zip(hosts, before, strict=True)] == [set(), set()]
