"""Alertmanager's gossip: the connections between its peers, which its web configuration does not cover."""

from __future__ import annotations

from wizard import endpoints
from wizard.certificates import issue
from wizard.components import component as find_component
from wizard.config_files import alertmanager_cluster
from wizard.errors import InputError
from wizard.model import Change, ContentKind, Facts, FileState, PlannedStep, Stack, StepKind, WriteFile
from wizard.planner import credentials, manual_commands, paths
from wizard.planner.server_facts import Server


def step(stack: Stack, facts: Facts, forge: credentials.Forge, server: Server) -> PlannedStep | None:
    """What encrypts the gossip of one peer, if the stack wants that; None if it is there.

    Raises:
        InputError: the component gossips with nobody, the version cannot, or there is no CA for the peers.
    """
    if not server.spec.cluster_tls:
        return None
    if not find_component(server.spec.name).cluster_flag(server.service.version):
        raise InputError(
            f"{server.spec.name} {server.service.version} has no gossip that could be encrypted",
            where=server.key,
            todo="cluster_tls is for Alertmanager 0.24 and newer",
        )
    if stack.certificates.issued_by != "ca":
        raise InputError(
            "the peers of a cluster check each other against one CA",
            where=server.key,
            todo="use issued_by: ca where cluster_tls is wanted",
        )
    certificate_path, key_path = server.cluster_pair
    files, host = server.host.files, server.spec.host
    certificate, key = files.get(certificate_path), files.get(key_path)
    changes: list[Change] = []
    advertised = _advertised(server)
    fits = (
        certificate is not None
        and key is not None
        and not forge.renews(server.key)
        and forge.signed_by_us(certificate.content)
        and not issue.problems(certificate.content, names=advertised, key_pem=key.content, purpose="client")
    )
    if not fits:
        names = tuple(dict.fromkeys((*(server.host.names or (host,)), *advertised)))
        spec, ca = stack.certificates, forge.authority()
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
        changes += [
            WriteFile(
                host=host,
                path=key_path,
                before=key,
                after=FileState(key_pem, 0o640, server.owner, server.group),
                content_kind=ContentKind.PRIVATE_KEY,
                why="With it this peer proves to the others who it is.",
                secret=True,
                by_hand=manual_commands.new_key(
                    key_path, spec.key, mode=0o640, owner=server.owner, group=server.group
                ),
            ),
            WriteFile(
                host=host,
                path=certificate_path,
                before=certificate,
                after=FileState(issued, 0o644, server.owner, server.group),
                content_kind=ContentKind.CERTIFICATE,
                why="For both parts that a peer plays: it answers the others, and it calls them.",
                about=issue.describe(issued),
                by_hand=manual_commands.issue(
                    key=key_path,
                    certificate=certificate_path,
                    names=names,
                    days=spec.days,
                    name=host,
                    ca=paths.ca_pair(facts),
                    usage="serverAuth, clientAuth",
                    owner=server.owner,
                    group=server.group,
                ),
            ),
        ]
    trusted = forge.authority().certificate if forge.renews_authority or not fits else forge.old_authority()
    before = files.get(server.cluster_ca)
    if before is None or before.content != trusted:
        after = FileState(trusted, 0o644, server.owner, server.group)
        changes.append(
            WriteFile(
                host=host,
                path=server.cluster_ca,
                before=before,
                after=after,
                content_kind=ContentKind.CERTIFICATE,
                why="The peers check each other against it.",
                about=issue.describe(trusted),
                by_hand=manual_commands.copy(paths.ca_pair(facts)[0], server.cluster_ca, after),
            )
        )
    old = files.get(server.cluster_file)
    content = alertmanager_cluster.secure(
        old.content if old is not None else None,
        cert_file=certificate_path,
        key_file=key_path,
        ca_file=server.cluster_ca,
    )
    if old is None or old.content != content:
        after = FileState(content, 0o640, server.owner, server.group)
        changes.append(
            WriteFile(
                host=host,
                path=server.cluster_file,
                before=old,
                after=after,
                why="Both sections are needed: with one alone, some versions stop with a fault.",
                content_kind=ContentKind.CLUSTER_CONFIG,
                by_hand=manual_commands.text(server.cluster_file, after),
            )
        )
    if not changes:
        return None
    return server.step(
        StepKind.CLUSTER,
        title="Encrypt the gossip between the Alertmanagers",
        why=(
            "Alertmanagers of a cluster tell each other what they have sent. Those connections have a configuration "
            "of their own; the web configuration does not cover them. All peers have to turn together."
        ),
        changes=changes,
    )


def _advertised(server: Server) -> tuple[str, ...]:
    """The address that this peer gives to the others, where a flag sets it: they check its certificate for that."""
    host, _ = endpoints.split(server.service.flag("cluster.advertise-address"))
    return (host,) if host and not endpoints.is_wildcard(host) else ()
