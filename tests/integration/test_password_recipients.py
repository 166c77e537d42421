"""A password is sent only to its own, verified server: listeners in place of a secured stack record all requests.

The commands that read a stack connect to listeners with a foreign certificate, without TLS, and with the
component's own certificate and a redirect to another server. The test reads what the listeners received.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.integration import audit_faults
from tests.integration.audit_faults import AuditedStack
from wizard.certificates import issue
from wizard.cli import firescreen

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(300)]

COMMANDS = (  # scan is part of the audit, and drift of the metrics
    ("audit", "practice", "--json"),
    ("verify", "practice", "--json"),
    ("drift", "practice", "--json"),
    ("renew", "practice", "--due", "--yes", "--json"),
)
RUNNER = CliRunner()


class Listener(ThreadingHTTPServer):
    """Answers each request with 401, or a redirect, and records it, decrypted where it has a certificate."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str, pair: tuple[Path, Path] | None, location: str = "") -> None:
        host, _, port = address.rpartition(":")
        self.got: list[bytes] = []
        self.location = location
        super().__init__((host, int(port)), Recorder)
        self.context: ssl.SSLContext | None = None
        if pair is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*pair)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Reads in the thread of the request, so that a client that stops does not block others."""
        request.settimeout(5)
        if self.context is not None:
            with suppress(OSError), self.context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)
            return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores a client that hangs up."""

    @property
    def all(self) -> bytes:
        return b"\n".join(self.got)


class Recorder(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.got.append(
            self.requestline.encode()
            + b"\n"
            + bytes(self.headers)
            + (self.rfile.read(length) if length else b"")
        )
        where = self.server.location
        self.send_response(302 if where else 401)
        self.send_header(*(("Location", where) if where else ("WWW-Authenticate", "Basic")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_HEAD = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that it has

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it has
        """Logs nothing."""


@pytest.fixture(scope="module")
def stopped(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditedStack]:
    """Returns a secured stack, known to be verified, whose programs have ended."""
    with audit_faults.start_stack(tmp_path_factory.mktemp("stay"), cache, "") as it:
        it.secure()
        drift = RUNNER.invoke(firescreen, ["--workspace", str(it.root), "drift", "practice", "--json"])
        assert drift.exit_code == 0, drift.stderr
        for of in it.practice.hosts:
            state = json.loads((Path(of.service_folder) / "state.json").read_text())
            for process in (state["supervisor"], state["pid"]):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            deadline = time.monotonic() + 10
            while Path(f"/proc/{state['pid']}").exists():
                assert time.monotonic() < deadline, of
                time.sleep(0.02)
        yield it


@contextmanager
def listening(listeners: list[Listener]) -> Iterator[None]:
    with ExitStack() as stack:
        for each in listeners:
            stack.enter_context(each)
            threading.Thread(target=each.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(each.shutdown)
        yield


@pytest.mark.parametrize("kind", ["a certificate of somebody else", "no TLS", "a redirect"])
def test_a_password_is_sent_only_to_its_own_verified_server(
    stopped: AuditedStack, tmp_path: Path, free_port: int, kind: str
) -> None:
    password = (stopped.root / "users/prometheus.password").read_text().strip()
    secrets = {password.encode(), base64.b64encode(f"prometheus:{password}".encode())}
    other = Listener(f"127.0.0.1:{free_port}", None)
    servers = []
    for of in stopped.practice.hosts:
        pair: tuple[Path, Path] | None = stopped.pair(of.name) if kind == "a redirect" else None
        if kind == "a certificate of somebody else":
            pair = tmp_path / f"{of.name}.crt", tmp_path / f"{of.name}.key"
            pair[1].write_bytes(issue.new_key("ec-p256"))
            names = issue.summary(stopped.pair(of.name)[0].read_bytes()).names
            pair[0].write_bytes(
                issue.self_signed(key_pem=pair[1].read_bytes(), names=names, days=9, common_name=of.name)
            )
        where = f"http://127.0.0.1:{free_port}/metrics" if kind == "a redirect" else ""
        servers.append(Listener(of.listen, pair, where))
    with listening([*servers, other]):
        for words in COMMANDS:
            ended = RUNNER.invoke(firescreen, ["--workspace", str(stopped.root), *words])
            assert ended.exit_code in (0, 1, 3), (words, ended.exit_code, ended.stderr)
            assert not any(secret.decode() in ended.output for secret in secrets)
    assert all(server.got for server in servers), "each was asked"
    sent = b"\n".join(server.all for server in servers)
    own = secrets & {secret for secret in secrets if secret in sent}
    if kind == "a redirect":
        assert own, "its own server, verified, is asked with the password: this test would see one"
    else:
        assert not own and b"authorization:" not in sent.lower(), sent
    assert not any(secret in other.all for secret in secrets)
    assert b"authorization:" not in other.all.lower(), other.all
