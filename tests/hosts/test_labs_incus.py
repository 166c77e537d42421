"""The labs in the workshop's setting: node_exporter on srv1, and Prometheus in a container that srv1 holds.

Typed as in the walk-throughs: on srv1, in the container, and between the two with `incus file push` and `pull`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
    """The container, whose Prometheus takes its targets from a file; as it was when the test is over."""
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
