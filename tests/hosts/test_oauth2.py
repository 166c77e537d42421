"""A real Prometheus logs in by OAuth2 at a real token endpoint behind TLS of our CA, and scrapes through a proxy.

The proxy is an https server that validates each token at the provider (introspection) before it answers or
forwards the request: samples to a real Prometheus, alerts to a real Alertmanager.
"""

from __future__ import annotations

import io
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import bases
import openid_provider
import pytest
from machines import ENDPOINT, Machine, Network

from tests.tools import ansible_runs
from wizard.certificates import issue
from wizard.cli.plain_wizard import PlainWizard
from wizard.diagnostics import catalogue
from wizard.engine import Engine, Outcome, prometheus_recovery, stack_verification
from wizard.engine.present_stack import present_stack
from wizard.model import Attempt, Authorization, ClientLogin, ComponentSpec, OAuth2, Stack
from wizard.planner import client_logins
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

PASSWORD = "a vault's long password"
API = "api.example.net"
PORT = 8443
SECRET = "/etc/prometheus/oauth.secret"
PROGRAMS: tuple[dict[str, Any], ...] = tuple(
    {
        "client_id": name,
        "client_secret": f"the-secret-of-{name}-which-is-long-enough",
        "redirect_uris": [],
        "response_types": [],
        "grant_types": ["client_credentials"],
        "scope": "metrics",
    }
    for name in ("prometheus", "door")
)
CONFIG = f"""\
# A site of one machine.
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [/etc/prometheus/alerts.yml]
alerting:
  alertmanagers:
    - scheme: https
      path_prefix: /alertmanager   # behind the same door
      tls_config: {{ca_file: /etc/prometheus/company-ca.crt}}
      static_configs: [{{targets: ['{API}:{PORT}']}}]
remote_write:
  - name: away
    url: https://{API}:{PORT}/prometheus/api/v1/write
    tls_config: {{ca_file: /etc/prometheus/company-ca.crt}}
scrape_configs:
  - job_name: api   # behind a door
    scheme: https
    tls_config: {{ca_file: /etc/prometheus/company-ca.crt}}
    static_configs: [{{targets: ['{API}:{PORT}']}}]
"""
LOGIN = ClientLogin(
    host="mon1",
    place="job",
    name="api",
    way=OAuth2(
        client_id="prometheus",
        client_secret_file=SECRET,
        token_url=f"https://{openid_provider.NAME}:{openid_provider.PORT}/token",
        scopes=("metrics",),
        ca_file="/etc/prometheus/company-ca.crt",
    ),
)

# An alert is sent each second, and a reload does not wait a minute for alerts that a wrong login delays.
ARGS = b'ARGS="--rules.alert.resend-delay=1s --storage.remote.flush-deadline=5s"\n'
# A host without a private address cannot join a cluster.
ALERTMANAGER = b'ARGS="--cluster.listen-address= --web.route-prefix=/alertmanager"\n'
ALERTS = "groups: [{name: always, rules: [{alert: Always, expr: vector(1)}]}]\n"
assert isinstance(LOGIN.way, OAuth2)
WRITE = replace(
    LOGIN,
    place="remote_write",
    name="away",
    way=replace(LOGIN.way, client_secret_file="/etc/prometheus/write.secret"),
)
ALERT = replace(
    LOGIN,
    place="alertmanagers",
    name="1",
    way=replace(LOGIN.way, client_secret_file="/etc/prometheus/alert.secret"),
)
RECEIVER = "127.0.0.1:9190"
"""Where the other Prometheus listens, which takes samples."""


