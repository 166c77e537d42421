"""Answers the questions about the network path to a server: what listens at its port, and what is in between."""

from __future__ import annotations

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from wizard.diagnostics.catalogue import Diagnosis
from wizard.diagnostics.connection_view import PATIENCE, ConnectionView
from wizard.model import Attempt

_LISTENING_SOCKET: Final = re.compile(
    r"^\s*\d+:\s([0-9A-F]{8,32}):([0-9A-F]{4})\s[0-9A-F:]+\s0A\s", re.MULTILINE
)
_LOOPBACK: Final = re.compile(r"localhost|127\.[\d.]+|::1")
LONGEST: Final = 15.0
"""Maximum number of seconds that a question waits for a slow server."""


class PortQuestions:
    """Answers the questions about the network path to the server of one connection.

    Args:
        view: reads the files at both ends and probes the server.
    """

    def __init__(self, view: ConnectionView) -> None:
        self._view = view

    def port(self, found: Diagnosis) -> str:
        """Finds out why the client cannot use the server's port: nothing listens, or another protocol is spoken."""
        if self._view.evidence.proxy and (proxy_fault := self._proxy_fault()):
            return proxy_fault
        try:
            parts = urlsplit(self._view.evidence.url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return ""
        if not host or (self._view.evidence.contained and _LOOPBACK.fullmatch(host)):
            return "localhost-in-container" if host else ""
        try:
            greeting = _read_greeting(self._view.connect(host, port))
        except ConnectionRefusedError:
            return self._refusal_fault(host, port)
        except TimeoutError:
            return "packets-dropped"
        except socket.gaierror:
            return "name-unknown"
        if greeting is not None and not greeting:
            return "port-hangs-up"
        return "port-other" if greeting else self._scheme_fault(parts.scheme)

    def _scheme_fault(self, scheme: str) -> str:
        """Tries http and https: returns a fault if the client uses the wrong one, or if neither is answered."""
        address = self._view.evidence.url.partition("://")[2]
        # A slow server must not count as silent: wait longer than its client does.
        patience = min(PATIENCE + 2 * self._view.evidence.patience, LONGEST)
        with ThreadPoolExecutor(2, thread_name_prefix="question") as pool:
            urls = (f"http://{address}", f"https://{address}")
            plain, secure = pool.map(lambda url: self._view.ask(url, timeout=patience), urls)
        # Go's server answers an http request to its TLS port in clear text, even when its certificate cannot be used.
        tls = bool(secure.tls and secure.tls.chain) or "to an HTTPS server" in plain.body
        if scheme == "https":
            if tls:
                return ""
            return "tls-to-plain-http" if plain.status else _no_response_fault(plain)
        if tls:
            return "plain-http-to-tls"
        return "" if plain.status else _no_response_fault(plain)

    def _refusal_fault(self, host: str, port: int) -> str:
        """Finds out why a connection was refused: the service is down, or listens on another address."""
        if self._view.evidence.server is None:
            return ""
        if self._view.evidence.service is not None and not self._view.evidence.service.active:
            return "service-down"
        ended = self._view.evidence.server.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], timeout=10)
        ports = {int(match[2], 16) for match in _LISTENING_SOCKET.finditer(ended.stdout)}
        if not ports:
            return ""
        return "listens-elsewhere" if port in ports else "service-down"

    def _proxy_fault(self) -> str:
        """Asks the client's proxy for a tunnel to the server: returns a fault if the proxy is down or rejects it."""
        try:
            proxy, target = urlsplit(self._view.evidence.proxy), urlsplit(self._view.evidence.url)
            address = (proxy.hostname or "", proxy.port or 80)
        except ValueError:
            return ""
        try:
            with socket.create_connection(address, timeout=PATIENCE) as sock:
                sock.sendall(f"CONNECT {target.netloc} HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n".encode())
                answer = sock.recv(1024)
        except OSError:
            return "proxy-down"
        return "" if re.match(rb"HTTP/1\.[01] 2\d\d", answer) else "proxy-refuses"


def _read_greeting(sock: socket.socket) -> bytes | None:
    """Reads what a server sends before any request.

    Returns:
        b'' if the server closes the connection, None if it waits for the request, as HTTP and TLS servers do.
    """
    with sock:
        sock.settimeout(0.5)
        try:
            return sock.recv(256)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""


def _no_response_fault(attempt: Attempt) -> str:
    """Returns the fault of a server that sent no HTTP response to either scheme."""
    if "deadline" in attempt.reason or "timeout" in attempt.reason:
        return "port-silent"
    if attempt.reason.startswith("net/http: HTTP/1.x transport connection broken: malformed"):
        return "port-other"
    return "port-hangs-up"
