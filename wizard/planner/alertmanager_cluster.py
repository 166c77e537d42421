"""TLS for Alertmanager's gossip: the connections between peers, which the web configuration does not cover."""

from __future__ import annotations

from wizard import endpoints
from wizard.certificates import issue
from wizard.components import component as find_component
from wizard.config_files import alertmanager_cluster
from wizard.errors import InputError
from wizard.model import ContentKind, Facts, FileState, PlannedStep, Stack, StepKind, WriteFile
from wizard.planner import credentials, manual_commands, paths
from wizard.planner.server_facts import Server


def step(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, server: Server
) -> PlannedStep | None:
    """Plans TLS for the gossip of one peer, if the stack wants it; None if it is set up already.

    Raises:
        InputError: the component has no gossip, its version does not support TLS there, or there is no CA for the peers.
    """
    if not server.spec.cluster_tls:
        return None
    _refuse_unable(stack, server)
    pair = _new_pair(stack, facts, factory, server)
    renewed = factory.renews_authority or bool(pair)
    changes = (*pair, *_trust(facts, factory, server, renewed=renewed), *_configuration(server))
    if not changes:
        return None
    return server.step(
        StepKind.CLUSTER,
        title="Encrypt the gossip between the Alertmanagers",
        why=(
            "The Alertmanagers of a cluster tell each other which notifications they have sent. The web "
            "configuration does not cover those connections, and all peers have to change together."
        ),
        changes=changes,
    )


def _refuse_unable(stack: Stack, server: Server) -> None:
    if not find_component(server.spec.name).cluster_flag(server.service.version):
        raise InputError(
            f"{server.spec.name} {server.service.version} has no gossip that could be encrypted",
            where=server.key,
            todo="Upgrade Alertmanager to 0.24 or newer, or remove cluster_tls",
        )
    if stack.certificates.issued_by != "ca":
        raise InputError(
            "the peers of a cluster check each other against one CA",
            where=server.key,
            todo="Use issued_by: ca where cluster_tls is wanted",
        )


def _new_pair(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, server: Server
) -> tuple[WriteFile, ...]:
    """Plans key and certificate for both roles of a peer; () if the existing ones are good."""
    certificate_path, key_path = server.cluster_pair
    certificate, key = (server.host.files.get(path) for path in server.cluster_pair)
    advertised = _advertised_hosts(server)
    if (
        certificate is not None
        and key is not None
        and not factory.renews(server.key)
        and factory.signed_by_us(certificate.content)
        and not issue.problems(certificate.content, names=advertised, key_pem=key.content, purpose="client")
    ):
        return ()
    host = server.spec.host
    names = tuple(dict.fromkeys((*(server.host.names or (host,)), *advertised)))
    spec, ca = stack.certificates, factory.authority()
    key_pem = issue.new_key(spec.key)
    issued = issue.issue(
        ca_cert=ca.certificate,
        ca_key=ca.key,
        key_pem=key_pem,
        names=names,
        days=spec.days,
        common_name=host,
        client=True,
    )
    owner, group = server.owner, server.group
    signed = manual_commands.issue(
        key=key_path,
        certificate=certificate_path,
        names=names,
        days=spec.days,
        name=host,
        ca=paths.ca_pair(facts),
        usage="serverAuth, clientAuth",
        owner=owner,
        group=group,
    )
    return (
        server.write(
            key_path,
            FileState(key_pem, 0o640, owner, group),
            ContentKind.PRIVATE_KEY,
            why="This peer identifies itself to the others with it.",
            by_hand=manual_commands.new_key(key_path, spec.key, mode=0o640, owner=owner, group=group),
        ),
        server.write(
            certificate_path,
            FileState(issued, 0o644, owner, group),
            ContentKind.CERTIFICATE,
            why="For both roles of a peer: it is server and client of the others.",
            about=issue.describe(issued),
            by_hand=signed,
        ),
    )


def _trust(
    facts: Facts, factory: credentials.CredentialFactory, server: Server, *, renewed: bool
) -> tuple[WriteFile, ...]:
    """Plans the CA bundle by which the peers verify each other."""
    trusted = factory.authority().certificate if renewed else factory.old_authority()
    before = server.host.files.get(server.cluster_ca)
    if before is not None and before.content == trusted:
        return ()
    after = FileState(trusted, 0o644, server.owner, server.group)
    return (
        server.write(
            server.cluster_ca,
            after,
            ContentKind.CERTIFICATE,
            why="The peers check each other against it.",
            about=issue.describe(trusted),
            by_hand=manual_commands.copy(paths.ca_pair(facts)[0], server.cluster_ca, after),
        ),
    )


def _configuration(server: Server) -> tuple[WriteFile, ...]:
    before = server.host.files.get(server.cluster_file)
    content = alertmanager_cluster.secure(
        before.content if before is not None else None,
        cert_file=server.cluster_pair[0],
        key_file=server.cluster_pair[1],
        ca_file=server.cluster_ca,
    )
    if before is not None and before.content == content:
        return ()
    after = FileState(content, 0o640, server.owner, server.group)
    return (
        server.write(
            server.cluster_file,
            after,
            ContentKind.CLUSTER_CONFIG,
            why="Both sections are needed: with one alone, some versions crash.",
            by_hand=manual_commands.text(server.cluster_file, after),
        ),
    )


def _advertised_hosts(server: Server) -> tuple[str, ...]:
    """The address that this peer advertises by flag, if any: the other peers check its certificate for that address."""
    host, _ = endpoints.split(server.service.flag("cluster.advertise-address"))
    return (host,) if host and not endpoints.is_wildcard(host) else ()
