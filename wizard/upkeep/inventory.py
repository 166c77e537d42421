"""The inventory of a stack's certificates, private keys, users and passwords, and where each is used. Pure functions.

It contains paths, names and fingerprints, but no keys, passwords or hashes.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from wizard.certificates import issue
from wizard.config_files import web_config
from wizard.errors import CertificateError, ConfigError
from wizard.model import EXPORTERS, WORKSPACE, Facts, FileState, Stack
from wizard.planner import credentials, paths
from wizard.planner.front_doors import exporter_door_facts
from wizard.redact import plain
from wizard.upkeep import lifetimes

Kind: TypeAlias = Literal["ca", "certificate", "private_key", "user", "password"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One certificate, private key, user or password in a file; times are Unix times, 0 for none."""

    kind: Kind
    host: str
    path: str
    subject: str
    """Names of a certificate, whether a key is encrypted, or name of a user."""
    mode: str = ""
    owner: str = ""
    issuer: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    fingerprint: str = ""
    """SHA-256 of a certificate, or of a key's public half."""
    public_key: str = ""
    """SHA-256 of the public half: the same for a key and its certificate."""
    used_by: str = ""
    """What uses it, as `host/component (role)`, separated by commas; '' if nothing of the stack does."""


def inventory(stack: Stack, facts: Facts) -> tuple[Item, ...]:
    """Lists all items, sorted by host and path. Only includes files that a plan for the stack reads."""
    uses = _uses(stack, facts)
    found: list[Item] = []
    for host, known in facts.hosts.items():
        for path, state in known.files.items():
            if state is not None:
                used = ", ".join(dict.fromkeys(uses.get((host, path), ())))
                found += _certificates(host, path, state, used)
                found += _keys(host, path, state, used)
    found += _users(stack, facts)
    return tuple(sorted(found, key=lambda each: (each.host, each.path, each.kind, each.fingerprint)))


def _certificates(host: str, path: str, state: FileState, used: str) -> Iterator[Item]:
    """One item for each certificate of a file; a bundle has several."""
    for pem in credentials.certificates_in(state.content):
        try:
            summary, public = issue.summary(pem), _public(pem)
        except CertificateError as error:
            yield Item(kind="certificate", host=host, path=path, subject=f"unreadable: {error.what}")
            continue
        yield Item(
            kind="ca" if "CA" in summary.usage else "certificate",
            host=host,
            path=path,
            subject=plain(", ".join(summary.names) or summary.subject, 300),
            mode=f"{state.mode:04o}",
            owner=f"{state.owner}:{state.group}",
            issuer=plain(summary.issuer, 300),
            not_before=summary.not_before,
            not_after=summary.not_after,
            fingerprint=summary.fingerprint,
            public_key=public,
            used_by=used,
        )


def _keys(host: str, path: str, state: FileState, used: str) -> Iterator[Item]:
    if b"PRIVATE KEY-----" not in state.content:
        return
    encrypted = b"ENCRYPTED" in state.content
    try:
        public = "" if encrypted else _public(state.content)
    except CertificateError:
        public = ""
    yield Item(
        kind="private_key",
        host=host,
        path=path,
        subject="encrypted with a passphrase" if encrypted else "not encrypted",
        mode=f"{state.mode:04o}",
        owner=f"{state.owner}:{state.group}",
        fingerprint=public,
        public_key=public,
        used_by=used,
    )


def _public(pem: bytes) -> str:
    """The SHA-256 fingerprint of the public half of a certificate or private key."""
    return hashlib.sha256(issue.public_half(pem)).digest().hex(":").upper()


def _users(stack: Stack, facts: Facts) -> Iterator[Item]:
    """The users in the servers' web configurations, and the files with passwords."""
    for server in paths.servers(stack, facts):
        state = server.host.files.get(server.web_file)
        for name, hashed in _known_users(state).items():
            cost = re.match(r"\$2[aby]\$(\d\d)\$", hashed)
            yield Item(
                kind="user",
                host=server.spec.host,
                path=server.web_file,
                subject=plain(name, 100),
                issuer=f"bcrypt, cost {int(cost[1])}" if cost else "no bcrypt hash",
                mode=f"{state.mode:04o}" if state else "",
                owner=f"{state.owner}:{state.group}" if state else "",
                used_by=f"{server.key} (server)",
            )
    for user in stack.users:
        path = paths.user_files(facts, user)[0]
        yield from _password(facts, WORKSPACE, path, user.name, "probes")
        for client in (*paths.scrapers(stack, facts), *paths.probers(stack, facts)):
            yield from _password(
                facts, client.service.host, client.password_file(user), user.name, f"{client.key} (client)"
            )


def _known_users(state: FileState | None) -> Mapping[str, str]:
    if state is None:
        return {}
    try:
        return web_config.parse(state.content).users
    except ConfigError:
        return {}


def _password(facts: Facts, host: str, path: str, user: str, used: str) -> Iterator[Item]:
    state = facts.hosts[host].files.get(path)
    if state is not None:
        yield Item(
            kind="password",
            host=host,
            path=path,
            subject=plain(user, 100),
            mode=f"{state.mode:04o}",
            owner=f"{state.owner}:{state.group}",
            used_by=used,
        )


def _uses(stack: Stack, facts: Facts) -> dict[tuple[str, str], list[str]]:
    """What uses each file, by (host, path)."""
    found: dict[tuple[str, str], list[str]] = {}
    uses = (*_by_lifetime(stack, facts), *_by_servers(stack, facts), *_by_clients(stack, facts))
    for host, path, user in uses:
        found.setdefault((host, path), []).append(user)
    return found


_Use: TypeAlias = tuple[str, str, str]
"""(host, path, what uses the file)."""


def _by_lifetime(stack: Stack, facts: Facts) -> Iterator[_Use]:
    for each in lifetimes.lifetimes(stack, facts):
        user = "/".join(part for part in (each.host, each.component) if part)
        yield each.host, each.path, f"{user} ({each.role})"
    yield WORKSPACE, paths.ca_pair(facts)[1], f"{WORKSPACE} (ca)"
    yield WORKSPACE, paths.probe_pair(facts)[1], f"{WORKSPACE} (client)"


def _by_servers(stack: Stack, facts: Facts) -> Iterator[_Use]:
    for server in paths.servers(stack, facts):
        yield WORKSPACE, paths.trust_copy(facts, server), f"probes of {server.key}"
        state = server.host.files.get(server.web_file)
        try:
            config = web_config.parse(state.content) if state is not None else None
        except ConfigError:
            continue
        if server.component == EXPORTERS:
            config = exporter_door_facts.settings(server.service)
        if config is None:
            continue
        for name, role in ((config.key_file, "server"), (config.client_ca_file, "checks clients")):
            if name:
                yield server.spec.host, posixpath.join(server.home, name), f"{server.key} ({role})"


def _by_clients(stack: Stack, facts: Facts) -> Iterator[_Use]:
    for client in (*paths.scrapers(stack, facts), *paths.probers(stack, facts)):
        for place in client.known_places:
            for key, role in (("key_file", "client"), ("ca_file", "checks servers")):
                if named := place.tls.get(key):
                    yield client.service.host, client.resolve(place, named), f"{client.key} ({role})"
