"""The lifetimes of a stack's certificates: when each expires, where it is used, and whether it is due. Pure functions.

A certificate is due for renewal when a third of its lifetime is left, or half if the lifetime is under ten days.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from wizard.certificates import issue, signatures
from wizard.config_files import web_config
from wizard.errors import CertificateError, ConfigError
from wizard.model import EXPORTERS, WORKSPACE, Facts, FileState, Stack
from wizard.planner import credentials, paths
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import door_facts, exporter_door_facts
from wizard.planner.server_facts import Server
from wizard.redact import plain
from wizard.workspace import Workspace

SHORT_LIFE = 10 * 86400.0
"""Seconds; a certificate with a shorter lifetime is renewed after half of it, others after two thirds."""


class CertificateRole(StrEnum):
    """What a certificate is used for."""

    CA = "ca"
    SERVER = "server"
    CLIENT = "client"
    CLUSTER = "cluster"
    """For the gossip between Alertmanagers."""
    TRUST = "trust"
    """A foreign CA against which a client verifies servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """A certificate in use and its validity; times are Unix times."""

    role: CertificateRole
    host: str
    component: str
    """The component that uses it, or `component/unit` for a further instance; '' for the CA."""
    path: str
    not_before: float
    not_after: float
    fingerprint: str
    """SHA-256, hexadecimal with colons."""
    subject: str
    renew: str
    """Its name in `Answers.renew`; '' for a certificate that others issue, which Firescreen only monitors."""

    @property
    def due_at(self) -> float:
        """When it is due for renewal (Unix time)."""
        life = self.not_after - self.not_before
        return self.not_after - (life / 2 if life < SHORT_LIFE else life / 3)

    def is_due(self, now: float) -> bool:
        """Whether it is due for renewal, by Firescreen or by its issuer."""
        return now >= self.due_at


def lifetimes(stack: Stack, facts: Facts) -> tuple[Lifetime, ...]:
    """The certificates that the components of a stack use, without those of unreachable hosts."""
    found: dict[tuple[str, str, str], Lifetime] = {}
    servers = (*_of_servers(stack, facts), *_of_front_doors(stack, facts))
    for each in (*_of_workspace(stack, facts), *servers, *_of_clients(stack, facts)):
        found.setdefault((each.host, each.path, each.component), each)
    return tuple(found.values())


def due(known: Iterable[Lifetime], now: float) -> tuple[Lifetime, ...]:
    """The certificates that Firescreen has to renew now."""
    return tuple(each for each in known if each.renew and each.is_due(now))


def not_begun(known: Iterable[Lifetime], now: float) -> Lifetime | None:
    """A certificate issued by Firescreen that is not valid yet, which means that this machine's clock is behind; or None."""
    return next((each for each in known if each.renew and each.not_before > now), None)


def old_passwords(stack: Stack, workspace: Workspace, *, now: float, days: int) -> tuple[str, ...]:
    """The users whose passwords are due for replacement: all generated ones, as soon as one is older than `days`.

    Passwords that a person has chosen are not included.

    Args:
        now: Unix time.
        days: maximum age; 0 for no limit.
    """
    if not days or not stack.asks_password:
        return ()
    made: dict[str, float] = {}
    for user in stack.users:
        path = workspace.users / f"{user.name}.password"
        if user.password == "generate" and path.exists():
            made[user.name] = path.stat().st_mtime
    is_old = any(now - at > days * 86400 for at in made.values())
    return tuple(made) if is_old else ()


def next_due(known: Iterable[Lifetime], now: float) -> Lifetime | None:
    """The certificate that Firescreen renews next, among those not due yet; None if there is none."""
    later = [each for each in known if each.renew and not each.is_due(now)]
    return min(later, key=lambda each: each.due_at, default=None)


def lifetime_fields(each: Lifetime) -> dict[str, Any]:
    """A lifetime as a JSON object; times are Unix times."""
    return {
        "role": str(each.role),
        "host": each.host,
        "component": each.component,
        "path": each.path,
        "not_before": each.not_before,
        "not_after": each.not_after,
        "due_at": each.due_at,
        "fingerprint": each.fingerprint,
        "subject": plain(each.subject, 300),
        "renewed_by_firescreen": bool(each.renew),
    }


def _of_workspace(stack: Stack, facts: Facts) -> Iterator[Lifetime]:
    for role, path, renew, wanted in (
        (CertificateRole.CA, paths.ca_pair(facts)[0], "ca", stack.certificates.issued_by == "ca"),
        (CertificateRole.CLIENT, paths.probe_pair(facts)[0], "client:workspace", _asks_certificate(stack)),
    ):
        state = facts.hosts[WORKSPACE].files.get(path)
        if state is not None and wanted:
            yield from _lifetime(role, WORKSPACE, "", path, state, renew)


def _asks_certificate(stack: Stack) -> bool:
    return any("client_cert" in component.protect for component in stack.components) or any(
        door.client_cert for door in stack.front_doors
    )


