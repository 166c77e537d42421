"""Access control of the web pages that Firescreen serves: a secret in the link, TLS for other machines, same origin."""

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
    """The part of an aiohttp request that is used here."""

    @property
    def host(self) -> str:
        """The Host header: host and port of the URL in the browser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """The address and TLS settings of a web server.

    Args:
        listen: the address to bind to.
        port: the port; 0 for any free one.
        cert: the server's certificate, with `key`; '' for plain http.
        url: the public URL if a proxy is in front, e.g. https://labs.example.org
    """

    listen: str = "127.0.0.1"
    port: int = 8000
    cert: str = ""
    key: str = ""
    url: str = ""

    @property
    def secure(self) -> bool:
        """Whether browsers connect to it by https."""
        return bool(self.cert) or self.url.startswith("https://")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect to it."""
        hosts = (self.listen, urlsplit(self.url).hostname or "") if self.url else (self.listen,)
        return all(map(is_loopback, hosts))


def check_options(how: Listener) -> None:
    """Rejects options that contradict each other.

    Raises:
        InputError: names the contradiction and what to do instead.
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
    """Whether a host is a loopback address or localhost."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(cert: str, key: str) -> ssl.SSLContext | None:
    """The TLS context of a server; None without a certificate.

    Raises:
        InputError: certificate or key cannot be used.
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
    """The URL to open in a browser.

    Args:
        port: the port on which the server listens.
    """
    if how.url:
        return how.url.rstrip("/")
    host = f"[{how.listen}]" if ":" in how.listen else how.listen
    if how.listen in ("0.0.0.0", "::"):  # noqa: S104 - it is compared, and nothing bound
        import socket

        host = socket.gethostname()
    return f"{'https' if how.cert else 'http'}://{host}:{port}"


def cookie_name(request: _Request, purpose: str = "") -> str:
    """The name of the cookie of a page. It contains the port: browsers send cookies to all servers on a machine."""
    return f"firescreen{purpose}-{urlsplit(f'//{request.host}').port or ''}"


def known_secret(secrets: Iterable[str], given: str) -> str:
    """The secret that equals `given`, or ''. Compares in constant time."""
    return next(
        (each for each in secrets if hmac.compare_digest(each.encode(), given.encode("utf-8", "replace"))), ""
    )


def is_same_origin(origin: str | None, request: _Request, how: Listener) -> bool:
    """Whether a request comes from our own page, by its Origin header: cookies are sent with other sites' requests too."""
    if origin is None:
        return True  # not sent by a browser
    return urlsplit(origin).netloc == (urlsplit(how.url).netloc if how.url else request.host)
