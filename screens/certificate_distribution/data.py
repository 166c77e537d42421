"""Where each certificate is created and copied to: as planned, as read back, or as found on the hosts.

Pure. Two files hold the same certificate if their SHA-256 fingerprints are equal, whatever their names. Of private keys
only the location is kept, never a byte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from wizard.model import WORKSPACE, WriteFile

if TYPE_CHECKING:
    from wizard.model import CertificateSummary, Facts, FileState, Plan

CopyState: TypeAlias = Literal["planned", "there", "arrived", "other", "missing", "unseen"]
"""To be written; existed before; read back and equal; read back and different; missing; could not be read."""

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Place(NamedTuple):
    """The host and path of a file."""

    host: str
    path: str


@dataclass(frozen=True, slots=True)
class End:
    """One file of a certificate, the original or a copy."""

    rights: str
    """Mode and owner, e.g. '0640 root:prometheus'."""
    fingerprint: str
    """SHA-256 of the certificate, hexadecimal with colons."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One file that contains a certificate."""

    place: Place
    sent: End
    """The file as planned, or as it is if nothing is planned for it."""
    state: CopyState
    found: End | None = None
    """The file as read back; None if it was not read back or does not exist."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """One certificate and all files that contain it."""

    summary: CertificateSummary
    made: Copy | None
    """Its file in the workspace, if there is one."""
    copies: tuple[Copy, ...]
    """Its files on hosts."""

    @property
    def kind(self) -> str:
        """Returns the purpose of the certificate in words."""
        uses = self.summary.usage
        if "CA" in uses:
            return "CA certificate"
        return " and ".join(part for part in ("server", "client") if part in uses) + " certificate"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Returns the hosts to which it is copied."""
        return tuple(dict.fromkeys(copy.place.host for copy in self.copies))


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key and every file that contains it."""

    places: tuple[tuple[Place, str], ...]
    """(place, mode and owner)"""
    of_ca: bool

    @property
    def hosts(self) -> tuple[str, ...]:
        """Returns the hosts where it is; the workspace counts as a host."""
        return tuple(dict.fromkeys(place.host for place, _ in self.places))


@dataclass(frozen=True, slots=True)
class Distribution:
    """All certificates of a stack with their files, and the private keys."""

    certificates: tuple[CertificateFiles, ...]
    keys: tuple[PrivateKey, ...]
    away: tuple[str, ...] = field(default=())
    """Unreachable hosts."""


_Files: TypeAlias = "dict[Place, tuple[FileState, CopyState]]"


def planned_distribution(plan: Plan) -> Distribution:
    """Returns the certificates as they will be after the plan is applied."""
    files = _there(plan.facts)
    for change in plan.changes:
        if isinstance(change, WriteFile):
            place = Place(change.host, change.path)
            if change.after is None:
                files.pop(place, None)
            elif files.get(place, (None, ""))[0] != change.after:
                files[place] = change.after, "planned"
    return _distribution(plan.facts, files)


def found_distribution(facts: Facts) -> Distribution:
    """Returns the certificates as they are on the hosts."""
    return _distribution(facts, _there(facts))


def read_back(plan: Plan, facts: Facts) -> Distribution:
    """Returns the certificates of a plan with the state read from the hosts afterwards."""
    sent = planned_distribution(plan)
    now = {
        key: End(state.rights, summary.fingerprint) for key, state, summary in _certificates(_there(facts))
    }
    known = {
        Place(host, path) for host, known in facts.hosts.items() for path in known.files
    }  # missing files included

    def compare_copy(copy: Copy) -> Copy:
        end = now.get((copy.place, copy.sent.fingerprint)) or _other(now, copy.place)
        if end is not None:
            state: CopyState = "arrived" if end.fingerprint == copy.sent.fingerprint else "other"
            return replace(copy, found=end, state=state)
        return replace(copy, state="missing" if copy.place in known else "unseen")

    certificates = tuple(
        replace(
            certificate,
            made=compare_copy(certificate.made) if certificate.made else None,
            copies=tuple(map(compare_copy, certificate.copies)),
        )
        for certificate in sent.certificates
    )
    return replace(found_distribution(facts), certificates=certificates)


def _other(now: dict[tuple[Place, str], End], place: Place) -> End | None:
    return next((end for (where, _), end in now.items() if where == place), None)


def _there(facts: Facts) -> _Files:
    return {
        Place(host, path): (state, "there")
        for host, known in facts.hosts.items()
        for path, state in known.files.items()
        if state is not None
    }


def _distribution(facts: Facts, files: _Files) -> Distribution:
    copies_by_fingerprint: dict[str, tuple[CertificateSummary, list[Copy]]] = {}
    for (place, _), state, summary in _certificates(files):
        end = End(state.rights, summary.fingerprint)
        _, copies = copies_by_fingerprint.setdefault(summary.fingerprint, (summary, []))
        copies.append(Copy(place, end, files[place][1]))
    certificates = []
    for summary, copies in copies_by_fingerprint.values():
        # The verification's copy of the CA certificate is beside the file in which it was created.
        mine = [copy for copy in copies if copy.place.host == WORKSPACE]
        made = min(mine, key=lambda copy: "/trust/" in copy.place.path, default=None)
        theirs = tuple(copy for copy in copies if copy.place.host != WORKSPACE)
        certificates.append(CertificateFiles(summary, made, theirs))
    order = {host: at for at, host in enumerate(facts.hosts)}
    certificates.sort(key=lambda one: (one.kind != "CA certificate", not one.copies, _first(one, order)))
    return Distribution(tuple(certificates), _keys(facts, files), tuple(facts.away))


def _first(certificate: CertificateFiles, order: dict[str, int]) -> int:
    return min((order.get(host, 0) for host in certificate.hosts), default=0)


def _certificates(files: _Files) -> Iterator[tuple[tuple[Place, str], FileState, CertificateSummary]]:
    """Yields ((place, fingerprint), file, certificate) of each certificate in each file; unreadable ones are left out."""
    from wizard.certificates import issue
    from wizard.errors import CertificateError

    summaries: dict[bytes, CertificateSummary | None] = {}
    for place, (state, _) in files.items():
        for block in _BLOCK.findall(state.content):
            if block not in summaries:
                try:
                    summaries[block] = issue.summary(block + b"\n")
                except CertificateError:
                    summaries[block] = None
            summary = summaries[block]
            if summary is not None:
                yield (place, summary.fingerprint), state, summary


def _keys(facts: Facts, files: _Files) -> tuple[PrivateKey, ...]:
    from wizard.planner import paths

    places_by_key: dict[str, list[tuple[Place, str]]] = {}
    for place, (state, _) in files.items():
        if b"PRIVATE KEY-----" in state.content:
            print_of = hashlib.sha256(state.content.strip()).hexdigest()
            places_by_key.setdefault(print_of, []).append((place, state.rights))
    ca = Place(WORKSPACE, paths.ca_pair(facts)[1])
    keys = [
        PrivateKey(tuple(places), any(place == ca for place, _ in places))
        for places in places_by_key.values()
    ]
    return tuple(sorted(keys, key=lambda key: not key.of_ca))


def count_states(certificates: Iterable[CertificateFiles]) -> dict[CopyState, int]:
    """Counts the copies in each state."""
    counts: dict[CopyState, int] = {}
    for certificate in certificates:
        for copy in certificate.copies:
            counts[copy.state] = counts.get(copy.state, 0) + 1
    return counts
