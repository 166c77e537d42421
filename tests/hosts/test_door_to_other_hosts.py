"""Front doors to components of another host, and of their own, over TLS with a client certificate; then undone.

Clients without credentials are rejected at the front door and at every address of the component, and a
Prometheus on another host keeps scraping it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from machines import Machine, Network, booted
from test_front_door import NAME, UNITS, Client, apply, etc, longest_gap

from wizard.engine import Engine
from wizard.front_doors import proxy as find_proxy
from wizard.inventory import stack_file
from wizard.inventory.stack_file import dump
from wizard.model import Answers, ComponentSpec, DoorRoute, FrontDoor, ProxyProgram, Stack, UserSpec
from wizard.upkeep.lifetimes import lifetimes
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

AT_DOOR = ("prometheus", "pushgateway", "blackbox_exporter")
ALIAS = "otherdb"
BEHIND = ("prometheus", "alertmanager")
CONFIG = """\
# It scrapes what is behind the front door, here and on the other host.
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: other-prometheus
    static_configs: [{{targets: ['{db1}:9090']}}]
  - job_name: other-alertmanager
    static_configs: [{{targets: ['{db1}:9093']}}]
  - job_name: pushgateway
    static_configs: [{{targets: ['localhost:9091']}}]
  - job_name: blackbox
    static_configs: [{{targets: ['localhost:9115']}}]
"""
OTHER_CONFIG = """\
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [/etc/prometheus/alerts.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ['localhost:9093']}]}]}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090']}]
"""
ALERTS = b"groups: [{name: always, rules: [{alert: Always, expr: vector(1)}]}]\n"


@contextmanager
def _booted(suite: str, network: Network) -> Iterator[tuple[Machine, Machine]]:
    """Boots a host with proxies, which resolves the other one's name, and that with a Prometheus and an Alertmanager."""
    made = [
        Machine(suite, "web1", network, programs=AT_DOOR, label="at-door"),
        Machine(suite, "db1", network, programs=BEHIND, label="behind-door"),
    ]
    with booted(made) as (web1, db1):
        # The second name is not in its certificate.
        web1.check(f"echo '{db1.address} db1 {ALIAS}' >>/etc/hosts")
        web1.push("/etc/prometheus/prometheus.yml", CONFIG.format(db1=db1.address).encode())
        db1.push("/etc/prometheus/prometheus.yml", OTHER_CONFIG.encode())
        db1.push("/etc/prometheus/alerts.yml", ALERTS)
        # An alert that fires before Prometheus has discovered the Alertmanager is sent again, by default a minute later.
        db1.push("/etc/default/prometheus", b'ARGS="--rules.alert.resend-delay=1s"\n')
        # A host without a private address cannot join a cluster.
        db1.push(
            "/etc/default/prometheus-alertmanager", b'ARGS="--cluster.advertise-address=127.0.0.1:9094"\n'
        )
        for machine, units in ((web1, "prometheus"), (db1, "prometheus prometheus-alertmanager")):
            machine.check(f"systemctl reset-failed; systemctl restart {units}", timeout=90)
        yield web1, db1


def _stack(web1: Machine, db1: Machine, proxy: ProxyProgram) -> Stack:
    address = "db1" if proxy == "apache" else ""
    door = FrontDoor(
        host="web1",
        proxy=proxy,
        name=NAME,
        people=("admin",),
        machines=("script",),
        routes=(
            DoorRoute(to="prometheus", path="/prometheus", host="db1", address=address),
            DoorRoute(to="alertmanager", path="/alertmanager", host="db1", address=address),
            DoorRoute(to="pushgateway", path="/push"),
            DoorRoute(to="blackbox_exporter", path="/blackbox"),
        ),
    )
    return Stack(
        hosts=(web1.spec(), db1.spec()),
        components=(
            ComponentSpec(host="web1", name="prometheus"),
            ComponentSpec(host="web1", name="pushgateway"),
            ComponentSpec(host="web1", name="blackbox_exporter", protect=("tls", "client_cert")),
            ComponentSpec(host="db1", name="prometheus", protect=("tls", "client_cert")),
            ComponentSpec(host="db1", name="alertmanager", protect=("tls", "client_cert")),
        ),
        users=(UserSpec(name="admin"), UserSpec(name="script")),
        front_doors=(door,),
    )


# For Caddy and HAProxy the written configuration depends on the version.
@pytest.mark.parametrize(
    ("suite", "proxies"),
    [("bookworm", ("nginx", "apache", "caddy", "haproxy")), ("sid", ("caddy", "haproxy"))],
)
def test_components_of_another_host(
    suite: str, proxies: tuple[ProxyProgram, ...], network: Network, tmp_path: Path
) -> None:
    with _booted(suite, network) as (web1, db1):
        for proxy in proxies:
            started = time.monotonic()
            web1.check(f"systemctl start {UNITS[proxy]}")
            stack = _stack(web1, db1, proxy)
            assert stack_file.parse(dump(stack), source="").front_doors == stack.front_doors
            before = etc(web1), etc(db1)
            with network.entered(), closing(Engine(Workspace(tmp_path / proxy))) as engine:
                _, outcome = apply(engine, stack)
                seen = [f"{a.probe.id} {a.outcome}" for a in outcome.attempts if "/beside@" in a.probe.id]
                assert {
                    "db1/prometheus",
                    "db1/alertmanager",
                    "web1/blackbox_exporter",
                    "web1/pushgateway",
                } == {each.partition("/beside@")[0] for each in seen}
                client = Client(web1, engine.workspace.root)
                _check_front_door(client)
                _check_direct_access(web1, db1)
                assert engine.plan(stack).steps == ()
                if proxy == proxies[0]:
                    _check_renewal(engine, stack, web1, client)
                _check_upstream_verification(proxy, web1, client)
                begin = time.time()
                while engine.undo().state == "undone":
                    pass
            assert (etc(web1), etc(db1)) == before
            if proxy == proxies[0]:
                assert longest_gap(web1, begin) < 15
            web1.check(f"systemctl stop {UNITS[proxy]}")
            print(proxy, suite, f"{time.monotonic() - started:.1f} s")


