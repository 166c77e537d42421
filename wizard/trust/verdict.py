"""Go's verdict on a certificate chain, in Go's words.

Mirrors what `crypto/x509` does in Certificate.Verify: the leaf's own dates, then its names, then a chain to
an anchor, then the key usage; whatever stands in the CA file is an anchor, a leaf among them.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID, ObjectIdentifier

from wizard.trust.certificates import common_name, dns_names, extension, ip_names, key_text
from wizard.trust.constraints import constraint_fault

Purpose: TypeAlias = Literal["server", "client"]

# Go gives up after as many signatures, so that a hostile chain cannot keep it busy.
_SIGNATURES: Final = 100

_LABEL: Final = re.compile(r"[A-Za-z0-9_-]+")
_PURPOSES: Final = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}
_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
)


class _VerdictError(Exception):
    """Why a certificate or a chain is refused; the text is Go's."""


def verdict(
    chain: Sequence[x509.Certificate],
    *,
    anchors: Iterable[x509.Certificate],
    name: str,
    purpose: Purpose = "server",
    now: datetime | None = None,
) -> str:
    """'' if Go would accept the chain, otherwise Go's reason, beginning with `x509: `.

    Args:
        chain: as sent by the peer, leaf first; at least one.
        anchors: what the CA file holds.
        name: host name or address that was asked for; '' leaves names unlooked at (client certificates).
        purpose: what the leaf must be good for.
        now: an aware time; the clock's by default.
    """
    try:
        _judge(chain, tuple(anchors), name=name, purpose=purpose, now=now or datetime.now(UTC))
    except _VerdictError as fault:
        return f"x509: {fault}"
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return "x509: malformed certificate"
    return ""


def name_fault(certificate: x509.Certificate, name: str) -> str:
    """'' if the certificate is good for `name`, otherwise Go's reason without its `x509: `."""
    bare = name[1:-1] if len(name) > 2 and name[0] == "[" and name[-1] == "]" else name
    dns, addresses = dns_names(certificate), ip_names(certificate)
    address = _address(bare)
    if address is not None:
        if any(_same_address(address, candidate) for candidate in addresses):
            return ""
    elif any(matches_name(pattern, bare) for pattern in dns):
        return ""
    return _name_words(certificate, bare, dns if address is None else tuple(map(str, addresses)))


def matches_name(pattern: str, host: str) -> bool:
    """Go's rule: labels equal without regard to case, `*` only as the whole left-most label."""
    host = host.lower()
    pattern = pattern.lower()
    if not (_valid_name(host, pattern=False) and _valid_name(pattern, pattern=True)):
        return host == pattern
    wanted, given = pattern.rstrip(".").split("."), host.rstrip(".").split(".")
    if len(wanted) != len(given):
        return False
    return all(
        (index == 0 and label == "*") or label == other
        for index, (label, other) in enumerate(zip(wanted, given, strict=True))
    )


def _judge(
    chain: Sequence[x509.Certificate],
    anchors: tuple[x509.Certificate, ...],
    *,
    name: str,
    purpose: Purpose,
    now: datetime,
) -> None:
    leaf = chain[0]
    _check_self(leaf, now)
    if name:
        fault = name_fault(leaf, name)
        if fault:
            raise _VerdictError(fault)
    chains = [[leaf]] if leaf in anchors else _Builder(chain[1:], anchors, now).build([leaf])
    if not any(_fit_for(found, purpose) for found in chains):
        raise _VerdictError("certificate specifies an incompatible key usage")


class _Builder:
    """Searches for chains; lives for one verdict."""

    def __init__(
        self, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime
    ) -> None:
        self._others = others
        self._anchors = anchors
        self._now = now
        self._left = _SIGNATURES

    def build(self, chain: list[x509.Certificate]) -> list[list[x509.Certificate]]:
        """All chains from the end of `chain` to an anchor; at least one, or a fault."""
        child = chain[-1]
        found: list[list[x509.Certificate]] = []
        fault: _VerdictError | None = None
        hint = ""
        candidates = [(True, c) for c in self._anchors] + [(False, c) for c in self._others]
        for anchor, parent in candidates:
            if parent.subject != child.issuer or parent in chain:
                continue
            self._left -= 1
            if self._left < 0:
                fault = _VerdictError(
                    "signature check attempts limit reached while verifying certificate chain"
                )
                break
            try:
                _check_signature(child, parent)
            except _VerdictError as refused:
                hint = hint or _hint(refused, parent)
                continue
            try:
                _check_parent(parent, chain, anchor=anchor, now=self._now)
                found += [[*chain, parent]] if anchor else self.build([*chain, parent])
            except _VerdictError as refused:
                fault = refused
        if found:
            return found
        raise fault or _VerdictError(f"certificate signed by unknown authority{hint}")


