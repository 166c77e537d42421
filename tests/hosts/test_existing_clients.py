"""Clients that worked on real hosts before a run work after it: reverse proxies, hosts that cannot reach each other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from machines import FIRESCREEN, STACK, Machine, Network, booted

from wizard.engine import Engine
from wizard.model import ComponentSpec, Stack
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

CONFIG = """\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: prometheus
    metrics_path: /prometheus/metrics
    static_configs: [{targets: ['localhost:9090']}]
  - job_name: node
    static_configs: [{targets: ['localhost:9100']}]
"""
EXTERNAL = "http://monitor.example.org/prometheus/"
SITES = {
    "nginx": (
        "/etc/nginx/sites-enabled/monitor",
        """\
server {
    listen 80;
    server_name monitor.example.org;
    location /prometheus/ {
        proxy_pass http://127.0.0.1:9090;
    }
}
""",
        5,
    ),
    "apache2": (
        "/etc/apache2/sites-enabled/monitor.conf",
        """\
<VirtualHost *:80>
    ServerName monitor.example.org
    ProxyPass /prometheus/ http://localhost:9090/prometheus/
</VirtualHost>
""",
        3,
    ),
    "caddy": (
        "/etc/caddy/Caddyfile",
        """\
http://monitor.example.org {
    reverse_proxy /prometheus/* localhost:9090
}
""",
        2,
    ),
    "haproxy": (
        "/etc/haproxy/haproxy.cfg",
        """\
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend web
    bind *:80
    default_backend prometheus
backend prometheus
    server one 127.0.0.1:9090
""",
        10,
    ),
}
"""Unit -> its configuration, and the line that names Prometheus."""


@pytest.fixture
def host(network: Network) -> Iterator[Machine]:
    """Boots a host with Prometheus below a path, whose external URL is the reverse proxy's."""
    with Machine("bookworm", "monitor", network) as machine:
        machine.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
        machine.push("/etc/default/prometheus", f'ARGS="--web.external-url={EXTERNAL}"\n'.encode())
        machine.push("/root/stack.yaml", STACK.encode())
        machine.check("a2enmod -q proxy_http; rm -f /etc/apache2/sites-enabled/* /etc/nginx/sites-enabled/*")
        machine.check(["systemctl", "restart", "prometheus"])
        yield machine


def firescreen(machine: Machine, *words: str) -> tuple[int, Any, str]:
    """Returns exit code, JSON and output."""
    ended = machine.run([FIRESCREEN, *words], timeout=240)
    return ended.returncode, json.loads(ended.stdout) if ended.stdout.strip() else None, ended.stderr


def answer(machine: Machine, path: str = "/prometheus/-/ready") -> str:
    """Returns the status of the site behind the reverse proxy, requested on its host."""
    asked = (
        f"curl -s -o /dev/null -w '%{{http_code}}' -m 5 -H 'Host: monitor.example.org' http://127.0.0.1{path}"
    )
    return machine.run(asked).stdout


def etc(machine: Machine) -> str:
    return machine.check("find /etc -xdev -type f -exec sha256sum {} + | sort -k2")


def until(so: Callable[[], bool], what: str) -> None:
    for _ in range(50):
        if so():
            return
        time.sleep(0.2)
    raise AssertionError(what)


@contextmanager
def serving(machine: Machine, unit: str) -> Iterator[int]:
    path, text, line = SITES[unit]
    machine.push(path, text.encode())
    machine.check(["systemctl", "restart", unit])
    until(lambda: answer(machine) == "200", unit)
    try:
        yield line
    finally:
        machine.check(["systemctl", "stop", unit])


def test_a_reverse_proxy_is_named_and_nothing_changes_without_consent(host: Machine) -> None:
    for unit, (path, _, _) in SITES.items():
        program = "apache" if unit == "apache2" else unit
        with serving(host, unit) as line:
            code, plan, errors = firescreen(host, "plan", "/root/stack.yaml", "--json")
            assert code == 3, errors
            (client,) = plan["broken_clients"]
            assert client["key"] == f"here/{program}/prometheus"
            assert client["where"] == [f"here:{path}:{line}"] and not client["accepted"]
            assert any("Authorization" in each for each in client["lines"])
            (warning,) = (each for each in plan["warnings"] if each["id"] == "client-breaks")
            assert f"{path}:{line}" in warning["what"] and client["key"] in warning["mend"]

            before = etc(host)
            code, done, errors = firescreen(host, "apply", "/root/stack.yaml", "--yes", "--json")
            assert code == 2 and done["state"] == "failed" and done["run"] == ""
            assert f"{path}:{line}" in done["error"]["where"] and client["key"] in done["error"]["todo"]
            assert etc(host) == before and answer(host) == "200"


def with_lines_of_plan(unit: str, lines: list[str], login: str) -> str:
    """Returns a site with the lines that the plan names in place of the one that names Prometheus."""
    given = [each.replace("<base64 of USER:PASSWORD>", login) for each in lines]
    _, text, number = SITES[unit]
    old = text.splitlines()
    return "\n".join((*old[: number - 1], *given, *old[number:], ""))


def test_with_consent_it_is_secured_and_the_lines_of_the_plan_repair_each_proxy(host: Machine) -> None:
    lines = {}
    for unit in SITES:
        with serving(host, unit):
            (client,) = firescreen(host, "plan", "/root/stack.yaml", "--json")[1]["broken_clients"]
            lines[unit] = client["lines"]
    host.check("a2enmod -q ssl headers")
    with serving(host, "nginx"):
        before = etc(host)
        key = "here/nginx/prometheus"
        code, done, errors = firescreen(
            host, "apply", "/root/stack.yaml", "--yes", "--json", "--accept-broken", key
        )
        assert code == 0 and done["state"] == "proven", (done, errors)
        assert done["health"]["accepted"] == [key] and done["health"]["broken"] == []
        running = host.check("tr '\\0' '\\n' < /proc/$(pidof prometheus)/cmdline")
        assert f"--web.external-url={EXTERNAL}\n" in running, "nothing of Prometheus listens on port 80"
        assert answer(host) in ("400", "502"), "as it was said"
    login = host.check("printf 'prometheus:%s' \"$(cat /etc/prometheus/prometheus.password)\" | base64 -w0")
    for unit, (path, text, _) in SITES.items():
        host.push(path, with_lines_of_plan(unit, lines[unit], login).encode())
        host.check(["systemctl", "restart", unit])
        until(lambda: answer(host) == "200", f"{unit}: {with_lines_of_plan(unit, lines[unit], '…')}")
        code, plan, _ = firescreen(host, "plan", "/root/stack.yaml", "--json")
        assert code == 0 and plan["broken_clients"] == []
        host.check(["systemctl", "stop", unit])
        host.push(path, text.encode())
    assert firescreen(host, "undo", "--yes", "--json")[0] == 0
    assert etc(host) == before


NODES = ("srv1", "srv2", "srv3")
SITE = """\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ['srv1:9100', 'srv3:9100']}]
"""


@pytest.fixture
def site(network: Network, tmp_path: Path) -> Iterator[tuple[dict[str, Machine], Engine, Stack]]:
    """Boots three nodes and a Prometheus, which cannot connect to srv2 and does not scrape it."""
    machines = {name: Machine("bookworm", name, network, programs=("node_exporter",)) for name in NODES} | {
        "prometheus": Machine("bookworm", "prometheus", network, programs=("prometheus",))
    }
    with booted(list(machines.values())):
        machines["prometheus"].push("/etc/prometheus/prometheus.yml", SITE.encode())
        machines["prometheus"].check(["systemctl", "restart", "prometheus"])
        machines["prometheus"].check(["ip", "route", "add", "unreachable", machines["srv2"].address])
        workspace = Workspace(tmp_path / "workspace")
        workspace.ensure()
        stack = Stack(
            hosts=tuple(machine.spec() for machine in machines.values()),
            components=(
                *(
                    ComponentSpec(host=name, name="node_exporter", protect=("tls", "basic_auth"))
                    for name in NODES
                ),
                ComponentSpec(host="prometheus", name="prometheus"),
            ),
        )
        with network.entered():
            engine = Engine(workspace)
            try:
                yield machines, engine, stack
            finally:
                engine.close()


def plain(machine: Machine) -> bool:
    return (
        machine.run(["curl", "-sf", "-m5", "-o", "/dev/null", "http://127.0.0.1:9100/metrics"]).returncode
        == 0
    )


@pytest.mark.parametrize("forwards", [True, False])
def test_a_server_that_prometheus_cannot_connect_to_is_secured_without_a_job(
    site: tuple[dict[str, Machine], Engine, Stack], *, forwards: bool
) -> None:
    machines, engine, stack = site
    if not forwards:
        machines["prometheus"].check(
            "echo 'AllowTcpForwarding no' > /etc/ssh/sshd_config.d/0.conf; systemctl restart ssh"
        )
    plan = engine.plan(stack)
    (warning,) = (each for each in plan.warnings if each.id == "unreachable-from-prometheus")
    assert (
        f"cannot connect to {machines['srv2'].address}:9100" in warning.what and warning.host == "prometheus"
    )
    if not forwards:
        # Then its own report cannot be queried either: that is reported, and is no success.
        assert any(each.id == "health-unknown" for each in plan.warnings) or plan.facts.health
    outcome = engine.apply(plan, canary="none")
    assert (outcome.state, outcome.error) == ("proven", None)
    config = machines["prometheus"].read("/etc/prometheus/prometheus.yml").decode()
    assert machines["srv2"].address not in config and config.count("job_name") == 1
    assert not plain(machines["srv2"])


def test_a_proxy_under_another_name_rolls_back_its_own_host_alone(
    site: tuple[dict[str, Machine], Engine, Stack],
) -> None:
    """nginx on srv1 proxies its exporter under a name that only that host knows: no plan can know."""
    machines, engine, stack = site
    machines["srv1"].check("echo '127.0.0.1 metrics-a.internal' >> /etc/hosts")
    machines["srv1"].push(
        "/etc/nginx/sites-enabled/default",
        b"server { listen 8080; server_name srv1; location / { proxy_pass http://metrics-a.internal:9100; } }\n",
    )
    machines["srv1"].check(["systemctl", "restart", "nginx"])
    ask = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8080/metrics"]
    assert machines["srv1"].run(ask).stdout == "200"
    plan = engine.plan(stack)
    assert plan.broken_clients == (), "the name is known on srv1 alone"
    outcome = engine.apply(plan, canary="none")
    assert outcome.state == "partly"
    states = {each.host: each.state for each in outcome.hosts}
    assert states == {"srv1": "rolled-back", "srv2": "proven", "srv3": "proven", "prometheus": "proven"}
    error = next(each.error for each in outcome.hosts if each.host == "srv1")
    assert error is not None
    assert "answered 200 before and answers 400 now" in error.what
    assert error.where.startswith("srv1:/etc/nginx/sites-enabled/default:1")
    assert machines["srv1"].run(ask).stdout == "200" and plain(machines["srv1"])
    assert not plain(machines["srv2"]) and not plain(machines["srv3"])
