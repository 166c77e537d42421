"""A stand-in for Grafana, which no registry of these tests has: it has the parts that a reverse proxy depends on.

It reads the same keys of the same grafana.ini ([server] http_addr, http_port, root_url, serve_from_sub_path)
and the same GF_SERVER_ variables, serves a login page with a script, an API that needs a session, /api/health
without login, and data sources as provisioned; it runs as grafana-server.service of Type=notify. /api/live/ws
is a real WebSocket that echoes what it receives, for sessions whose Origin has the host of the Host header or
of root_url; others get 403 'origin not allowed', as from Grafana. /slow/N answers after N seconds. Nothing
else of Grafana is implemented.
"""

import base64
import configparser
import hashlib
import http.server
import json
import os
import re
import socket
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

INI = Path("/etc/grafana/grafana.ini")
SOURCES = Path("/etc/grafana/provisioning/datasources")
COOKIE = "grafana_session=of-ada"
LOGIN = "ada:secret"
LOOK = (
    '<!DOCTYPE html><html><head><base href="{sub}/"><title>Grafana</title>'
    '<script src="{sub}/public/build/app.js"></script></head><body>login</body></html>'
)

known = configparser.RawConfigParser(strict=False, inline_comment_prefixes=("#", ";"))
known.read(INI)


def setting(key: str, usual: str) -> str:
    """Returns a setting as Grafana reads it: the variable before the file."""
    value = os.environ.get(f"GF_SERVER_{key.upper()}")
    return value or known.get("server", key, fallback="") or usual


PORT = int(setting("http_port", "3000"))
ROOT = urlsplit(setting("root_url", f"http://localhost:{PORT}/"))
SUB = ROOT.path.rstrip("/")
BELOW = setting("serve_from_sub_path", "false") == "true"


class Handler(http.server.BaseHTTPRequestHandler):
    """Handles one connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serves pages, API and the WebSocket."""
        path = urlsplit(self.path).path
        if "/slow/" in path:
            time.sleep(int(path.rpartition("/")[2]))
            self._say(200, b"slow")
            return
        if BELOW and not path.startswith(f"{SUB}/"):
            self._say(301, b"", Location=f"{ROOT.geturl().rstrip('/')}{self.path}")
            return
        path = path.removeprefix(SUB) if BELOW else path
        signed_in = COOKIE in self.headers.get("Cookie", "") or self._basic()
        if path in ("/login", "/"):
            self._say(200, LOOK.format(sub=SUB).encode(), **{"Content-Type": "text/html"})
        elif path == "/public/build/app.js":
            self._say(200, b"'use strict'", **{"Content-Type": "text/javascript"})
        elif path == "/api/health":
            self._say(200, b'{"database": "ok"}', **{"Content-Type": "application/json"})
        elif path == "/metrics":
            self._say(200, b"grafana_build_info 1\n", **{"Content-Type": "text/plain; version=0.0.4"})
        elif not signed_in:
            self._say(401, b'{"message": "Unauthorized"}')
        elif path == "/api/live/ws":
            self._live()
        elif path == "/api/org":
            self._say(200, b'{"id": 1}')
        elif path == "/api/sources":
            self._say(200, json.dumps(asked()).encode())
        else:
            self._say(404, b"")

    def do_POST(self) -> None:
        """Handles the login form."""
        text = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        good = self.path.endswith("/login") and text == LOGIN
        self._say(200 if good else 401, b"", **({"Set-Cookie": f"{COOKIE}; Path={SUB}/"} if good else {}))

    def _basic(self) -> bool:
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        return (kind, text) == ("Basic", base64.b64encode(LOGIN.encode()).decode()) or (kind, text) == (
            "Bearer",
            "a-token",
        )

    def _live(self) -> None:
        origin = urlsplit(self.headers.get("Origin", "")).netloc
        if origin not in ("", self.headers.get("Host", ""), ROOT.netloc):
            self._say(403, b"origin not allowed")
            return
        if self.headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in (
            self.headers.get("Connection", "").lower()
        ):
            self._say(400, b"Bad Request")
            return
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header(
            "Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        )
        self.end_headers()
        self.close_connection = True
        while (frame := self._frame()) is not None:
            self.wfile.write(bytes([0x81, len(frame)]) + frame)

    def _frame(self) -> "bytes | None":
        """Returns the text of the next short frame; None at the end."""
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 0x0F != 1:
            return None
        mask = self.rfile.read(4)
        return bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(head[1] & 0x7F)))

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("X-Seen-Authorization", "yes" if "Authorization" in self.headers else "no")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Logs nothing."""


def asked() -> "dict[str, int]":
    """Returns the status with which each provisioned data source answers a query."""
    found = {}
    for path in sorted(SOURCES.glob("*.y*ml")):
        for name, url in re.findall(r"name: (\w+).*?url: ([^\s,}]+)", path.read_text(), re.DOTALL):
            try:
                with urllib.request.urlopen(f"{url.rstrip('/')}/-/ready", timeout=5) as answer:
                    found[name] = answer.status
            except OSError as error:
                found[name] = getattr(error, "code", 0)
    return found


def main() -> None:
    """Serves, and notifies systemd."""
    server = http.server.ThreadingHTTPServer((setting("http_addr", "0.0.0.0"), PORT), Handler)
    if notify_socket := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(b"READY=1", notify_socket)
    server.serve_forever()


if __name__ == "__main__":
    main()
