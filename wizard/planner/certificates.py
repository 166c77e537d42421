"""A certificate with its key, where they are or will be; and what of it others may be given."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from wizard.errors import CertificateError, InputError
from wizard.model import Change, FileState
from wizard.planner import credentials

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, where they are or will be."""

    certificate_file: str
    key_file: str
    certificate: bytes
    """PEM, as it will be shown."""
    trust: bytes
    """PEM: what the other end has to trust."""
    own_ca: bool
    """Whether our CA signed it."""
    changes: tuple[Change, ...] = ()
    """What makes it; none if it is there."""
    trust_file: str = ""
    """The file on the server's host that is `trust`; '' where it is the CA's, or only a part of what a file holds."""


def public(pem: bytes) -> bytes:
    """What of a file may be copied to others: the certificates alone, if a private key lies beside them."""
    return bundle([pem]) if b"PRIVATE KEY" in pem else pem


def bundle(parts: Sequence[bytes]) -> bytes:
    """One PEM bundle of several, each certificate once."""
    seen: dict[bytes, None] = {}
    for part in chain.from_iterable(credentials.certificates_in(part) for part in parts):
        seen[part] = None
    return b"".join(seen)


def needed_file(files: Mapping[str, FileState | None], host: str, path: str, what: str) -> bytes:
    """What a file holds that the person named; `what` is what it should be, ending in 'key' for a key.

    Raises:
        InputError: it is not there. CertificateError: it is in DER form.
    """
    state = files.get(path)
    if state is None:
        raise InputError(
            f"there is no {what} here", where=f"{host}:{path}", todo="Correct the path, or copy it there"
        )
    if state.content.startswith(b"\x30"):  # how every certificate and key in DER form begins
        convert = "openssl pkey" if what.endswith("key") else "openssl x509"
        raise CertificateError(
            f"the {what} is in DER form, and Prometheus and its exporters want PEM",
            where=f"{host}:{path}",
            todo=f"Convert it: {convert} -inform DER -in {path} -out NEW",
        )
    if state.content.startswith(_MARKS):
        raise CertificateError(
            f"the {what} begins with a byte order mark (BOM), as editors on Windows write it: Go does not find the "
            "-----BEGIN line behind it",
            where=f"{host}:{path}",
            todo=f"Remove it: sed -i '1s/^\\xEF\\xBB\\xBF//' {path}"
            if state.content.startswith(codecs.BOM_UTF8)
            else f"Store it as ASCII or UTF-8: iconv -f UTF-16 -t ASCII {path} > NEW",
        )
    return state.content


def as_go_reads(pem: bytes) -> bytes:
    """The text without the block that a byte order mark hides from Go, which looks for blocks at line beginnings."""
    if not pem.startswith(_MARKS):
        return pem
    return b"".join(pem.partition(b"\n-----BEGIN ")[1:]).lstrip(b"\n")
