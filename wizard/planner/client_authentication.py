"""How a server authenticates clients by certificate: with which CAs, how strictly, and which names it allows."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from wizard.certificates import issue, signatures
from wizard.config_files import web_config
from wizard.errors import InputError
from wizard.model import ContentKind, Facts, FileState, PlannedStep, Stack, StepKind, WriteFile
from wizard.planner import certificates as pairs
from wizard.planner import client_certificates, credentials, manual_commands, paths, probe_certificates
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import door_client
from wizard.planner.server_facts import Server

STRICT = ("RequireAndVerifyClientCert", "RequireAnyClientCert", "RequireClientCert")
"""The types that reject every client without a certificate."""

VERIFYING = ("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
"""The types that verify by which CA a presented certificate was signed."""


@dataclass(frozen=True, slots=True)
class ClientDemand:
    """The client certificate settings for a web configuration, and the CA file that they need."""

    client_auth_type: str
    file: str = ""
    """Path of the CA bundle; '' if the type verifies nothing."""
    bundle: bytes = b""
    """PEM: the CAs (or pinned certificates) of the clients."""
    allowed: tuple[str, ...] = ()
    changes: tuple[WriteFile, ...] = ()
    narrow: PlannedStep | None = None


def demand(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    server: Server,
    config: web_config.WebConfig | None,
    clients: Sequence[Client],
) -> ClientDemand | None:
    """What the server requires of its clients' certificates; None if it ignores certificates.

    Requirements in the person's own web configuration stay, extended by the certificates of the clients here.

    Raises:
        InputError: the type and the allowed names contradict each other, or the CA is inline in the web configuration.
    """
    present_type = config.client_auth_type if config is not None else ""
    wanted = "client_cert" in server.spec.protect
    if not wanted and present_type in ("", "NoClientCert"):
        return None
    kind = server.spec.client_auth_type if wanted else present_type
    sans = server.spec.client_allowed_sans or (config.client_allowed_sans if config is not None else ())
    if sans and kind not in STRICT:
        raise InputError(
            f"client_allowed_sans does not go with {kind}: a caller without a certificate would bring "
            "the request down with a fault",
            where=server.key,
            todo="Use RequireAndVerifyClientCert",
        )
    if kind not in VERIFYING:
        return ClientDemand(kind)
    if config is not None and "client_ca" in config.inline:
        raise InputError(
            "the client CA stands in the web configuration itself, where other clients cannot be added to it",
            where=f"{server.spec.host}:{server.web_file}",
            todo="Move it to a file and name that as client_ca_file",
        )
    ca_file = server.spec.files.client_ca_file or (config.client_ca_file if config is not None else "")
    base_file = posixpath.join(server.home, ca_file) if ca_file else ""
    base_state = server.host.files.get(base_file) if base_file else None
    base = base_state.content if base_state is not None else b""
    if ca_file and base_state is None:
        raise InputError(
            "there is no client CA here", where=f"{server.spec.host}:{base_file}", todo="Copy it there"
        )
    shown = [_client_pair_to_trust(stack, facts, factory, server, client, base) for client in clients]
    at_doors = door_client.shown_to(stack, facts, factory, server)
    probe = factory.once("probe", lambda: probe_certificates.probe_pair(stack, facts, factory))
    everyone = [*(each for each in shown if each is not None), *at_doors, (probe.certificate, probe.trust)]
    missing = [trust for certificate, trust in everyone if not signatures.vouches(base, certificate)]
    allowed = _allowed_names(server, config, sans, [certificate for certificate, _ in everyone])
    if base and not missing:
        return ClientDemand(kind, base_file, base, allowed)
    before = server.host.files.get(server.client_ca)
    between = pairs.bundle([*((base,) if base else ()), *missing])
    changes = _bundle_change(facts, server, before, between, own_ca=stack.certificates.issued_by == "ca")
    narrow = None
    if factory.renewing and base_file == server.client_ca:
        final = pairs.bundle([trust for _, trust in everyone])
        narrow = _narrow(server, between, final)
    return ClientDemand(kind, server.client_ca, between, allowed, changes, narrow)


def _client_pair_to_trust(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    server: Server,
    client: Client,
    base: bytes,
) -> tuple[bytes, bytes] | None:
    """The certificate that a client will present, and its CA; None if the server accepts all its present ones."""
    if base and not factory.renews(f"client:{client.key}"):
        asking = [
            place for place in client.places() if any(client.means(each, server) for each in place.addresses)
        ]
        pairs = [client_certificates.kept_place_pair(client, place, base) for place in asking]
        if pairs and all(pairs):
            return None
    pair = factory.once(
        f"client:{client.key}", lambda: client_certificates.client_pair(stack, facts, factory, client)
    )
    return pair.certificate, pair.trust


def _allowed_names(
    server: Server,
    config: web_config.WebConfig | None,
    wanted_names: tuple[str, ...],
    certificates: Sequence[bytes],
) -> tuple[str, ...]:
    """The allowed names: those so far, those that the person wants, and one per client that has none of them."""
    if not wanted_names:
        return ()
    present_names = config.client_allowed_sans if config is not None else ()
    allowed = dict.fromkeys((*present_names, *server.spec.client_allowed_sans))
    for certificate in certificates:
        names = issue.summary(certificate).names
        if names and not set(names) & set(allowed):
            allowed[names[0]] = None
    return tuple(allowed)


def _bundle_change(
    facts: Facts, server: Server, before: FileState | None, content: bytes, *, own_ca: bool
) -> tuple[WriteFile, ...]:
    if before is not None and before.content == content:
        return ()
    after = FileState(content, 0o644, server.owner, server.group)
    ca = paths.ca_pair(facts)[0]
    simple = own_ca and len(credentials.certificates_in(content)) == 1
    return (
        WriteFile(
            host=server.spec.host,
            path=server.client_ca,
            before=before,
            after=after,
            content_kind=ContentKind.CERTIFICATE,
            why=f"{server.spec.name} checks the certificates of its clients against it.",
            about=issue.describe(content),
            by_hand=manual_commands.copy(ca, server.client_ca, after)
            if simple
            else manual_commands.text(server.client_ca, after),
        ),
    )


def _narrow(server: Server, between: bytes, final: bytes) -> PlannedStep | None:
    if between == final:
        return None
    states = [FileState(content, 0o644, server.owner, server.group) for content in (between, final)]
    return server.step(
        StepKind.NARROW,
        title=f"Remove the replaced client CA of {server.title}",
        why="Both were accepted while the clients changed, so that none was rejected. The new certificates are in use now.",
        changes=(
            WriteFile(
                host=server.spec.host,
                path=server.client_ca,
                before=states[0],
                after=states[1],
                content_kind=ContentKind.CERTIFICATE,
                why="Certificates of the replaced CA are rejected from now on.",
                about=issue.describe(final),
                by_hand=manual_commands.text(server.client_ca, states[1]),
            ),
        ),
    )
