"""Probes against the real programs: their result equals Prometheus' own, and no server can block or harm them."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.loopback_programs import exporter, free_port, prometheus_server
from tests.processes import run_program
from wizard import binaries, passwords, probes
from wizard.certificates import issue
from wizard.engine import verification
from wizard.engine.verification import run_probes
from wizard.model import Attempt, Event, Probe
from wizard.redact import Secret

PASSWORD = Secret('pa"ss wörd\\1')


@dataclass(frozen=True)
class Pki:
    """A CA in a folder, and openssl for unusual certificates."""

    folder: Path
    ca_pem: bytes
    ca_key: bytes

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def write(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return self.file(name)

    def leaf(self, name: str, *names: str, **more: Any) -> tuple[str, str]:
        """Returns certificate and key of a valid leaf."""
        key = issue.new_key("ec-p256")
        options: dict[str, Any] = {"days": 30, "common_name": name} | more
        certificate = issue.issue(
            ca_cert=self.ca_pem, ca_key=self.ca_key, key_pem=key, names=names, **options
        )
        return self.write(f"{name}.crt", certificate), self.write(f"{name}.key", key)

    def openssl(self, name: str, subject: str, extensions: str, *, issuer: str = "ca") -> tuple[str, str]:
        """Makes a certificate with `openssl req` and `openssl x509 -req`."""
        key, csr, crt = (self.file(f"{name}.{ending}") for ending in ("key", "csr", "crt"))
        (self.folder / f"{name}.ext").write_text(extensions)
        _openssl(
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", csr, "-subj", subject
        )
        _openssl(
            *("x509", "-req", "-in", csr, "-CA", self.file(f"{issuer}.crt")),
            *("-CAkey", self.file(f"{issuer}.key"), "-CAcreateserial", "-days", "30", "-out", crt),
            *("-extfile", self.file(f"{name}.ext")),
        )
        return crt, key


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    key = issue.new_key("ec-p256")
    ca = issue.new_ca(name="Lab CA", key_pem=key, days=100)
    other_key = issue.new_key("ec-p256")
    made = Pki(folder, ca, key)
    made.write("ca.crt", ca)
    made.write("ca.key", key)
    made.write("other.crt", issue.new_ca(name="Other CA", key_pem=other_key, days=100))
    made.write("namesake.crt", issue.new_ca(name="Lab CA", key_pem=other_key, days=100))
    return made


@pytest.fixture(scope="module")
def secured(lab: Pki, node_exporter: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Returns the port of a node_exporter with TLS and a password."""
    crt, key = lab.leaf("secured", "localhost", "127.0.0.1")
    port = free_port()
    web = (
        f"tls_server_config: {{cert_file: {crt}, key_file: {key}}}\n"
        f"basic_auth_users: {{prometheus: {passwords.hash_password(PASSWORD, 4)}}}\n"
    )
    with exporter(node_exporter, tmp_path_factory.mktemp("secured"), port, web):
        yield port


def probe(url: str, expect: str = "200", **more: Any) -> Probe:
    fields: dict[str, Any] = {
        "id": "p",
        "host": "srv1",
        "component": "node_exporter",
        "name": "n",
        "client": "c",
    }
    return Probe(**fields, url=url, expect=expect, **more)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


# ---------------------------------------------------------------------------------------------------------
# The same verdict as Prometheus
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    name: str
    crt: str
    key: str
    ca: str = "ca.crt"
    host: str = "localhost"
    server_name: str = ""


SERVER = "extendedKeyUsage=serverAuth\n"
SAN = "subjectAltName=DNS:localhost,IP:127.0.0.1\n"


