"""Certificates of any shape, valid or not, encoded octet by octet: libraries would refuse to write some of them."""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


# ---------------------------------------------------------------------------------------------------------
# DER
# ---------------------------------------------------------------------------------------------------------


def tlv(tag: int, *content: bytes) -> bytes:
    """Encodes one element."""
    body = b"".join(content)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def seq(*content: bytes) -> bytes:
    return tlv(0x30, *content)


def integer(number: int) -> bytes:
    return tlv(2, number.to_bytes((number + (number < 0)).bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool) -> bytes:
    return tlv(1, b"\xff" if value else b"\0")


@functools.cache
def oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    body = b""
    for arc in (first * 40 + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        body += bytes(reversed(septets))
    return tlv(6, body)


def bits(content: bytes, unused: int = 0) -> bytes:
    return tlv(3, bytes((unused,)), content)


def octets(content: bytes) -> bytes:
    return tlv(4, content)


def utf8(text: str) -> bytes:
    return tlv(0x0C, text.encode())


def name(*attributes: tuple[str, bytes]) -> bytes:
    """Encodes a distinguished name from pairs of OID and encoded value."""
    return seq(*(tlv(0x31, seq(oid(kind), value)) for kind, value in attributes))


@functools.cache
def cn(text: str) -> bytes:
    return name(("2.5.4.3", utf8(text))) if text else seq()


def utc(moment: datetime) -> bytes:
    if moment.year >= 2050:
        return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())
    return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


# ---------------------------------------------------------------------------------------------------------
# Keys
# ---------------------------------------------------------------------------------------------------------

Private = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
    | ed448.Ed448PrivateKey
    | x25519.X25519PrivateKey
)
NULL = b"\x05\x00"
ECDSA = {
    "SHA1": "1.2.840.10045.4.1",
    "SHA256": "1.2.840.10045.4.3.2",
    "SHA384": "1.2.840.10045.4.3.3",
    "SHA512": "1.2.840.10045.4.3.4",
}
RSA = {
    "MD5": "1.2.840.113549.1.1.4",
    "SHA1": "1.2.840.113549.1.1.5",
    "SHA224": "1.2.840.113549.1.1.14",
    "SHA256": "1.2.840.113549.1.1.11",
    "SHA384": "1.2.840.113549.1.1.12",
    "SHA512": "1.2.840.113549.1.1.13",
}
DSA = {"SHA1": "1.2.840.10040.4.3", "SHA256": "2.16.840.1.101.3.4.3.2"}
DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {
    "MD5": hashes.MD5,
    "SHA1": hashes.SHA1,
    "SHA224": hashes.SHA224,
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}
HASH_OIDS = {
    "SHA256": "2.16.840.1.101.3.4.2.1",
    "SHA384": "2.16.840.1.101.3.4.2.2",
    "SHA512": "2.16.840.1.101.3.4.2.3",
}


