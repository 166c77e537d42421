"""Builds chains from a certificate to an anchor and verifies them in Go's order, which decides what an error says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from wizard.certificates.go import constraints
from wizard.certificates.go.certificate import Certificate
from wizard.certificates.go.constraints import ConstraintError
from wizard.certificates.go.der import encode_oid
from wizard.certificates.go.hostnames import hostname_fault
from wizard.certificates.go.keys import SignatureError, check_signature
from wizard.certificates.go.policies import policies_valid
from wizard.certificates.go.pool import Pool
from wizard.certificates.go.quoted_text import quote
from wizard.certificates.go.times import stamp

Purpose: TypeAlias = Literal["server", "client"]

# Go gives up after this number of signatures, so that a hostile chain cannot keep it busy.
_SIGNATURES: Final = 100
_ANY_USAGE: Final = encode_oid("2.5.29.37.0")
_USAGES: Final = {"server": encode_oid("1.3.6.1.5.5.7.3.1"), "client": encode_oid("1.3.6.1.5.5.7.3.2")}
_REASON: Final = "x509: a root or intermediate certificate is not authorized to sign for this name: "
# SHA-256 of the key infos that Go distrusts because the keys were stolen or misused.
_DISTRUSTED: Final = frozenset(
    {
        "ebed6475c2c2d80fcb199f3fe8dd6e6b3ce60b77eb15d4e42c3dec0c6f5b5105",
        "49dd353dc2b919a3770645117d0e60c16115e7d1bc259eefe734b00ea434fe5f",
        "e0254c7fcdc265e2f0f8a428dabb75ab4ae039b4872d62f5ee57f0877d5a8a41",
        "5c0660a2b164910d8ff589c18e14552e9e0ec237dcefe2cb736d41a4811f81a0",
        "43bffa19d6ef651451f6841e019931e96f6f2eaeff28ab4b6f1ce4576de2717b",
        "63ecefee431d49523bc1136c4e72d0206a477086caf606cd5cf025686c109cf8",
        "ec4ffa1ad0ac88081314b7aaffef6a91f97cd57291bb5ba686c5415f5eb4f6b6",
        "92c063d67e8f14db71d288e11266ffdaf69cbf115f7bab14f3bc2f68d25e0e30",
    }
)

_Chain: TypeAlias = tuple[Certificate, ...]


class _VerdictError(Exception):
    """Why a certificate or a chain is rejected; the text is Go's, including `x509: `."""


class _LimitError(_VerdictError):
    """The limit of signature checks is reached."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a chain is verified for.

    Args:
        name: host name or address to which the client connects; '' does not check names.
        purpose: the extended key usage that the leaf needs.
        now: an aware time.
    """

    name: str
    purpose: Purpose
    now: datetime


def verify(leaf: Certificate, others: Pool, anchors: Pool, question: Question) -> str:
    """'' if Go would accept the leaf with the other certificates from the peer and these anchors, or Go's message."""
    try:
        _verify(leaf, others, anchors, question)
    except _VerdictError as fault:
        return str(fault)
    return ""


def _verify(leaf: Certificate, others: Pool, anchors: Pool, question: Question) -> None:
    _check_candidate(leaf, (), question, intermediate=False)
    if question.name:
        fault = hostname_fault(leaf, question.name)
        if fault:
            raise _VerdictError(fault)
    chains = [(leaf,)] if leaf in anchors else _Builder(others, anchors, question).build((leaf,))
    _check_chains(chains, question)


def _check_chains(chains: Sequence[_Chain], question: Question) -> None:
    """Raises `_VerdictError` if none of the chains is valid."""
    without_policies = unfit = 0
    constrained = ""
    for chain in chains:
        fit = _is_fit(chain, question.purpose)
        if not policies_valid(chain):
            without_policies += 1
        elif not fit:
            unfit += 1
        else:
            try:
                constraints.check_chain(chain)
            except ConstraintError as fault:
                constrained = constrained or f"{_REASON}{fault}"
                continue
            if not _is_distrusted(chain):
                return
    raise _VerdictError(constrained or _no_chain_words(unfit, without_policies))


def _no_chain_words(unfit: int, without_policies: int) -> str:
    if unfit and not without_policies:
        return "x509: certificate specifies an incompatible key usage"
    details = []
    if unfit:
        details.append(f"{unfit} candidate chains with incompatible key usage")
    if without_policies:
        details.append(f"{without_policies} candidate chains with invalid policies")
    return ": ".join(filter(None, ("x509: no valid chains built", ", ".join(details))))


