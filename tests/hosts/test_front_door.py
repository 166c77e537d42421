"""Front doors: real reverse proxies before real programs, below paths and under names, over SSH; then undone.

Every file below /etc is compared before and after an undo.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import bases
import grafana_host
import pytest
import slow_connections
from machines import Machine, Network

from tests.processes import run_program
from wizard.engine import Engine, Outcome
from wizard.inventory import stack_file
from wizard.inventory.stack_file import dump
from wizard.model import GRAFANA, ComponentSpec, DoorRoute, FrontDoor, Plan, ProxyProgram, Stack, UserSpec
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

SUITES = ("bookworm", "trixie", "sid")
UNITS: dict[ProxyProgram, str] = {
    "nginx": "nginx",
    "apache": "apache2",
    "caddy": "caddy",
    "haproxy": "haproxy",
}
PROGRAMS = ("prometheus", "alertmanager", "pushgateway", "blackbox_exporter")
NAME = "noc.example.net"
MB = 1024 * 1024
SCRAPED = (
    "curl -sG 127.0.0.1:9090/api/v1/query --data-urlencode 'query=count(count_over_time(up[20s])>2)'"
    " | grep -q '\"4\"'"
)
"""Whether Prometheus has scraped each of its four targets a few times."""
ORIGIN = "https://grafana.example.net"
OTHER_SITE = """
# A site that was there before.
frontend www
    bind :80
    mode http
    http-request return status 200 content-type text/plain string "theirs"
"""
CONFIG = """\
# A site of one machine.
global:
  scrape_interval: 1s   # how often
  evaluation_interval: 1s
rule_files: [/etc/prometheus/alerts.yml]
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
ALERTS = "groups: [{name: always, rules: [{alert: Always, expr: vector(1)}]}]\n"


@contextmanager
def _booted(suite: str, proxy: ProxyProgram, network: Network) -> Iterator[Machine]:
    """Boots a host with that proxy, its own site on port 80, and four components."""
    # With a unique name: systemd-nspawn does not start two hosts of the same name at once.
    label = f"web1-{os.getpid() % 100000}"
    with Machine(suite, "web1", network, programs=PROGRAMS, label=label) as machine:
        machine.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
        machine.push("/etc/prometheus/alerts.yml", ALERTS.encode())
        # An alert that fires before Prometheus has discovered the Alertmanager is sent again, by default a minute later.
        flags = "--web.enable-remote-write-receiver --rules.alert.resend-delay=1s"
        machine.push("/etc/default/prometheus", f'ARGS="{flags}"\n'.encode())
        # A host without a private address cannot join a cluster.
        machine.push(
            "/etc/default/prometheus-alertmanager", b'ARGS="--cluster.advertise-address=127.0.0.1:9094"\n'
        )
        if proxy == "haproxy":
            machine.push(
                "/etc/haproxy/haproxy.cfg", machine.read("/etc/haproxy/haproxy.cfg") + OTHER_SITE.encode()
            )
        machine.check(
            f"systemctl reset-failed; systemctl restart prometheus prometheus-alertmanager && systemctl start {UNITS[proxy]}",
            timeout=90,
        )
        machine.check(f"for i in $(seq 300); do {SCRAPED} && exit; sleep 0.1; done; exit 1")
        yield machine


def etc(machine: Machine) -> dict[str, tuple[str, int]]:
    """Returns every file below /etc with its content and mode, read from outside."""
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


ONE_NAME = FrontDoor(
    host="web1",
    proxy="nginx",
    name=NAME,
    people=("admin",),
    machines=("script",),
    routes=tuple(DoorRoute(to=name, path=f"/{name}") for name in PROGRAMS),
)


def apply(engine: Engine, stack: Stack) -> tuple[Plan, Outcome]:
    plan = engine.plan(stack)
    outcome = engine.apply(plan)
    failures = [f"{a.probe.id}: {a.outcome} {a.reason}" for a in outcome.attempts if a.failed]
    assert outcome.state == "proven", (outcome.error and (outcome.error.what, outcome.error.where), failures)
    return plan, outcome


