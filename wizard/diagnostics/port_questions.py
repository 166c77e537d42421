"""The questions about the way to a server: what is at an address and port, and what is between."""

from __future__ import annotations

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from wizard.diagnostics.catalogue import Diagnosis
from wizard.diagnostics.connection_view import PATIENCE, ConnectionView
from wizard.model import Attempt

_LISTEN: Final = re.compile(r"^\s*\d+:\s([0-9A-F]{8,32}):([0-9A-F]{4})\s[0-9A-F:]+\s0A\s", re.MULTILINE)
_LOOPBACK: Final = re.compile(r"localhost|127\.[\d.]+|::1")
LONGEST: Final = 15.0
"""Seconds that a slow server gets at most."""


class PortQuestions:
    """Answers the questions about the way to the server of one connection.

    Args:
        view: its two ends.
    """

    def __init__(self, view: ConnectionView) -> None:
        self._view = view

    def port(self, found: Diagnosis) -> str:
        """What is at that address and port, if it is what the client wants to speak to."""
        if self._view.of.proxy and (refusal := self._proxy()):
            return refusal
        try:
            parts = urlsplit(self._view.of.url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return ""
        if not host or (self._view.of.contained and _LOOPBACK.fullmatch(host)):
            return "localhost-in-container" if host else ""
        try:
            greeting = _read_greeting(self._view.connect(host, port))
        except ConnectionRefusedError:
            return self._listener(host, port)
        except TimeoutError:
            return "packets-dropped"
        except socket.gaierror:
            return "name-unknown"
        if greeting is not None and not greeting:
            return "port-hangs-up"
        return "port-other" if greeting else self._speaks(parts.scheme)

    def _speaks(self, scheme: str) -> str:
        """Both schemes are tried: which of them does the server speak?"""
        rest = self._view.of.url.partition("://")[2]
        # A slow server is not a silent one: it gets more time than its client gives it.
        patience = min(PATIENCE + 2 * self._view.of.patience, LONGEST)
        with ThreadPoolExecutor(2, thread_name_prefix="question") as pool:
            ways = (f"http://{rest}", f"https://{rest}")
            plain, secure = pool.map(lambda url: self._view.ask(url, timeout=patience), ways)
        # Go answers a plain request to its TLS port in plain words, even when its certificate cannot be used.
        tls = bool(secure.tls and secure.tls.chain) or "to an HTTPS server" in plain.body
        if scheme == "https":
            if tls:
                return ""
            return "tls-to-plain-http" if plain.status else _silence(plain)
        if tls:
            return "plain-http-to-tls"
        return "" if plain.status else _silence(plain)

    def _listener(self, host: str, port: int) -> str:
        if self._view.of.server is None:
            return ""
        if self._view.of.service is not None and not self._view.of.service.active:
            return "service-down"
        ended = self._view.of.server.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], timeout=10)
        ports = {int(match[2], 16) for match in _LISTEN.finditer(ended.stdout)}
        if not ports:
            return ""
        return "listens-elsewhere" if port in ports else "service-down"

    def _proxy(self) -> str:
        try:
            proxy, target = urlsplit(self._view.of.proxy), urlsplit(self._view.of.url)
            place = (proxy.hostname or "", proxy.port or 80)
        except ValueError:
            return ""
        try:
            with socket.create_connection(place, timeout=PATIENCE) as sock:
                sock.sendall(f"CONNECT {target.netloc} HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n".encode())
                answer = sock.recv(1024)
        except OSError:
            return "proxy-down"
        return "" if re.match(rb"HTTP/1\.[01] 2\d\d", answer) else "proxy-refuses"


def _read_greeting(sock: socket.socket) -> bytes | None:
    """What a server says unasked: b'' if it hangs up, None if it waits, as http and TLS servers do."""
    with sock:
        sock.settimeout(0.5)
        try:
            return sock.recv(256)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""


def _silence(attempt: Attempt) -> str:
    if "deadline" in attempt.reason or "timeout" in attempt.reason:
        return "port-silent"
    if attempt.reason.startswith("net/http: HTTP/1.x transport connection broken: malformed"):
        return "port-other"
    return "port-hangs-up"
