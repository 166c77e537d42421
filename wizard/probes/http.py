"""Makes one GET like Prometheus' scraper: follows redirects and reads the response, with limits for time and size.

The only exception that is raised here is `RequestError`.
"""

from __future__ import annotations

import base64
import functools
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from wizard.certificates import one_line
from wizard.model import Probe
from wizard.probes.handshake import Record
from wizard.probes.response import Answer, Stream
from wizard.probes.socket_deadline import Clock, Dial, RequestError, Wire, connect, connect_by
from wizard.probes.tls import Trusts

SCRAPE: Final = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
_REDIRECTS: Final = 10
_CONTROL: Final = re.compile("[\\x00-\\x20\\x7f]")
_CUT_OFF: Final = ("EOF", "unexpected EOF", "reset by peer", "broken pipe")


@dataclass
class Exchange:
    """The response to a request, filled step by step; `record` is the TLS handshake of the last connection."""

    status: int = 0
    phrase: str = ""
    body: bytes = b""
    timings: dict[str, float] = field(default_factory=dict)
    record: Record | None = None
    url: str = ""
    location: str = ""
    """The Location of the last response if that is a redirect, or ''."""


def fetch(
    probe: Probe,
    url: str,
    exchange: Exchange,
    *,
    limit: int,
    accept: str = SCRAPE,
    cancel: threading.Event | None = None,
    trusts: Trusts | None = None,
    dial: Dial | None = None,
    follow: bool = True,
) -> None:
    """Requests `url` with the TLS settings and the user of a probe, and fills `exchange`.

    Args:
        probe: its CA file, client certificate, user and `resolve` are used; `timeout` limits the whole request.
        url: http:// or https://.
        exchange: filled with the response, even if the request fails.
        limit: maximum number of bytes of the body that are read.
        accept: the Accept header.
        cancel: ends the request early.
        trusts: files and chains that other probes of the same batch have read.
        dial: opens the connection of a probe that has a `forward`.
        follow: whether redirects are followed; if not, a redirect is the result.

    Raises:
        RequestError: there was no complete response.
    """
    began = time.monotonic()
    clock = Clock(probe.timeout, cancel)
    exchange.timings.update(connect=0.0, tls=0.0, total=0.0)
    try:
        start = _split(url)
        trusted = trusts or Trusts()
        if start.scheme == "https":
            trusted.of(probe)  # read the probe's files before connecting, like Prometheus
        target = start
        for _ in range(_REDIRECTS + 1):
            exchange.url = url
            location = _once(
                probe,
                target,
                exchange,
                trusted=trusted,
                reach=lambda to: _reach(probe, start, to, clock, dial),
                limit=limit,
                headers=_headers(probe, target, accept, known=_same_host(start, target)),
            )
            if not location or not follow:
                return
            url = _onward(url, location)
            target = _split(url)
        raise RequestError("error", f"stopped after {_REDIRECTS} redirects")
    finally:
        exchange.timings["total"] = time.monotonic() - began


def _once(
    probe: Probe,
    target: SplitResult,
    exchange: Exchange,
    *,
    trusted: Trusts,
    reach: Callable[[SplitResult], Wire],
    limit: int,
    headers: bytes,
) -> str:
    """Makes one request; returns the Location of a redirect, or ''."""
    host, _ = _place(target)
    before = time.monotonic()
    wire = reach(target)
    exchange.timings["connect"] += time.monotonic() - before
    try:
        stream: Stream = wire
        if target.scheme == "https":
            stream = _open_tls(wire, trusted, host, exchange, probe)
        stream.send(headers)
        return _answer(stream, exchange, limit)
    except RequestError as ended:
        raise _rejection_error(ended, exchange) from ended
    finally:
        wire.close()


def _reach(probe: Probe, start: SplitResult, target: SplitResult, clock: Clock, dial: Dial | None) -> Wire:
    host, port = _place(target)
    if probe.forward is not None and _place(start) == (host, port):
        return connect_by(probe.forward, dial, clock)
    return connect(_resolve_address(probe.resolve, host, port), port, clock)