def _cases(lab: Pki) -> list[Case]:
    now = dt.datetime.now(dt.UTC)
    good = lab.leaf("good", "localhost", "127.0.0.1")
    own_key = issue.new_key("ec-p256")
    own = (
        lab.write(
            "own.crt",
            issue.self_signed(key_pem=own_key, names=["localhost"], days=30, common_name="own"),
        ),
        lab.write("own.key", own_key),
    )
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"),
        *("-keyout", lab.file("plainown.key"), "-out", lab.file("plainown.crt")),
        *("-addext", "subjectAltName=DNS:localhost"),
    )
    # The wizard's own CA must not sign another CA, so the intermediate needs a root made with openssl.
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=Deep Root"),
        *("-keyout", lab.file("deep.key"), "-out", lab.file("deep.crt")),
    )
    lab.openssl("middle", "/CN=Middle", "basicConstraints=critical,CA:TRUE\n", issuer="deep")
    below = lab.openssl("below", "/CN=below", SAN + SERVER, issuer="middle")
    chained = lab.write("chained.crt", Path(below[0]).read_bytes() + (lab.folder / "middle.crt").read_bytes())
    tight = lab.openssl("tight", "/CN=Tight", "basicConstraints=critical,CA:TRUE\n")
    under = lab.openssl("under", "/CN=under", SAN + SERVER, issuer="tight")
    too_deep = lab.write("toodeep.crt", Path(under[0]).read_bytes() + Path(tight[0]).read_bytes())
    no_ca = lab.openssl("noca", "/CN=No CA", "basicConstraints=critical,CA:FALSE\n", issuer="deep")
    by_no_ca = lab.openssl("bynoca", "/CN=x", SAN + SERVER, issuer="noca")
    unsigned = lab.write("unsigned.crt", Path(by_no_ca[0]).read_bytes() + Path(no_ca[0]).read_bytes())
    return [
        Case("good", *good),
        Case("by address", *good, host="127.0.0.1"),
        Case("by another name", *good, server_name="elsewhere.lab"),
        Case("wrong CA", *good, ca="other.crt"),
        Case("wrong CA of the same name", *good, ca="namesake.crt"),
        Case("no CA", *good, ca=""),
        Case("a leaf for a CA", *good, ca="good.crt"),
        Case("expired", *lab.leaf("expired", "localhost", days=1, now=now - dt.timedelta(days=9))),
        Case("not yet", *lab.leaf("notyet", "localhost", days=20, now=now + dt.timedelta(days=9))),
        Case("CN only", *lab.openssl("cnonly", "/CN=localhost", SERVER)),
        Case("CN of another", *lab.openssl("cnother", "/CN=elsewhere", SERVER)),
        Case("wrong SAN", *lab.leaf("wrongsan", "node1.lab", "node2.lab")),
        Case("no IP SAN", *lab.leaf("noip", "localhost"), host="127.0.0.1"),
        Case("wrong IP SAN", *lab.leaf("wrongip", "10.9.9.9"), host="127.0.0.1"),
        Case("client only", *lab.openssl("clientonly", "/CN=c", SAN + "extendedKeyUsage=clientAuth\n")),
        Case("no usage", *lab.openssl("nousage", "/CN=c", SAN)),
        Case("wildcard", *lab.leaf("wildcard", "*.lab"), server_name="a.lab"),
        Case("wildcard too deep", *lab.leaf("wildcard2", "*.lab"), server_name="a.b.lab"),
        Case("self-signed and pinned", *own, ca="own.crt"),
        Case("self-signed", *own),
        Case(
            "openssl's self-signed and pinned",
            lab.file("plainown.crt"),
            lab.file("plainown.key"),
            "plainown.crt",
        ),
        Case("chain with intermediate", chained, below[1], ca="deep.crt"),
        Case("intermediate missing", *below, ca="deep.crt"),
        Case("intermediate as the anchor", *below, ca="middle.crt"),
        Case("path too long", too_deep, under[1]),
        Case("signed by what may not sign", unsigned, by_no_ca[1], ca="deep.crt"),
        Case("signed by a pinned leaf", *by_no_ca, ca="noca.crt"),
    ]


@pytest.mark.matrix
def test_results_equal_those_of_prometheus(
    lab: Pki, prometheus: str, node_exporter: str, tmp_path: Path
) -> None:
    cases = _cases(lab)
    with ExitStack() as stack:
        ports = {}
        for case in cases:
            pair = (case.crt, case.key)
            if pair not in ports:
                ports[pair] = free_port()
                web = f"tls_server_config: {{cert_file: {case.crt}, key_file: {case.key}}}\n"
                stack.enter_context(exporter(node_exporter, tmp_path, ports[pair], web))
        jobs = [_job(lab, case, ports[case.crt, case.key]) for case in cases]
        config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" + "".join(jobs)
        port = free_port()
        stack.enter_context(prometheus_server(prometheus, tmp_path, port, config))
        last_errors = _last_errors(port, len(cases))
        seen = {case.name: probes.run(_case_probe(lab, case, ports[case.crt, case.key])) for case in cases}
    wanted = {name: _x509(error) for name, error in last_errors.items()}
    assert {name: _x509(attempt.reason) for name, attempt in seen.items()} == wanted
    assert {name for name, attempt in seen.items() if attempt.ok} == {
        n for n, e in last_errors.items() if not e
    }
    refused = [attempt for attempt in seen.values() if attempt.reason]
    assert len(refused) >= 15
    assert {attempt.outcome for attempt in refused} == {"untrusted"}
    assert all(attempt.tls and attempt.tls.chain for attempt in seen.values()), "a refused chain is shown too"