def _of_servers(stack: Stack, facts: Facts) -> Iterator[Lifetime]:
    for server in paths.servers(stack, facts):
        path = _server_certificate_path(server)
        state = server.host.files.get(path)
        component = server.key.partition("/")[2]
        if state is not None:
            given = bool(server.spec.files.cert_file) or stack.certificates.issued_by == "files"
            made = path in (server.pair[0], server.spare_pair[0]) and _is_ours(facts, state)
            renew = server.key if made and not given else ""
            yield from _lifetime(CertificateRole.SERVER, server.spec.host, component, path, state, renew)
        gossip = server.host.files.get(server.cluster_pair[0]) if server.spec.cluster_tls else None
        if gossip is not None:
            renew = server.key if _is_ours(facts, gossip) else ""
            where = server.cluster_pair[0]
            yield from _lifetime(CertificateRole.CLUSTER, server.spec.host, component, where, gossip, renew)


def _of_front_doors(stack: Stack, facts: Facts) -> Iterator[Lifetime]:
    for known in door_facts.doors(stack, facts):
        path = known.door.cert_file or known.shown[0]
        state = known.host.files.get(path)
        if state is not None:
            renew = known.door.certificate if not known.door.cert_file and _is_ours(facts, state) else ""
            component = known.key.partition("/")[2]
            yield from _lifetime(CertificateRole.SERVER, known.door.host, component, path, state, renew)
        path = known.client_pair[0]
        state = known.host.files.get(path)
        if state is not None and any(each.over_tls for each in known.backends):
            renew = f"client:{known.key}" if _is_ours(facts, state) else ""
            component = known.key.partition("/")[2]
            yield from _lifetime(CertificateRole.CLIENT, known.door.host, component, path, state, renew)


def _server_certificate_path(server: Server) -> str:
    """The path of the certificate that a server presents, or ''."""
    if server.component == EXPORTERS:
        return exporter_door_facts.settings(server.service).cert_file
    state = server.host.files.get(server.web_file)
    if state is None:
        return ""
    try:
        named = web_config.parse(state.content).cert_file
    except ConfigError:
        return ""
    return posixpath.join(server.home, named) if named else ""


def _of_clients(stack: Stack, facts: Facts) -> Iterator[Lifetime]:
    for client in (*paths.scrapers(stack, facts), *paths.probers(stack, facts)):
        for place in client.known_places:
            if named := place.tls.get("cert_file"):
                yield from _of_client(facts, client, client.resolve(place, named))
            if named := place.tls.get("ca_file"):
                yield from _of_trust(facts, client, client.resolve(place, named))


def _of_client(facts: Facts, client: Client, path: str) -> Iterator[Lifetime]:
    state = client.host.files.get(path)
    if state is None:
        return
    made = path in (client.pair[0], client.spare_pair[0]) and not client.own.client_cert_file
    renew = f"client:{client.key}" if made and _is_ours(facts, state) else ""
    component = client.key.partition("/")[2]
    yield from _lifetime(CertificateRole.CLIENT, client.service.host, component, path, state, renew)


def _of_trust(facts: Facts, client: Client, path: str) -> Iterator[Lifetime]:
    """A foreign CA that a client trusts; our own CA and pinned server certificates are covered by the other functions."""
    state = client.host.files.get(path)
    if state is None:
        return
    own = credentials.authority_certificate(facts) or b""
    foreign = []
    for pem in credentials.certificates_in(state.content):
        try:
            found = issue.summary(pem)
        except CertificateError:
            continue
        if "CA" in found.usage and pem.strip() not in own:
            foreign.append((found.not_after, pem))
    if not foreign or (own.strip() and own.strip() in state.content):
        return  # if the file also has our CA, the foreign one was replaced by it, or is for another server
    latest = FileState(max(foreign)[1])
    component = client.key.partition("/")[2]
    yield from _lifetime(CertificateRole.TRUST, client.service.host, component, path, latest, "")


def _is_ours(facts: Facts, state: FileState) -> bool:
    """Whether a certificate is signed by the CA of the workspace, or self-signed."""
    own = credentials.authority_certificate(facts)
    try:
        signed = bool(own) and signatures.signed_by(state.content, own or b"")
        return signed or signatures.is_self_signed(state.content)
    except CertificateError:
        return False


def _lifetime(
    role: CertificateRole, host: str, component: str, path: str, state: FileState, renew: str
) -> Iterator[Lifetime]:
    """The lifetime of a file's first certificate; nothing if there is none or it cannot be parsed."""
    try:
        found = issue.summary(state.content)
    except CertificateError:
        return
    yield Lifetime(
        role=role,
        host=host,
        component=component,
        path=path,
        not_before=found.not_before,
        not_after=found.not_after,
        fingerprint=found.fingerprint,
        subject=", ".join(found.names) or found.subject,
        renew=renew,
    )