@dataclass
class Client:
    """curl as a user or a program runs it: with the CA, the address of the name, and a user."""

    machine: Machine
    workspace: Path
    root: str = f"https://{NAME}"

    def said(
        self, path: str, *words: str, user: str = "admin", stdin: bytes = b"", body: bool = False
    ) -> str:
        """Returns the status of the response, or its body."""
        ended = subprocess.run(
            [
                *("curl", "-sS", "--cacert", self.workspace / "ca/ca.crt"),
                *("--resolve", f"{NAME}:443:{self.machine.address}"),
                *(() if body else ("-o", "/dev/null", "-w", "%{http_code}")),
                *(("--config", self.workspace / f"users/{user}.curl") if user else ()),
                *(*words, f"{self.root}{path}"),
            ],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return (ended.stdout + ended.stderr).decode().strip()

    def query(self, expression: str) -> list[dict[str, object]]:
        """Returns the result of a query to Prometheus through the front door."""
        words = ("--data-urlencode", f"query={expression}")
        found: list[dict[str, object]] = json.loads(self.said("/prometheus/api/v1/query", *words, body=True))[
            "data"
        ]["result"]
        return found


def remote_write_body() -> bytes:
    """Returns more than 2 MB of remote_write's protobuf, as snappy literals."""

    def number(value: int) -> bytes:
        out = b""
        while value > 0x7F:
            out += bytes([value & 0x7F | 0x80])
            value >>= 7
        return out + bytes([value])

    def field(tag: int, content: bytes) -> bytes:
        return bytes([tag << 3 | 2]) + number(len(content)) + content

    def label(name: str, value: str) -> bytes:
        return field(1, field(1, name.encode()) + field(2, value.encode()))

    sample = field(2, b"\x10" + number(int(time.time() * 1000)))
    series = (label("__name__", "sent") + label("n", f"{each:0400d}") + sample for each in range(5200))
    plain = b"".join(field(1, each) for each in series)
    assert len(plain) > 2 * MB
    parts = [plain[at : at + 60000] for at in range(0, len(plain), 60000)]
    literals = b"".join(bytes([61 << 2]) + (len(part) - 1).to_bytes(2, "little") + part for part in parts)
    return number(len(plain)) + literals


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("proxy", UNITS)
def test_one_name_with_a_path_for_each_component(
    proxy: ProxyProgram, suite: str, network: Network, tmp_path: Path
) -> None:
    """With a password; also with client certificates, except for nginx. The Grafana stand-in keeps its own login."""
    grafana = DoorRoute(to=GRAFANA, path="/grafana")
    door = replace(ONE_NAME, proxy=proxy, cors=(ORIGIN,), routes=(*ONE_NAME.routes, grafana))
    # Debian's Apache and Caddy have no rate limits.
    door = replace(door, rate_limit=100) if proxy == "nginx" else replace(door, client_cert=True, hsts_days=1)
    with _booted(suite, proxy, network) as web1:
        grafana_host.install(web1)
        before, stack = etc(web1), stack_of(web1, (door,))
        assert stack_file.parse(dump(stack), source="").front_doors == (door,)
        theirs = web1.check("curl -s http://127.0.0.1:80/ | sha256sum")
        with network.entered(), closing(Engine(Workspace(tmp_path))) as engine:
            plan, outcome = apply(engine, stack)
            closed = [each.probe.client for each in outcome.attempts if each.outcome == "closed"]
            assert len(closed) == len(PROGRAMS) + 2
            client = Client(web1, engine.workspace.root)
            # Shorter than Prometheus' default interval: at most one scrape of it is lost.
            assert _longest_gap(client) < 15
            _use_as_people_and_programs(client)
            _run_printed_commands(plan, web1, network)
            _other_origins(client)
            _grafana(client)
            _alerts_arrive(client)
            assert [each.name for each in engine.scan(stack).proxies if each.running] == [proxy]
            assert engine.plan(stack).steps == ()
            routes = (*ONE_NAME.routes, replace(grafana, login="door"))
            changed = stack_of(web1, (replace(door, max_body_size=32, routes=routes),))
            assert [step.kind for step in apply(engine, changed)[0].steps] == ["door", "open-door"]
            assert client.said("/grafana/login", user="").startswith("401")
            seen = client.said("/grafana/login", "-D", "-", body=True).lower()
            assert "x-seen-authorization: no" in seen
            assert "<title>grafana" in seen
            assert web1.check("curl -s http://127.0.0.1:80/ | sha256sum") == theirs
            assert engine.undo().state == "undone"
            assert engine.undo().state == "undone"
        assert etc(web1) == before
        login = f"http://{web1.address}:{grafana_host.PORT}/login"
        assert web1.check(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", login]) == "200"
        assert "prometheus" in web1.check("curl -sL http://127.0.0.1:9090/metrics | head -5; echo prometheus")


def _use_as_people_and_programs(client: Client) -> None:
    """Pushes and sends two megabytes through the front door, reads a long answer, and is rejected without
    credentials.
    """
    big = "".join(f'big{{n="{number:0400d}"}} 1\n' for number in range(5200)).encode()
    assert len(big) > 2 * MB
    pushed = ("--data-binary", "@-")
    assert (
        client.said("/pushgateway/metrics/job/big", *pushed, user="script", stdin=b"# TYPE big gauge\n" + big)
        == "200"
    )
    # Its page shows all of them, and is requested again.
    assert client.said("/pushgateway/metrics/job/big", "-X", "DELETE", user="script") == "202"
    written = ("-H", "Content-Encoding: snappy", "-H", "Content-Type: application/x-protobuf")
    sent = client.said(
        "/prometheus/api/v1/write", *pushed, *written, user="script", stdin=remote_write_body()
    )
    assert sent in ("200", "204")
    assert client.query("count(sent)")[0]["value"][1] == "5200"  # type: ignore[index]
    assert client.said("/pushgateway/metrics", user="") == "401"
    assert client.said("/prometheus/-/healthy", user="").startswith("401")
    for path, user in (("/prometheus/", "admin"), ("/prometheus/", "")):
        seen = client.said(path, "-D", "-", user=user, body=True).lower()
        assert "x-content-type-options: nosniff" in seen
        assert "x-frame-options: sameorigin" in seen
    assert client.said("/prometheus") == "301"
    assert client.said("/") == "404"
    assert client.said(f"/prometheus/api/v1/query?query=up%23{'x' * 6000}") == "200"
    words = ("--data-urlencode", "query=up #" + "x" * 60_000)
    assert client.said("/prometheus/api/v1/query", *words) == "200"
    for path in ("/-/%72eload", "/-/reload", "/api/v1/admin/tsdb/snapshot"):
        assert client.said(f"/prometheus{path}", "-X", "POST") == "403"
    # With HTTP/2 the server may not answer while the client is still sending.
    much = b"# " + b"x" * 17 * MB + b"\nmore 1\n"
    too_much = client.said("/pushgateway/metrics/job/m", *pushed, "--http1.1", user="script", stdin=much)
    # Caddy of bookworm and trixie treats that as a failure of the upstream.
    assert too_much[:3] in ("413", "502")


def _other_origins(client: Client) -> None:
    """Checks that pages of one origin may read, also before a login; the components themselves send no such headers."""
    path, asked = "/prometheus/api/v1/query?query=up", ("-D", "-", "-H")
    preflight = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET")
    mine = client.said(path, *asked, f"Origin: {ORIGIN}", body=True).lower()
    assert mine.count("access-control-allow-origin") == 1
    assert f"access-control-allow-origin: {ORIGIN}" in mine
    assert "access-control-allow-credentials: true" in mine
    assert (
        f"allow-origin: {ORIGIN}"
        in client.said(path, *asked, f"Origin: {ORIGIN}", *preflight, user="", body=True).lower()
    )
    assert client.said(path, "-H", f"Origin: {ORIGIN}", *preflight, user="") == "204"
    for other in ("https://other.example.net", f"{ORIGIN}.example.org"):
        assert client.said(path, "-H", f"Origin: {other}", *preflight, user="") == "401"
        assert "allow-origin" not in client.said(path, *asked, f"Origin: {other}", body=True).lower()


def _grafana(client: Client) -> None:
    """Tests Grafana's login, in a browser and by token; its data sources; its WebSocket, only for pages of
    the front door.
    """
    session = ("-H", grafana_host.SESSION)
    assert client.said("/grafana/login", user="") == "200"
    assert client.said("/grafana/api/org", user="") == "401"
    assert client.said("/grafana/api/org", *session, user="") == "200"
    assert client.said("/grafana/api/org", "-H", "Authorization: Bearer a-token", user="") == "200"
    assert client.said("/grafana", user="") == "301"
    asked = json.loads(client.said("/grafana/api/sources", *session, user="", body=True))
    assert asked == {"Metrics": 200, "Alerts": 200}
    place = (client.machine.address, NAME, "/grafana/api/live/ws", client.workspace / "ca/ca.crt")
    with grafana_host.websocket(*place, origin=f"https://{NAME}") as live:
        assert [live.echoed(word) for word in ("one", "two")] == ["one", "two"]
    grafana_host.is_rejected(*place, origin="https://other.example.net", status="403")
    # Our header does not unlock the other paths, and the front door's credentials are not sent to Grafana.
    assert client.said("/prometheus/api/v1/query?query=up", *session, user="").startswith("401")


def _run_printed_commands(plan: Plan, web1: Machine, network: Network) -> None:
    """Runs the commands for promtool and amtool as printed, on a machine that resolves the name."""
    network.hosts[NAME] = web1.address
    said = [hint.partition(": ")[2] for hint in plan.hints if "--http.config.file=" in hint]
    assert len(said) == 2
    for command in said:
        words = shlex.split(command)
        newer = "2.43 or newer" in next(hint for hint in plan.hints if command in hint)
        program = (bases.base("trixie") if newer else web1.root) / "usr/bin" / words[0]
        ended = run_program([*network.enter_named, program, *words[1:]])
        assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
        assert ("=>" if words[0] == "promtool" else "Alertname") in ended.stdout


def _alerts_arrive(client: Client) -> None:
    """Waits until the Alertmanager below its path has alerts of Prometheus."""
    deadline, found = time.monotonic() + 60, ""
    while "Always" not in found and time.monotonic() < deadline:
        found = client.said("/alertmanager/api/v2/alerts", body=True)
        time.sleep(0.5)
    assert "Always" in found


def _longest_gap(client: Client) -> float:
    """Returns the longest time without a scrape of a target during the change, in seconds: once a second normally."""
    found = client.query("up[10m]")
    gaps = []
    for series in found:
        good = [at for at, value in series["values"] if value == "1"]  # type: ignore[attr-defined]
        gaps.append(max((later - earlier for earlier, later in pairwise(good)), default=0))
    assert len(gaps) == len(PROGRAMS)
    print("longest gaps, s:", gaps)
    return float(max(gaps))


def longest_gap(machine: Machine, begin: float) -> float:
    """Returns the longest time without a good sample of a target since `begin` (Unix time), in seconds, from
    that host's Prometheus.

    Prometheus may need ten more seconds until it scrapes all of them with a new configuration.
    """
    asked = "curl -sG 127.0.0.1:9090/api/v1/query --data-urlencode"
    passed = f"min(timestamp(up == 1)) > {time.time() + 11:.0f}"
    machine.check(
        f"for i in $(seq 300); do {asked} 'query={passed}' | grep -q value && exit; sleep 0.1; done; exit 1"
    )
    found = json.loads(machine.check(f"{asked} 'query=up[{int(time.time() - begin) + 3}s]'"))
    gaps: dict[str, float] = {}
    for series in found["data"]["result"]:
        good = [at for at, value in series["values"] if value == "1"]
        name = f"{series['metric']['job']} {series['metric']['instance']}"
        gaps[name] = max((later - earlier for earlier, later in pairwise(good)), default=0)
    print("longest gaps of the undo, s:", gaps)
    return max(gaps.values())


PUSH = "push.example.net"
LIVE = f"/etc/letsencrypt/live/{PUSH}"
ROOTS = "/etc/ssl/certs/ca-certificates.crt"
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
    FrontDoor(
        host="web1",
        proxy="nginx",
        name=PUSH,
        machines=("script",),
        routes=(DoorRoute(to="pushgateway"),),
        rate_limit=1,
        cert_file=f"{LIVE}/fullchain.pem",
        key_file=f"{LIVE}/privkey.pem",
        ca_file=ROOTS,
    ),
)
LETS_ENCRYPT = f"""\
set -eu
mkdir -p /root/acme /etc/letsencrypt/archive/{PUSH} {LIVE}
cd /root/acme
number=$(ls /etc/letsencrypt/archive/{PUSH} | grep -c fullchain || true)
if [ "$number" = 0 ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 30 \
        -subj '/CN=Test root' -addext keyUsage=critical,keyCertSign 2>&1
    cat ca.crt >> {ROOTS}
fi
archive=/etc/letsencrypt/archive/{PUSH}
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $archive/privkey$number.pem -out new.csr \
    -subj /CN={PUSH} 2>&1
printf 'subjectAltName=DNS:{PUSH}\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n' > extensions
openssl x509 -req -in new.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 20 -extfile extensions -out leaf.crt 2>&1
cat leaf.crt ca.crt > $archive/fullchain$number.pem
chmod 600 $archive/privkey$number.pem
ln -sfn ../../archive/{PUSH}/fullchain$number.pem {LIVE}/fullchain.pem
ln -sfn ../../archive/{PUSH}/privkey$number.pem {LIVE}/privkey.pem
"""
"""A certificate where certbot has it, of a root that the host trusts; a further one each time, as by a renewal."""


@contextmanager
def nothing_beside(machine: Machine, network: Network) -> Iterator[None]:
    """Does nothing, in place of `slow_connections.beside`."""
    yield


@pytest.mark.parametrize(("proxy", "suite"), [("nginx", "bookworm"), ("haproxy", "sid")])
def test_a_name_for_each_component_with_client_certificates(
    proxy: ProxyProgram, suite: str, network: Network, tmp_path: Path
) -> None:
    """Two of them share a port. Slow connections run beside the first, with all four proxies."""
    slow = slow_connections.beside if proxy == "nginx" else nothing_beside
    with _booted(suite, proxy, network) as web1, slow(web1, network):
        web1.check(LETS_ENCRYPT)
        before = etc(web1)
        stack = stack_of(web1, tuple(replace(each, proxy=proxy) for each in NAMES))
        with network.entered(), closing(Engine(Workspace(tmp_path))) as engine:
            apply(engine, stack)
            seen = {each.component: each.words for each in engine.scan(stack).exposures}
            assert "at the front door https://prometheus.example.net" in seen["prometheus"]
            assert "client certificate" in seen["alertmanager"]
            assert engine.plan(stack).steps == ()
            first = _serial(web1)
            web1.check(LETS_ENCRYPT)
            web1.check(f"/etc/letsencrypt/renewal-hooks/deploy/firescreen-{PUSH}")
            deadline = time.monotonic() + 20
            while _serial(web1) == first and time.monotonic() < deadline:
                time.sleep(0.2)
            assert _serial(web1) != first
            assert engine.plan(stack).steps == ()
            for path in sorted(set(etc(web1)) - set(before)):
                if "letsencrypt/archive" in path:
                    before[path] = etc(web1)[path]
            asked = (
                "curl",
                "-sk",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}\\n",
                "--resolve",
                f"{PUSH}:443:127.0.0.1",
            )
            statuses = web1.check([*asked, f"https://{PUSH}/[1-200]"]).split()
            assert (statuses[0], statuses[-1]) == ("401", "429")
            assert engine.undo().state == "undone"
            assert etc(web1) == before


def _serial(web1: Machine) -> str:
    """Returns the serial number of the front door's certificate."""
    shown = f"openssl s_client -connect 127.0.0.1:443 -servername {PUSH} </dev/null 2>/dev/null"
    return web1.check(f"{shown} | openssl x509 -noout -serial")
