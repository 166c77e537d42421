"""Hosts as other people set them up: several instances of a component, supervised programs, unusual ports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bases
import pytest
from debs import install
from machines import Machine, Network

from tests.processes import run_program
from wizard.engine import Engine, proposed_components
from wizard.inventory.stack_file import dump, load
from wizard.model import ComponentSpec, Service, Stack
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

PUBLIC = """\
[Unit]
Description=The Prometheus that others see
[Service]
User=prometheus
EnvironmentFile=/etc/default/prometheus
ExecStart=/usr/bin/prometheus --web.listen-address=:9095 --config.file=/etc/prometheus/public.yml \
--storage.tsdb.path=/var/lib/prometheus/public $ARGS
ExecReload=/bin/kill -HUP $MAINPID
[Install]
WantedBy=multi-user.target
"""
TEMPLATE = """\
[Service]
User=prometheus
ExecStart=/usr/bin/prometheus-node-exporter --web.listen-address=:%i
"""
CONFIG = """\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090', 'localhost:9095']}]
  - job_name: node
    static_configs: [{targets: ['localhost:9100', 'localhost:9101']}]
"""
PUBLIC_CONFIG = """\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090', 'localhost:9095']}]
  - job_name: node
    static_configs: [{targets: ['localhost:9100', 'localhost:9101']}]
