"""Transfers between machines: certificates, whose source and target each change shows, and keys, which must not move.

A private key stays on the host for which it was created. The only one that is copied is that of the pair which all nodes
share, if the person chose so; Prometheus' own key and the CA's are never copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from wizard.certificates import issue
from wizard.errors import CertificateError, InputError
from wizard.model import WORKSPACE, Facts, FileState, PlannedStep, Stack, WriteFile
from wizard.planner import credentials, paths

_KEY = re.compile(rb"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.DOTALL)
HERE = "this machine"


# -- certificates -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A certificate that is copied to another machine."""

    origin: str
    """The source as `machine: path`, or a text that it is created here."""
    host: str
    path: str
    rights: str
    """e.g. 0644 root:prometheus"""
    fingerprint: str
    """SHA-256, hexadecimal with colons: the same at both ends."""


def copies(
    stack: Stack, facts: Facts, steps: Sequence[PlannedStep]
) -> dict[tuple[str, str], tuple[Copy, ...]]:
    """The certificates that are copied to another machine, by (host, path) of the target file."""
    at_home = _at_home(stack, facts)
    places = sorted(
        _places(facts, steps), key=lambda place: (place[0] != WORKSPACE, place[:2] not in at_home)
    )
    found: dict[tuple[str, str], tuple[Copy, ...]] = {}
    for change in _writes(steps):
        if change.host == WORKSPACE or change.after is None or change.secret:
            continue
        copied = tuple(_copies(facts, change, change.after, places))
        if copied:
            found[change.host, change.path] = copied
    return found


