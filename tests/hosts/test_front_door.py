"""Front doors: real reverse proxies in front of real programs, below paths and under a name, over SSH; then undone.

Every file below /etc is compared before and after an undo.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from machines import Machine, Network

from wizard.engine import Engine, Outcome
from wizard.inventory import stack_file
from wizard.inventory.stack_file import dump
from wizard.model import ComponentSpec, DoorRoute, FrontDoor, Plan, ProxyProgram, Stack, UserSpec
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(400)]

SUITES = ("bookworm", "sid")
PROGRAMS = ("prometheus", "alertmanager", "pushgateway", "blackbox_exporter")
NAME = "noc.example.net"
CONFIG = """\
# A site of one machine.
global:
  scrape_interval: 1s   # how often
alerting:
  alertmanagers:
    - static_configs: [{targets: ['localhost:9093']}]
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090']}]
  - job_name: alertmanager
    static_configs: [{targets: ['localhost:9093']}]
  - job_name: pushgateway
    honor_labels: true
    static_configs: [{targets: ['127.0.0.1:9091']}]
  - job_name: ping
    metrics_path: /probe   # of the blackbox exporter
    params: {module: [tcp_connect]}
    static_configs: [{targets: ['127.0.0.1:22']}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: '127.0.0.1:9115'}