"""


@pytest.fixture
def host(network: Network) -> Iterator[Machine]:
    with Machine("bookworm", "one", network) as machine:
        yield machine


@contextmanager
def engine_for(folder: Path, network: Network) -> Iterator[Engine]:
    workspace = Workspace(folder)
    workspace.ensure()
    with network.entered():
        engine = Engine(workspace)
        yield engine
        engine.close()


def cli(network: Network, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line without a terminal."""
    return run_program(
        [*network.enter, sys.executable, "-m", "wizard.cli", "--workspace", str(folder), *words],
        cwd=bases.PROJECT,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


def found(engine: Engine, machine: Machine) -> dict[str, Service]:
    """Returns the services of a host, by unit."""
    bare = Stack(hosts=(machine.spec(),), components=())
    return {service.unit: service for service in engine.inspect(bare).hosts[machine.name].services}


def targets(machine: Machine, port: int) -> dict[str, str]:
    """Returns the targets of a secured Prometheus."""
    password = machine.check("cat /etc/prometheus/prometheus.password").strip()
    document = machine.check(
        ["curl", "-sk", "-u", f"prometheus:{password}", f"https://127.0.0.1:{port}/api/v1/targets"]
    )
    return {
        each["labels"]["instance"]: each["health"] for each in json.loads(document)["data"]["activeTargets"]
    }


def code(machine: Machine, url: str) -> str:
    return machine.run(["curl", "-sk", "-m5", "-o", "/dev/null", "-w", "%{http_code}", url]).stdout


def settled(machine: Machine, *ports: int) -> None:
    for port in ports:
        machine.check(
            f"for n in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:{port}/metrics && exit 0; sleep 0.1; done; exit 1"
        )


def with_instances(machine: Machine) -> None:
    """Sets up a second Prometheus as Debian's users do, with the flags of the first, and a second node_exporter."""
    machine.push("/etc/systemd/system/prometheus-public.service", PUBLIC.encode())
    machine.push("/etc/systemd/system/node@.service", TEMPLATE.encode())
    machine.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
    machine.push("/etc/prometheus/public.yml", PUBLIC_CONFIG.encode())
    machine.check("install -d -o prometheus -g prometheus /var/lib/prometheus/public")
    machine.check("systemctl daemon-reload && systemctl restart prometheus prometheus-public node@9101")
    settled(machine, 9090, 9095, 9100, 9101)


def everything(stack: Stack) -> Stack:
    parts = tuple(
        ComponentSpec(host=one.host, name=one.name, unit=one.unit, protect=("tls", "basic_auth"))
        for one in stack.components
    )
    return Stack(hosts=stack.hosts, components=parts)


def test_every_instance_is_found_and_secured_with_its_own_files(
    host: Machine, network: Network, tmp_path: Path
) -> None:
    with_instances(host)
    before = host.check("cd /etc && find . -type f -exec sha256sum {} + | sort -k2")
    with engine_for(tmp_path, network) as engine:
        services = found(engine, host)
        assert {
            (one.component, one.unit, one.instance, one.listen.rpartition(":")[2])
            for one in services.values()
        } == {
            ("prometheus", "prometheus", "", "9090"),
            ("prometheus", "prometheus-public", "prometheus-public", "9095"),
            ("node_exporter", "prometheus-node-exporter", "", "9100"),
            ("node_exporter", "node@9101", "node@9101", "9101"),
        }
        # A stack that names one of two instances gets a warning about the other, and a scan reports it.
        half = tmp_path / "half.yaml"
        half.write_text(
            dump(
                Stack(
                    hosts=(host.spec(),),
                    components=(
                        ComponentSpec(host="one", name="node_exporter", protect=("tls", "basic_auth")),
                    ),
                )
            )
        )
        scan = cli(network, tmp_path, "scan", str(half), "--json")
        assert scan.returncode == 3, scan.stderr
        rows = json.loads(scan.stdout)
        assert ("not-in-stack", "node@9101") in {(one["id"], one.get("unit")) for one in rows["findings"]}
        assert {one["unit"] for one in rows["components"]} == {"prometheus-node-exporter", "node@9101"}
        warned = json.loads(cli(network, tmp_path, "plan", str(half), "--json").stdout)["warnings"]
        assert ("not-in-stack", "node@9101") in {(one["id"], one.get("unit")) for one in warned}

        stack = everything(Stack(hosts=(host.spec(),), components=proposed_components(services.values())))
        file = tmp_path / "stack.yaml"
        file.write_text(dump(stack))
        assert load(file).components == stack.components
        plan = engine.plan(load(file))
        paths = [(change.path, type(change).__name__) for change in plan.changes if change.host == "one"]
        writes = [path for path, kind in paths if kind == "WriteFile"]
        edited_twice = {"/etc/prometheus/prometheus.yml", "/etc/prometheus/public.yml"}
        assert {path for path in writes if writes.count(path) > 1} <= edited_twice, writes
        assert "/etc/default/prometheus" not in writes, "both read it: a flag there would be the other's too"
        outcome = engine.apply(plan)
        assert outcome.ok, (outcome.error, [each.reason for each in outcome.attempts if not each.ok])
        up = dict.fromkeys(("localhost:9090", "localhost:9095", "localhost:9100", "localhost:9101"), "up")
        assert targets(host, 9090) == up
        for port in (9090, 9095, 9100, 9101):
            assert code(host, f"http://127.0.0.1:{port}/metrics") == "400"
            assert code(host, f"https://127.0.0.1:{port}/metrics") == "401"
        seen = engine.scan(load(file))
        assert [(one.key, one.state) for one in seen.exposures if one.state != "secured"] == []
        assert seen.findings == ()
        assert engine.plan(load(file)).changes == ()
        # With one secured instance that is not named, a scan reports it and succeeds.
        assert cli(network, tmp_path, "scan", str(half)).returncode == 0
        assert engine.undo().ok
    assert host.check("cd /etc && find . -type f -exec sha256sum {} + | sort -k2") == before
    settled(host, 9090, 9095, 9100, 9101)


SUPERVISED = """\
[program:node]
command=/usr/bin/prometheus-node-exporter --web.listen-address=:9200
user=prometheus
[program:shop]
command=/bin/sh -c 'echo started >> /var/tmp/shop; exec sleep 100000'
"""


def stack_of(machine: Machine, *names: str) -> Stack:
    parts = (ComponentSpec(host=machine.name, name=name, protect=("tls", "basic_auth")) for name in names)
    return Stack(hosts=(machine.spec(),), components=tuple(parts))


def test_programs_of_supervisord_are_restarted_by_supervisorctl_and_no_others(
    host: Machine, network: Network, tmp_path: Path
) -> None:
    host.check("systemctl disable --now prometheus prometheus-node-exporter")
    install(host, "python3-pkg-resources", "supervisor")
    host.push("/etc/supervisor/conf.d/node.conf", SUPERVISED.encode())
    host.check("systemctl restart supervisor")
    settled(host, 9200)
    shop, started = host.check("supervisorctl pid shop"), host.read("/var/tmp/shop")
    file = tmp_path / "stack.yaml"
    file.write_text(dump(stack_of(host, "node_exporter")))
    with engine_for(tmp_path, network) as engine:
        (service,) = (one for one in found(engine, host).values() if one.active)
        assert (service.manager, service.unit, service.listen.rpartition(":")[2]) == (
            "manual",
            "node",
            "9200",
        )
        assert service.supervision is not None
        assert service.supervision.file == "/etc/supervisor/conf.d/node.conf"
        plan = engine.plan(load(file))
        (restart,) = plan.restarts
        commands = "\n".join(restart.commands())
        assert "supervisorctl update node" in commands and "systemctl" not in commands
        # Without a terminal it ends with the commands to type.
        ended = cli(network, tmp_path, "apply", str(file), "--yes")
        assert ended.returncode == 2, ended.stderr
        assert "supervisorctl update node" in ended.stderr
        assert host.run("ls /etc/node_exporter").returncode != 0, "nothing was touched"
        line = next(line for line in restart.commands() if line.startswith("#   command=")).removeprefix(
            "#   "
        )

        def by_hand(event: Any) -> None:
            """Runs the commands of the plan."""
            if event.kind == "waiting":
                host.push(
                    "/etc/supervisor/conf.d/node.conf",
                    SUPERVISED.replace(SUPERVISED.splitlines()[1], line).encode(),
                )
                for command in restart.commands():
                    host.check(command)

        outcome = engine.apply(plan, by_hand)
        assert outcome.ok, outcome.error
        assert code(host, "https://127.0.0.1:9200/metrics") == "401"
        (service,) = (one for one in found(engine, host).values() if one.active)
        assert service.web_config
        outcome = engine.undo()
        assert outcome.ok, outcome.error
    assert host.check("supervisorctl pid shop") == shop
    assert host.read("/var/tmp/shop") == started


def test_a_unit_with_several_programs_is_unchanged_and_a_single_child_of_a_shell_is_restarted_by_hand(
    host: Machine, network: Network, tmp_path: Path
) -> None:
    host.check("systemctl disable --now prometheus prometheus-node-exporter")
    units = {
        "several": "/bin/sh -c '/usr/bin/prometheus-node-exporter --web.listen-address=:9201 & sleep 100000 & wait'",
        "lone": "/bin/sh -c '/usr/bin/prometheus-node-exporter --web.listen-address=:9202; true'",
        "execd": "/bin/sh -c 'exec /usr/bin/prometheus-node-exporter --web.listen-address=:9203'",
    }
    for name, start in units.items():
        host.push(
            f"/etc/systemd/system/{name}.service", f"[Service]\nUser=prometheus\nExecStart={start}\n".encode()
        )
    host.check("systemctl daemon-reload && systemctl start several lone execd")
    settled(host, 9201, 9202, 9203)
    with engine_for(tmp_path, network) as engine:
        by_port = {one.listen.rpartition(":")[2]: one for one in found(engine, host).values() if one.active}
        assert {
            port: (one.manager, one.supervision and one.supervision.kind) for port, one in by_port.items()
        } == {
            "9201": ("manual", "unit"),
            "9202": ("manual", "shell"),
            "9203": ("systemd", "shell"),
        }
        parts = tuple(
            ComponentSpec(host="one", name="node_exporter", unit=one.instance, protect=("tls",))
            for one in by_port.values()
        )
        plan = engine.plan(Stack(hosts=(host.spec(),), components=parts))
        said = {
            change.service.listen.rpartition(":")[2]: "\n".join(change.commands()) for change in plan.restarts
        }
        assert all(change.service.manager == "manual" for change in plan.restarts)
        assert "systemctl restart several" not in said["9201"] and "kill " in said["9201"]
        assert "systemctl restart lone" in said["9202"] and "systemctl restart execd" in said["9203"]


ENVIRONMENT = """\
[Service]
User=prometheus
Environment=LISTEN=:9300
ExecStart=/usr/bin/prometheus-node-exporter @/etc/node_flags
"""


def test_a_port_in_a_file_of_arguments_is_found_and_the_flag_is_added_there(
    host: Machine, network: Network, tmp_path: Path
) -> None:
    host.check("systemctl disable --now prometheus-node-exporter")
    host.push("/etc/node_flags", b"# ours\n--web.listen-address=:9300\n")
    host.push("/etc/systemd/system/node.service", ENVIRONMENT.encode())
    host.push("/etc/prometheus/prometheus.yml", CONFIG.replace("9100", "9300").encode())
    host.check("systemctl daemon-reload && systemctl start node && systemctl restart prometheus")
    settled(host, 9300, 9090)
    with engine_for(tmp_path, network) as engine:
        node = found(engine, host)["node"]
        assert (node.listen.rpartition(":")[2], node.flags.kind, node.flags.path) == (
            "9300",
            "argfile",
            "/etc/node_flags",
        )
        plan = engine.plan(stack_of(host, "node_exporter"))
        outcome = engine.apply(plan)
        assert outcome.ok, outcome.error
        assert b"--web.config.file=" in host.read("/etc/node_flags")
        assert engine.undo().ok
    assert host.read("/etc/node_flags") == b"# ours\n--web.listen-address=:9300\n"
    settled(host, 9300)


def test_a_silent_server_is_refused_and_every_recovery_ends(
    host: Machine, network: Network, tmp_path: Path
) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(dump(stack_of(host, "node_exporter")))
    host.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
    host.check("systemctl restart prometheus")
    settled(host, 9090)
    # Stopped by SIGSTOP: the port accepts connections, and nothing answers.
    pid = host.check("systemctl show -P MainPID prometheus-node-exporter").strip()
    before = host.check("cd /etc && find . -type f -exec sha256sum {} + | sort -k2")
    host.check(f"kill -STOP {pid}")
    for words in (("plan", str(file)), ("apply", str(file), "--yes")):
        ended = cli(network, tmp_path, *words)
        assert ended.returncode == 2, (words, ended.stderr)
        assert "does not answer at" in ended.stderr and "one/node_exporter" in ended.stderr
    host.check(f"kill -CONT {pid}")
    assert host.check("cd /etc && find . -type f -exec sha256sum {} + | sort -k2") == before
    assert cli(network, tmp_path, "recover", "--yes").returncode == 0, "there is nothing to recover"

    # A killed run whose changes somebody else restores.
    with engine_for(tmp_path, network) as engine:
        cut_short(engine, load(file))
        cut = engine.interrupted_run()
        assert cut is not None
    refused = cli(network, tmp_path, "recover", "--forget", "--yes")
    assert refused.returncode == 1, refused.stderr
    assert "is not as it was before" in refused.stderr and "/etc/node_exporter/web.yml" in refused.stderr
    assert cli(network, tmp_path, "apply", str(file), "--yes").returncode == 1, "it is still owed"
    host.check("rm -rf /etc/node_exporter")
    assert host.check("cd /etc && find . -type f -exec sha256sum {} + | sort -k2") == before
    shown = cli(network, tmp_path, "recover", "--forget", cut.run)
    assert shown.returncode == 2 and "every file is as before the run" in shown.stderr, shown.stderr
    done = cli(network, tmp_path, "recover", "--forget", cut.run, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"][0]["state"] == "forgotten"
    assert host.check("cd /etc && find . -type f -exec sha256sum {} + | sort -k2") == before
    assert cli(network, tmp_path, "apply", str(file), "--yes").returncode == 0

    # A killed run on a host that is gone for good: the journal and the copies are kept.
    assert cli(network, tmp_path, "undo", "--yes").returncode == 0
    with engine_for(tmp_path, network) as engine:
        cut_short(engine, load(file))
    host.check("systemctl stop ssh ssh.socket; true")
    gone = cli(network, tmp_path, "recover", "--forget", "--yes")
    assert gone.returncode == 1 and "cannot be read" in gone.stderr, gone.stderr
    kept = cli(network, tmp_path, "recover", "--forget", "--as-it-is", "--yes")
    assert kept.returncode == 0, kept.stderr
    assert cli(network, tmp_path, "recover", "--yes").returncode == 0


def cut_short(engine: Engine, stack: Stack) -> None:
    """Runs an apply that ends, as by a power cut, when its web configuration is written."""

    class Cut(BaseException):
        pass

    def listen(event: Any) -> None:
        if event.kind == "change" and event.state == "done" and event.text.endswith("web.yml"):
            raise Cut

    plan = engine.plan(stack)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever ends it
        engine.apply(plan, listen)
