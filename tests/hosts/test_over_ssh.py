"""The complete workflow over SSH: srv1 with node_exporter, prometheus with Prometheus, Firescreen on a third machine.

Every file below /etc of both hosts is compared before and after an undo.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bases
import pytest
from machines import Machine, Network, booted

from tests.processes import run_program
from wizard import binaries
from wizard.engine import Engine
from wizard.engine.reachability import forward_to
from wizard.errors import InputError
from wizard.inventory.stack_file import dump
from wizard.model import WORKSPACE, ComponentSpec, HostSpec, OwnFiles, Plan, Protection, RunService, Stack
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
    """Boots srv1 and prometheus together."""
    srv1 = Machine(suite, "srv1", network, programs=("node_exporter",))
    prometheus = Machine(suite, "prometheus", network, programs=("prometheus",))
    with booted([srv1, prometheus]):
        prometheus.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
        prometheus.check(["systemctl", "restart", "prometheus"])
        for machine in (srv1, prometheus):  # until then, only root may log in
            machine.check(["systemctl", "start", "systemd-user-sessions"])
        yield srv1, prometheus


def etc(machine: Machine) -> dict[str, tuple[str, int]]:
    """Returns every file below /etc with its content and mode, read from outside."""
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


def said(command: str) -> subprocess.CompletedProcess[str]:
    """Returns the output of a command that is typed where Firescreen runs."""
    return run_program(["sh", "-c", command])


def queried(plan: Plan) -> str:
    """Runs the plan's own command for promtool as printed, and returns its output."""
    (command,) = (hint.partition(": ")[2] for hint in plan.hints if "promtool query" in hint)
    promtool = Path(binaries.find("promtool", cache=Workspace.default().cache, suite="trixie").path)
    environment = os.environ | {"PATH": f"{promtool.parent}:{os.environ['PATH']}"}
    ended = run_program(["sh", "-c", command], env=environment)
    assert ended.returncode == 0, (command, ended.stderr)
    return ended.stdout


def probed(stack: Stack, folder: Path, url: str) -> dict[str, Any]:
    """Returns the output of `firescreen probe` for a server of a stack."""
    file = folder / "stack.yaml"
    file.write_text(dump(stack))
    argv = [sys.executable, "-m", "wizard.cli", "--workspace", str(folder), "probe", url, "--json"]
    argv += ["--cacert", str(folder / "ca/ca.crt"), "--stack", str(file)]
    ended = run_program(argv, cwd=bases.PROJECT)
    assert ended.returncode == 1, ended.stderr
    return dict(json.loads(ended.stdout))