def _job(lab: Pki, case: Case, port: int) -> str:
    tls = {"ca_file": lab.file(case.ca)} if case.ca else {}
    if case.server_name:
        tls["server_name"] = case.server_name
    job = {
        "job_name": case.name,
        "scheme": "https",
        "tls_config": tls,
        "static_configs": [{"targets": [f"{case.host}:{port}"]}],
    }
    return f"- {json.dumps(job)}\n"


def _case_probe(lab: Pki, case: Case, port: int) -> Probe:
    return probe(
        f"https://{case.host}:{port}/metrics",
        ca_file=lab.file(case.ca) if case.ca else "",
        server_name=case.server_name,
    )


def _last_errors(port: int, count: int) -> dict[str, str]:
    """Returns lastError of every job, once each has been scraped."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/api/v1/targets?state=active", timeout=5
        ) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
        if len(targets) == count and all(target["health"] != "unknown" for target in targets):
            return {target["scrapePool"]: target["lastError"] for target in targets}
    raise AssertionError("Prometheus did not get round to every target")


def _x509(text: str) -> str:
    """Returns the text from `x509: ` on, without the seconds of the two clocks."""
    return re.sub(
        r"current time \S+", "current time T", text[text.find("x509:") :] if "x509:" in text else text
    )


# ---------------------------------------------------------------------------------------------------------
# Passwords and client certificates
# ---------------------------------------------------------------------------------------------------------


def test_password_right_wrong_missing(lab: Pki, secured: int) -> None:
    url, ca = f"https://localhost:{secured}/metrics", lab.file("ca.crt")
    right = probes.run(probe(url, ca_file=ca, user="prometheus", password=PASSWORD))
    wrong = probes.run(probe(url, "401", ca_file=ca, user="prometheus", password=Secret("guess")))
    none = probes.run(probe(url, "401", ca_file=ca))
    http = probes.run(probe(url.replace("https", "http"), "400"))
    assert [a.ok for a in (right, wrong, none, http)] == [True] * 4
    assert "go_goroutines" in right.body
    assert wrong.reason == "server returned HTTP status 401 Unauthorized"
    assert http.reason == "server returned HTTP status 400 Bad Request"
    assert right.tls is not None and right.tls.version == "TLS 1.3" and right.tls.chain[0].names


def test_concurrent_probes_keep_their_order(lab: Pki, secured: int) -> None:
    other = issue.new_ca(name="Another CA", key_pem=issue.new_key("ec-p256"), days=9)
    ca, stranger = lab.file("ca.crt"), lab.write("another-ca.crt", other)
    url = f"https://localhost:{secured}/metrics"
    asked = [
        probe(url, "401", ca_file=ca),
        probe(url, "untrusted", ca_file=stranger),
        probe(url, "200", ca_file=ca, user="prometheus", password=PASSWORD),
        probe(url, "untrusted", ca_file=ca, server_name="elsewhere.test"),
        probe(url, "401", ca_file=stranger, insecure=True),
        probe(url, "error", ca_file="/nowhere.crt"),
    ] * 4
    wanted = [replace(one, id=f"{one.id}-{number}") for number, one in enumerate(asked)]
    events: list[Event] = []
    attempts = run_probes(wanted, run="", emit=events.append, cancel=threading.Event())
    assert [one.outcome for one in attempts] == [one.expect for one in wanted]
    assert [one.probe for one in attempts] == wanted
    assert sorted(event.done for event in events) == list(range(1, len(wanted) + 1))
    assert {id(event.attempt) for event in events} == set(map(id, attempts))
    assert all(
        one.tls and one.tls.chain and len(one.tls.steps) > 5 for one in attempts if one.outcome != "error"
    )
    stopped = threading.Event()
    stopped.set()
    cut = run_probes(wanted[:3], run="", emit=events.append, cancel=stopped)
    assert {one.reason for one in cut} == {"context canceled"}
    assert run_probes((), run="", emit=events.append, cancel=stopped) == ()


@pytest.mark.matrix
def test_the_first_slow_answer_after_a_change_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has only just started may be slow once; one that hangs is waited for once, not for each probe."""
    monkeypatch.setattr(verification, "_SECOND_THOUGHT", 3.0)
    slow = [0]
    """How many of the next requests are not answered in time."""
    served: list[str] = []
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.append(self.path)
            slow[0] -= 1
            if slow[0] >= 0:
                ended.wait(30)
            with suppress(OSError):
                self.send_response(200)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def results(count: int, *, since: float) -> list[str]:
            slow[0] = count
            served.clear()
            one = replace(probe(f"http://127.0.0.1:{server.server_port}/", "200"), timeout=2.0)
            two = [replace(one, id=name) for name in ("first", "second")]
            found = run_probes(
                two, run="", emit=lambda event: None, cancel=threading.Event(), since=since, most=1
            )
            return [each.outcome for each in found]

        try:
            assert results(1, since=time.time()) == ["200", "200"]
            assert results(1, since=0) == ["error", "200"], "nothing was changed"
            assert results(99, since=time.time()) == ["error", "error"]
            assert 3 <= len(served) <= 4, "the first probe, again within three seconds, and the second once"
        finally:
            ended.set()
            server.shutdown()
            thread.join()


