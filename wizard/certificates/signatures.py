"""Whether one certificate signed another: a plan keeps a certificate or a CA file only if so."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from wizard.certificates.reader import bundle, load
from wizard.errors import CertificateError


def is_self_signed(certificate: bytes) -> bool:
    """Whether a certificate (PEM) is self-signed.

    Raises:
        CertificateError: it cannot be parsed.
    """
    leaf = load(certificate)
    return _is_signed_by(leaf, leaf)


def signed_by(certificate: bytes, authority: bytes) -> bool:
    """Whether the first certificate of `authority` (PEM) signed the certificate (PEM); False if they are the same.

    Raises:
        CertificateError: one of them cannot be parsed.
    """
    leaf, parent = load(certificate), load(authority)
    return leaf != parent and _is_signed_by(leaf, parent)


def vouches(trusted: bytes, certificate: bytes) -> bool:
    """Whether a CA bundle (PEM) contains the certificate, or one that signed it or an intermediate presented with it.

    A bundle that cannot be parsed vouches for nothing.
    """
    leaf = load(certificate)
    try:
        entries = bundle(trusted)
    except CertificateError:
        return False
    path, presented = [leaf], [each for each in bundle(certificate) if each != leaf]
    while (parent := next((each for each in presented if _is_signed_by(path[-1], each)), None)) is not None:
        path.append(parent)
        presented.remove(parent)
    return any(entry == each or _is_signed_by(each, entry) for entry in entries for each in path)


def intermediate_issuer(trusted: bytes, certificate: bytes) -> bytes:
    """The topmost certificate (PEM) of a CA bundle that vouches for a certificate without being a root, or b''.

    Go accepts an intermediate CA in the bundle as an anchor, so the bundle works until the certificate is renewed by
    another intermediate. A bundle that contains the certificate itself pins it; the result is b'' then.
    """
    try:
        leaf, entries = load(certificate), bundle(trusted)
    except CertificateError:
        return b""
    if leaf in entries:
        return b""
    current = leaf
    for _ in range(len(entries) + 1):
        parent = next((each for each in entries if each != current and _is_signed_by(current, each)), None)
        if parent is None:
            break
        current = parent
        if _is_signed_by(current, current):
            return b""
    return current.public_bytes(Encoding.PEM) if current != leaf else b""


def _is_signed_by(leaf: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
