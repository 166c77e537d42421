"""Checks whether a page redirects to the sign-in of an OpenID provider; sends nothing to the provider itself."""

from __future__ import annotations

import threading
from typing import Final
from urllib.parse import parse_qsl, urljoin, urlsplit

from wizard.model import Probe
from wizard.probes.http import Exchange, fetch
from wizard.probes.socket_deadline import Dial, RequestError
from wizard.probes.tls import Trusts
from wizard.redact import plain

_PAGE: Final = "text/html,application/xhtml+xml"
_LONGEST: Final = 4
_BODY: Final = 65536


def follow(
    probe: Probe,
    exchange: Exchange,
    *,
    cancel: threading.Event | None,
    trusts: Trusts | None,
    dial: Dial | None,
) -> None:
    """Requests a page like a browser, and follows redirects on the same server until one leads to another server.

    Raises:
        RequestError: there was no response, or the redirect is not https or lacks parameters of `probe.holds`.
    """
    url, own = probe.url, urlsplit(probe.url).netloc
    for _ in range(_LONGEST):
        fetch(
            probe,
            url,
            exchange,
            limit=_BODY,
            accept=_PAGE,
            cancel=cancel,
            trusts=trusts,
            dial=dial,
            follow=False,
        )
        if not exchange.location:
            return
        url = urljoin(url, exchange.location)
        target = urlsplit(url)
        if target.netloc != own:
            break
    wanted = parse_qsl(probe.holds)
    missing = [name for name, value in wanted if (name, value) not in parse_qsl(target.query)]
    if missing or target.scheme != "https":
        shown = plain(f"{target.scheme}://{target.netloc}{target.path}", 200)
        lacks = f" without the right {' and '.join(missing)}" if missing else ""
        raise RequestError("other", f"the page leads to {shown}{lacks}")
