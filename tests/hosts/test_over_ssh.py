"""The whole way over SSH: srv1 with node_exporter, prometheus with Prometheus, Firescreen on a third machine.

Every file below /etc of both hosts is compared before and after an undo.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import bases
import pytest
from machines import Machine, Network, booted

from wizard import binaries
from wizard.engine import Engine
from wizard.errors import InputError
from wizard.model import WORKSPACE, ComponentSpec, HostSpec, OwnFiles, Protection, Stack
from wizard.redact import Secret
from wizard.steps import afar
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

LEVELS: tuple[tuple[Protection, ...], ...] = (
    ("tls",),
    ("tls", "basic_auth"),
    ("tls", "basic_auth", "client_cert"),
)
LOGINS = (
    ("bookworm", "root", "", ""),
    ("bookworm", "operator", "sudo", bases.PASSWORD),
    ("sid", "admin", "sudo", ""),
    ("sid", "root", "", ""),
)
"""(suite, user, become, password for sudo) as `machines.furnish` makes them."""


@pytest.fixture
def pair(suite: str, network: Network) -> Iterator[tuple[Machine, Machine]]:
    """srv1 and prometheus, booted together."""
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


@pytest.mark.parametrize(
    ("suite", "user", "become", "password"), LOGINS, ids=[f"{login[0]}-{login[1]}" for login in LOGINS]
)
def test_two_machines_are_secured_proven_and_put_back(
    pair: tuple[Machine, Machine],
    network: Network,
    tmp_path: Path,
    suite: str,
    user: str,
    become: str,
    password: str,
) -> None:
    specs: list[HostSpec] = [machine.spec(user=user, become=become) for machine in pair]
    before = [etc(machine) for machine in pair]
    given = {spec.name: password for spec in specs} if password else {}
    with engine_for(tmp_path, network, given) as engine:
        # Every step up once; the other ways in go straight to the top.
        levels = LEVELS if (suite, user) == ("bookworm", "root") else LEVELS[-1:]
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


@pytest.mark.parametrize("suite", ["bookworm", "sid"])
def test_a_key_behind_a_unit_s_wall_is_said_before_anything_breaks(
    pair: tuple[Machine, Machine], network: Network, tmp_path: Path, suite: str
) -> None:
    # Debian's prometheus.service has ProtectHome: what lies in /root is not there for it.
    _, prometheus = pair
    assert prometheus.suite == suite
    made = (
        "cd /root && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 9 -subj /CN=prometheus"
        f" -addext subjectAltName=DNS:localhost,IP:{prometheus.address} -addext extendedKeyUsage=serverAuth"
        " -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature"
        " -keyout own.key -out own.crt && chgrp prometheus own.key && chmod 0640 own.key"
    )
    prometheus.check(made)
    before = etc(prometheus)
    files = OwnFiles(cert_file="/root/own.crt", key_file="/root/own.key")
    stack = Stack(
        hosts=(prometheus.spec(),),
        components=(ComponentSpec(host="prometheus", name="prometheus", protect=("tls",), files=files),),
    )
    with engine_for(tmp_path, network, {}) as engine, pytest.raises(InputError) as refused:
        engine.plan(stack)
    assert "cannot see /root" in refused.value.what
    assert "/etc" in refused.value.todo
    assert etc(prometheus) == before


@pytest.mark.parametrize("suite", ["bookworm"])
@pytest.mark.parametrize(
    ("number", "unit", "port"), [(0, "prometheus-node-exporter", 9100), (1, "prometheus", 9090)]
)
def test_what_listens_on_its_own_machine_only_is_not_asked_here_and_nothing_is_begun(
    pair: tuple[Machine, Machine],
    network: Network,
    tmp_path: Path,
    suite: str,
    number: int,
    unit: str,
    port: int,
) -> None:
    """Asked from here, this machine's own program would answer; changed, it could not be proven and be put back."""
    machine = pair[number]
    line = f'ARGS="--web.listen-address=127.0.0.1:{port}"'
    machine.check(f"sed -i 's|^ARGS=.*|{line}|' /etc/default/{unit} && systemctl restart {unit}")
    before = [etc(each) for each in pair]
    stack = Stack(
        hosts=tuple(each.spec() for each in pair),
        components=(
            ComponentSpec(host="srv1", name="node_exporter", protect=LEVELS[0]),
            ComponentSpec(host="prometheus", name="prometheus", protect=()),
        ),
    )
    with engine_for(tmp_path, network, {}) as engine:
        row = next(each for each in engine.scan(stack).exposures if each.host == machine.name)
        assert (row.state, row.address) == ("down", f"127.0.0.1:{port}")
        assert "on that machine only" in row.words
        with pytest.raises(InputError) as refused:
            engine.plan(stack)
    assert refused.value.where == f"{machine.name}/{row.component}"
    assert f"127.0.0.1:{port}" in refused.value.what
    assert "connect: local" in refused.value.todo
    assert [etc(each) for each in pair] == before


@pytest.mark.parametrize("suite", ["bookworm"])
@pytest.mark.parametrize(("user", "become"), [("root", ""), ("admin", "sudo")])
def test_the_printed_commands_secure_two_machines(
    pair: tuple[Machine, Machine], network: Network, tmp_path: Path, user: str, become: str, suite: str
) -> None:
    """By hand: what goes through SSH is typed here, the rest on the host; the CA's key stays where it is."""
    specs = tuple(machine.spec(user=user, become=become) for machine in pair)
    stack = Stack(
        hosts=specs,
        components=(
            ComponentSpec(host="srv1", name="node_exporter", protect=LEVELS[-1]),
            ComponentSpec(host="prometheus", name="prometheus", protect=LEVELS[-1]),
        ),
    )
    machines = {machine.name: machine for machine in pair}
    # The base has no `patch`, which the commands use; this machine's program is of the same release.
    shutil.copy(shutil.which("patch") or "", machines["prometheus"].root / "usr/bin/patch")
    htpasswd = Path(binaries.find("htpasswd", cache=Workspace.default().cache).path)
    with engine_for(tmp_path / "workspace", network, {}) as engine:
        plan = engine.plan(stack)
        for change in plan.changes:
            words = change.commands()
            here = change.host == WORKSPACE or words[:1] == (afar.HERE,)
            for command in words:
                if here:
                    ended = subprocess.run(
                        ["sh", "-eu", "-c", command],
                        env={"PATH": f"{htpasswd.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)},
                        capture_output=True,
                        text=True,
                        timeout=60,
                        check=False,
                    )
                else:
                    ended = machines[change.host].run(["sh", "-eu", "-c", command])
                assert ended.returncode == 0, f"{change.host}: {command}\n{ended.stderr}"
        assert not list((pair[0].root / "etc").rglob("ca.key")), "the CA's key travelled"
        attempts = engine.verify(stack)
        assert [(each.probe.name, each.outcome, each.reason) for each in attempts if not each.ok] == []
        assert [change.title() for change in engine.plan(stack).changes] == []
