"""Parses and prints URIs of SANs like Go's `net/url`, as far as a verdict or its message depends on that."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Final

from wizard.certificates.go.quoted_text import parsed_address, quote

_LETTERS: Final = frozenset(string.ascii_letters + string.digits + "-_.~")
_HOST: Final = _LETTERS | frozenset("!$&'()*+,;=:[]<>\"")
_PATH: Final = _LETTERS | frozenset("$&+,/:;=@")
_KEPT_IN_PATH: Final = _PATH | frozenset("!'()*[]%")
_FRAGMENT: Final = _LETTERS | frozenset("$&+,/:;=?@!()*")
_KEPT_IN_FRAGMENT: Final = _FRAGMENT | frozenset("'[]%")
_USER: Final = frozenset(string.ascii_letters + string.digits + "-._:~!$&'()*+,;=%@")
_PLAIN_USER: Final = _LETTERS | frozenset("$&+,;=")
_HEX: Final = frozenset(string.hexdigits)


class UrlError(ValueError):
    """Go cannot parse the URL; the text is Go's."""


@dataclass(frozen=True, slots=True)
class Url:
    """A URL: its host (with port), and the whole URL as Go prints it."""

    host: str
    text: str


def parse(raw: str) -> Url:
    """Parses an ASCII text as a URL.

    Raises:
        UrlError: it is not a valid URL.
    """
    before, _, fragment = raw.partition("#")
    try:
        url = _parse(before)
    except UrlError as error:
        raise UrlError(f"parse {quote(before)}: {error}") from error
    if not fragment:
        return url
    try:
        shown = _again(fragment, _FRAGMENT, _KEPT_IN_FRAGMENT)
    except UrlError as error:
        raise UrlError(f"parse {quote(raw)}: {error}") from error
    return Url(url.host, f"{url.text}#{shown}")


def _parse(raw: str) -> Url:
    if any(letter < " " or letter == "\x7f" for letter in raw):
        raise UrlError("net/url: invalid control character in URL")
    if raw == "*":
        return Url("", "*")
    scheme, rest = _scheme(raw)
    rest, mark, query = rest.partition("?")
    tail = mark + query
    head = f"{scheme}:" if scheme else ""
    if not rest.startswith("/"):
        if scheme:
            # An opaque part is printed unchanged, as is a question mark without a query.
            return Url("", head + rest + tail)
        if ":" in rest.partition("/")[0]:
            raise UrlError("first path segment in URL cannot contain colon")
    host = authority = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        written, slash, path = rest[2:].partition("/")
        host, authority = _authority(scheme, written)
        rest = slash + path
        head += "//" if authority or rest else ""
    path_text = _again(rest, _PATH, _KEPT_IN_PATH)
    return Url(host, f"{head}{authority}{path_text}{tail}")


def _scheme(raw: str) -> tuple[str, str]:
    for place, letter in enumerate(raw):
        if letter.isalpha() and letter.isascii():
            continue
        if letter in string.digits + "+-." and place:
            continue
        if letter == ":":
            if not place:
                raise UrlError("missing protocol scheme")
            return raw[:place].lower(), raw[place + 1 :]
        break
    return "", raw


def _authority(scheme: str, text: str) -> tuple[str, str]:
    """The host, and the whole authority as Go prints it."""
    user, at, host = text.rpartition("@")
    if host.rfind("[") > 0:
        raise UrlError("invalid IP-literal")
    found = _parse_ip_literal(host) if host.startswith("[") else _parse_host_name(scheme, host)
    shown = _escape(found, _HOST)
    if not at:
        return found, shown
    if not all(letter in _USER for letter in user):
        raise UrlError("net/url: invalid userinfo")
    halves = user.split(":", 1)
    return found, ":".join(_escape(_unescape(half), _PLAIN_USER) for half in halves) + "@" + shown


def _parse_ip_literal(host: str) -> str:
    closing = host.rfind("]")
    if closing < 0:
        raise UrlError("missing ']' in host")
    port = host[closing + 1 :]
    _check_port(port)
    inner = host[1:closing]
    name, mark, zone = inner.partition("%25")
    bare = _unescape(name, host=True) + (_unescape(mark + zone, host=True, zone=True) if mark else "")
    address = parsed_address(bare)
    if address is None:
        raise UrlError(f"invalid host: ParseAddr({quote(bare)}): unable to parse IP")
    if address.version == 4:
        raise UrlError("invalid IP-literal")
    return f"[{bare}]{port}"


def _parse_host_name(scheme: str, host: str) -> str:
    first, last = host.find(":"), host.rfind(":")
    if first >= 0:
        strict = scheme in ("http", "https")
        _check_port(host[first if strict else last :])
    return _unescape(host, host=True)


def _check_port(text: str) -> None:
    if text and not (text[0] == ":" and all(letter in string.digits for letter in text[1:])):
        raise UrlError(f"invalid port {quote(text)} after host")


def _unescape(text: str, *, host: bool = False, zone: bool = False) -> str:
    found = []
    place = 0
    while place < len(text):
        letter = text[place]
        if letter == "%":
            triple = text[place : place + 3]
            if len(triple) < 3 or triple[1] not in _HEX or triple[2] not in _HEX:
                raise UrlError(f"invalid URL escape {quote(triple)}")
            value = chr(int(triple[1:], 16))
            if host and triple != "%25":
                refused = value != " " and value not in _HOST if zone else value < "\x80"
                if refused:
                    raise UrlError(f"invalid URL escape {quote(triple)}")
            found.append(value)
            place += 3
            continue
        if host and letter not in _HOST and letter < "\x80":
            raise UrlError(f"invalid character {quote(letter)} in host name")
        found.append(letter)
        place += 1
    return "".join(found)


def _again(text: str, plain: frozenset[str], unescaped: frozenset[str]) -> str:
    """A part of a URL as Go prints it after parsing."""
    meant = _unescape(text)
    if all(letter in unescaped for letter in text):
        return text
    return _escape(meant, plain)


def _escape(text: str, plain: frozenset[str]) -> str:
    return "".join(letter if letter in plain else f"%{ord(letter):02X}" for letter in text)
