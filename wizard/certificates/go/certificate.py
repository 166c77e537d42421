"""Parses certificates as Go does: every fault that Go finds is an error here, and nothing else is."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Final

from wizard.certificates.go import times
from wizard.certificates.go.der import (
    BMP_STRING,
    GENERALIZED_TIME,
    IA5_STRING,
    INTEGER,
    NULL,
    NUMERIC_STRING,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    PRINTABLE_STRING,
    SEQUENCE,
    SET,
    T61_STRING,
    UTC_TIME,
    UTF8_STRING,
    ParseError,
    Reader,
    dotted_oid,
    encode_oid,
    right_aligned,
)
from wizard.certificates.go.extensions import Extensions, read_extensions
from wizard.certificates.go.keys import Algorithm, Key, algorithm_identifier, public_key, signature_algorithm
from wizard.certificates.go.quoted_text import quote
from wizard.certificates.go.times import Moment

_COMMON_NAME: Final = encode_oid("2.5.4.3")
_ORGANIZATION: Final = encode_oid("2.5.4.10")
_PRINTABLE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'()+,-./ :=?*&")
_NUMERIC: Final = frozenset(b"0123456789 ")
_VERSION: Final = 0xA0
_ISSUER_ID: Final = 0x81
_SUBJECT_ID: Final = 0x82
_EXTENSIONS: Final = 0xA3


@dataclass(frozen=True, slots=True)
class Name:
    """The parts of a distinguished name that appear in Go's errors."""

    common: str
    organization: str | None
    """The first organization (O) of the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate. Bytes are as in the certificate; `subject` and `issuer` include their headers."""

    raw: bytes
    signed: bytes
    version: int
    serial: int
    algorithm: Algorithm
    signature: bytes
    issuer: bytes
    subject: bytes
    name: Name
    not_before: Moment
    not_after: Moment
    key_info: bytes
    key: Key | None
    extensions: Extensions = field(default_factory=Extensions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    @property
    def common_name(self) -> str:
        """The subject's last CN, or ''."""
        return self.name.common

    @property
    def dns_names(self) -> tuple[str, ...]:
        """The DNS names of the SAN extension."""
        return self.extensions.dns_names

    @property
    def addresses(self) -> tuple[bytes, ...]:
        """The addresses of the SAN extension, 4 or 16 bytes each."""
        return self.extensions.addresses

    @property
    def has_san(self) -> bool:
        """Whether there is a SAN extension, even one without names."""
        return self.extensions.alternative_names is not None


@functools.lru_cache(1024)
def parse(der: bytes) -> Certificate:
    """Parses a certificate.

    Raises:
        ParseError: Go would not parse it; the message is Go's.
    """
    malformed = "x509: malformed certificate"
    outer = Reader(der).element(SEQUENCE, malformed)
    found = _parse_body(outer.whole, Reader(outer.content))
    if len(der) != len(outer.whole):
        raise ParseError("x509: trailing data")
    return found


def _parse_body(raw: bytes, outer: Reader) -> Certificate:
    signed = outer.element(SEQUENCE, "x509: malformed tbs certificate")
    body = Reader(signed.content)
    version = _version(body)
    serial = body.integer("x509: malformed serial number")
    if serial < 0:
        raise ParseError("x509: negative serial number")
    inner = body.content(SEQUENCE, "x509: malformed signature algorithm identifier")
    if outer.content(SEQUENCE, "x509: malformed algorithm identifier") != inner:
        raise ParseError("x509: inner and outer signature algorithm identifiers don't match")
    algorithm = signature_algorithm(inner)
    issuer = body.element(SEQUENCE, "x509: malformed issuer").whole
    distinguished_name(issuer)
    validity = body.inside(SEQUENCE, "x509: malformed validity")
    not_before, not_after = times.read(validity), times.read(validity)
    subject = body.element(SEQUENCE, "x509: malformed issuer").whole
    name = distinguished_name(subject)
    key_info = body.element(SEQUENCE, "x509: malformed spki")
    key = _key(Reader(key_info.content))
    extensions = _extensions(body, version)
    signature = right_aligned(outer.bits("x509: malformed signature"))
    return Certificate(
        raw=raw,
        signed=signed.whole,
        version=version,
        serial=serial,
        algorithm=algorithm,
        signature=signature,
        issuer=issuer,
        subject=subject,
        name=name,
        not_before=not_before,
        not_after=not_after,
        key_info=key_info.whole,
        key=key,
        extensions=extensions,
    )


def _version(body: Reader) -> int:
    message = "x509: malformed version"
    content = body.optional(_VERSION, message)
    if content is None:
        return 1
    inside = Reader(content)
    number = inside.int64(message)
    if inside or number < 0:
        raise ParseError(message)
    if number > 2:
        raise ParseError("x509: invalid version")
    return number + 1


def _key(info: Reader) -> Key | None:
    oid, parameters = algorithm_identifier(
        info.content(SEQUENCE, "x509: malformed public key algorithm identifier")
    )
    octets = right_aligned(info.bits("x509: malformed subjectPublicKey"))
    return public_key(oid, parameters, octets)


def _extensions(body: Reader, version: int) -> Extensions:
    if version == 1:
        return Extensions()
    body.optional(_ISSUER_ID, "x509: malformed issuerUniqueID")
    body.optional(_SUBJECT_ID, "x509: malformed subjectUniqueID")
    message = "x509: malformed extensions"
    content = body.optional(_EXTENSIONS, message) if version == 3 else None
    if content is None:
        return Extensions()
    entries = Reader(content).inside(SEQUENCE, message)
    found: dict[bytes, tuple[bool, bytes]] = {}
    while entries:
        entry = entries.inside(SEQUENCE, "x509: malformed extension")
        oid = entry.oid("x509: malformed extension OID field")
        critical = entry.next_is(0x01) and entry.boolean("x509: malformed extension critical field")
        value = entry.content(OCTET_STRING, "x509: malformed extension value field")
        if oid in found:
            raise ParseError(
                f"x509: certificate contains duplicate extension with OID {quote(dotted_oid(oid))}"
            )
        found[oid] = (critical, value)
    return read_extensions(found)


@functools.lru_cache(512)
def distinguished_name(raw: bytes) -> Name:
    """Parses a distinguished name. Raises `ParseError`."""
    message = "x509: invalid RDNSequence"
    common, organization = "", None
    names = Reader(raw).inside(SEQUENCE, message)
    while names:
        attributes = names.inside(SET, message)
        while attributes:
            attribute = attributes.inside(SEQUENCE, f"{message}: invalid attribute")
            kind = attribute.oid(f"{message}: invalid attribute type")
            value = _value(attribute)
            if value is None:
                continue
            if kind == _COMMON_NAME:
                common = value
            elif kind == _ORGANIZATION and organization is None:
                organization = value
    return Name(common, organization)


def _value(attribute: Reader) -> str | None:
    """The text of an attribute; None if its value is not a text."""
    message = "x509: invalid RDNSequence: invalid attribute value"
    found = attribute.any(f"{message}: invalid ASN.1 element")
    try:
        return _text(found.tag, found.content)
    except KeyError:
        pass
    except ValueError as error:
        raise ParseError(f"{message}: {error}") from error
    try:
        _check_value(found.tag, Reader(found.whole))
    except ParseError as error:
        raise ParseError(f"{message}: {error}") from error
    return None


def _check_value(tag: int, element: Reader) -> None:
    if tag == INTEGER:
        element.int64("invalid ASN.1 integer")
    elif tag == 0x03:
        element.bits("invalid ASN.1 BIT STRING")
    elif tag == OBJECT_IDENTIFIER:
        element.oid("invalid ASN.1 OBJECT IDENTIFIER")
    elif tag in (UTC_TIME, GENERALIZED_TIME):
        times.read(element)
    elif tag == 0x01:
        element.boolean("invalid ASN.1 BOOLEAN")
    elif tag not in (NULL, OCTET_STRING):
        element.any("invalid ASN.1 element")


def _text(tag: int, content: bytes) -> str:
    """The text of a string. Raises `KeyError` for another type, `ValueError` (Go's message) for an invalid one."""
    if tag == UTF8_STRING:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ParseError("invalid UTF-8 string") from error
    if tag == PRINTABLE_STRING:
        if not _PRINTABLE.issuperset(content):
            raise ParseError("invalid PrintableString")
        return content.decode("ascii")
    if tag == T61_STRING:
        return content.decode("latin-1")
    if tag == BMP_STRING:
        return _bmp_text(content)
    if tag == IA5_STRING:
        if not content.isascii():
            raise ParseError("invalid IA5String")
        return content.decode("ascii")
    if tag == NUMERIC_STRING:
        if not _NUMERIC.issuperset(content):
            raise ParseError("invalid NumericString")
        return content.decode("ascii")
    raise KeyError(tag)


def _bmp_text(content: bytes) -> str:
    if len(content) % 2:
        raise ParseError("invalid BMPString")
    if content[-2:] == b"\0\0":
        content = content[:-2]
    for place in range(0, len(content), 2):
        point = content[place] << 8 | content[place + 1]
        if point >= 0xFFFE or 0xFDD0 <= point <= 0xFDEF or 0xD800 <= point <= 0xDFFF:
            raise ParseError("invalid BMPString")
    return content.decode("utf-16-be")