def _check_self(certificate: x509.Certificate, now: datetime) -> None:
    for entry in certificate.extensions:
        if entry.critical and entry.oid not in _UNDERSTOOD:
            raise _VerdictError("unhandled critical extension")
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin or now > end:
        word, limit = ("before", begin) if now < begin else ("after", end)
        raise _VerdictError(
            "certificate has expired or is not yet valid: "
            f"current time {_stamp(now)} is {word} {_stamp(limit)}"
        )


def _check_parent(
    parent: x509.Certificate, chain: list[x509.Certificate], *, anchor: bool, now: datetime
) -> None:
    _check_self(parent, now)
    fault = constraint_fault(parent, chain)
    if fault:
        raise _VerdictError(fault)
    constraints = extension(parent, x509.BasicConstraints)
    if not anchor and (constraints is None or not constraints.ca):
        raise _VerdictError("certificate is not authorized to sign other certificates")
    limit = constraints.path_length if constraints else None
    if limit is not None and len(chain) - 1 > limit:
        raise _VerdictError("too many intermediates for path length constraint")


def _check_signature(child: x509.Certificate, parent: x509.Certificate) -> None:
    constraints = extension(parent, x509.BasicConstraints)
    usage = extension(parent, x509.KeyUsage)
    old = parent.version is x509.Version.v1
    if (constraints is None and not old) or (constraints is not None and not constraints.ca):
        raise _VerdictError("invalid signature: parent certificate cannot sign this kind of certificate")
    if usage is not None and not usage.key_cert_sign:
        raise _VerdictError("invalid signature: parent certificate cannot sign this kind of certificate")
    algorithm = child.signature_hash_algorithm
    if isinstance(algorithm, hashes.SHA1 | hashes.MD5):
        raise _VerdictError(f"cannot verify signature: insecure algorithm {algorithm.name.upper()}")
    try:
        child.verify_directly_issued_by(parent)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise _VerdictError(_signature_words(parent)) from error


def _signature_words(parent: x509.Certificate) -> str:
    key = parent.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "crypto/rsa: verification error"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "x509: ECDSA verification failure"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "x509: Ed25519 verification failure"
    return f"x509: cannot verify signature with a key of kind {key_text(key)}"


def _hint(fault: _VerdictError, parent: x509.Certificate) -> str:
    organisation = parent.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    named = (
        common_name(parent)
        or (str(organisation[0].value) if organisation else "")
        or f"serial:{parent.serial_number}"
    )
    text = str(fault)
    reason = text if text.startswith(("crypto/", "x509: ")) else f"x509: {text}"
    return (
        f' (possibly because of "{reason}" while trying to verify candidate authority certificate "{named}")'
    )


def _fit_for(chain: Sequence[x509.Certificate], purpose: Purpose) -> bool:
    wanted: tuple[ObjectIdentifier, ...] = (
        _PURPOSES[purpose],
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    )
    for certificate in chain:
        usage = extension(certificate, x509.ExtendedKeyUsage)
        if usage is not None and not any(oid in usage for oid in wanted):
            return False
    return True


def _name_words(certificate: x509.Certificate, host: str, valid: tuple[str, ...]) -> str:
    no_san = extension(certificate, x509.SubjectAlternativeName) is None
    if no_san and matches_name(common_name(certificate), host):
        return "certificate relies on legacy Common Name field, use SANs instead"
    if _address(host) is not None and not valid:
        return f"cannot validate certificate for {host} because it doesn't contain any IP SANs"
    if not valid:
        return f"certificate is not valid for any names, but wanted to match {host}"
    return f"certificate is valid for {', '.join(valid)}, not {host}"


@functools.lru_cache(4096)
def _valid_name(name: str, *, pattern: bool) -> bool:
    if not pattern:
        name = name.removesuffix(".")
    if not name or len(name) > 253:
        return False
    for index, label in enumerate(name.split(".")):
        if pattern and index == 0 and label == "*":
            continue
        if not label or label[0] == "-":
            return False
        if not _LABEL.fullmatch(label):
            return False
    return True


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _same_address(
    one: ipaddress.IPv4Address | ipaddress.IPv6Address,
    other: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> bool:
    return _unmapped(one) == _unmapped(other)


def _unmapped(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
