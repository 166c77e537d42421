"""Checks the name constraints of a finished chain, as Go does since 1.26: sorted, pruned and searched.

The search examines only one candidate, the nearest one below; its results for unusual sets are part of the verdict.
"""

from __future__ import annotations

import bisect
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wizard.certificates.go import domains
from wizard.certificates.go.certificate import Certificate
from wizard.certificates.go.domains import Mailbox
from wizard.certificates.go.extensions import Subtrees
from wizard.certificates.go.quoted_text import address_text, lower, parsed_address, quote, unmap
from wizard.certificates.go.urls import Url

# The dot sorts first, so that a domain precedes its subdomains.
_ORDER: Final = bytes(
    0 if code == 0x2E else code + 32 if 0x41 <= code <= 0x5A else code for code in range(256)
)


class ConstraintError(ValueError):
    """A name that a CA must not sign; the text is Go's."""


class _Domains:
    """Subtrees of DNS names."""

    def __init__(self, limits: Sequence[str], *, permitted: bool) -> None:
        self._all = "" in limits
        self._limits: list[str] = []
        self._keys: list[bytes] = []
        for limit in sorted(limits, key=_key):
            if not self._limits or not _is_suffix(self._limits[-1], limit):
                self._limits.append(limit)
                self._keys.append(_key(limit))
        self._parents: dict[str, str] = {}
        if not permitted:
            for limit in self._limits:
                trimmed = _without_first_label(lower(limit))
                if trimmed:
                    self._parents[trimmed] = lower(limit)

    def find(self, name: str) -> str | None:
        """The subtree that contains the name, or None."""
        if self._all:
            return ""
        key = _key(name)
        place = bisect.bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            return self._limits[place]
        nearest = self._limits[max(0, place - 1)]
        if _is_suffix(nearest, name):
            return nearest
        if name[:1] == "*":
            return self._parents.get(_without_first_label(lower(name)))
        return None


class _Networks:
    """Subtrees of addresses, separate for IPv4 and IPv6."""

    def __init__(self, limits: Sequence[tuple[bytes, bytes]]) -> None:
        self._sets: dict[int, list[tuple[bytes, bytes]]] = {4: [], 16: []}
        for address, mask in sorted(_apply_masks(limits)):
            kept = self._sets[len(address)]
            if not kept or not _covers(kept[-1], (address, mask)):
                kept.append((address, mask))

    def find(self, address: bytes) -> str | None:
        """The network that contains the address, or None."""
        limits = self._sets[len(address)]
        if not limits:
            return None
        place = bisect.bisect_left(limits, (address, b""))
        if place < len(limits) and limits[place][0] == address:
            return _network_text(limits[place])
        nearest = limits[max(0, place - 1)]
        return _network_text(nearest) if _contains(nearest, address) else None


class _Emails:
    """Mailboxes, and domains of mailboxes."""

    def __init__(self, limits: Sequence[str], *, permitted: bool) -> None:
        boxes = (domains.mailbox(limit) for limit in limits if "@" in limit)
        self._whole = {Mailbox(box.local, lower(box.domain)) for box in boxes if box is not None}
        only_domains = [limit for limit in limits if "@" not in limit]
        self._domains = _Domains(only_domains, permitted=permitted) if only_domains else None

    def find(self, box: Mailbox) -> str | None:
        """The constraint, a mailbox or a domain, that the mailbox matches, or None."""
        if box in self._whole:
            return str(box)
        return self._domains.find(box.domain) if self._domains is not None else None


