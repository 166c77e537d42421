"""The inventory of a stack: its certificates, private keys and users over all hosts, and where each is used. Pure.

It names files, names and fingerprints; it holds no key, no password and no hash.
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
    """One certificate, private key, user or password, and where it is; times are Unix times, 0 for none."""

    kind: Kind
    host: str
    path: str
    subject: str
    """Names of a certificate, kind of a key, name of a user."""
    mode: str = ""
    owner: str = ""
    issuer: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    fingerprint: str = ""
    """SHA-256: of a certificate, or of a key's public half (the same for a key and its certificate as `public_key`)."""
    public_key: str = ""
    used_by: str = ""
    """What uses it, `host/component (as what)`, divided by commas; '' for what nothing of the stack uses."""


def inventory(stack: Stack, facts: Facts) -> tuple[Item, ...]:
    """All of it, by host and path. Only files that a plan for the stack reads are known."""
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
    """Each certificate of a file by itself: a bundle has several."""
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
    locked = b"ENCRYPTED" in state.content
    try:
        public = "" if locked else _public(state.content)
    except CertificateError:
        public = ""
    yield Item(
        kind="private_key",
        host=host,
        path=path,
        subject="encrypted with a passphrase" if locked else "not encrypted",
        mode=f"{state.mode:04o}",
        owner=f"{state.owner}:{state.group}",
        fingerprint=public,
        public_key=public,
        used_by=used,
    )


def _public(pem: bytes) -> str:
    """The SHA-256 fingerprint of the public half of a certificate or key."""
    return hashlib.sha256(issue.public_half(pem)).digest().hex(":").upper()


def _users(stack: Stack, facts: Facts) -> Iterator[Item]:
    """Users that servers know, and files that hold a password."""
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
    """What uses each file, by host and path."""
    found: dict[tuple[str, str], list[str]] = {}
    known = (*_by_lifetime(stack, facts), *_by_servers(stack, facts), *_by_clients(stack, facts))
    for host, path, whom in known:
        found.setdefault((host, path), []).append(whom)
    return found


_Use: TypeAlias = tuple[str, str, str]
"""Host, path, and what uses the file."""


def _by_lifetime(stack: Stack, facts: Facts) -> Iterator[_Use]:
    for each in lifetimes.lifetimes(stack, facts):
        whose = "/".join(part for part in (each.host, each.component) if part)
        yield each.host, each.path, f"{whose} ({each.role})"
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
