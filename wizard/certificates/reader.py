"""Loads certificates (PEM or DER) and summarises them.

For any bytes, the result is a certificate or a CertificateError, never another exception.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import ssl
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID

from wizard.certificates import go
from wizard.errors import CertificateError
from wizard.model import CertificateSummary
from wizard.redact import plain

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
# `catch_warnings` is not thread-safe.
_QUIET: Final = threading.Lock()
_KINDS: Final = (("server", ExtendedKeyUsageOID.SERVER_AUTH), ("client", ExtendedKeyUsageOID.CLIENT_AUTH))
_CURVES: Final = {"secp224r1": "P-224", "secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def load(data: bytes) -> x509.Certificate:
    """The first certificate of a PEM text, or the certificate in DER.

    Raises:
        CertificateError: it is neither.
    """
    if b"-----BEGIN" in data:
        return chain(data)[0]
    try:
        return _parse(data)
    except (ValueError, TypeError) as error:
        raise CertificateError(
            "this is not a certificate",
            todo="Give a file that begins with -----BEGIN CERTIFICATE-----",
        ) from error


@functools.lru_cache(maxsize=64)
def bundle(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a CA file, in their order; at least one. Damaged ones are skipped, as Go does.

    Raises:
        CertificateError: there is none that can be parsed.
    """
    parsed = _read_all(pem)
    found = tuple(certificate for certificate in parsed if certificate is not None)
    if not found:
        raise _damage_error(parsed)
    return found


@functools.lru_cache(maxsize=64)
def chain(pem: bytes) -> tuple[x509.Certificate, ...]:
    """All certificates of the file that a server or client presents, in their order; at least one.

    Raises:
        CertificateError: there is none, or one of them cannot be parsed.
    """
    parsed = _read_all(pem)
    if None in parsed:
        raise _damage_error(parsed)
    return tuple(certificate for certificate in parsed if certificate is not None)


def _read_all(pem: bytes) -> list[x509.Certificate | None]:
    """The certificates in the blocks of a PEM text, None for each that cannot be parsed; at least one block."""
    if pem[:1] == b"\x30" and b"-----BEGIN" not in pem:
        raise CertificateError(
            "the certificate is in DER form, and Prometheus wants PEM",
            todo="Convert it: openssl x509 -inform DER -in FILE -out FILE.pem",
        )
    found: list[x509.Certificate | None] = []
    for der in go.certificates(pem):
        try:
            found.append(_parse(der))
        except (ValueError, TypeError):
            found.append(None)
    lost = pem.count(b"-----BEGIN CERTIFICATE-----") - len(found)
    found += [None] * lost
    if found:
        return found
    key = b"PRIVATE KEY-----" in pem
    raise CertificateError(
        "there is a private key here but no certificate" if key else "there is no PEM certificate here",
        todo="Swap the two paths if they were mixed up"
        if key
        else "Give a file that begins with -----BEGIN CERTIFICATE-----",
    )


def _damage_error(parsed: Sequence[x509.Certificate | None]) -> CertificateError:
    number = parsed.index(None) + 1
    return CertificateError(
        f"certificate {number} of {len(parsed)} is damaged", todo="Copy the file again, as a whole"
    )


def system_roots(chain: Sequence[bytes]) -> tuple[bytes, ...]:
    """Those system roots of this machine that may have issued a certificate of `chain`, or its leaf; all in DER.

    Parsing all of some 140 roots would take longer than the request for which they are needed.
    """
    issuers = []
    for der in chain:
        with suppress(go.ParseError):
            issuers.append(go.parse(der).issuer)
    paths = ssl.get_default_verify_paths()
    places = tuple(path for path in (paths.cafile, paths.capath) if path)
    with _loading:
        ours = _load_system_roots(places, tuple(_modification_time(path) for path in places))
    return tuple(der for der in ours if any(issuer in der for issuer in issuers))


_loading = threading.Lock()