"""


@pytest.fixture(params=SUITES)
def web1(request: pytest.FixtureRequest, network: Network) -> Iterator[Machine]:
    """A host with nginx and four components."""
    with _booted(str(request.param), "nginx", network) as machine:
        yield machine


@contextmanager
def _booted(suite: str, unit: str, network: Network) -> Iterator[Machine]:
    with Machine(suite, "web1", network, programs=PROGRAMS) as machine:
        machine.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
        # A host without a private address cannot gossip.
        machine.check(
            "printf 'ARGS=\"--cluster.advertise-address=127.0.0.1:9094\"\\n' > /etc/default/prometheus-alertmanager"
        )
        machine.check(
            f"systemctl restart prometheus prometheus-alertmanager && systemctl start {unit}", timeout=90
        )
        yield machine


def etc(machine: Machine) -> dict[str, tuple[str, int]]:
    """Every file below /etc with its content and mode, as seen from outside."""
    return {
        str(path.relative_to(machine.root)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mode,
        )
        for path in sorted((machine.root / "etc").rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def stack_of(machine: Machine, doors: tuple[FrontDoor, ...]) -> Stack:
    return Stack(
        hosts=(machine.spec(),),
        components=tuple(ComponentSpec(host="web1", name=name) for name in PROGRAMS),
        users=(UserSpec(name="admin"), UserSpec(name="script")),
        front_doors=doors,
    )


ONE_NAME = (
    FrontDoor(
        host="web1",
        proxy="nginx",
        name=NAME,
        people=("admin",),
        machines=("script",),
        routes=tuple(DoorRoute(to=name, path=f"/{name}") for name in PROGRAMS),
    ),
)


def apply(engine: Engine, stack: Stack) -> tuple[Plan, Outcome]:
    plan = engine.plan(stack)
    outcome = engine.apply(plan)
    told = [f"{a.probe.id}: {a.outcome} {a.reason}" for a in outcome.attempts if a.failed]
    assert outcome.state == "proven", (outcome.error and (outcome.error.what, outcome.error.where), told)
    return plan, outcome


def test_one_name_with_a_path_for_each(web1: Machine, network: Network, tmp_path: Path) -> None:
    before = etc(web1)
    stack = stack_of(web1, ONE_NAME)
    assert stack_file.parse(dump(stack), source="").front_doors == ONE_NAME
    with network.entered(), closing(Engine(Workspace(tmp_path))) as engine:
        plan, outcome = apply(engine, stack)
        closed = [each.probe.client for each in outcome.attempts if each.outcome == "closed"]
        assert len(closed) == len(PROGRAMS) + 1
        _as_people_and_programs_do(web1, engine.workspace.root)
        _as_printed(plan)
        assert engine.plan(stack).steps == ()
        assert engine.undo().state == "undone"
        assert etc(web1) == before
        assert "prometheus" in web1.check("curl -sL http://127.0.0.1:9090/metrics | head -5; echo prometheus")


def _as_people_and_programs_do(web1: Machine, workspace: Path) -> None:
    """Two megabytes are pushed and sent through the door, a long answer comes back, a stranger gets nothing."""
    curl: list[str | Path] = [
        *("curl", "-sS", "--cacert", workspace / "ca/ca.crt", "--resolve", f"{NAME}:443:{web1.address}"),
        *("-o", "/dev/null", "-w", "%{http_code}"),
    ]
    admin: list[str | Path] = ["--config", workspace / "users/admin.curl"]
    big = "".join(f'big{{n="{number}"}} 1\n' for number in range(150_000)).encode()
    assert len(big) > 2_000_000

    def said(*words: str | Path, stdin: bytes = b"") -> str:
        ended = subprocess.run([*curl, *words], input=stdin, capture_output=True, timeout=60, check=False)
        return (ended.stdout + ended.stderr).decode().strip()

    root = f"https://{NAME}"
    script: list[str | Path] = ["--config", workspace / "users/script.curl"]
    pushed: list[str | Path] = ["--data-binary", "@-", f"{root}/pushgateway/metrics/job/big"]
    assert said(*script, *pushed, stdin=b"# TYPE big gauge\n" + big) == "200"
    assert said(f"{root}/pushgateway/metrics") == "401"
    assert said(*admin, f"{root}/prometheus") == "301"
    assert said(*admin, f"{root}/") == "404"
    assert said(*admin, f"{root}/prometheus/api/v1/query?query=up") == "200"
    assert said(*admin, "-X", "POST", f"{root}/prometheus/-/%72eload") == "403"
    assert said(f"{root}/prometheus/-/healthy").startswith("401")


def _as_printed(plan: Plan) -> None:
    """The commands for promtool and amtool name the files that are there and the path of the route."""
    said = [hint for hint in plan.hints if "--http.config.file=" in hint]
    assert any(hint.endswith(f"https://{NAME}/prometheus up") for hint in said)
    assert any(f"--alertmanager.url=https://{NAME}/alertmanager" in hint for hint in said)
    for hint in said:
        assert Path(hint.partition("--http.config.file=")[2].split()[0]).is_file()


NAMES = (
    FrontDoor(
        host="web1",
        proxy="nginx",
        name="prometheus.example.net",
        people=("admin",),
        client_cert=True,
        routes=(DoorRoute(to="prometheus"),),
        hsts_days=1,
    ),
    FrontDoor(
        host="web1",
        proxy="nginx",
        name="alerts.example.net",
        port=8443,
        client_cert=True,
        block=(),
        headers=False,
        routes=(DoorRoute(to="alertmanager"),),
    ),
)


def test_a_name_each_with_client_certificates(web1: Machine, network: Network, tmp_path: Path) -> None:
    before = etc(web1)
    stack = stack_of(web1, NAMES)
    with network.entered(), closing(Engine(Workspace(tmp_path))) as engine:
        apply(engine, stack)
        seen = {each.component: each.words for each in engine.scan(stack).exposures}
        assert "at the front door https://prometheus.example.net" in seen["prometheus"]
        assert "client certificate" in seen["alertmanager"]
        assert engine.plan(stack).steps == ()
        assert engine.undo().state == "undone"
        assert etc(web1) == before


def test_what_nginx_rejects_is_not_put_in_place(web1: Machine, network: Network, tmp_path: Path) -> None:
    # Another site says the opposite of a listening socket, which only nginx itself can know.
    web1.push(
        "/etc/nginx/conf.d/other.conf", b"server { listen 443 ssl reuseport; listen 443 ssl reuseport; }\n"
    )
    before = etc(web1)
    stack = stack_of(web1, ONE_NAME)
    with network.entered(), closing(Engine(Workspace(tmp_path))) as engine:
        outcome = engine.apply(engine.plan(stack))
        assert outcome.state == "rolled-back"
        assert outcome.error is not None
        assert "duplicate" in outcome.error.what
        assert etc(web1) == before
        ready = f"http://{web1.address}:9090/-/ready"
        assert web1.check(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", ready]) == "200"


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(("proxy", "unit"), [("apache", "apache2"), ("caddy", "caddy")])
def test_another_proxy_by_password_or_certificate(
    suite: str, proxy: ProxyProgram, unit: str, network: Network, tmp_path: Path
) -> None:
    door = replace(ONE_NAME[0], proxy=proxy, client_cert=True, hsts_days=1)
    with _booted(suite, unit, network) as web1:
        before = etc(web1)
        stack = stack_of(web1, (door,))
        with network.entered(), closing(Engine(Workspace(tmp_path))) as engine:
            apply(engine, stack)
            _as_people_and_programs_do(web1, engine.workspace.root)
            assert [each.name for each in engine.scan(stack).proxies if each.running] == [proxy]
            assert engine.plan(stack).steps == ()
            changed = stack_of(web1, (replace(door, max_body_size=32),))
            assert [step.kind for step in apply(engine, changed)[0].steps] == ["door", "open-door"]
            assert engine.undo().state == "undone"
            assert engine.undo().state == "undone"
            assert etc(web1) == before
