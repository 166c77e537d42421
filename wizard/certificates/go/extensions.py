"""Parses the extensions of a certificate as Go does: in their order, up to the first fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wizard.certificates.go import domains, urls
from wizard.certificates.go.der import (
    BOOLEAN,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    ParseError,
    Reader,
    encode_oid,
)
from wizard.certificates.go.quoted_text import parsed_address, quote
from wizard.certificates.go.urls import Url, UrlError

_EMAIL: Final = 0x81
_DNS: Final = 0x82
_URI: Final = 0x86
_IP: Final = 0x87
_MAPPED: Final = bytes(10) + b"\xff\xff"
_CONSTRAINTS: Final = "x509: invalid NameConstraints extension"
_MOST: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Subtrees:
    """One side of name constraints, by the kinds that Go knows. Networks are address and mask, 4 or 16 bytes each."""

    dns: tuple[str, ...] = ()
    networks: tuple[tuple[bytes, bytes], ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """Which names certificates below a CA may and must not have."""

    permitted: Subtrees
    excluded: Subtrees


@dataclass(frozen=True, slots=True)
class Names:
    """The names in a SAN extension, by kind."""

    dns: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    addresses: tuple[bytes, ...] = ()
    uris: tuple[Url, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """The parsed extensions; None if an extension is absent whose empty value would have another meaning."""

    alternative_names: bytes | None = None
    """The bytes of the SAN extension."""
    names: Names = field(default_factory=Names)
    is_ca: bool | None = None
    path_length: int = -1
    signs_certificates: bool = True
    """Whether the key usage has keyCertSign; True if there is no key usage or none of its bits is set."""
    usages: tuple[bytes, ...] = ()
    """The OIDs of the extended key usage."""
    constraints: NameConstraints | None = None
    subject_key: bytes = b""
    authority_key: bytes = b""
    policies: tuple[bytes, ...] = ()
    mappings: tuple[tuple[bytes, bytes], ...] = ()
    explicit_policy: int | None = None
    inhibit_mapping: int | None = None
    inhibit_any: int | None = None
    unhandled: bool = False
    """Whether there is a critical extension that Go does not understand."""

    @property
    def dns_names(self) -> tuple[str, ...]:
        """The DNS names of the SAN extension."""
        return self.names.dns

    @property
    def addresses(self) -> tuple[bytes, ...]:
        """The addresses of the SAN extension."""
        return self.names.addresses


def read_extensions(found: Mapping[bytes, tuple[bool, bytes]]) -> Extensions:
    """Parses the extensions, given by OID: whether critical, and the value.

    Raises:
        ParseError: Go would not parse one of them; the message is Go's.
    """
    fields: dict[str, Any] = {}
    for oid, (critical, value) in found.items():
        read = _READERS.get(oid)
        if read is None:
            understood = False
        else:
            if critical and oid in _NEVER_CRITICAL:
                raise ParseError(f"x509: {_NEVER_CRITICAL[oid]} incorrectly marked critical")
            parsed = read(value)
            understood = parsed.pop("understood", True)
            fields |= parsed
        if critical and not understood:
            fields["unhandled"] = True
    return Extensions(**fields)


def _key_usage(value: bytes) -> dict[str, Any]:
    octets, _padding = Reader(value).bits("x509: invalid key usage")
    # Nine bits count; the first one is the highest bit of the first byte.
    known = int.from_bytes(octets[:2].ljust(2, b"\0"), "big") >> 7
    return {"signs_certificates": not known or bool(known & 1 << 3)}


def _basic_constraints(value: bytes) -> dict[str, Any]:
    message = "x509: invalid basic constraints"
    inside = Reader(value).inside(SEQUENCE, message)
    is_ca = inside.next_is(BOOLEAN) and inside.boolean(message)
    length = -1
    if inside.next_is(INTEGER):
        length = inside.integer(message)
        if not 0 <= length <= _MOST:
            raise ParseError(message)
    return {"is_ca": is_ca, "path_length": length}


def _alternative_names(value: bytes) -> dict[str, Any]:
    entries = Reader(value).inside(SEQUENCE, "x509: invalid subject alternative names")
    dns: list[str] = []
    emails: list[str] = []
    addresses: list[bytes] = []
    uris: list[Url] = []
    while entries:
        tag, content, _ = entries.any("x509: invalid subject alternative name")
        if tag == _DNS:
            dns.append(_ascii(content, "x509: SAN dNSName is malformed"))
        elif tag == _IP:
            addresses.append(_address(content))
        elif tag == _EMAIL:
            emails.append(_ascii(content, "x509: SAN rfc822Name is malformed"))
        elif tag == _URI:
            uris.append(_uri(content))
    names = Names(tuple(dns), tuple(emails), tuple(addresses), tuple(uris))
    return {"alternative_names": value, "names": names, "understood": names != Names()}


def _ascii(content: bytes, message: str) -> str:
    if not content.isascii():
        raise ParseError(message)
    return content.decode("ascii")


def _address(content: bytes) -> bytes:
    if len(content) not in (4, 16):
        raise ParseError(f"x509: cannot parse IP address of length {len(content)}")
    if len(content) == 16 and content.startswith(_MAPPED):
        raise ParseError("x509: SAN iPAddress contains IPv4-mapped IPv6 address")
    return content


def _uri(content: bytes) -> Url:
    text = _ascii(content, "x509: SAN uniformResourceIdentifier is malformed")
    try:
        url = urls.parse(text)
    except UrlError as error:
        raise ParseError(f"x509: cannot parse URI {quote(text)}: {error}") from error
    if url.host and not domains.is_domain(url.host, constraint=False):
        raise ParseError(f"x509: cannot parse URI {quote(text)}: invalid domain")
    return url


def _name_constraints(value: bytes) -> dict[str, Any]:
    outer = Reader(value)
    inside = outer.inside(SEQUENCE, _CONSTRAINTS)
    if outer:
        raise ParseError(_CONSTRAINTS)
    permitted, excluded = inside.optional(0xA0, _CONSTRAINTS), inside.optional(0xA1, _CONSTRAINTS)
    if inside:
        raise ParseError(_CONSTRAINTS)
    if not permitted and not excluded:
        raise ParseError("x509: empty name constraints extension")
    allowed, all_known = _subtrees(permitted or b"")
    forbidden, also_known = _subtrees(excluded or b"")
    return {"constraints": NameConstraints(allowed, forbidden), "understood": all_known and also_known}


def _subtrees(content: bytes) -> tuple[Subtrees, bool]:
    entries, understood = Reader(content), True
    dns: list[str] = []
    networks: list[tuple[bytes, bytes]] = []
    emails: list[str] = []
    uris: list[str] = []
    while entries:
        tag, base, _ = entries.inside(SEQUENCE, _CONSTRAINTS).any(_CONSTRAINTS)
        if tag == _IP:
            networks.append(_network(base))
        elif tag not in (_DNS, _EMAIL, _URI):
            understood = False
        elif not base.isascii():
            shown = base.decode("utf-8", "surrogateescape")
            raise ParseError(
                f"x509: invalid constraint value: x509: {quote(shown)} cannot be encoded as an IA5String"
            )
        elif tag == _DNS:
            dns.append(_domain(base, "dnsName"))
        elif tag == _URI:
            if parsed_address(base.decode("ascii")) is not None:
                shown = quote(base.decode("ascii"))
                raise ParseError(f"x509: failed to parse URI constraint {shown}: cannot be IP address")
            uris.append(_domain(base, "URI"))
        else:
            emails.append(_email_constraint(base))
    return Subtrees(tuple(dns), tuple(networks), tuple(emails), tuple(uris)), understood


def _domain(base: bytes, kind: str) -> str:
    text = base.decode("ascii")
    if not domains.is_domain(text, constraint=True):
        raise ParseError(f"x509: failed to parse {kind} constraint {quote(text)}")
    return text


def _email_constraint(base: bytes) -> str:
    text = base.decode("ascii")
    if "@" not in text:
        return _domain(base, "rfc822Name")
    if domains.mailbox(text) is None:
        raise ParseError(f"x509: failed to parse rfc822Name constraint {quote(text)}")
    return text


def _network(base: bytes) -> tuple[bytes, bytes]:
    if len(base) not in (8, 32):
        raise ParseError(f"x509: IP constraint contained value of length {len(base)}")
    half = len(base) // 2
    address, mask = base[:half], base[half:]
    bits = f"{int.from_bytes(mask, 'big'):b}".zfill(half * 8)
    if "01" in bits:
        raise ParseError(f"x509: IP constraint contained invalid mask {mask.hex()}")
    if half == 16 and address.startswith(_MAPPED):
        raise ParseError("x509: IP constraint contained IPv4-mapped IPv6 address")
    return address, mask


def _revocation_lists(value: bytes) -> dict[str, Any]:
    message = "x509: invalid CRL distribution point"
    points = Reader(value).inside(SEQUENCE, f"{message}s")
    while points:
        name = points.inside(SEQUENCE, message).optional(0xA0, message)
        if name is None:
            continue
        entries = Reader(name).inside(0xA0, message)
        while entries and entries.next_is(_URI):
            entries.any(message)
    return {}


def _authority_key(value: bytes) -> dict[str, Any]:
    message = "x509: invalid authority key identifier"
    return {"authority_key": Reader(value).inside(SEQUENCE, message).optional(0x80, message) or b""}


def _subject_key(value: bytes) -> dict[str, Any]:
    return {"subject_key": Reader(value).content(OCTET_STRING, "x509: invalid subject key identifier")}


def _usages(value: bytes) -> dict[str, Any]:
    message = "x509: invalid extended key usages"
    entries = Reader(value).inside(SEQUENCE, message)
    found = []
    while entries:
        found.append(entries.oid(message))
    return {"usages": tuple(found)}


def _policies(value: bytes) -> dict[str, Any]:
    message = "x509: invalid certificate policies"
    entries = Reader(value).inside(SEQUENCE, message)
    found: dict[bytes, None] = {}
    while entries:
        entry = entries.inside(SEQUENCE, message)
        oid = entry.content(OBJECT_IDENTIFIER, message)
        if oid in found or not oid or oid[-1] & 0x80 or not _is_shortest(oid):
            raise ParseError(message)
        found[oid] = None
    return {"policies": tuple(found)}


def _is_shortest(oid: bytes) -> bool:
    """Whether every arc is in its shortest form; arcs may have any size."""
    return all(octet != 0x80 or before & 0x80 for before, octet in zip(b"\0" + oid, oid, strict=False))


def _policy_constraints(value: bytes) -> dict[str, Any]:
    message = "x509: invalid policy constraints extension"
    inside = Reader(value).inside(SEQUENCE, message)
    found = {}
    for tag, key in ((0x80, "explicit_policy"), (0x81, "inhibit_mapping")):
        if inside.next_is(tag):
            number = inside.int64(message, tag)
            # Go stores a negative number and never uses it.
            found[key] = number if number >= 0 else None
    return found


def _policy_mappings(value: bytes) -> dict[str, Any]:
    message = "x509: invalid policy mappings extension"
    entries = Reader(value).inside(SEQUENCE, message)
    found = []
    while entries:
        pair = entries.inside(SEQUENCE, message)
        issuers = pair.content(OBJECT_IDENTIFIER, message)
        found.append((issuers, pair.content(OBJECT_IDENTIFIER, message)))
    return {"mappings": tuple(found)}


def _inhibit_any(value: bytes) -> dict[str, Any]:
    number = Reader(value).int64("x509: invalid inhibit any policy extension")
    return {"inhibit_any": number if number >= 0 else None}


def _authority_access(value: bytes) -> dict[str, Any]:
    message = "x509: invalid authority info access"
    entries = Reader(value).inside(SEQUENCE, message)
    while entries:
        entry = entries.inside(SEQUENCE, message)
        entry.oid(message)
        if entry.next_is(_URI):
            entry.any(message)
    return {}


_READERS: Final[dict[bytes, Callable[[bytes], dict[str, Any]]]] = {
    encode_oid("2.5.29.14"): _subject_key,
    encode_oid("2.5.29.15"): _key_usage,
    encode_oid("2.5.29.17"): _alternative_names,
    encode_oid("2.5.29.19"): _basic_constraints,
    encode_oid("2.5.29.30"): _name_constraints,
    encode_oid("2.5.29.31"): _revocation_lists,
    encode_oid("2.5.29.32"): _policies,
    encode_oid("2.5.29.33"): _policy_mappings,
    encode_oid("2.5.29.35"): _authority_key,
    encode_oid("2.5.29.36"): _policy_constraints,
    encode_oid("2.5.29.37"): _usages,
    encode_oid("2.5.29.54"): _inhibit_any,
    encode_oid("1.3.6.1.5.5.7.1.1"): _authority_access,
}
_NEVER_CRITICAL: Final = {
    encode_oid("2.5.29.14"): "subject key identifier",
    encode_oid("2.5.29.35"): "authority key identifier",
    encode_oid("1.3.6.1.5.5.7.1.1"): "authority info access",
}