def _check_front_door(client: Client) -> None:
    up = {each["metric"]["job"]: each["value"][1] for each in client.query("up")}  # type: ignore[index]
    assert up == {"prometheus": "1"}
    assert client.said("/prometheus/api/v1/status/config", user="").startswith("401")
    deadline, found = time.monotonic() + 60, ""
    while "Always" not in found and time.monotonic() < deadline:
        found = client.said("/alertmanager/api/v2/alerts", body=True)
        time.sleep(0.5)
    assert "Always" in found
    assert client.said("/push/metrics") == "200"
    assert client.said("/blackbox/metrics") == "200"


def _check_direct_access(web1: Machine, db1: Machine) -> None:
    """Checks that another host without credentials reaches the component at no address, and Prometheus there
    still scrapes it.
    """
    for url in (
        f"https://{db1.address}:9090/prometheus/metrics",
        f"https://{db1.address}:9093/alertmanager/metrics",
        f"https://{web1.address}:9115/blackbox/metrics",
        "https://127.0.0.1:9115/blackbox/metrics",
    ):
        for machine in (web1, db1):
            status = machine.run(f"curl -sk -o /dev/null -w '%{{http_code}}' {url}").stdout
            assert status == "000", (url, status)
    asked = "curl -sG 127.0.0.1:9090/api/v1/query --data-urlencode 'query=count(up == 1)' | grep -q '\"4\"'"
    web1.check(f"for i in $(seq 100); do {asked} && exit; sleep 0.2; done; exit 1")
    # Shorter than Prometheus' default interval, although it restarts for TLS and for its path: at most one scrape is lost.
    assert _longest_gap(web1) < 15


def _longest_gap(web1: Machine) -> float:
    """Returns the seconds for which a component of the other host was not scraped during the change: once a
    second normally.
    """
    asked = "curl -sG 127.0.0.1:9090/api/v1/query --data-urlencode 'query=up{job=~\"other-.*\"}[2m]'"
    gaps = []
    for series in json.loads(web1.check(asked))["data"]["result"]:
        good = [at for at, value in series["values"] if value == "1"]
        gaps.append(max((later - earlier for earlier, later in pairwise(good)), default=0))
    print("longest gaps, s:", gaps)
    assert gaps
    return float(max(gaps))


def _check_renewal(engine: Engine, stack: Stack, web1: Machine, client: Client) -> None:
    """Replaces the front door's client certificate, and checks that the front door still works."""
    shown = f"openssl x509 -noout -serial -in $(ls /etc/*/firescreen/{NAME}-client.crt)"
    first = web1.check(shown)
    (key,) = {each for each in _renewable(engine, stack) if each.startswith("client:web1/") and NAME in each}
    outcome = engine.apply(engine.plan(stack, Answers(renew=frozenset((key,)))))
    assert outcome.state == "proven"
    assert web1.check(shown) != first
    assert client.said("/prometheus/-/healthy") == "200"


def _renewable(engine: Engine, stack: Stack) -> list[str]:
    return [each.renew for each in lifetimes(stack, engine.plan(stack).facts)]


def _check_upstream_verification(proxy: ProxyProgram, web1: Machine, client: Client) -> None:
    """Checks that the front door rejects a component with a certificate of another CA or with another name."""
    known = find_proxy(proxy)
    assert known is not None
    authority, site = f"{known.home}/{NAME}-backend-ca.crt", known.site.format(name=NAME)
    for path, change in (
        (
            authority,
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=other -out {} 2>&1",
        ),
        (site, f"sed -i 's/\\bdb1\\b/{ALIAS}/g' {{}}"),
    ):
        web1.check(f"cp -p {path} /root/kept && {change.format(path)} && systemctl reload {UNITS[proxy]}")
        assert _wait_for_status(client, "5") in ("500", "502", "503"), (proxy, path)
        web1.check(f"cp -p /root/kept {path} && systemctl reload {UNITS[proxy]}")
        assert _wait_for_status(client, "2") == "200", (proxy, path)


def _wait_for_status(client: Client, begins: str) -> str:
    """Returns the status of the component behind the front door, once the proxy has loaded its configuration."""
    deadline, status = time.monotonic() + 20, ""
    while not status.startswith(begins) and time.monotonic() < deadline:
        status = client.said("/prometheus/-/healthy")
        time.sleep(0.2)
    return status