def test_password_is_not_sent_to_a_server_that_is_not_trusted(lab: Pki) -> None:
    crt, key = lab.leaf("thief", "elsewhere.lab")
    with _tls_server(crt, key) as (port, requests):
        attempt = probes.run(
            probe(
                f"https://localhost:{port}/",
                "untrusted",
                ca_file=lab.file("ca.crt"),
                user="u",
                password=PASSWORD,
            )
        )
    assert attempt.ok
    assert requests == []


def test_an_unprotected_exporter_is_recognised(node_exporter: str, lab: Pki, tmp_path: Path) -> None:
    port = free_port()
    with exporter(node_exporter, tmp_path, port, ""):
        assert probes.run(probe(f"http://localhost:{port}/metrics")).ok
        must_be_refused = probes.run(probe(f"http://localhost:{port}/metrics", "401"))
        encrypted = probes.run(probe(f"https://localhost:{port}/metrics", ca_file=lab.file("ca.crt")))
    assert not must_be_refused.ok
    assert (encrypted.outcome, encrypted.reason) == (
        "plain",
        "http: server gave HTTP response to HTTPS client",
    )


def test_a_server_answers_and_a_port_that_is_only_open_does_not(
    node_exporter: str, secured: int, tmp_path: Path
) -> None:
    port = free_port()
    with exporter(node_exporter, tmp_path, port, ""):
        assert probes.answers(f"127.0.0.1:{port}", 5)
    assert probes.answers(f"127.0.0.1:{secured}", 5), "in plain words where it speaks TLS"
    assert not probes.answers(f"127.0.0.1:{port}", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert not probes.answers(f"127.0.0.1:{mute.getsockname()[1]}", 0.2)
    web = tmp_path / "bad.yml"
    web.write_text("tls_server_config: {cert_file: /nowhere, key_file: /nowhere}\n")
    argv = [node_exporter, f"--web.listen-address=127.0.0.1:{port}", f"--web.config.file={web}"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as refused:
        deadline = time.monotonic() + 20
        while refused.poll() is None and time.monotonic() < deadline:
            assert not probes.answers(f"127.0.0.1:{port}", 1)
    assert refused.returncode == 1


def test_client_certificates(lab: Pki, node_exporter: str, tmp_path: Path) -> None:
    crt, key = lab.leaf("mutual", "localhost")
    ours = lab.leaf("client", server=False, client=True)
    server_only = lab.leaf("serveronly", "localhost")
    stranger_key = issue.new_key("ed25519")
    stranger = issue.self_signed(
        key_pem=stranger_key, names=[], days=3, common_name="s", server=False, client=True
    )
    pair = (lab.write("stranger.crt", stranger), lab.write("stranger.key", stranger_key))
    port = free_port()
    web = (
        f"tls_server_config: {{cert_file: {crt}, key_file: {key}, client_ca_file: {lab.file('ca.crt')},"
        " client_auth_type: RequireAndVerifyClientCert}\n"
    )

    def ask(expect: str, certificate: str, private: str) -> Attempt:
        return probes.run(
            probe(
                f"https://localhost:{port}/metrics",
                expect,
                ca_file=lab.file("ca.crt"),
                cert_file=certificate,
                key_file=private,
            )
        )

    with exporter(node_exporter, tmp_path, port, web):
        right = ask("200", *ours)
        refused = [ask("refused", *shown) for shown in (("", ""), server_only, pair) for _ in range(5)]
        mixed = ask("200", ours[0], server_only[1])
        missing = ask("200", ours[0], lab.file("none.key"))
    assert right.ok
    # Programs built with Go 1.21 and newer send more than "bad certificate"; each always sends the same.
    reasons = [attempt.reason.removeprefix("remote error: tls: ") for attempt in refused]
    assert {*reasons[:5]} < {"bad certificate", "certificate required"}
    assert {*reasons[5:10]} == {"bad certificate"}
    assert {*reasons[10:]} < {"bad certificate", "unknown certificate authority"}
    assert all(attempt.ok for attempt in refused)
    assert mixed.reason.endswith("tls: private key does not match public key")
    assert missing.reason.endswith("no such file or directory")
    assert right.tls is not None and any("asks for a client certificate" in step for step in right.tls.steps)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (ssl.TLSVersion.TLSv1_3, "remote error: tls: certificate required"),
        (ssl.TLSVersion.TLSv1_2, "remote error: tls: handshake failure"),
    ],
)
def test_client_certificate_missing_on_newer_servers(lab: Pki, version: ssl.TLSVersion, reason: str) -> None:
    crt, key = lab.leaf(f"newer{version}", "localhost")
    with _tls_server(crt, key, client_ca=lab.file("ca.crt"), version=version) as (port, _):
        attempt = probes.run(probe(f"https://localhost:{port}/", "refused", ca_file=lab.file("ca.crt")))
        stranger = probes.run(probe(f"https://localhost:{port}/", "refused", ca_file=lab.file("other.crt")))
    assert (attempt.ok, attempt.reason) == (True, reason)
    # Go verifies the server's certificate before it sends its own.
    assert stranger.outcome == "untrusted"
    assert stranger.tls is not None and stranger.tls.chain


