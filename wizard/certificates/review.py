"""Inspects existing certificates and keys: their contents, and why they cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, Self, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from wizard.certificates import pem_form
from wizard.certificates.go_verify import Purpose, name_fault, pool, verdict
from wizard.certificates.reader import bundle, chain, is_ca, one_line, summary
from wizard.errors import CertificateError

_DAY = 86400


def describe(cert_pem: bytes) -> tuple[str, ...]:
    """Six lines for the user: subject, issuer, names, validity, key and use, fingerprint.

    Raises:
        CertificateError: this is no certificate.
    """
    found = summary(cert_pem)
    begin, end = (datetime.fromtimestamp(when, UTC) for when in (found.not_before, found.not_after))
    issuer = "itself" if found.issuer == found.subject else one_line(found.issuer)
    left = _days_left(begin, end, datetime.now(UTC))
    return (
        f"who        {one_line(found.subject) or '(no name)'}",
        f"signed by  {issuer or '(no name)'}",
        f"names      {one_line(', '.join(found.names)) or 'none'}",
        f"valid      {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC, {left}",
        f"key        {found.key}, good for: {', '.join(found.usage) or 'nothing that Prometheus needs'}",
        f"SHA-256    {found.fingerprint}",
    )


def matches(cert_pem: bytes, key_pem: bytes) -> bool:
    """Whether the key belongs to the certificate; also False if one of them cannot be parsed."""
    try:
        return chain(cert_pem)[0].public_key() == _public(key_pem)
    except (CertificateError, ValueError, UnsupportedAlgorithm):
        return False


About: TypeAlias = Literal["certificate", "key", "ca"]


class Problem(str):
    """A plain sentence, with the file that it is about."""

    __slots__ = ("about",)
    about: About

    def __new__(cls, text: str, about: About = "certificate") -> Self:
        """A sentence about one of the files."""
        made = super().__new__(cls, text)
        made.about = about
        return made


def problems(
    cert_pem: bytes,
    *,
    names: Sequence[str],
    key_pem: bytes | None = None,
    ca_pem: bytes | None = None,
    purpose: Purpose = "server",
    now: datetime | None = None,
) -> tuple[Problem, ...]:
    """The reasons why a certificate cannot be used as `purpose` for `names`, a plain sentence each.

    Args:
        cert_pem: the file that the server or client would present: leaf first, then the certificates that signed it.
        names: every name and address to which clients connect; empty for clients.
        key_pem: its key, if it is to be checked.
        ca_pem: the CA file that the other end will trust; None does not check the signature.
        purpose: server or client.
        now: an aware time; by default the current time.

    Returns:
        Empty if there are none. No content of the files raises an error.
    """
    moment = now or datetime.now(UTC)
    # In a CA file, Go skips certificates that it cannot parse and uses the rest.
    unread_ca = ca_pem if ca_pem and not pool(ca_pem) else None
    files: tuple[tuple[str, About, bytes | None], ...] = (
        ("certificate's file", "certificate", cert_pem),
        ("key's file", "key", key_pem),
        ("CA file", "ca", unread_ca),
    )
    unread = tuple(
        Problem(f"The {what} cannot be used: {why.partition(' (')[0]}.", about)
        for what, about, content in files
        for why in pem_form.faults(content or b"")
        if content and b"-----BEGIN" in content
    )
    if unread:
        return unread
    try:
        return tuple(_problems(chain(cert_pem), names, key_pem, ca_pem, purpose, moment))
    except CertificateError as error:
        return (Problem(f"The certificate cannot be used: {error.what}."),)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return (Problem("The certificate contains something that cannot be read."),)


def _problems(
    presented: tuple[x509.Certificate, ...],
    names: Sequence[str],
    key_pem: bytes | None,
    ca_pem: bytes | None,
    purpose: Purpose,
    now: datetime,
) -> Iterator[Problem]:
    leaf = presented[0]
    if key_pem is not None:
        yield from _key_problems(leaf, key_pem)
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now > end:
        yield Problem(f"The certificate expired on {end:%Y-%m-%d}.")
    if now < begin:
        yield Problem(f"The certificate is valid only from {begin:%Y-%m-%d %H:%M} UTC on.")
    for name in names:
        fault = name_fault(leaf, name)
        if fault:
            yield Problem(f"The certificate does not contain the name {one_line(name)} ({one_line(fault)}).")
    # If the only certificate of a chain is its own anchor, only dates and key usage are verified.
    inside = min(max(now, begin), end)
    alone = verdict([leaf], anchors=[leaf], name="", purpose=purpose, now=inside)
    if "incompatible key usage" in alone:
        yield Problem(f"The certificate may not be used as a {purpose}'s (extended key usage).")
    elif alone:
        yield Problem(f"Prometheus cannot use the certificate ({one_line(alone)}).")
        return
    if ca_pem is not None:
        yield from _signature_problems(presented, ca_pem, purpose, inside)


def _key_problems(leaf: x509.Certificate, key_pem: bytes) -> Iterator[Problem]:
    try:
        if leaf.public_key() != _public(key_pem):
            yield Problem("The key does not belong to the certificate.", "key")
    except CertificateError as error:
        yield Problem(f"The key cannot be used: {error.what}.", "key")


def _signature_problems(
    presented: tuple[x509.Certificate, ...], ca_pem: bytes, purpose: Purpose, now: datetime
) -> Iterator[Problem]:
    try:
        anchors = bundle(ca_pem)
    except CertificateError as error:
        yield Problem(f"The CA file cannot be used: {error.what}.", "ca")
        return
    if presented[0] in anchors:
        return
    if not any(is_ca(anchor) for anchor in anchors):
        yield Problem("The CA file holds no CA certificate but a server's or client's.", "ca")
        return
    reason = verdict(presented, anchors=pool(ca_pem), name="", purpose=purpose, now=now)
    if reason and "incompatible key usage" not in reason:
        yield Problem(f"The certificate is not accepted with this CA ({one_line(reason)}).")


def _public(key_pem: bytes) -> object:
    """The public key of a private key.

    Raises:
        CertificateError: it is encrypted, or this is no key.
    """
    try:
        key = serialization.load_pem_private_key(key_pem, None)
    except TypeError as error:
        raise CertificateError(
            "it is encrypted, and Prometheus' components cannot use a passphrase",
            todo="Decrypt it: openssl pkey -in FILE -out FILE.plain",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        der = key_pem[:1] == b"\x30"
        raise CertificateError(
            "it is in DER form, and PEM is wanted" if der else "it is not a private key in PEM form",
            todo="Convert it: openssl pkey -inform DER -in FILE -out FILE.pem"
            if der
            else "Give a file that begins with -----BEGIN PRIVATE KEY-----",
        ) from error
    return key.public_key()


def _days_left(begin: datetime, end: datetime, now: datetime) -> str:
    if now < begin:
        return f"not valid yet: begins in {_days((begin - now).total_seconds())}"
    if now > end:
        return f"expired {_days((now - end).total_seconds())} ago"
    return f"{_days((end - now).total_seconds())} left"


def _days(seconds: float) -> str:
    days = int(seconds // _DAY)
    return "less than a day" if days < 1 else f"{days} day{'s' if days != 1 else ''}"
