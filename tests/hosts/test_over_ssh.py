"""The whole way over SSH: srv1 with node_exporter, prometheus with Prometheus, Firescreen on a third machine.

Every file below /etc of both hosts is compared before and after an undo.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import bases
import pytest
from incus_hosts import Incus, Instance
from machines import Machine, Network, booted

from wizard.engine import Engine
from wizard.model import ComponentSpec, HostSpec, Protection, Stack
from wizard.redact import Secret
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

CONFIG = """\
# A site of two machines.
global:
  scrape_interval: 1s   # how often
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090']}]
  - job_name: node
    static_configs:
      - targets: ['srv1:9100']
"""

SUMS = ["sh", "-c", "find /etc -type f -exec stat -c '%a %U:%G' {} + -exec sha256sum {} + | sort -k 2"]

LEVELS: tuple[tuple[Protection, ...], ...] = (
    ("tls",),
    ("tls", "basic_auth"),
    ("tls", "basic_auth", "client_cert"),
)
LOGINS = (("root", "", ""), ("admin", "sudo", ""), ("operator", "sudo", bases.PASSWORD))
"""(user, become, password for sudo) as `machines.furnish` makes them."""


@pytest.fixture(params=("bookworm", "sid"))
def pair(request: pytest.FixtureRequest, network: Network) -> Iterator[tuple[Machine, Machine]]:
    """srv1 and prometheus, booted together."""
    suite = str(request.param)
    srv1 = Machine(suite, "srv1", network, programs=("node_exporter",))
    prometheus = Machine(suite, "prometheus", network, programs=("prometheus",))
    with booted([srv1, prometheus]):
        prometheus.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
        prometheus.check(["systemctl", "restart", "prometheus"])
        for machine in (srv1, prometheus):  # until then, only root may log in
            machine.check(["systemctl", "start", "systemd-user-sessions"])
        yield srv1, prometheus


def etc(machine: Machine) -> dict[str, tuple[str, int]]:
    """Every file below /etc with its content and mode, as seen from outside."""
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
        for path in sorted((machine.root / "etc").rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@contextmanager
def engine_for(folder: Path, network: Network, passwords: dict[str, str]) -> Iterator[Engine]:
    workspace = Workspace(folder)
    workspace.ensure()
    engine = Engine(workspace)
    for host, password in passwords.items():
        engine.access.give("sudo", host, Secret(password))
    with network.entered():
        yield engine


@pytest.mark.parametrize(("user", "become", "password"), LOGINS, ids=[login[0] for login in LOGINS])
def test_two_machines_are_secured_proven_and_put_back(
    pair: tuple[Machine, Machine], network: Network, tmp_path: Path, user: str, become: str, password: str
) -> None:
    specs: list[HostSpec] = [machine.spec(user=user, become=become) for machine in pair]
    before = [etc(machine) for machine in pair]
    given = {spec.name: password for spec in specs} if password else {}
    with engine_for(tmp_path, network, given) as engine:
        # Every step up once; the other ways in go straight to the top.
        levels = LEVELS if user == "root" and pair[0].suite == "bookworm" else LEVELS[-1:]
        for level in levels:
            stack = Stack(
                hosts=tuple(specs),
                components=(
                    ComponentSpec(host="srv1", name="node_exporter", protect=level),
                    ComponentSpec(host="prometheus", name="prometheus", protect=level),
                ),
            )
            outcome = engine.apply(engine.plan(stack))
            assert outcome.state == "proven", (outcome.error, getattr(outcome.error, "log", ""))
            assert not engine.plan(stack).changes
            key = pair[0].root / "etc/node_exporter/node_exporter.key"
            assert key.stat().st_mode & 0o777 == 0o640
        assert not list((pair[0].root / "etc").rglob("ca.key")), "the CA's key travelled"
        for _ in levels:
            assert engine.undo().state == "undone"
    assert [etc(machine) for machine in pair] == before
    open_again = replace(stack, components=tuple(replace(each, protect=()) for each in stack.components))
    with engine_for(tmp_path, network, given) as engine:
        assert {each.state for each in engine.scan(open_again).exposures} == {"open"}


def test_a_container_on_the_host_itself_is_reached_through_it(
    incus: Incus, instance: Instance, network: Network, tmp_path: Path
) -> None:
    # As in a workshop: node_exporter on srv1, Prometheus in a container that srv1 holds.
    with Machine("bookworm", "srv1", network, programs=("node_exporter",), bound=incus.bound) as srv1:
        config = CONFIG.replace("srv1:9100", f"{srv1.address}:9100")
        old = instance.check(["cat", "/etc/prometheus/prometheus.yml"])
        instance.check(["sh", "-c", "cat > /etc/prometheus/prometheus.yml"], stdin=config)
        instance.check(["systemctl", "restart", "prometheus"])
        try:
            before = instance.check(SUMS), etc(srv1)
            with engine_for(tmp_path, network, {}) as engine:
                level: tuple[Protection, ...] = ("tls", "basic_auth", "client_cert")
                held = replace(instance.spec, via="srv1")
                stack = Stack(
                    hosts=(srv1.spec(), held),
                    components=(
                        ComponentSpec(host="srv1", name="node_exporter", protect=level),
                        ComponentSpec(host=held.name, name="prometheus", protect=level),
                    ),
                )
                outcome = engine.apply(engine.plan(stack))
                assert outcome.state == "proven", (outcome.error, getattr(outcome.error, "log", ""))
                assert not engine.plan(stack).changes
                assert engine.undo().state == "undone"
            assert (instance.check(SUMS), etc(srv1)) == before
        finally:
            instance.check(["sh", "-c", "cat > /etc/prometheus/prometheus.yml"], stdin=old)
            instance.check(["systemctl", "restart", "prometheus"])