def test_unusable_files(lab: Pki, tmp_path: Path) -> None:
    (tmp_path / "junk.crt").write_text("junk")
    missing = probes.run(probe("https://localhost:1/", ca_file=str(tmp_path / "none.crt")))
    junk = probes.run(probe("https://localhost:1/", ca_file=str(tmp_path / "junk.crt")))
    assert re.fullmatch(
        "unable to load specified CA cert .*: open .*: no such file or directory", missing.reason
    )
    assert junk.reason == f"unable to use specified CA cert {tmp_path}/junk.crt"
    locked = lab.write("sealed.key", issue.lock(issue.new_key("ec-p256"), Secret("x")))
    crt, _ = lab.leaf("locked", "localhost")
    asked = probes.run(probe("https://localhost:1/", cert_file=crt, key_file=locked))
    assert asked.reason.startswith("unable to use specified client cert"), (
        "and nobody is asked at the terminal"
    )


# ---------------------------------------------------------------------------------------------------------
# Where it goes
# ---------------------------------------------------------------------------------------------------------


def test_a_port_without_a_server() -> None:
    port = free_port()
    refused = probes.run(probe(f"http://127.0.0.1:{port}/metrics"))
    assert (refused.outcome, refused.reason) == (
        "error",
        f"dial tcp 127.0.0.1:{port}: connect: connection refused",
    )
    nowhere = probes.run(probe("http://no-such-host.invalid:9100/metrics"))
    assert nowhere.reason == "dial tcp: lookup no-such-host.invalid: no such host"
    for url in ("", "ftp://x/", "http://", "http://[::1", "http://a:99999/", "http://a\nb/"):
        assert probes.run(probe(url)).outcome == "error"
    named = probes.run(probe("http://u:canary@x/"))
    assert named.outcome == "error"
    assert "canary" not in named.detail + named.reason + named.curl


