"""Checks the certificate, key or CA bundle that a configuration names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from wizard import certificates
from wizard.certificates import go

Read: TypeAlias = Callable[[str], bytes | None]
"""Returns the content of a file by its absolute path; None if it is missing."""

# Go finds a block only at the beginning of a line, and takes a byte order mark as a part of the line.
_CERTIFICATE = re.compile(rb"^-----BEGIN CERTIFICATE-----", re.MULTILINE)
_KEY = re.compile(rb"^-----BEGIN (?:[A-Z0-9 ]+ )?PRIVATE KEY-----", re.MULTILINE)
_PUBLIC = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def bundle(content: bytes) -> str:
    """Why these bytes are not a CA bundle, or ''. Damaged certificates beside good ones are ignored, as in Go."""
    if certificates.pool(content):
        return ""
    return "holds a damaged certificate" if _CERTIFICATE.search(content) else _shape(content, "certificate")


def _chain(content: bytes) -> str:
    """Why these bytes are not the certificates that a server or client presents, or ''."""
    if not _CERTIFICATE.search(content):
        return _shape(content, "certificate")
    # Go also sends a certificate with PEM headers, so every block counts.
    blocks = [block.content for block in go.blocks(content) if block.label == b"CERTIFICATE"]
    if len(blocks) < len(_CERTIFICATE.findall(content)) or certificates.unread(blocks):
        return "holds a damaged certificate"
    return ""


def pair(certificate: bytes, key: bytes) -> tuple[str, str]:
    """The errors of a certificate and of its key: a text for each, '' for none."""
    bad_certificate = _chain(certificate)
    if bad_certificate and _KEY.search(certificate):
        bad_certificate = "holds a private key and no certificate: the two files may be switched"
    bad_key = ""
    public = b""
    if not _KEY.search(key):
        bad_key = _shape(key, "private key")
    elif b"ENCRYPTED" in key:
        bad_key = "holds an encrypted key, which the program cannot open"
    else:
        try:
            public = load_pem_private_key(_clean(key), password=None).public_key().public_bytes(*_PUBLIC)
        except (ValueError, TypeError):
            bad_key = "holds a damaged key"
    if not bad_certificate and not bad_key:
        leaf = next(block.content for block in go.blocks(certificate) if block.label == b"CERTIFICATE")
        if go.parse(leaf).key_info != public:
            bad_key = "does not belong to the certificate"
    return bad_certificate, bad_key


def _clean(content: bytes) -> bytes:
    """The text without empty lines and trailing spaces, which Go ignores."""
    return b"\n".join(line.rstrip() for line in content.splitlines() if line.strip()) + b"\n"


def _shape(content: bytes, wanted: str) -> str:
    if not content.strip():
        return "is empty"
    if b"-----BEGIN" in content and not re.search(rb"^-----BEGIN", content, re.MULTILINE):
        return "has something before its -----BEGIN line, spaces or a byte order mark, so it is not read"
    if content[:1] == b"\x30":
        return f"is in binary form (DER or PKCS#12), not a PEM {wanted}"
    return f"holds no PEM {wanted}"
