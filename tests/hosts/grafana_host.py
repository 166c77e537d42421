"""Installs the Grafana stand-in on a test host, and acts as its client: a session, and a WebSocket through a
front door.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machines import Machine

SCRIPT = "/opt/grafana/grafana.py"
INI = "/etc/grafana/grafana.ini"
PORT = 3002
"""Of its environment, which wins over its grafana.ini."""
SESSION = "Cookie: grafana_session=of-ada"
SOURCES = """\
apiVersion: 1
datasources:
  - name: Metrics   # ours
    type: prometheus
    url: http://localhost:9090
  - name: Alerts
    type: alertmanager
    url: http://localhost:9093
"""
SETTINGS = """\
# A person's own.
[paths]
;data = /var/lib/grafana

[server]
# Protocol (http, https, h2, socket)
;protocol = http
;http_addr =
http_port = 3000
;root_url = %(protocol)s://%(domain)s:%(http_port)s/
[security]
admin_user = ada   ; not admin
"""
UNIT = f"""\
[Service]
Type=notify
NotifyAccess=all
EnvironmentFile=-/etc/default/grafana-server
ExecStart=/usr/bin/python3 {SCRIPT} server --config={INI} cfg:default.paths.logs=/var/log/grafana
"""


def install(machine: Machine) -> None:
    """Runs it there as grafana-server.service, on all addresses, as Grafana does by default."""
    machine.check("mkdir -p /opt/grafana /etc/grafana/provisioning/datasources")
    machine.push(SCRIPT, (Path(__file__).parent / "grafana_stand_in.py").read_bytes())
    machine.push(INI, SETTINGS.encode())
    machine.push("/etc/grafana/provisioning/datasources/ours.yaml", SOURCES.encode())
    machine.push("/etc/default/grafana-server", f"GF_SERVER_HTTP_PORT={PORT}\n".encode())
    machine.push("/etc/systemd/system/grafana-server.service", UNIT.encode())
    machine.check("systemctl daemon-reload && systemctl start grafana-server", timeout=30)


class WebSocket:
    """An open WebSocket for short texts, framed as in RFC 6455."""

    def __init__(self, stream: ssl.SSLSocket) -> None:
        self._stream = stream

    def echoed(self, text: str) -> str:
        """Sends a text of at most 125 bytes, and returns the echo."""
        mask, payload = os.urandom(4), text.encode()
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self._stream.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + masked)
        head = self._read(2)
        return self._read(head[1]).decode()

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self._stream.recv(size - len(found))
            assert part, "the WebSocket was closed"
            found += part
        return found


@contextmanager
def websocket(
    address: str, name: str, path: str, ca_file: Path, *, origin: str, port: int = 443
) -> Iterator[WebSocket]:
    """Opens a WebSocket as a browser's page of that origin does; an AssertionError has the status if it is rejected."""
    trust = ssl.create_default_context(cafile=str(ca_file))
    with (
        socket.create_connection((address, port), 10) as plain,
        trust.wrap_socket(plain, server_hostname=name) as stream,
    ):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {name}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Origin: {origin}",
            SESSION,
        )
        stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = stream.recv(1)
            assert part, answer
            answer += part
        assert answer.split()[1] == b"101", answer.decode()
        yield WebSocket(stream)


def is_rejected(address: str, name: str, path: str, ca_file: Path, *, origin: str, status: str) -> None:
    """Checks that a WebSocket is rejected with that status."""
    with (
        pytest.raises(AssertionError, match=f"HTTP/1.1 {status}"),
        websocket(address, name, path, ca_file, origin=origin),
    ):
        pass