class _Builder:
    """Builds chains; used for one verdict."""

    def __init__(self, others: Pool, anchors: Pool, question: Question) -> None:
        self._others = others
        self._anchors = anchors
        self._question = question
        self._checked = 0

    def build(self, chain: _Chain) -> list[_Chain]:
        """All chains from the last certificate of `chain` to an anchor; raises `_VerdictError` if there are none."""
        child = chain[-1]
        found: list[_Chain] = []
        fault: _VerdictError | None = None
        hint = ""
        candidates = [(True, parent) for parent in self._anchors.parents(child)]
        candidates += [(False, parent) for parent in self._others.parents(child)]
        for anchor, parent in candidates:
            self._checked += 1
            if self._checked > _SIGNATURES:
                message = "signature check attempts limit reached while verifying certificate chain"
                fault = _LimitError(f"x509: {message}")
                break
            if parent.key is None or _is_in(parent, chain):
                continue
            try:
                _check_parent(parent, child)
            except SignatureError as refused:
                hint = hint or _hint(refused, parent)
                continue
            try:
                _check_candidate(parent, chain, self._question, intermediate=not anchor)
                fault = None
            except _VerdictError as refused:
                fault = refused
                hint = hint or _hint(refused, parent)
                continue
            if anchor:
                found.append((*chain, parent))
                continue
            try:
                found += self.build((*chain, parent))
            except _LimitError as refused:
                fault = refused
                break
            except _VerdictError as refused:
                fault = refused
        if found:
            return found
        raise fault or _VerdictError(f"x509: certificate signed by unknown authority{hint}")


def _check_candidate(
    certificate: Certificate, chain: _Chain, question: Question, *, intermediate: bool
) -> None:
    """Checks a certificate by itself, as the next one above `chain`. Raises `_VerdictError`."""
    extensions = certificate.extensions
    if extensions.unhandled:
        raise _VerdictError("x509: unhandled critical extension")
    now = question.now.timestamp()
    for word, limit, over in (
        ("before", certificate.not_before, now < certificate.not_before.seconds),
        ("after", certificate.not_after, now > certificate.not_after.seconds),
    ):
        if over:
            times = f"current time {stamp(question.now)} is {word} {limit.text}"
            raise _VerdictError(f"x509: certificate has expired or is not yet valid: {times}")
    if intermediate and not extensions.is_ca:
        raise _VerdictError("x509: certificate is not authorized to sign other certificates")
    if extensions.is_ca is not None and 0 <= extensions.path_length < len(chain) - 1:
        raise _VerdictError("x509: too many intermediates for path length constraint")


def _check_parent(parent: Certificate, child: Certificate) -> None:
    """Checks that a parent is allowed to sign and that it signed the child. Raises `SignatureError`."""
    extensions = parent.extensions
    if (
        (parent.version == 3 and extensions.is_ca is None)
        or extensions.is_ca is False
        or not extensions.signs_certificates
    ):
        raise SignatureError(
            "x509: invalid signature: parent certificate cannot sign this kind of certificate"
        )
    if parent.key is None:
        raise SignatureError("x509: cannot verify signature: algorithm unimplemented")
    check_signature(child.algorithm, child.signed, child.signature, parent.key)


def _hint(fault: Exception, parent: Certificate) -> str:
    named = parent.common_name
    if not named:
        organization = parent.name.organization
        named = f"serial:{parent.serial}" if organization is None else organization
    doing = "while trying to verify candidate authority certificate"
    return f" (possibly because of {quote(str(fault))} {doing} {quote(named)})"


def _is_in(candidate: Certificate, chain: _Chain) -> bool:
    """Whether a certificate with the same subject, key and names is in the chain."""
    names = candidate.extensions.alternative_names
    for certificate in chain:
        if candidate.subject != certificate.subject or candidate.key_info != certificate.key_info:
            continue
        others = certificate.extensions.alternative_names
        if names == others:
            return True
        if names is None or others is None:
            # As in Go: the rest of the chain is not checked.
            return False
    return False


def _is_fit(chain: _Chain, purpose: Purpose) -> bool:
    """Whether each certificate with extended key usages has this usage, or any usage."""
    wanted = {_USAGES[purpose], _ANY_USAGE}
    return all(
        not usages or not wanted.isdisjoint(usages) for usages in (each.extensions.usages for each in chain)
    )


def _is_distrusted(chain: _Chain) -> bool:
    return any(hashlib.sha256(each.key_info).hexdigest() in _DISTRUSTED for each in chain)