class _Side:
    """The permitted or the excluded side of a certificate's constraints; None for unconstrained kinds of name."""

    def __init__(self, subtrees: Subtrees, *, permitted: bool) -> None:
        self.networks = _Networks(subtrees.networks) if subtrees.networks else None
        self.dns = _Domains(subtrees.dns, permitted=permitted) if subtrees.dns else None
        self.uris = _Domains(subtrees.uris, permitted=permitted) if subtrees.uris else None
        self.emails = _Emails(subtrees.emails, permitted=permitted) if subtrees.emails else None


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of one certificate, parsed for constraints: URIs with their domain."""

    addresses: Sequence[bytes]
    dns: Sequence[str]
    uris: Sequence[tuple[Url, str]]
    emails: Sequence[Mailbox]


def check_chain(chain: Sequence[Certificate]) -> None:
    """Checks the names of each certificate of a chain against the constraints of the certificates above it.

    Raises:
        ConstraintError: a name is not permitted, is excluded, or cannot be compared.
    """
    limits = [
        (
            place,
            _Side(name_constraints.permitted, permitted=True),
            _Side(name_constraints.excluded, permitted=False),
        )
        for place, certificate in enumerate(chain)
        if (name_constraints := certificate.extensions.constraints) is not None
    ]
    if not limits:
        return
    for place, certificate in enumerate(chain):
        if not certificate.has_san:
            continue
        while limits[0][0] <= place:
            if len(limits) == 1:
                return
            del limits[0]
        names = certificate.extensions.names
        parsed = _Names(
            names.addresses,
            names.dns,
            [(uri, _uri_domain(uri)) for uri in names.uris],
            [_mailbox(email) for email in names.emails],
        )
        for _, permitted, excluded in limits:
            _check(parsed, permitted, excluded)


def _check(names: _Names, permitted: _Side, excluded: _Side) -> None:
    for address in names.addresses:
        shown = f'IP address "{address_text(address)}"'
        _judge(shown, permitted.networks, excluded.networks, address)
    for name in names.dns:
        if not domains.is_domain(name, constraint=False):
            raise ConstraintError(f"x509: cannot parse dnsName {quote(name)}")
        _judge(f"DNS name {quote(name)}", permitted.dns, excluded.dns, name)
    for uri, domain in names.uris:
        if not domains.is_domain(domain, constraint=False):
            raise ConstraintError(f"x509: internal error: URI SAN {quote(uri.text)} failed to parse")
        _judge(f"URI {quote(uri.text)}", permitted.uris, excluded.uris, domain)
    for box in names.emails:
        if not domains.is_domain(box.domain, constraint=False):
            raise ConstraintError(f"x509: cannot parse rfc822Name {quote(str(box))}")
        _judge(f"email address {quote(str(box))}", permitted.emails, excluded.emails, box)


def _judge(shown: str, permitted: object, excluded: object, name: object) -> None:
    if permitted is not None and _find(permitted, name) is None:
        raise ConstraintError(f"{shown} is not permitted by any constraint")
    if excluded is not None and (limit := _find(excluded, name)) is not None:
        raise ConstraintError(f"{shown} is excluded by constraint {quote(limit)}")


def _find(limits: object, name: object) -> str | None:
    if isinstance(limits, _Networks):
        assert isinstance(name, bytes)
        return limits.find(name)
    if isinstance(limits, _Emails):
        assert isinstance(name, Mailbox)
        return limits.find(name)
    assert isinstance(limits, _Domains) and isinstance(name, str)
    return limits.find(name)


def _mailbox(email: str) -> Mailbox:
    box = domains.mailbox(email)
    if box is None:
        raise ConstraintError(f"cannot parse rfc822Name {quote(email)}")
    return Mailbox(box.local, lower(box.domain))


def _uri_domain(uri: Url) -> str:
    host = lower(uri.host)
    if not host:
        raise ConstraintError(
            f"URI with empty host ({quote(uri.text)}) cannot be matched against constraints"
        )
    if ":" in host and host[-1] != "]":
        host = _host_of(uri.host)
    if parsed_address(host) is not None or (host[:1] == "[" and host[-1:] == "]"):
        raise ConstraintError(f"URI with IP ({quote(uri.text)}) cannot be matched against constraints")
    return host


def _host_of(text: str) -> str:
    """The host of `host:port`.

    Raises:
        ConstraintError: it does not have that format.
    """
    if text[:1] == "[":
        inner, bracket, rest = text[1:].partition("]")
        if bracket and rest[:1] == ":" and ":" not in rest[1:]:
            return inner
        fault = "missing port in address" if bracket and not rest else "missing ']' in address"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        bad = next((letter for letter in "[]" if letter in host + port), "")
        if not bad:
            return host
        fault = f"unexpected '{bad}' in address"
    else:
        fault = "too many colons in address"
    raise ConstraintError(f"cannot parse URI host {quote(text)}: address {text}: {fault}")


def _key(name: str) -> bytes:
    return name.encode("latin-1")[::-1].translate(_ORDER)


def _is_suffix(limit: str, name: str) -> bool:
    """Whether the name is the limit or below it; a limit with a leading dot only covers names below it."""
    limit, name = lower(limit), lower(name)
    if not name.endswith(limit):
        return False
    return limit[:1] == "." or len(name) == len(limit) or name[-len(limit) - 1] == "."


def _without_first_label(name: str) -> str:
    _, dot, rest = name.partition(".")
    return dot + rest


def _apply_masks(limits: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(bytes(a & m for a, m in zip(address, mask, strict=True)), mask) for address, mask in limits]


def _contains(network: tuple[bytes, bytes], address: bytes) -> bool:
    base, mask = network
    if len(base) != len(address) or _is_mapped(base) != _is_mapped(address):
        return False
    return all(a & m == b & m for a, b, m in zip(address, base, mask, strict=True))


def _covers(outer: tuple[bytes, bytes], inner: tuple[bytes, bytes]) -> bool:
    address, mask = inner
    last = bytes(octet | ~bits & 0xFF for octet, bits in zip(address, mask, strict=True))
    return _contains(outer, address) and _contains(outer, last)


def _is_mapped(address: bytes) -> bool:
    return len(address) == 16 and unmap(ipaddress.IPv6Address(address)).version == 4


def _network_text(network: tuple[bytes, bytes]) -> str:
    """A network, given as address and mask, as Go prints it."""
    base, mask = network
    length = int.from_bytes(mask, "big").bit_count()
    if _is_mapped(base):
        return f"{address_text(base)}/{max(0, length - 96)}"
    return f"{address_text(base)}/{length}"
