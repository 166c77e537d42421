"""Go's verdict on a certificate chain, in Go's words: the error that a Prometheus component would report.

The rules are those of Go 1.27, the newest version.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from wizard.certificates.go.certificate import Certificate, parse
from wizard.certificates.go.chains import Purpose, Question, verify
from wizard.certificates.go.der import ParseError
from wizard.certificates.go.hostnames import hostname_fault, matches_name
from wizard.certificates.go.pool import Pool

__all__ = ["AnyCertificate", "Purpose", "matches_name", "name_fault", "pool", "unread", "verdict"]

AnyCertificate: TypeAlias = x509.Certificate | bytes
"""A certificate, parsed or in DER; only its bytes are used."""

# crypto/tls accepts no longer RSA key from a peer.
_LONGEST: Final = 8192
_UNREAD: Final = {
    "server": "tls: failed to parse certificate from server: ",
    "client": "tls: failed to parse client certificate: ",
}
_UNUSABLE: Final = {
    "server": "tls: server's certificate contains an unsupported type of public key: ",
    "client": "tls: client certificate contains an unsupported public key of type ",
}


def verdict(
    chain: Sequence[AnyCertificate],
    *,
    anchors: Iterable[AnyCertificate] | Pool,
    name: str,
    purpose: Purpose = "server",
    now: datetime | None = None,
) -> str:
    """Verifies a chain as Go does; returns '' if Go would accept it, otherwise Go's reason.

    The reason begins with `x509: `, or with `tls: ` if Go rejects the chain before or after verifying it, e.g. because
    a certificate cannot be parsed.

    Args:
        chain: as sent by the peer, leaf first; at least one certificate.
        anchors: the certificates of the CA file; those that Go cannot parse are skipped.
        name: host name or address to which the client connects; '' does not check names (client certificates).
        purpose: the extended key usage that the leaf needs.
        now: an aware time; by default the current time.
    """
    octets = [_der(certificate) for certificate in chain]
    fault = unread(octets, purpose=purpose)
    if fault:
        return fault
    leaf, *others = (parse(der) for der in octets)
    trusted = anchors if isinstance(anchors, Pool) else Pool.of_der(map(_der, anchors))
    question = Question(name, purpose, now or datetime.now(UTC))
    return verify(leaf, Pool(others), trusted, question) or _key_fault(leaf, purpose)


def unread(chain: Sequence[bytes], *, purpose: Purpose = "server") -> str:
    """'' if Go can parse each certificate (DER) of a chain, otherwise its reason, which no option suppresses."""
    try:
        parsed = [parse(der) for der in chain]
    except ParseError as fault:
        return f"{_UNREAD[purpose]}{fault}"
    for certificate in parsed:
        key = certificate.key
        if key is not None and key.kind == "RSA" and key.modulus.bit_length() > _LONGEST:
            return f"tls: {purpose} sent certificate containing RSA key larger than {_LONGEST} bits"
    return ""


def name_fault(certificate: AnyCertificate, name: str) -> str:
    """'' if the certificate is valid for `name`, otherwise Go's reason without the prefix `x509: `."""
    try:
        return hostname_fault(parse(_der(certificate)), name).removeprefix("x509: ")
    except ParseError as fault:
        return str(fault).removeprefix("x509: ")


@functools.lru_cache(maxsize=64)
def pool(pem: bytes) -> Pool:
    """The trust anchors that a Go program reads from a CA file; empty if Go can parse none of its certificates."""
    return Pool.of_pem(pem)


def _key_fault(leaf: Certificate, purpose: Purpose) -> str:
    key = leaf.key
    if key is None:
        return f"{_UNUSABLE[purpose]}<nil>"
    return f"{_UNUSABLE[purpose]}{key.type_name}" if key.kind == "DSA" else ""


def _der(certificate: AnyCertificate) -> bytes:
    return certificate if isinstance(certificate, bytes) else certificate.public_bytes(Encoding.DER)
