"""Possible issuers for a chain: the certificates of a CA file, or those that the peer sent."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.certificates.go import pem
from wizard.certificates.go.certificate import Certificate, parse
from wizard.certificates.go.der import ParseError


class Pool:
    """Certificates by their subject, without duplicates, in the order in which they were added."""

    def __init__(self, certificates: Iterable[Certificate] = ()) -> None:
        self._by_subject: dict[bytes, list[Certificate]] = {}
        self._known: set[bytes] = set()
        for certificate in certificates:
            self.add(certificate)

    @classmethod
    def of_pem(cls, text: bytes) -> Pool:
        """The certificates that Go reads from a CA file; all others are skipped."""
        return cls.of_der(pem.certificates(text))

    @classmethod
    def of_der(cls, certificates: Iterable[bytes]) -> Pool:
        """The certificates that Go can parse."""
        pool = cls()
        for der in certificates:
            try:
                pool.add(parse(der))
            except ParseError:
                continue
        return pool

    def __bool__(self) -> bool:
        return bool(self._known)

    def __contains__(self, certificate: Certificate) -> bool:
        return certificate.raw in self._known

    def add(self, certificate: Certificate) -> None:
        """Adds a certificate unless the pool has it already."""
        if certificate.raw not in self._known:
            self._known.add(certificate.raw)
            self._by_subject.setdefault(certificate.subject, []).append(certificate)

    def parents(self, child: Certificate) -> list[Certificate]:
        """The certificates whose subject is the child's issuer, those with matching key identifiers first."""
        return sorted(self._by_subject.get(child.issuer, ()), key=lambda parent: _rank(parent, child))


def _rank(parent: Certificate, child: Certificate) -> int:
    own, wanted = parent.extensions.subject_key, child.extensions.authority_key
    if own == wanted:
        return 0
    return 2 if own and wanted else 1
