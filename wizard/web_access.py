"""Access control of the web pages that Firescreen serves: a secret in the link, TLS for other machines, strict headers."""

from __future__ import annotations

import hmac
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from wizard.errors import InputError


class _Request(Protocol):
    """What is used of a request of aiohttp."""

    @property
    def host(self) -> str:
        """Host and port that the browser asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where a page is served.

    Args:
        listen: the address to bind to.
        port: 0 for any.
        cert: certificate of this server, '' for plain http; with `key`.
        url: where browsers find it, if a proxy is in front: https://labs.example.org
    """

    listen: str = "127.0.0.1"
    port: int = 8000
    cert: str = ""
    key: str = ""
    url: str = ""

    @property
    def secure(self) -> bool:
        """Whether browsers speak https with it."""
        return bool(self.cert) or self.url.startswith("https://")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        reached = (self.listen, urlsplit(self.url).hostname or "") if self.url else (self.listen,)
        return all(map(is_loopback, reached))


def check_options(how: Listener) -> None:
    """Rejects options that contradict each other.

    Raises:
        InputError: with what to do instead.
    """
    if bool(how.cert) != bool(how.key):
        raise InputError("a certificate needs its private key", todo="Name both: --cert F --key F")
    if how.url and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?", how.url):
        raise InputError(
            "this is not the URL of a web server",
            where=how.url,
            todo="Give a URL like https://labs.example.org",
        )


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(cert: str, key: str) -> ssl.SSLContext | None:
    """The TLS side of a server; None without a certificate.

    Raises:
        InputError: the files cannot be used.
    """
    if not cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"this certificate cannot be served: {error.strerror or error.args[-1]}",
            where=f"{cert}, {key}",
            todo="Give two PEM files, a certificate and its private key",
        ) from error
    return context


def base_url(how: Listener, port: int) -> str:
    """The URL that a browser opens.

    Args:
        port: the one that is listened on.
    """
    if how.url:
        return how.url.rstrip("/")
    host = f"[{how.listen}]" if ":" in how.listen else how.listen
    if how.listen in ("0.0.0.0", "::"):  # noqa: S104 - it is compared, and nothing bound
        import socket

        host = socket.gethostname()
    return f"{'https' if how.cert else 'http'}://{host}:{port}"


def cookie_name(request: _Request, purpose: str = "") -> str:
    """The cookie of a page. Cookies do not know ports: two servers on one machine would take each other's."""
    return f"firescreen{purpose}-{urlsplit(f'//{request.host}').port or ''}"


def known_secret(secrets: Iterable[str], given: str) -> str:
    """The one of `secrets` that equals what was given; '' if none does. Compares in constant time."""
    return next(
        (each for each in secrets if hmac.compare_digest(each.encode(), given.encode("utf-8", "replace"))), ""
    )


def is_same_origin(origin: str | None, request: _Request, how: Listener) -> bool:
    """Whether a request comes from our own page: the browser says so in Origin, which cookies do not."""
    if origin is None:
        return True  # no browser
    return urlsplit(origin).netloc == (urlsplit(how.url).netloc if how.url else request.host)
