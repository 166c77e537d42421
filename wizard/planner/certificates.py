"""A certificate with its key, at the present or the planned paths; and the parts that others may read."""

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
    """A certificate with its key, at the present or the planned paths."""

    certificate_file: str
    key_file: str
    certificate: bytes
    """PEM, as the server or client will present it."""
    trust: bytes
    """PEM: the certificates that the other end must trust."""
    own_ca: bool
    """Whether our CA signed it."""
    changes: tuple[Change, ...] = ()
    """The changes that create it; none if it exists."""
    trust_file: str = ""
    """The file on the server's host with exactly `trust`; '' if that is the CA's file, or only a part of a file."""


def public(pem: bytes) -> bytes:
    """The certificates of a PEM file, without any private key in it, so that the result may be copied to others."""
    return bundle([pem]) if b"PRIVATE KEY" in pem else pem


def bundle(parts: Sequence[bytes]) -> bytes:
    """One PEM bundle made of several, with each certificate once."""
    seen: dict[bytes, None] = {}
    for part in chain.from_iterable(credentials.certificates_in(part) for part in parts):
        seen[part] = None
    return b"".join(seen)


def needed_file(files: Mapping[str, FileState | None], host: str, path: str, what: str) -> bytes:
    """The content of a file that the person named; `what` says what it should be, and ends in 'key' for a key.

    Raises:
        InputError: the file is missing. CertificateError: it is in DER form.
    """
    state = files.get(path)
    if state is None:
        raise InputError(
            f"there is no {what} here", where=f"{host}:{path}", todo="Correct the path, or copy it there"
        )
    if state.content.startswith(b"\x30"):  # every certificate and key in DER form begins so
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
    """The text without a block that a byte order mark hides from Go, which looks for blocks at line beginnings."""
    if not pem.startswith(_MARKS):
        return pem
    return b"".join(pem.partition(b"\n-----BEGIN ")[1:]).lstrip(b"\n")
