"""A front door as TLS client of its components: its client certificate, and the CA that verifies the components. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wizard.certificates import issue
from wizard.errors import CertificateError, InputError
from wizard.front_doors import BackendTLS
from wizard.model import Change, ContentKind, Facts, FileState, Stack, WriteFile
from wizard.planner import certificates, credentials, manual_commands, paths
from wizard.planner.certificates import Pair
from wizard.planner.front_doors import door_facts
from wizard.planner.front_doors.door_facts import Backend, KnownDoor
from wizard.planner.server_facts import Server


def pair(stack: Stack, facts: Facts, factory: credentials.CredentialFactory, known: KnownDoor) -> Pair:
    """The client certificate of a front door: the existing one if it is still good, or else a new one."""
    return factory.once(f"client:{known.key}", lambda: _pair(stack, facts, factory, known))


def _pair(stack: Stack, facts: Facts, factory: credentials.CredentialFactory, known: KnownDoor) -> Pair:
    certificate_path, key_path = known.client_pair
    certificate, key = (known.host.files.get(path) for path in known.client_pair)
    if certificate is not None and key is not None and not factory.renews(f"client:{known.key}"):
        try:
            problems = issue.problems(certificate.content, names=(), key_pem=key.content, purpose="client")
            if not problems and factory.signed_by_us(certificate.content):
                return Pair(certificate_path, key_path, certificate.content, factory.old_authority(), True)
        except CertificateError:
            pass  # an unreadable certificate is replaced
    certificate_pem, key_pem, trust = factory.client_certificate(
        known.client_names, common_name=known.client_names[0]
    )
    make, certify = manual_commands.client_pair(
        paths=known.client_pair,
        kind=stack.certificates.key,
        names=known.client_names,
        days=stack.certificates.days,
        ca=paths.ca_pair(facts),
        owner="root",
        group=known.proxy.group,
    )
    changes = (
        known.write(
            key_path,
            FileState(key_pem, 0o640, "root", known.proxy.group),
            ContentKind.PRIVATE_KEY,
            why="Whoever has this key passes the front door by. It never leaves this host.",
            by_hand=make,
        ),
        known.write(
            certificate_path,
            FileState(certificate_pem, 0o644, "root", known.proxy.group),
            ContentKind.CERTIFICATE,
            why=f"{known.proxy.title} shows it to the components, which reject all others without one.",
            about=issue.describe(certificate_pem),
            by_hand=certify,
        ),
    )
    return Pair(certificate_path, key_path, certificate_pem, trust, True, changes)


def shown_to(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, server: Server
) -> list[tuple[bytes, bytes]]:
    """The client certificates of all front doors that connect to a server over TLS, each with its CA."""
    if not server.behind_doors(stack):
        return []
    asking = [
        known
        for known in door_facts.doors(stack, facts)
        if any(each.server.key == server.key for each in known.backends)
    ]
    pairs = [pair(stack, facts, factory, known) for known in asking]
    return [(each.certificate, each.trust) for each in pairs]


def changes(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    known: KnownDoor,
    trusts: Mapping[str, bytes],
) -> Iterator[Change]:
    """Yields the new or changed files for TLS from the proxy to its components; nothing if it uses plain http only.

    Args:
        trusts: PEM that verifies each server's certificate, by the server's key.

    Raises:
        InputError: the proxy cannot read this kind of key.
    """
    asked = [each for each in known.backends if each.over_tls]
    if not asked:
        return
    if known.proxy.bundles_client_pair and stack.certificates.key == "ed25519" and known.proxy.names_backends:
        raise InputError(
            f"{known.proxy.title} reads no Ed25519 key of a client certificate",
            where=known.door.key,
            todo="Use certificates: {key: ec-p256}, or another proxy",
        )
    shown = pair(stack, facts, factory, known)
    yield from shown.changes
    yield from _bundle(known, shown)
    trust = certificates.bundle([trusts[each.server.key] for each in asked])
    before, after = known.host.files.get(known.backend_ca), FileState(trust, 0o644, "root", "root")
    if before is None or before.content != trust:
        own = trust == factory.authority().certificate
        yield known.write(
            known.backend_ca,
            after,
            ContentKind.CERTIFICATE,
            why=f"{known.proxy.title} verifies the certificates of the components against it.",
            about=issue.describe(trust),
            by_hand=manual_commands.copy(paths.ca_pair(facts)[0], known.backend_ca, after)
            if own
            else manual_commands.text(known.backend_ca, after),
        )


def _bundle(known: KnownDoor, shown: Pair) -> Iterator[Change]:
    """Plans client certificate and key in one file, for a proxy that requires that."""
    if not known.proxy.bundles_client_pair:
        return
    made = {each.path: each.after for each in shown.changes if isinstance(each, WriteFile)}
    key = made.get(shown.key_file) or known.host.files[shown.key_file]
    assert key is not None
    after = FileState(shown.certificate + issue.traditional_key(key.content), 0o600, "root", "root")
    before = known.host.files.get(known.client_bundle)
    if before is None or (before.content, before.rights) != (after.content, after.rights):
        yield known.write(
            known.client_bundle,
            after,
            ContentKind.PRIVATE_KEY,
            why=f"{known.proxy.title} reads client certificate and key from one file.",
            by_hand=manual_commands.joined_pair(known.client_bundle, known.client_pair, after),
        )


def settings(known: KnownDoor, backend: Backend) -> BackendTLS | None:
    """The proxy's TLS settings for a component; None if it connects by plain http."""
    if not backend.over_tls:
        return None
    certificate, key = known.client_pair
    return BackendTLS(
        name=backend.verified_name,
        trust=known.backend_ca,
        certificate=certificate,
        key=key,
        bundle=known.client_bundle if known.proxy.bundles_client_pair else "",
    )