def test_ipv6_and_resolve(node_exporter: str, lab: Pki, tmp_path: Path) -> None:
    crt, key = lab.leaf("six", "::1", "node1.lab")
    port = free_port()
    web = f"tls_server_config: {{cert_file: {crt}, key_file: {key}}}\n"
    ca = lab.file("ca.crt")
    with exporter(node_exporter, tmp_path, port, web, host="[::1]"):
        literal = probe(f"https://[::1]:{port}/metrics", ca_file=ca)
        named = probe(f"https://node1.lab:{port}/metrics", ca_file=ca, resolve=f"node1.lab:{port}:[::1]")
        renamed = probe(f"https://[::1]:{port}/metrics", ca_file=ca, server_name="node1.lab")
        for asked in (literal, named, renamed):
            assert probes.run(asked).reason == ""
            assert _typed(probes.curl(asked)) == "200"


def test_redirects_are_followed_without_the_password() -> None:
    requests: list[bytes] = []

    def away(asked: bytes) -> bytes:
        requests.append(asked)
        if b"GET /start" in asked:
            return b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
        if b"GET /next" in asked:
            return b"HTTP/1.1 302 Found\r\nLocation: http://localhost:%d/end\r\n\r\n" % port
        if b"GET /round" in asked:
            return b"HTTP/1.1 302 Found\r\nLocation: /round\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    with _server(away) as port:
        attempt = probes.run(probe(f"http://127.0.0.1:{port}/start", user="u", password=Secret("p")))
        endless = probes.run(probe(f"http://127.0.0.1:{port}/round"))
    assert attempt.ok and attempt.body == "ok"
    assert [b"Authorization: Basic" in asked for asked in requests[:3]] == [True, True, False]
    assert endless.reason == "stopped after 10 redirects"


# ---------------------------------------------------------------------------------------------------------
# Hostile servers
# ---------------------------------------------------------------------------------------------------------