def _open_tls(wire: Wire, trusted: Trusts, host: str, exchange: Exchange, probe: Probe) -> Stream:
    before = time.monotonic()
    exchange.record = Record()
    try:
        return trusted.of(probe).open(wire, host, exchange.record, probe)
    finally:
        exchange.timings["tls"] += time.monotonic() - before


def _answer(stream: Stream, exchange: Exchange, limit: int) -> str:
    """Reads the response into `exchange`; returns the Location of a redirect, or ''."""
    answer = Answer(stream)
    head = answer.head()
    exchange.status, exchange.phrase = head.status, head.phrase
    location = head.headers.get("location", "")
    exchange.location = location if head.status in (301, 302, 303, 307, 308) else ""
    if exchange.location:
        return location
    parts: list[bytes] = []
    try:
        answer.body(head, limit, parts)
    except RequestError:
        # Like in Prometheus, only the body of a 200 response has to be complete.
        if head.status == HTTPStatus.OK:
            raise
    finally:
        exchange.body = b"".join(parts)
    return ""


def _rejection_error(ended: RequestError, exchange: Exchange) -> RequestError:
    """The error as a rejection, if the server requested a client certificate and then closed without an alert."""
    requested = exchange.record is not None and exchange.record.certificate_requested
    if requested and ended.outcome == "error" and not exchange.status and ended.reason.endswith(_CUT_OFF):
        return RequestError("refused", ended.reason)
    return ended


def _headers(probe: Probe, target: SplitResult, accept: str, *, known: bool) -> bytes:
    path = quote(target.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = f"?{quote(target.query, safe='/%:@!$&()*+,;=~-._?[]')}" if target.query else ""
    lines = [
        f"GET {path}{query} HTTP/1.1",
        f"Host: {_ascii_host(target)}",
        "User-Agent: Firescreen",
        f"Accept: {accept}",
        f"X-Prometheus-Scrape-Timeout-Seconds: {probe.timeout:g}",
        "Connection: close",
    ]
    if probe.user and known:
        password = probe.password.reveal() if probe.password else ""
        token = base64.b64encode(f"{probe.user}:{password}".encode()).decode("ascii")
        lines.append(f"Authorization: Basic {token}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii", "replace")


def _onward(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise RequestError("error", f"failed to parse Location header: {one_line(location, 200)}") from error


@functools.lru_cache(4096)
def _split(url: str) -> SplitResult:
    if _CONTROL.search(url):
        raise RequestError("error", "net/url: invalid control character in URL")
    try:
        target = urlsplit(url)
        _ = target.port
    except ValueError as error:
        raise RequestError("error", f"this is not a URL: {one_line(str(error), 200)}") from error
    if target.scheme not in ("http", "https"):
        raise RequestError("error", f'unsupported protocol scheme "{one_line(target.scheme, 40)}"')
    if not target.hostname:
        raise RequestError("error", "http: no Host in request URL")
    if "@" in target.netloc:
        raise RequestError(
            "error", "the URL holds a user: name the user beside the URL, and never the password"
        )
    return target


@functools.lru_cache(4096)
def _place(target: SplitResult) -> tuple[str, int]:
    host = target.hostname or ""
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise RequestError("error", f"dial tcp: lookup {one_line(host, 100)}: no such host") from error
    return host, target.port or (443 if target.scheme == "https" else 80)


@functools.lru_cache(4096)
def _ascii_host(target: SplitResult) -> str:
    host, _ = _place(target)
    shown = f"[{host.partition('%')[0]}]" if ":" in host else host
    return f"{shown}:{target.port}" if target.port else shown


def _resolve_address(rule: str, host: str, port: int) -> str:
    """The address for host and port in `rule` (HOST:PORT:ADDR), or the host itself."""
    head = f"{host}:{port}:"
    bracketed = f"[{host}]:{port}:"
    for prefix in (head, bracketed):
        if rule.lower().startswith(prefix.lower()):
            return rule[len(prefix) :].strip("[]")
    return host


def _same_host(start: SplitResult, target: SplitResult) -> bool:
    """Whether the password may be sent after a redirect: only to the same host, and never from https to http."""
    if start is target:
        return True
    downgraded = start.scheme == "https" and target.scheme == "http"
    return start.hostname == target.hostname and not downgraded