@functools.lru_cache(maxsize=1)
def _load_system_roots(_places: tuple[str, ...], _times: tuple[int, ...]) -> tuple[bytes, ...]:
    """This machine's system roots; the cache is renewed when their paths or modification times change."""
    bundle = ssl.get_default_verify_paths().cafile
    if bundle:
        # OpenSSL would parse them all, which takes as long as several requests.
        with suppress(OSError, ValueError):
            return tuple(go.certificates(Path(bundle).read_bytes()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return tuple(context.get_ca_certs(binary_form=True))


def _modification_time(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=256)
def summary(data: bytes) -> CertificateSummary:
    """The summary of a certificate (PEM or DER); its texts are not yet safe to show.

    Raises:
        CertificateError: it cannot be parsed.
    """
    try:
        return _summary(load(data))
    except CertificateError:
        try:
            return _summary_by_go(go.parse(next(go.certificates(data), data)))
        except go.ParseError:
            pass
        raise


def _summary(certificate: x509.Certificate) -> CertificateSummary:
    try:
        # cryptography warns about names that break a rule, such as a country of three letters.
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return CertificateSummary(
                subject=_name(certificate.subject),
                issuer=_name(certificate.issuer),
                names=(*dns_names(certificate), *map(str, ip_names(certificate))),
                not_before=certificate.not_valid_before_utc.timestamp(),
                not_after=certificate.not_valid_after_utc.timestamp(),
                key=key_text(certificate.public_key()),
                usage=_usage(certificate),
                fingerprint=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
            )
    except (ValueError, x509.DuplicateExtension, OverflowError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"the certificate contains something that cannot be read: {one_line(str(error))}",
            todo="Make it again",
        ) from error


def _summary_by_go(certificate: go.Certificate) -> CertificateSummary:
    """The summary of a certificate that Go can parse, but `cryptography` only in part or not at all."""
    extensions, key = certificate.extensions, certificate.key
    used = tuple(map(go.dotted_oid, extensions.usages))
    any_use = not used or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string in used
    found = [word for word, oid in _KINDS if any_use or oid.dotted_string in used]
    if extensions.is_ca:
        found = [*(found if used else ()), "CA"]
    sizes = {"RSA": f"RSA {key.modulus.bit_length()}"} if key is not None else {}
    subject, issuer = (go.distinguished_name(raw).common for raw in (certificate.subject, certificate.issuer))
    return CertificateSummary(
        subject=f"CN={subject}" if subject else "",
        issuer=f"CN={issuer}" if issuer else "",
        names=(*certificate.dns_names, *map(go.address_text, certificate.addresses)),
        not_before=certificate.not_before.seconds,
        not_after=certificate.not_after.seconds,
        key=sizes.get(key.kind, key.kind) if key is not None else "unknown",
        usage=tuple(found),
        fingerprint=hashlib.sha256(certificate.raw).digest().hex(":").upper(),
    )


def one_line(text: str, limit: int = 300) -> str:
    """Text from outside, made safe to show and put on one line."""
    return plain(text, limit).replace("\n", "␊").replace("\t", "␉")


@functools.lru_cache(256)
def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names of the SAN extension."""
    san = _alternative_names(certificate)
    return tuple(san.get_values_for_type(x509.DNSName)) if san else ()


@functools.lru_cache(256)
def ip_names(certificate: x509.Certificate) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]:
    """The addresses of the SAN extension."""
    san = _alternative_names(certificate)
    if san is None:
        return ()
    return tuple(
        address
        for address in san.get_values_for_type(x509.IPAddress)
        if isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
    )


def key_text(key: object) -> str:
    """A public key's kind and size, e.g. 'EC P-256'."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448"
    return type(key).__name__.removesuffix("PublicKey").lstrip("_")


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether the certificate may sign others according to itself."""
    with suppress(go.ParseError):
        return bool(go.parse(certificate.public_bytes(Encoding.DER)).extensions.is_ca)
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """The extension of that kind, or None."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _parse(der: bytes) -> x509.Certificate:
    # cryptography warns about serial numbers that are not positive; the warning would be printed across the screen.
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            return x509.load_der_x509_certificate(der)
        except (x509.InvalidVersion, UnsupportedAlgorithm) as error:
            raise ValueError(str(error)) from error


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    return extension(certificate, x509.SubjectAlternativeName)


def _name(name: x509.Name) -> str:
    return name.rfc4514_string()


def _usage(certificate: x509.Certificate) -> tuple[str, ...]:
    extended = extension(certificate, x509.ExtendedKeyUsage)
    any_use = extended is None or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in extended
    found = [word for word, oid in _KINDS if any_use or (extended is not None and oid in extended)]
    if is_ca(certificate):
        found = ["CA"] if extended is None else [*found, "CA"]
    return tuple(found)