@dataclass(frozen=True, eq=False)
class Pair:
    """A private key, and its public half as certificates encode it."""

    private: Private

    @functools.cached_property
    def info(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @functools.cached_property
    def identifier(self) -> bytes:
        return hashlib.sha1(self.info).digest()

    def sign(self, data: bytes, digest: str = "SHA256", *, pss: bool = False) -> tuple[bytes, bytes]:
        """Returns the AlgorithmIdentifier, and the signature."""
        key = self.private
        made = DIGESTS[digest]()
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return seq(oid("1.3.101.112")), key.sign(data)
        if isinstance(key, ed448.Ed448PrivateKey):
            return seq(oid("1.3.101.113")), key.sign(data)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return seq(oid(ECDSA[digest])), key.sign(data, ec.ECDSA(made, deterministic_signing=True))
        if isinstance(key, dsa.DSAPrivateKey):
            return seq(oid(DSA[digest])), key.sign(data, made)
        assert isinstance(key, rsa.RSAPrivateKey)
        if pss:
            return pss_identifier(digest), key.sign(
                data, padding.PSS(padding.MGF1(made), made.digest_size), made
            )
        return seq(oid(RSA[digest]), NULL), key.sign(data, padding.PKCS1v15(), made)


def pss_identifier(digest: str, mask: str = "", salt: int = 0, trailer: bytes = b"") -> bytes:
    one, other = seq(oid(HASH_OIDS[digest]), NULL), seq(oid(HASH_OIDS[mask or digest]), NULL)
    length = salt or DIGESTS[digest]().digest_size
    parameters = seq(
        tlv(0xA0, one),
        tlv(0xA1, seq(oid("1.2.840.113549.1.1.8"), other)),
        tlv(0xA2, integer(length)),
        trailer,
    )
    return seq(oid("1.2.840.113549.1.1.10"), parameters)


@functools.cache
def edwards(number: int) -> Pair:
    return Pair(ed25519.Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


@functools.cache
def curve(number: int, kind: type[ec.EllipticCurve] = ec.SECP256R1) -> Pair:
    return Pair(ec.derive_private_key(number + 2, kind()))


@functools.cache
def rsa_pair(number: int, size: int = 1024) -> Pair:
    del number
    return Pair(rsa.generate_private_key(65537, size))


@functools.cache
def dsa_pair() -> Pair:
    return Pair(dsa.generate_private_key(1024))


# ---------------------------------------------------------------------------------------------------------
# Extensions: an OID, whether critical (None: the field is left out), and the value
# ---------------------------------------------------------------------------------------------------------

Extension = tuple[str, bool, bytes]


def basic(ca: bool = True, length: int | None = None, critical: bool = True) -> Extension:
    parts = [boolean(True)] if ca else []
    if length is not None:
        parts.append(integer(length))
    return ("2.5.29.19", critical, seq(*parts))


def usage(value: int, unused: int = 0) -> Extension:
    return ("2.5.29.15", True, bits(value.to_bytes(1, "big"), unused))


SERVER, CLIENT, ANY = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0"


def purposes(*kinds: str, critical: bool = False) -> Extension:
    return ("2.5.29.37", critical, seq(*map(oid, kinds)))


def own_id(value: bytes) -> Extension:
    return ("2.5.29.14", False, octets(value))


def issuer_id(value: bytes) -> Extension:
    return ("2.5.29.35", False, seq(tlv(0x80, value)))


def dns(text: str) -> bytes:
    return tlv(0x82, text.encode("latin-1"))


def email(text: str) -> bytes:
    return tlv(0x81, text.encode("latin-1"))


def uri(text: str) -> bytes:
    return tlv(0x86, text.encode("latin-1"))


def ip(content: bytes) -> bytes:
    return tlv(0x87, content)


def directory(subject: bytes) -> bytes:
    return tlv(0xA4, subject)


def names(*entries: bytes, critical: bool = False) -> Extension:
    return ("2.5.29.17", critical, seq(*entries))


def constraints(
    permitted: list[bytes] | None, excluded: list[bytes] | None, critical: bool = True
) -> Extension:
    parts = []
    for tag, entries in ((0xA0, permitted), (0xA1, excluded)):
        if entries is not None:
            parts.append(tlv(tag, *(seq(entry) for entry in entries)))
    return ("2.5.29.30", critical, seq(*parts))


def policies(*kinds: str) -> Extension:
    return ("2.5.29.32", False, seq(*(seq(oid(kind)) for kind in kinds)))


def mappings(*pairs: tuple[str, str]) -> Extension:
    return ("2.5.29.33", True, seq(*(seq(oid(one), oid(other)) for one, other in pairs)))


def policy_constraints(explicit: int | None, mapping: int | None) -> Extension:
    parts = []
    for tag, number in ((0x80, explicit), (0x81, mapping)):
        if number is not None:
            parts.append(bytes((tag,)) + integer(number)[1:])
    return ("2.5.29.36", True, seq(*parts))


def inhibit_any(number: int) -> Extension:
    return ("2.5.29.54", True, integer(number))


# ---------------------------------------------------------------------------------------------------------
# Certificates
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Maker:
    """The fields of a certificate to be made. Fields that are given as bytes are used unchanged."""

    subject: bytes
    key: Pair
    issuer: bytes | None = None
    signer: Pair | None = None
    extensions: tuple[Extension, ...] = ()
    serial: bytes = integer(1)
    not_before: bytes = utc(NOW.replace(year=2020))
    not_after: bytes = utc(NOW.replace(year=2040))
    version: bytes = tlv(0xA0, integer(2))
    digest: str = "SHA256"
    pss: bool = False
    info: bytes = b""
    inner: bytes = b""
    outer: bytes = b""
    extensions_body: bytes | None = None
    tail: bytes = b""
    after: bytes = b""
    unique: bytes = b""
    spoil: bool = False
    signature_bits: bytes = b""
    extra: dict[str, bytes] = field(default_factory=dict, compare=False)

    def but(self, **changes: object) -> Maker:
        """Returns a copy with other fields."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def also(self, *extensions: Extension) -> Maker:
        """Returns a copy with more extensions, which replace those of their kind."""
        kinds = {each[0] for each in extensions}
        kept = tuple(each for each in self.extensions if each[0] not in kinds)
        return replace(self, extensions=kept + extensions)

    def without(self, *kinds: str) -> Maker:
        """Returns a copy without some extensions."""
        return replace(self, extensions=tuple(each for each in self.extensions if each[0] not in kinds))

    def body(self, algorithm: bytes) -> bytes:
        """Returns the part that is signed."""
        body = self.extensions_body
        if body is None and self.extensions:
            entries = [
                seq(oid(kind), boolean(True) if critical else b"", octets(value))
                for kind, critical, value in self.extensions
            ]
            body = tlv(0xA3, seq(*entries))
        return seq(
            self.version,
            self.serial,
            self.inner or algorithm,
            self.subject if self.issuer is None else self.issuer,
            seq(self.not_before, self.not_after),
            self.subject,
            self.info or self.key.info,
            self.unique,
            body or b"",
            self.tail,
        )

    def der(self) -> bytes:
        """Returns the certificate, signed."""
        signer = self.signer or self.key
        algorithm, _ = signer.sign(b"", self.digest, pss=self.pss)
        body = self.body(algorithm)
        return self.finished(body, algorithm)

    def finished(self, body: bytes, algorithm: bytes = b"") -> bytes:
        """Returns a signed certificate with any body."""
        found, signature = (self.signer or self.key).sign(body, self.digest, pss=self.pss)
        if self.spoil:
            signature = signature[:-1] + bytes((signature[-1] ^ 1,))
        return seq(
            body,
            self.outer or self.inner or algorithm or found,
            self.signature_bits or bits(signature),
            self.after,
        )


def pem(der: bytes, label: str = "CERTIFICATE") -> bytes:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode()


def authority(text: str, key: Pair, *more: Extension, parent: Maker | None = None) -> Maker:
    """Returns a usual CA, self-signed or signed by another."""
    extensions = [basic(), usage(0x06, 1), own_id(key.identifier)]
    if parent is not None:
        extensions.append(issuer_id(parent.key.identifier))
    made = Maker(
        cn(text),
        key,
        issuer=None if parent is None else parent.subject,
        signer=None if parent is None else parent.key,
        extensions=tuple(extensions),
    )
    return made.also(*more)


def leaf(parent: Maker, key: Pair, *more: Extension, text: str = "leaf") -> Maker:
    """Returns a usual leaf certificate for localhost, for servers and clients."""
    made = Maker(
        cn(text),
        key,
        issuer=parent.subject,
        signer=parent.key,
        extensions=(
            usage(0x80, 7),
            purposes(SERVER, CLIENT),
            names(dns("localhost"), ip(b"\x7f\0\0\1")),
            issuer_id(parent.key.identifier),
        ),
    )
    return made.also(*more)
