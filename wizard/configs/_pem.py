"""What is wrong with a certificate, a key or a CA bundle that a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

Read: TypeAlias = Callable[[str], bytes | None]
"""Gives the content of a file by its absolute path; None if it is not there."""

_PUBLIC = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def bundle(content: bytes) -> str:
    """Why these bytes are no CA bundle, or ''."""
    if b"-----BEGIN CERTIFICATE-----" not in content:
        return _shape(content, "certificate")
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError:
        return "holds a damaged certificate"
    return ""


def pair(certificate: bytes, key: bytes) -> tuple[str, str]:
    """What is wrong with a certificate and with its key: a text for each, '' if nothing."""
    bad_certificate = bundle(certificate)
    if bad_certificate and b"PRIVATE KEY-----" in certificate:
        bad_certificate = "holds a private key and no certificate: the two files may be switched"
    bad_key = ""
    public = b""
    if b"PRIVATE KEY-----" not in key:
        bad_key = _shape(key, "private key")
    elif b"ENCRYPTED" in key:
        bad_key = "holds an encrypted key, which the program cannot open"
    else:
        try:
            public = load_pem_private_key(key, password=None).public_key().public_bytes(*_PUBLIC)
        except (ValueError, TypeError):
            bad_key = "holds a damaged key"
    if not bad_certificate and not bad_key:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
        if leaf.public_key().public_bytes(*_PUBLIC) != public:
            bad_key = "does not belong to the certificate"
    return bad_certificate, bad_key


def _shape(content: bytes, wanted: str) -> str:
    if not content.strip():
        return "is empty"
    if content[:1] == b"\x30":
        return f"is in binary form (DER or PKCS#12), not a PEM {wanted}"
    return f"holds no PEM {wanted}"
