"""Runs one probe, or repeats it until it ends as expected; a rejection is a result, never an exception."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin

from wizard.model import Attempt, Probe
from wizard.probes import sign_in
from wizard.probes.curl import curl
from wizard.probes.http import SCRAPE, Exchange, fetch
from wizard.probes.socket_deadline import Clock, Dial, RequestError, connect
from wizard.probes.targets import judge, targets_url
from wizard.probes.tls import Trusts
from wizard.redact import plain, redact

_BODY: Final = 65536
# A response with five thousand targets and their labels has about 8 MB.
_TARGETS: Final = 64 << 20
_PAUSE: Final = 0.2
_ASSET: Final = re.compile(r"""(?:src|href)\s*=\s*["']([^"'#]+\.(?:js|css|ico|svg|png)(?:\?[^"']*)?)["']""")


def reaches(address: str, seconds: float) -> bool:
    """Whether a server at host:port accepts a connection within that time."""
    host, _, port = address.rpartition(":")
    try:
        connect(host.strip("[]"), int(port), Clock(seconds, None)).close()
    except (RequestError, ValueError):
        return False
    return True


def answers(address: str, seconds: float) -> bool:
    """Whether a server at host:port sends any response to a plain HTTP request within that time.

    Go's servers respond in plain text even if they use TLS, and only after they have read their settings.
    """
    host, _, port = address.rpartition(":")
    try:
        clock = Clock(seconds, None)
        wire = connect(host.strip("[]"), int(port), clock)
        try:
            wire.send(b"HEAD / HTTP/1.0\r\n\r\n")
            return bool(wire.receive())
        finally:
            wire.close()
    except (RequestError, ValueError):
        return False


def run(
    probe: Probe,
    *,
    cancel: threading.Event | None = None,
    trusts: Trusts | None = None,
    dial: Dial | None = None,
    on_body: Callable[[bytes], None] | None = None,
    follow: bool = True,
) -> Attempt:
    """Makes the request of a probe and returns the result within `probe.timeout` seconds. Never raises.

    `reason` is the error text that the newest Prometheus versions would show; `detail` is the complete line.

    Args:
        cancel: ends the request early.
        trusts: shared by probes of one batch, so that files and certificate chains are only read once.
        dial: opens the connection of a probe that has a `forward`.
        on_body: called with the body of a complete response, up to 64 MB of it; without it, 64 KiB are read.
        follow: whether redirects are followed.
    """
    exchange = Exchange()
    upward = probe.kind == "up"
    url = targets_url(probe) if upward else probe.url
    try:
        if probe.kind == "sign_in":
            sign_in.follow(probe, exchange, cancel=cancel, trusts=trusts, dial=dial)
            return _attempt(probe, exchange, outcome=str(exchange.status), reason="", detail="")
        fetch(
            probe,
            url,
            exchange,
            limit=_TARGETS if upward or on_body else _BODY,
            accept="application/json" if upward else SCRAPE,
            cancel=cancel,
            trusts=trusts,
            dial=dial,
            follow=follow,
        )
        if probe.kind == "page" and exchange.status == HTTPStatus.OK:
            _load_asset(probe, exchange, cancel=cancel, trusts=trusts, dial=dial)
    except RequestError as ended:
        shown = plain(ended.reason)
        outcome = "closed" if probe.expect == "closed" and _is_closed(ended) else ended.outcome
        return _attempt(probe, exchange, outcome=outcome, reason=shown, detail=_line(exchange, url, shown))
    if upward and exchange.status == HTTPStatus.OK:
        state = judge(probe, exchange.body)
        attempt = _attempt(
            probe, exchange, outcome=state.outcome, reason=state.reason, detail=state.detail, body=False
        )
        return replace(attempt, pending=state.pending, scrape_url=state.scrape_url)
    if on_body:
        on_body(exchange.body)
    failed = exchange.status != HTTPStatus.OK
    if not failed and probe.holds and probe.holds.encode() not in exchange.body:
        reason = f"the answer does not say {plain(probe.holds, 100)!r}"
        return _attempt(probe, exchange, outcome="other", reason=reason, detail=reason)
    phrase = exchange.phrase or _phrase(exchange.status)
    reason = f"server returned HTTP status {exchange.status} {phrase}".strip() if failed else ""
    return _attempt(probe, exchange, outcome=str(exchange.status), reason=reason, detail=reason)


def wait(
    probe: Probe,
    *,
    until: float,
    cancel: threading.Event | None = None,
    meanwhile: Callable[[Attempt], None] | None = None,
    dial: Dial | None = None,
    settled: Callable[[Attempt], bool] | None = None,
) -> Attempt:
    """Repeats a probe until it ends as expected; returns the last attempt.

    Args:
        probe: usually of the kind 'up'; it is run at least once.
        until: `time.monotonic()` time at which to give up; limits the time of the last attempt too.
        cancel: ends the waiting early.
        meanwhile: called with a failed attempt if its result differs from the previous one.
        dial: see `run`.
        settled: returns whether a failed attempt is final, so that waiting is of no use.
    """
    before: tuple[str, str] | None = None
    idle = cancel or threading.Event()
    while True:
        left = max(0.05, until - time.monotonic())
        attempt = run(replace(probe, timeout=min(probe.timeout, left)), cancel=cancel, dial=dial)
        attempt = replace(attempt, probe=probe, curl=curl(probe))
        left = until - time.monotonic()
        if meanwhile and not attempt.ok and (attempt.outcome, attempt.reason) != before:
            before = (attempt.outcome, attempt.reason)
            meanwhile(attempt)
        if attempt.ok or left <= 0 or (settled and settled(attempt)) or idle.wait(min(_PAUSE, left)):
            return attempt


def _is_closed(ended: RequestError) -> bool:
    """Whether the connection failed although the name could be resolved."""
    return ended.outcome == "error" and bool(re.match(r"dial tcp (?!lookup)\S+:\d+: ", ended.reason))


def _load_asset(
    probe: Probe,
    exchange: Exchange,
    *,
    cancel: threading.Event | None,
    trusts: Trusts | None,
    dial: Dial | None,
) -> None:
    """Requests the first script, style sheet or picture of a page.

    Raises:
        RequestError: the server does not return it with status 200.
    """
    found = _ASSET.search(exchange.body.decode("utf-8", "replace"))
    if found is None:
        return
    url = urljoin(exchange.url or probe.url, unescape(found[1]))
    loaded = Exchange()
    fetch(probe, url, loaded, limit=_BODY, accept="*/*", cancel=cancel, trusts=trusts, dial=dial)
    if loaded.status != HTTPStatus.OK:
        raise RequestError("other", f"the page names {plain(url, 200)}, which answers {loaded.status}")


def _attempt(
    probe: Probe, exchange: Exchange, *, outcome: str, reason: str, detail: str, body: bool = True
) -> Attempt:
    text = exchange.body[:_BODY].decode("utf-8", "replace") if body else ""
    return Attempt(
        probe=probe,
        ok=outcome == probe.expect,
        outcome=outcome,
        status=exchange.status,
        reason=reason,
        detail=detail,
        tls=exchange.record.report() if exchange.record else None,
        timings=dict(exchange.timings),
        body=plain(text, 2000),
        curl=curl(probe),
    )


def _line(exchange: Exchange, url: str, reason: str) -> str:
    checked = "tls: failed to verify certificate: " if reason.startswith("x509:") else ""
    return f'Get "{plain(redact(exchange.url or url), 500)}": {checked}{reason}'


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