@contextmanager
def receiver(folder: Path) -> Iterator[None]:
    """Runs a remote_write receiver in this thread's network."""
    config = folder / "receiver.yml"
    config.write_text("global: {}\n")
    words = [
        "--web.enable-remote-write-receiver",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/tsdb",
    ]
    words += [f"--web.listen-address={RECEIVER}", "--web.route-prefix=/prometheus"]
    with (folder / "receiver.log").open("wb") as log:
        child = subprocess.Popen(
            [bases.base("bookworm") / "usr/bin/prometheus", *words],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        child.terminate()
        child.wait(20)


def forward(place: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """Returns a receiver's answer; b'' where it rejects the request."""
    request = urllib.request.Request(f"http://{place}{path}", body, headers)
    with suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
        found: bytes = answer.read()
        return found
    return b""


def becomes_true(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Returns whether the condition holds before the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def basic(client: str) -> str:
    secret: str = next(each["client_secret"] for each in PROGRAMS if each["client_id"] == client)
    return "Basic " + b64encode(f"{client}:{secret}".encode()).decode()


@dataclass(slots=True)
class TokenProxy:
    """Answers requests with a token that the provider confirms."""

    trust: ssl.SSLContext
    accepted: int = 0
    rejected: int = 0
    closed: bool = False
    rejected_posts: list[str] = field(default_factory=list)
    """Which receiver each rejected POST was for."""
    seen: list[str] = field(default_factory=list)

    def post(self, path: str, client: str, **form: str) -> dict[str, object]:
        """Returns the provider's answer to a form."""
        request = urllib.request.Request(
            f"https://{ENDPOINT}:{openid_provider.PORT}{path}",
            urllib.parse.urlencode(form).encode(),
            {"Authorization": basic(client), "Host": f"{openid_provider.NAME}:{openid_provider.PORT}"},
        )
        with urllib.request.urlopen(request, timeout=10, context=self.trust) as answer:
            found: dict[str, object] = json.load(answer)
        return found

    def is_valid_token(self, header: str) -> bool:
        """Returns whether a token is one of the provider's."""
        kind, _, token = header.partition(" ")
        if kind != "Bearer" or self.closed:
            return False
        return self.post("/token/introspection", "door", token=token).get("active") is True


@contextmanager
def token_proxy(folder: Path, namespace: Network, alertmanager: str) -> Iterator[TokenProxy]:
    """Runs the proxy in the test's network, with a certificate of the provider's CA."""
    trust = ssl.create_default_context(cafile=str(folder / "company-ca.crt"))
    trust.check_hostname = False
    found = TokenProxy(trust)
    places = {"prometheus": RECEIVER, "alertmanager": alertmanager}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            admitted = found.is_valid_token(self.headers.get("Authorization", ""))
            if not admitted:
                found.rejected_posts.append(self.path.split("/")[1])
            else:
                kept = ("Content-Type", "Content-Encoding", "X-Prometheus-Remote-Write-Version")
                forward(
                    places[self.path.split("/")[1]],
                    self.path,
                    body,
                    **{name: self.headers[name] for name in kept if name in self.headers},
                )
            self.send_response(200 if admitted else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            header = self.headers.get("Authorization", "")
            # Threads of a server are in the network where they were started.
            admitted = found.is_valid_token(header)
            found.accepted += admitted
            found.rejected += not admitted
            body = b"behind_the_door 1\n" if admitted else b"<html>Log in</html>"
            self.send_response(200 if admitted else 401)
            self.send_header("Content-Type", "text/plain; version=0.0.4" if admitted else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((ENDPOINT, PORT), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "api.crt", folder / "api.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)

    def serve() -> None:
        with namespace.entered():
            server.serve_forever(poll_interval=0.1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def results_by_setting(attempts: Sequence[Attempt]) -> dict[str, str]:
    """Returns the results for the sending settings, by setting."""
    return {each.probe.client.split()[-1]: each.outcome for each in attempts if each.probe.kind == "login"}


def failed(outcome: Outcome) -> list[str]:
    return [each.reason for each in outcome.attempts if each.failed]


@pytest.mark.parametrize("suite", ["bookworm", "sid"])
def test_prometheus_logs_in_by_oauth2(
    suite: str, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fault stays for more than an interval of a second.
    monkeypatch.setattr(client_logins, "UP_TIMEOUT", 10.0)
    monkeypatch.setattr(prometheus_recovery, "_AGAIN", 10.0)
    monkeypatch.setattr(stack_verification, "_RESENT", 1.0)
    monkeypatch.setattr(stack_verification, "SLACK", 9.0)
    home = openid_provider.installed()
    with Machine(suite, "mon1", network, programs=("prometheus", "alertmanager")) as mon1, network.entered():
        stack = Stack(
            hosts=(mon1.spec(),),
            components=(ComponentSpec(host="mon1", name="prometheus"),),
            client_logins=(
                LOGIN,
                replace(WRITE, name=f"https://{API}:{PORT}/prometheus/api/v1/write"),
                ALERT,
            ),
        )
        provided = openid_provider.provider(
            home, tmp_path, ENDPOINT, redirects=["https://x.example.net/"], goodbyes=[], programs=PROGRAMS
        )
        with provided as found:
            _issue(tmp_path)
            mon1.push("/etc/prometheus/company-ca.crt", found.ca_file.read_bytes())
            mon1.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
            mon1.push("/etc/prometheus/alerts.yml", ALERTS.encode())
            mon1.push("/etc/default/prometheus-alertmanager", ALERTMANAGER)
            mon1.push("/etc/default/prometheus", ARGS)
            for login in stack.client_logins:
                mon1.push(login.secret_file, PROGRAMS[0]["client_secret"].encode() + b"\n")
            mon1.check(
                f"echo {ENDPOINT} {API} {openid_provider.NAME} >> /etc/hosts; systemctl restart prometheus;"
                "systemctl reset-failed; systemctl restart prometheus-alertmanager"
            )
            with (
                receiver(tmp_path),
                token_proxy(tmp_path, network, f"{mon1.address}:9093") as at,
                closing(Engine(Workspace(tmp_path / "own"))) as engine,
            ):
                _check_login(mon1, engine, stack, at)
                if suite == "bookworm":
                    _check_typed_token(mon1, engine, stack, at, monkeypatch)
                    _check_wrong_logins(mon1, engine, stack)
                    _by_ansible(mon1, network, engine, stack, tmp_path)
                else:
                    _check_wrong_sending_logins(mon1, engine, stack)


def _issue(folder: Path) -> None:
    """Issues the proxy's certificate, by a CA of its own in the same bundle as the provider's."""
    key, own = issue.new_key("ec-p256"), issue.new_key("ec-p256")
    ca = issue.new_ca(name="Doors", key_pem=own, days=30)
    leaf = issue.issue(ca_cert=ca, ca_key=own, key_pem=key, names=(API,), days=30, common_name=API)
    (folder / "api.crt").write_bytes(leaf)
    (folder / "api.key").write_bytes(key)
    bundle = folder / "company-ca.crt"
    bundle.write_bytes(bundle.read_bytes() + ca)


def _check_login(mon1: Machine, engine: Engine, stack: Stack, at: TokenProxy) -> None:
    outcome = engine.apply(engine.plan(stack))
    assert outcome.state == "proven", (outcome.error, failed(outcome))
    assert [each.probe.job for each in outcome.attempts if each.probe.kind == "up"] == ["api"]
    assert at.accepted
    secrets = [login.secret_file for login in stack.client_logins]
    assert set(mon1.check(["stat", "-c", "%a %U:%G", *secrets]).splitlines()) == {"640 root:prometheus"}
    value = mon1.check(["curl", "-s", "http://127.0.0.1:9090/api/v1/query?query=behind_the_door"])
    assert '"1"' in value
    query = "/prometheus/api/v1/query?query=behind_the_door"
    assert becomes_true(lambda: b'"1"' in forward(RECEIVER, query)), "no sample arrived"
    alertmanager = f"{mon1.address}:9093"
    assert becomes_true(lambda: b"Always" in forward(alertmanager, "/alertmanager/api/v2/alerts")), (
        "no alert arrived"
    )
    # A stack file that is written from a scan has the logins, under the names in the configuration.
    found = present_stack(engine.scan(replace(stack, client_logins=())), engine.workspace.runs)
    assert set(found.client_logins) == {LOGIN, WRITE, ALERT}
    plan = engine.plan(stack)
    assert plan.steps == ()
    # Verified again, and again when the proxy rejects the token.
    assert results_by_setting(engine.run_probes(plan)) == {
        "remote_write": "accepted",
        "alertmanagers": "accepted",
    }
    at.closed = True
    at.rejected_posts.clear()
    # What was accepted before and is counted afterwards would be taken for a success.
    assert becomes_true(lambda: {"prometheus", "alertmanager"} <= set(at.rejected_posts)), at.rejected_posts
    assert results_by_setting(engine.run_probes(plan)) == {"remote_write": "error", "alertmanagers": "error"}
    at.closed = False
    assert engine.undo().state == "undone"
    assert mon1.read("/etc/prometheus/prometheus.yml").decode() == CONFIG
    assert mon1.check(["stat", "-c", "%a", SECRET]).strip() == "644"


def _check_typed_token(
    mon1: Machine, engine: Engine, stack: Stack, at: TokenProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the plain mode: a bearer token for the job, typed."""
    token = at.post("/token", "prometheus", grant_type="client_credentials", scope="metrics")["access_token"]
    # Logins, the job, a bearer token, the token, its file, no more questions, the plan, yes, and the run is kept.
    lines = ("2", "1", "3", token, "/etc/prometheus/token", "", "", "yes", "")
    typed = "".join(f"{line}\n" for line in lines).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
    conversation = PlainWizard(engine, replace(stack, client_logins=()))
    assert conversation.carry_out() == 0
    outcome = conversation.outcome
    assert outcome is not None
    assert outcome.state == "proven", (outcome.error, failed(outcome))
    wanted = replace(
        stack,
        client_logins=(replace(LOGIN, way=Authorization(credentials_file="/etc/prometheus/token")),),
    )
    assert mon1.check(["stat", "-c", "%a %U:%G", "/etc/prometheus/token"]).strip() == "640 root:prometheus"
    kept = [path for path in engine.workspace.runs.rglob("*") if path.is_file()]
    assert kept
    assert not any(str(token).encode() in path.read_bytes() for path in kept)
    assert engine.plan(wanted).steps == ()
    assert engine.undo().state == "undone"
    assert mon1.check("ls /etc/prometheus").split().count("token") == 0


def _check_wrong_logins(mon1: Machine, engine: Engine, stack: Stack) -> None:
    """Checks that a wrong secret and an unknown CA give an error, and that everything is restored."""
    stack = replace(stack, client_logins=(LOGIN,))
    assert isinstance(LOGIN.way, OAuth2)
    mon1.push(SECRET, b"wrong\n")
    outcome = engine.apply(engine.plan(stack))
    assert outcome.state == "rolled-back"
    (reason,) = failed(outcome)
    diagnosis = catalogue.diagnose(reason)
    assert diagnosis is not None, reason
    assert diagnosis.id == "oauth-client-refused", reason
    mon1.push(SECRET, PROGRAMS[0]["client_secret"].encode())
    way = replace(LOGIN.way, ca_file="")
    outcome = engine.apply(engine.plan(replace(stack, client_logins=(replace(LOGIN, way=way),))))
    assert outcome.state == "rolled-back"
    (reason,) = failed(outcome)
    diagnosis = catalogue.diagnose(reason)
    assert diagnosis is not None, reason
    assert diagnosis.id == "oauth-idp-unknown-authority", reason
    assert mon1.read("/etc/prometheus/prometheus.yml").decode() == CONFIG


def _check_wrong_sending_logins(mon1: Machine, engine: Engine, stack: Stack) -> None:
    """Checks that a wrong secret of remote_write and of alertmanagers is explained, from Prometheus' log."""
    for login, what in (
        (WRITE, f"remote_write to {API}:{PORT}/prometheus/api/v1/write delivers nothing with its login"),
        (ALERT, f"Alertmanager {API}:{PORT} rejects alerts with its login"),
    ):
        mon1.push(login.secret_file, b"wrong\n")
        outcome = engine.apply(engine.plan(replace(stack, client_logins=(login,))))
        assert outcome.state == "rolled-back"
        assert outcome.error is not None
        assert what in outcome.error.what
        assert "does not accept client_id or client_secret" in outcome.error.what
        assert mon1.read("/etc/prometheus/prometheus.yml").decode() == CONFIG
        mon1.push(login.secret_file, PROGRAMS[0]["client_secret"].encode())


def _by_ansible(mon1: Machine, network: Network, engine: Engine, stack: Stack, folder: Path) -> None:
    """Sets up the same logins by a playbook: its first run sets them, and Firescreen finds nothing to change."""
    made = ansible_runs.export(engine, stack, folder / "playbook", PASSWORD)
    clear = b"".join(path.read_bytes() for path in made.rglob("*") if path.is_file())
    assert PROGRAMS[0]["client_secret"].encode() not in clear
    ran = ansible_runs.run(made, PASSWORD, enter=network.enter)
    assert ran.code == 0 and ran.changed > 0, ran.output
    assert engine.plan(stack).steps == ()
    assert [each for each in engine.verify(stack) if not each.ok] == []
    made = ansible_runs.export(engine, stack, folder / "playbook", PASSWORD)
    again = ansible_runs.run(made, PASSWORD, enter=network.enter)
    assert (again.code, again.changed) == (0, 0), again.output