@pytest.mark.parametrize(
    ("suite", "user", "become", "password"), LOGINS, ids=[f"{login[0]}-{login[1]}" for login in LOGINS]
)
def test_two_machines_are_secured_verified_and_restored(
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
        # Each next step once; the other connections go straight to the highest level.
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
            plan = engine.plan(stack)
            assert not plan.changes
            assert 'job="node"' in queried(plan)
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
def test_a_key_that_the_sandbox_of_a_unit_hides_is_reported_before_any_change(
    pair: tuple[Machine, Machine], network: Network, tmp_path: Path, suite: str
) -> None:
    # Debian's prometheus.service has ProtectHome: files in /root do not exist for it.
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


def listen(machine: Machine, unit: str, place: str) -> None:
    """Runs a server of a machine on that address."""
    line = f'ARGS="--web.listen-address={place}"'
    machine.check(f"sed -i 's|^ARGS=.*|{line}|' /etc/default/{unit} && systemctl restart {unit}")


PRIVATE = "198.51.100.7"
"""An address that a machine has, and that no other knows the way to."""


@pytest.mark.parametrize("suite", ["bookworm"])
@pytest.mark.parametrize(
    ("place", "user", "become"), [("127.0.0.1:9090", "admin", "sudo"), (f"{PRIVATE}:9090", "root", "")]
)
def test_a_server_that_only_its_own_machine_reaches_is_probed_through_ssh(
    pair: tuple[Machine, Machine],
    network: Network,
    tmp_path: Path,
    suite: str,
    place: str,
    user: str,
    become: str,
) -> None:
    """A Prometheus on its loopback, or in a network of its own: secured, verified by printed commands, restored."""
    prometheus = pair[1]
    prometheus.check(["ip", "address", "add", f"{PRIVATE}/32", "dev", "lo"])
    own = place.replace("127.0.0.1", "localhost")
    prometheus.push("/etc/prometheus/prometheus.yml", CONFIG.replace("localhost:9090", own).encode())
    listen(prometheus, "prometheus", place)
    before = [etc(each) for each in pair]
    stack = Stack(
        hosts=tuple(each.spec(user=user, become=become) for each in pair),
        components=(
            ComponentSpec(host="srv1", name="node_exporter", protect=LEVELS[-1]),
            ComponentSpec(host="prometheus", name="prometheus", protect=LEVELS[-1]),
        ),
    )
    with engine_for(tmp_path, network, {}) as engine:
        seen = {each.host: each for each in engine.scan(stack).exposures}
        assert {each.state for each in seen.values()} == {"open"}
        assert seen["prometheus"].through == "prometheus"
        assert not seen["srv1"].through
        plan = engine.plan(stack)
        assert plan.asked == "Asked through SSH, since this machine cannot reach it: prometheus/prometheus"
        outcome = engine.apply(plan)
        assert outcome.state == "proven", (outcome.error, getattr(outcome.error, "log", ""))
        refused = {
            each.probe.client for each in outcome.attempts if each.probe.forward and not each.probe.wanted
        }
        assert {"no TLS", "no CA", "wrong password", "no client certificate"} <= refused
        with ThreadPoolExecutor(8) as pool:
            typed = pool.map(said, [attempt.curl for attempt in outcome.attempts])
        for attempt, ended in zip(outcome.attempts, typed, strict=True):
            if attempt.outcome in ("untrusted", "refused"):
                assert ended.returncode, attempt.curl
            elif attempt.outcome == "up":
                assert '"1"]' in ended.stdout, (attempt.curl, ended)
            else:
                assert ended.stdout.strip() == attempt.outcome, (attempt.curl, ended)
        facts = engine.inspect(stack)
        right = next(each.probe for each in outcome.attempts if each.probe.forward and each.probe.wanted)
        assert forward_to(facts, f"https://{pair[1].address}:9090/metrics") == right.forward
        assert forward_to(facts, "https://localhost:9090/metrics") is None
        assert forward_to(facts, f"https://{pair[0].address}:9100/metrics") is None
        told = probed(stack, tmp_path, f"https://{pair[1].address}:9090/metrics")
        assert told["reason"].startswith("remote error: tls: "), "its handshake got as far as that"
        assert told["curl"].startswith("ssh -f ")
        line = f'Get "http://{own}/metrics": server returned HTTP status 400 Bad Request'
        found = engine.explain(line, stack)
        assert found is not None
        assert found.fault == "plain-http-to-tls"
        assert not engine.plan(stack).changes
        assert 'job="node"' in queried(plan)
        assert all(attempt.ok for attempt in engine.verify(stack))
        assert engine.undo().state == "undone"
    assert [etc(each) for each in pair] == before


@pytest.mark.parametrize("suite", ["bookworm"])
def test_an_address_behind_a_jump_host_is_never_probed_from_here(
    pair: tuple[Machine, Machine],
    network: Network,
    tmp_path: Path,
    suite: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """srv1 is reached through prometheus: the server at its address here may be anything."""
    known = tmp_path / "known_hosts"
    known.write_text("".join(Path(each.spec().known_hosts).read_text() for each in pair))
    srv1, prometheus = (replace(each.spec(), known_hosts=str(known)) for each in pair)
    config, client = tmp_path / "config", tmp_path / "bin/ssh"
    config.write_text(
        f"Host {srv1.address}\n  ProxyJump root@{prometheus.address}\n"
        f"Host *\n  IdentityFile {network.key}\n  UserKnownHostsFile {prometheus.known_hosts}\n"
    )
    # OpenSSH reads ~/.ssh/config in the account's home, whatever HOME says.
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    stack = Stack(
        hosts=(srv1, prometheus),
        components=(
            ComponentSpec(host="srv1", name="node_exporter", protect=LEVELS[1]),
            ComponentSpec(host="prometheus", name="prometheus", protect=()),
        ),
    )
    with engine_for(tmp_path / "workspace", network, {}) as engine:
        outcome = engine.apply(engine.plan(stack))
        assert outcome.state == "proven", (outcome.error, getattr(outcome.error, "log", ""))
        forwards = {each.probe.client: each.probe.forward for each in outcome.attempts}
        assert forwards["right client"] is not None
        assert forwards["right client"].place == "127.0.0.1:9100"
        assert forwards["Prometheus itself"] is None
        right = next(each for each in outcome.attempts if each.probe.client == "right client")
        ended = said(right.curl)
        assert ended.stdout.strip() == "200", (right.curl, ended)
        assert engine.undo().state == "undone"


@pytest.mark.parametrize("suite", ["bookworm"])
@pytest.mark.parametrize(
    ("number", "unit", "port"), [(0, "prometheus-node-exporter", 9100), (1, "prometheus", 9090)]
)
def test_without_a_path_through_ssh_no_run_starts(
    pair: tuple[Machine, Machine],
    network: Network,
    tmp_path: Path,
    suite: str,
    number: int,
    unit: str,
    port: int,
) -> None:
    """From here, this machine's own program would answer; a run could be neither verified nor rolled back."""
    machine = pair[number]
    listen(machine, unit, f"127.0.0.1:{port}")
    machine.check("echo 'AllowTcpForwarding no' > /etc/ssh/sshd_config.d/own.conf && systemctl reload ssh")
    before = [etc(each) for each in pair]
    stack = Stack(
        hosts=tuple(each.spec() for each in pair),
        components=(
            ComponentSpec(host="srv1", name="node_exporter", protect=LEVELS[0]),
            ComponentSpec(host="prometheus", name="prometheus", protect=()),
        ),
    )
    with engine_for(tmp_path, network, {}) as engine:
        scan = engine.scan(stack)
        row = next(each for each in scan.exposures if each.host == machine.name)
        assert [(each.id, each.host) for each in scan.remarks] == [("out-of-reach", machine.name)]
        assert (row.state, row.address) == ("down", f"127.0.0.1:{port}")
        assert "its own machine's loopback" in row.words
        with pytest.raises(InputError) as refused:
            engine.plan(stack)
    assert refused.value.where == f"{machine.name}/{row.component}"
    assert "AllowTcpForwarding" in refused.value.what
    assert "connect: local" in refused.value.todo
    assert [etc(each) for each in pair] == before


@pytest.mark.parametrize("suite", ["bookworm"])
@pytest.mark.parametrize(("user", "become"), [("root", ""), ("admin", "sudo")])
def test_the_printed_commands_secure_two_machines(
    pair: tuple[Machine, Machine], network: Network, tmp_path: Path, user: str, become: str, suite: str
) -> None:
    """By hand: commands with SSH are typed here, the others on the host; the CA's key stays where it is."""
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
            here = change.host == WORKSPACE or (not isinstance(change, RunService) and change.typed_here)
            for command in words:
                if here:
                    ended = run_program(
                        ["sh", "-eu", "-c", command],
                        env={"PATH": f"{htpasswd.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)},
                    )
                else:
                    ended = machines[change.host].run(["sh", "-eu", "-c", command])
                assert ended.returncode == 0, f"{change.host}: {command}\n{ended.stderr}"
        assert not list((pair[0].root / "etc").rglob("ca.key")), "the CA's key travelled"
        attempts = engine.verify(stack)
        assert [(each.probe.name, each.outcome, each.reason) for each in attempts if not each.ok] == []
        assert [change.title() for change in engine.plan(stack).changes] == []