def describe_transfers(stack: Stack, facts: Facts, steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    """Adds source, target and SHA-256 fingerprint to each change that copies a certificate to another machine."""
    crossing = copies(stack, facts, steps)

    def with_way(change: WriteFile) -> WriteFile:
        copied = crossing.get((change.host, change.path), ())
        if not copied or change.after is None:
            return change
        # The change's own text has the first fingerprint already.
        lines = [f"from       {origin}" for origin in dict.fromkeys(copy.origin for copy in copied)]
        lines.append(f"to         {change.host}: {change.path}, {copied[0].rights}")
        lines += [f"SHA-256    {copy.fingerprint}" for copy in copied if not _names_fingerprint(change, copy)]
        return replace(change, about=(*change.about, *lines))

    return tuple(
        replace(
            step,
            changes=tuple(
                with_way(change) if isinstance(change, WriteFile) else change for change in step.changes
            ),
        )
        for step in steps
    )


def transfer_fault(change: WriteFile, found: FileState | None) -> str:
    """Says how a file that was read back differs from what was written; '' if it does not.

    For a certificate, it names the fingerprints at both ends.
    """
    sent = change.after
    if found == sent:
        return ""
    if found is None or sent is None:
        return "the file is not there" if found is None else "the file is still there"
    if found.content != sent.content:
        ends = [_fingerprints(state.content) for state in (sent, found)]
        if ends[0]:
            return f"another certificate lies there: SHA-256 {' '.join(ends[1]) or 'none'}, sent was {' '.join(ends[0])}"
        return "what lies there is not what was sent"
    return f"it lies there as {found.rights}, and was sent as {sent.rights}"


def _copies(
    facts: Facts, change: WriteFile, after: FileState, places: Sequence[tuple[str, str, bytes]]
) -> Iterator[Copy]:
    target_machine = _machine(facts, change.host)
    for block in credentials.certificates_in(after.content):
        holders = [
            (host, path)
            for host, path, content in places
            if (host, path) != (change.host, change.path) and block.strip() in content
        ]
        at_home = holders and _machine(facts, holders[0][0]) == target_machine
        if at_home or (not holders and target_machine == HERE):
            continue
        origin = f"{HERE}, where it is made"
        if holders:
            host, path = holders[0]
            origin = f"{HERE if host == WORKSPACE else host}: {path}"
        try:
            fingerprint = issue.summary(block).fingerprint
        except CertificateError:
            continue  # a person's own bundle may have unreadable content
        yield Copy(
            origin=origin, host=change.host, path=change.path, rights=after.rights, fingerprint=fingerprint
        )


def _places(facts: Facts, steps: Sequence[PlannedStep]) -> Iterator[tuple[str, str, bytes]]:
    """Yields (host, path, content) of every file that has or will have certificates."""
    copied = paths.workspace_path(facts, "trust", "")
    for host, known in facts.hosts.items():
        for path, state in known.files.items():
            if state is not None and b"BEGIN CERTIFICATE" in state.content and not path.startswith(copied):
                yield host, path, state.content
    for change in _writes(steps):
        if change.after is not None and not (change.host == WORKSPACE and change.path.startswith(copied)):
            yield change.host, change.path, change.after.content


def _at_home(stack: Stack, facts: Facts) -> set[tuple[str, str]]:
    """(host, path) of the certificates that servers and clients present; a certificate elsewhere is a copy."""
    presented = {
        (server.spec.host, path)
        for server in paths.servers(stack, facts)
        for path in (server.pair[0], server.spare_pair[0], server.spec.files.cert_file)
    }
    return presented | {
        (client.host.spec.name, path)
        for client in (*paths.scrapers(stack, facts), *paths.probers(stack, facts))
        for path in (client.pair[0], client.spare_pair[0], client.own.client_cert_file)
    }


def _machine(facts: Facts, host: str) -> str:
    """The machine of a host; the workspace counts as this machine, because nothing is sent between the two."""
    return HERE if host == WORKSPACE or facts.hosts[host].spec.connect == "local" else host


def _names_fingerprint(change: WriteFile, copy: Copy) -> bool:
    return any(copy.fingerprint in line for line in change.about)


def _fingerprints(content: bytes) -> list[str]:
    try:
        return [issue.summary(block).fingerprint for block in credentials.certificates_in(content)]
    except CertificateError:
        return []


def _writes(steps: Iterable[PlannedStep]) -> Iterator[WriteFile]:
    return (change for step in steps for change in step.changes if isinstance(change, WriteFile))


# -- keys ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Home:
    """The host and file to which a private key belongs."""

    host: str
    path: str
    prometheus: bool
    """Whether Prometheus itself presents the certificate of this key."""


def refuse(stack: Stack, facts: Facts, steps: Sequence[PlannedStep]) -> None:
    """Refuses a plan in which a private key leaves its host, or a server gets the CA's key.

    Raises:
        InputError: names the key and its target.
    """
    authorities = _authorities(facts, steps)
    _refuse_authority_in_use(stack, facts, authorities)
    homes = _homes(stack, facts)
    shared = paths.shared_pair(facts)[1]
    for change in _writes(steps):
        for key in private_keys(change.after.content if change.after is not None else b""):
            if key in authorities and (change.host, change.path) != (WORKSPACE, paths.ca_pair(facts)[1]):
                raise InputError(
                    f"the private key of your CA would be copied to {change.path} on {_host_label(change.host)}",
                    where=_holder(facts, key) or paths.ca_pair(facts)[1],
                    todo="Put another file in its place there: the key of the CA never leaves its folder",
                )
            known_homes = homes.get(key, ())
            if not known_homes or any(home.host == change.host for home in known_homes):
                continue
            kept = [home for home in known_homes if home.prometheus]
            if not kept and _holds(facts, WORKSPACE, shared, key):
                continue  # each node gets a copy, and the plan says what that costs
            home = (*kept, *known_homes)[0]
            whose = "Prometheus' own private key" if home.prometheus else "a private key"
            raise InputError(
                f"{whose} on {home.host} would be copied to {change.path} on {_host_label(change.host)}",
                where=f"{home.host}:{home.path}",
                todo=(
                    f"Move {shared} away, so that the nodes get a new key: a private key stays on its host"
                    if _holds(facts, WORKSPACE, shared, key)
                    else "Name a file that holds certificates only: a private key stays on its host"
                ),
            )


def private_keys(content: bytes) -> tuple[bytes, ...]:
    """Identifies each private key of a PEM text: by its public key, or by its text if it is encrypted."""
    found = []
    for match in _KEY.finditer(content):
        try:
            found.append(issue.public_half(match[0]))
        except CertificateError:
            found.append(b"".join(match[0].split()))
    return tuple(found)


def _authorities(facts: Facts, steps: Sequence[PlannedStep]) -> set[bytes]:
    """The public keys of the person's own CA: of the present one, and of the planned one."""
    path = paths.ca_pair(facts)[0]
    states = [_state(facts, WORKSPACE, path)]
    states += [change.after for change in _writes(steps) if (change.host, change.path) == (WORKSPACE, path)]
    found = set()
    for state in states:
        for block in credentials.certificates_in(state.content) if state is not None else ():
            with suppress(CertificateError):
                found.add(issue.public_half(block))
    return found


def _refuse_authority_in_use(stack: Stack, facts: Facts, authorities: set[bytes]) -> None:
    for spec in stack.components:
        for path in filter(None, (spec.files.key_file, spec.files.client_key_file)):
            state = _state(facts, spec.host, path)
            if state is not None and authorities & set(private_keys(state.content)):
                raise InputError(
                    f"this is the private key of your CA, and {spec.key} would work with it: who takes it from there "
                    "can make certificates that all of your stack trusts",
                    where=f"{spec.host}:{path}",
                    todo="Name a key of its own, or leave `files` out and one is made",
                )


def _homes(stack: Stack, facts: Facts) -> dict[bytes, tuple[_Home, ...]]:
    pairs = {
        (scraper.host.spec.name, path)
        for scraper in paths.scrapers(stack, facts)
        for path in (
            scraper.pair[1],
            scraper.spare_pair[1],
            scraper.own.client_key_file,
            scraper.own.key_file,
        )
    }
    pairs |= {
        (server.spec.host, path)
        for server in paths.servers(stack, facts)
        if server.spec.name == "prometheus"
        for path in (server.pair[1], server.spare_pair[1], server.spec.files.key_file)
    }
    found: dict[bytes, tuple[_Home, ...]] = {}
    for host, known in facts.hosts.items():
        for path, state in known.files.items() if host != WORKSPACE else ():
            for key in private_keys(state.content if state is not None else b""):
                found[key] = (*found.get(key, ()), _Home(host, path, (host, path) in pairs))
    return found


def _holds(facts: Facts, host: str, path: str, key: bytes) -> bool:
    state = _state(facts, host, path)
    return state is not None and key in private_keys(state.content)


def _state(facts: Facts, host: str, path: str) -> FileState | None:
    host_facts = facts.hosts.get(host)
    return host_facts.files.get(path) if host_facts is not None else None


def _holder(facts: Facts, key: bytes) -> str:
    """The file whose key a plan uses as CA key although it is the shared pair's."""
    shared = paths.shared_pair(facts)[1]
    return shared if _holds(facts, WORKSPACE, shared, key) else ""


def _host_label(host: str) -> str:
    return HERE if host == WORKSPACE else host
