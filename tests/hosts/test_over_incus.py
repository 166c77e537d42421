"""A workshop's setting: node_exporter on srv1, and Prometheus in a container on srv1.

srv1 is reached over SSH, the container through srv1. Firescreen runs on a third machine. All files of both
below `PLACES` are compared before and after an undo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from incus_hosts import Incus, Instance
from machines import Machine, Network
from test_over_ssh import CONFIG, LEVELS, LOGINS, engine_for

from wizard.model import ComponentSpec, Stack

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

PLACES = "/etc /root /srv /usr/lib/systemd /usr/local /run/systemd/system"
# Owners and modes, folders and targets of links; and the content of every file.
STATE = (
    f"find {PLACES} \\( -type d -o -type f -o -type l \\) -printf '%p %y %m %u:%g %l\\n';"
    f" find {PLACES} -type f -exec sha256sum {{}} +"
)
ANYWHERE = "/etc /root /home /srv /opt/prometheus /tmp /var/tmp /run /var/lib/prometheus"


@pytest.fixture(scope="module")
def srv1(instance: Instance, incus: Incus, network: Network) -> Iterator[Machine]:
    """Returns a host with node_exporter and the client of the daemon that runs the container."""
    with Machine(instance.suite, "srv1", network, programs=("node_exporter",), bound=incus.bound) as srv1:
        srv1.check(["systemctl", "start", "systemd-user-sessions"])  # until then, only root may log in
        # At its first use the client makes a folder with its settings, here as on any host with instances.
        srv1.check(["incus", "list"])
        yield srv1


@pytest.fixture
def prometheus(instance: Instance, srv1: Machine) -> Iterator[Instance]:
    """Yields the container prometheus, which scrapes itself and srv1; restores it when the test is over."""
    before = {
        path: instance.check(["cat", path]) for path in ("/etc/prometheus/prometheus.yml", "/etc/hosts")
    }
    config, hosts = before
    written = {config: CONFIG, hosts: f"{before[hosts]}{srv1.address} srv1\n"}
    for texts in (written, before):
        for path, text in texts.items():
            instance.check(["sh", "-c", f"cat > {path}"], stdin=text)
        instance.check(["systemctl", "restart", "prometheus"])
        if texts is written:
            yield instance


def state(host: Machine | Instance) -> set[str]:
    """Returns a host's files below `PLACES`."""
    return set(host.check(STATE).splitlines())


def holding(host: Machine | Instance, key: bytes) -> list[str]:
    """Returns the files of a host that contain that private key (PEM), wherever it could be."""
    line = key.decode().splitlines()[1]
    return host.check(["sh", "-c", f"grep -rslF -- '{line}' {ANYWHERE} || :"]).split()


@pytest.mark.parametrize(
    ("instance", "user", "become", "password"),
    LOGINS,
    indirect=["instance"],
    ids=[f"{login[0]}-{login[1]}" for login in LOGINS],
)
def test_a_container_on_srv1_is_secured_verified_and_restored(
    srv1: Machine,
    prometheus: Instance,
    network: Network,
    tmp_path: Path,
    user: str,
    become: str,
    password: str,
) -> None:
    hosts: list[Machine | Instance] = [srv1, prometheus]
    assert prometheus.name == "prometheus"
    before = [state(host) for host in hosts]
    given = {"srv1": password} if password else {}
    with engine_for(tmp_path, network, given) as engine:
        # Each next step once; the other connections go straight to the highest level.
        levels = LEVELS if (srv1.suite, user) == ("bookworm", "root") else LEVELS[-1:]
        for level in levels:
            stack = Stack(
                hosts=(srv1.spec(user=user, become=become), replace(prometheus.spec, via="srv1")),
                components=(
                    ComponentSpec(host="srv1", name="node_exporter", protect=level),
                    ComponentSpec(host="prometheus", name="prometheus", protect=level),
                ),
            )
            outcome = engine.apply(engine.plan(stack))
            assert outcome.state == "proven", (outcome.error, getattr(outcome.error, "log", ""))
            assert [attempt for attempt in outcome.attempts if not attempt.ok] == []
            for host in ("srv1", "prometheus"):
                asked = {
                    (each.probe.client, each.outcome) for each in outcome.attempts if each.probe.host == host
                }
                assert len({outcome for _, outcome in asked} - {"200", "up"}) >= len(level), asked
            assert not engine.plan(stack).changes
        # Each private key is only where it serves; the CA's is never copied.
        ca_key = (tmp_path / "ca/ca.key").read_bytes()
        assert [holding(host, ca_key) for host in hosts] == [[], []]
        for owner, other, path in (
            (srv1, prometheus, "/etc/node_exporter/node_exporter.key"),
            (prometheus, srv1, "/etc/prometheus/prometheus.key"),
            (prometheus, srv1, "/etc/prometheus/prometheus-client.key"),
        ):
            key = owner.check(["cat", path]).encode()
            assert holding(owner, key) == [path]
            assert holding(other, key) == []
            assert owner.check(["stat", "-c", "%a %U:%G", path]) == "640 root:prometheus\n"
        for _ in levels:
            undone = engine.undo()
            assert undone.state == "undone", undone.error
    assert [state(host) ^ was for host, was in zip(hosts, before, strict=True)] == [set(), set()]
    open_again = replace(stack, components=tuple(replace(each, protect=()) for each in stack.components))
    with engine_for(tmp_path, network, given) as engine:
        assert {each.state for each in engine.scan(open_again).exposures} == {"open"}


PRIVATE = "198.51.100.7"
"""An address of the container that only srv1 knows the way to."""


@pytest.mark.parametrize("instance", ["bookworm"], indirect=True)
def test_a_container_that_only_srv1_reaches_is_probed_through_srv1(
    srv1: Machine, prometheus: Instance, network: Network, tmp_path: Path
) -> None:
    """Walk-through 5 from a laptop: containers have a network of their own on their host."""
    prometheus.check(["ip", "address", "add", f"{PRIVATE}/32", "dev", "lo"])
    srv1.check(["ip", "route", "add", f"{PRIVATE}/32", "via", prometheus.address])
    hosts: list[Machine | Instance] = [srv1, prometheus]
    before = [state(host) for host in hosts]
    try:
        with engine_for(tmp_path, network, {}) as engine:
            stack = Stack(
                hosts=(
                    srv1.spec(user="admin", become="sudo"),
                    replace(prometheus.spec, via="srv1", address=PRIVATE),
                ),
                components=(
                    ComponentSpec(host="srv1", name="node_exporter", protect=LEVELS[1]),
                    ComponentSpec(host="prometheus", name="prometheus", protect=LEVELS[1]),
                ),
            )
            through = {each.host: each.through for each in engine.scan(stack).exposures}
            assert through == {"srv1": "", "prometheus": "srv1"}
            outcome = engine.apply(engine.plan(stack))
            assert outcome.state == "proven", (outcome.error, getattr(outcome.error, "log", ""))
            places = {each.probe.forward.place for each in outcome.attempts if each.probe.forward}
            assert places == {f"{PRIVATE}:9090"}
            assert all(attempt.ok for attempt in engine.verify(stack))
            assert engine.undo().state == "undone"
    finally:
        prometheus.check(["ip", "address", "del", f"{PRIVATE}/32", "dev", "lo"])
        srv1.check(["ip", "route", "del", f"{PRIVATE}/32"])
    assert [state(host) ^ was for host, was in zip(hosts, before, strict=True)] == [set(), set()]