HOSTILE: dict[str, tuple[bytes, bytes]] = {
    "closes at once": (b"", b""),
    "garbage": (b"\x15\x03\x01\x00\x02\x02\x16\n", b""),
    "endless headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "one endless header": (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 4096),
    "endless status line": (b"HTTP/1.1 200 ", b"O" * 4096),
    "endless interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "silence": (b"HTTP/1.1 200 OK\r\n", b"drip"),
    "short body": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", b""),
    "bad chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b""),
    "odd numbers": (b"HTTP/1.1 999 \x1b[31m\r\nContent-Length: -5\r\n\r\n", b""),
    "bad redirect": (b"HTTP/1.1 302 x\r\nLocation: http://[\r\n\r\n", b""),
    "evil redirect": (b"HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n\r\n", b""),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_hostile_server_can_neither_block_nor_harm(name: str, scheme: str) -> None:
    first, forever = HOSTILE[name]
    began = time.monotonic()
    with _server(lambda _: first, forever) as port:
        attempt = probes.run(probe(f"{scheme}://127.0.0.1:{port}/metrics", timeout=0.5, insecure=True))
    assert not attempt.ok
    assert attempt.outcome in ("error", "999", "plain")
    # A timeout for each read would never expire; one for the complete probe does, however busy the machine.
    assert attempt.timings["total"] < 20
    assert time.monotonic() - began < 60
    assert "\x1b" not in repr(attempt.reason) + attempt.detail + attempt.body


def test_a_slow_body_ends_at_the_timeout() -> None:
    with _server(lambda _: b"HTTP/1.1 200 OK\r\n\r\n", b".") as port:
        dripping = probes.run(probe(f"http://127.0.0.1:{port}/", timeout=0.5))
    # An endless fast body ends at the size limit; an endless slow one would end at the timeout.
    assert dripping.outcome in ("200", "error")
    assert len(dripping.body) < 2100
    with (
        _server(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n") as port,
        _relay_without_close(port) as silent,
    ):
        late = probes.run(probe(f"http://127.0.0.1:{silent}/", timeout=0.3))
    assert late.reason == "context deadline exceeded"


def test_a_large_body_with_escape_codes_is_bounded_and_plain() -> None:
    body = b"\x1b]52;c;ZXZpbA==\x07[bold]" + b"x" * (10 << 20)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    with _server(lambda _: head + body) as port:
        attempt = probes.run(probe(f"http://127.0.0.1:{port}/"))
    assert attempt.ok
    assert len(attempt.body) < 2100
    assert attempt.body.startswith("␛]52;c;ZXZpbA==␇[bold]")


def test_cancel_ends_a_probe_early() -> None:
    cancel = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        timer = threading.Timer(0.2, cancel.set)
        timer.start()
        attempt = probes.run(probe(f"http://127.0.0.1:{port}/", timeout=60), cancel=cancel)
        timer.join()
    assert attempt.reason == "context canceled"


# ---------------------------------------------------------------------------------------------------------
# Prometheus' own report
# ---------------------------------------------------------------------------------------------------------


def test_up_is_read_from_prometheus(
    lab: Pki, prometheus: str, node_exporter: str, secured: int, tmp_path: Path
) -> None:
    bare, port = free_port(), free_port()
    jobs = [
        {"job_name": "open", "static_configs": [{"targets": [f"127.0.0.1:{bare}"]}]},
        {
            "job_name": "closed",
            "scheme": "https",
            "tls_config": {"ca_file": lab.file("ca.crt")},
            "static_configs": [{"targets": [f"localhost:{secured}"]}],
        },
    ]
    config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" + "".join(
        f"- {json.dumps(job)}\n" for job in jobs
    )
    url = f"http://127.0.0.1:{port}"
    with exporter(node_exporter, tmp_path, bare, ""), prometheus_server(prometheus, tmp_path, port, config):
        up = probe(url, "up", kind="up", instance=f"127.0.0.1:{bare}", job="open", not_before=time.time())
        attempt = probes.wait(up, until=time.monotonic() + 30)
        assert (attempt.ok, attempt.outcome) == (True, "up"), attempt
        assert "/metrics" in attempt.detail
        assert '"value":[' in run_program(shlex.split(probes.curl(up)), check=True, timeout=30).stdout
        later = probe(url, "up", kind="up", instance=f"127.0.0.1:{bare}", not_before=time.time() + 3600)
        assert probes.wait(later, until=time.monotonic() + 1).reason == "not scraped yet since the change"
        down = probe(url, "down", kind="up", instance=f"localhost:{secured}", job="closed")
        refused = probes.wait(down, until=time.monotonic() + 30)
        gone = probes.run(probe(url, "up", kind="up", instance="127.0.0.1:1", job="open"))
        not_prometheus = probes.run(
            probe(f"http://127.0.0.1:{bare}", "up", kind="up", instance="127.0.0.1:1")
        )
    assert refused.outcome == "down"
    while_starting = "not scraped yet"
    assert refused.reason in ("server returned HTTP status 401 Unauthorized", while_starting)
    assert (gone.outcome, gone.ok) == ("down", False)
    assert not not_prometheus.ok
    assert probes.run(up).outcome == "error", "once Prometheus is gone, nothing is up"


ODD: dict[str, bytes] = {
    "nothing": b"",
    "a word": b"hello\r\n",
    "another program": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x16\n",
    "quotes": b'say "\\" \xff \xc3\xbc\r\n',
    "two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "no version": b"HTTP/1 200 OK\r\n\r\n",
    "another protocol": b"ICY/1.1 200 OK\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nA: b\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nServer\r\n\r\n",
    "fold at first": b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
    "length in words": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na 1\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "no chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    "huge chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 17 + b"\r\n",
    "chunk too long": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na 1\n\r\n",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\na 1\n",
    "gone": b"HTTP/1.1 410 Gone\r\nContent-Length: 9\r\n\r\n",
    "a number of its own": b"HTTP/1.1 799 Own Words\r\nContent-Length: 0\r\n\r\n",
    "plain": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\na 1\n",
    "old": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\na 1\n",
    "only line feeds": b"HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 4\n\na 1\n",
    "folded": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain;\r\n charset=utf-8\r\nContent-Length: 4\r\n\r\na 1\n",
    "chunks": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b"2;a=b\r\na \r\n2\r\n1\n\r\n0\r\nX: y\r\n\r\n",
    "informal": b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 4\r\n\r\na 1\n",
}
"""Answers that are odd, or none."""


def test_unusual_answers_give_the_errors_of_prometheus(cache: Path, tmp_path: Path) -> None:
    newest = binaries.find("prometheus", cache=cache, suite="sid").path
    port = free_port()
    with ExitStack() as stack:
        ports = {name: stack.enter_context(_server(_always(answer))) for name, answer in ODD.items()}
        targets = json.dumps([f"127.0.0.1:{each}" for each in ports.values()])
        config = (
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
            f"- {{job_name: odd, static_configs: [{{targets: {targets}}}]}}\n"
        )
        stack.enter_context(prometheus_server(newest, tmp_path, port, config))
        seen: dict[str, str] = {}
        deadline = time.monotonic() + 60
        while len(seen) < len(ports) and time.monotonic() < deadline:
            time.sleep(0.3)
            _, found = probes.ask_prometheus(probe(f"http://127.0.0.1:{port}"), "targets")
            seen = {each.instance: each.error for each in found if each.health != "unknown"}
        last_errors = {}
        for name, number in ports.items():
            attempt = probes.run(probe(f"http://127.0.0.1:{number}/metrics"))
            last_errors[name] = attempt.reason if attempt.outcome == "200" else attempt.detail
    theirs = {name: seen[f"127.0.0.1:{number}"] for name, number in ports.items()}
    assert sum(not error for error in theirs.values()) == 6
    # An error in a body is reported without the request.
    assert {name: text.partition('": ')[2] or text for name, text in theirs.items()} == {
        name: text.partition('": ')[2] or text for name, text in last_errors.items()
    }


# ---------------------------------------------------------------------------------------------------------
# curl
# ---------------------------------------------------------------------------------------------------------


def test_the_printed_curl_command_runs_without_a_prompt(lab: Pki, secured: int, tmp_path: Path) -> None:
    config = tmp_path / "curl config"
    config.write_bytes(probes.curl_config("prometheus", PASSWORD.reveal()))
    asked = probe(
        f"https://localhost:{secured}/metrics",
        ca_file=lab.file("ca.crt"),
        user="prometheus",
        password=PASSWORD,
        curl_config=str(config),
    )
    printed = probes.curl(asked)
    assert _typed(printed) == "200"
    asking = probes.curl(replace(asked, curl_config=""))
    assert PASSWORD.reveal() not in printed + asking
    assert "-u prometheus" in asking
    config.write_bytes(probes.curl_config("prometheus", "guess"))
    assert _typed(printed) == "401"


def _typed(command: str) -> str:
    """Returns the words into which the shell splits the command."""
    done = run_program(["sh", "-c", command], timeout=30, stdin=subprocess.DEVNULL)
    return done.stdout.strip()


# ---------------------------------------------------------------------------------------------------------
# Servers of our own, for what the real programs never do
# ---------------------------------------------------------------------------------------------------------


def _always(answer: bytes) -> Callable[[bytes], bytes]:
    return lambda _: answer


@contextmanager
def _server(answer: Callable[[bytes], bytes], forever: bytes = b"") -> Iterator[int]:
    """Answers each connection with `answer(request)`, then sends `forever` again and again."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while not stop.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.settimeout(20)
            with client:
                try:
                    client.sendall(answer(client.recv(65536)))
                    while forever and not stop.is_set():
                        client.sendall(forever)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)


@contextmanager
def _relay_without_close(port: int) -> Iterator[int]:
    """Runs a relay to `port` that passes on the answer and keeps the connection open afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hold() -> None:
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", port), timeout=20) as behind:
                client.settimeout(20)
                behind.sendall(client.recv(65536))
                client.sendall(behind.recv(65536))
                client.recv(1)

        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(30)


@contextmanager
def _tls_server(
    crt: str, key: str, *, client_ca: str = "", version: ssl.TLSVersion | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """Runs a TLS server with OpenSSL; the yielded list has every request that it could read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    if version is not None:
        context.maximum_version = version
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.settimeout(20)
            try:
                with context.wrap_socket(client, server_side=True) as secure:
                    data = secure.recv(65536)
                    if data:
                        requests.append(data)
                        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)
