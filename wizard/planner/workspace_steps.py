"""The steps that write the workspace: users, the probes' certificates, the CA files by which they verify. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.certificates import issue
from wizard.model import ContentKind, Facts, FileState, PlannedStep, Stack, StepKind
from wizard.planner import (
    credentials,
    manual_commands,
    paths,
    probe_certificates,
    probes,
    shared_certificate,
    workspace_files,
)
from wizard.planner.certificates import Pair
from wizard.planner.server import ServerPlan
from wizard.planner.server_facts import Server
from wizard.probes import curl_config


def certificate_steps(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, plans: Sequence[ServerPlan]
) -> tuple[PlannedStep, ...]:
    """The shared pair and the certificates of the probes, if this plan needs them."""
    shared = shared_certificate.shared_step(stack, facts, factory)
    if not any(each.asks_certificate for each in plans):
        return shared
    checked = any(each.allowed for each in plans)
    return (*shared, *probe_certificates.probe_step(stack, facts, factory, names_checked=checked))


def user_step(stack: Stack, facts: Facts, factory: credentials.CredentialFactory) -> tuple[PlannedStep, ...]:
    """The passwords of the users, in files that only the person can read."""
    changes = [change for given in factory.credentials() for change in given.step_changes]
    user = stack.users[0]
    wrong = paths.wrong_user_file(facts, user)
    changes += workspace_files.private(
        facts,
        wrong,
        curl_config(user.name, probes.WRONG_PASSWORD.reveal()),
        ContentKind.CURL_CONFIG,
        why="A wrong password, for the probe that must be rejected.",
        by_hand=manual_commands.wrong_login(wrong, user.name, probes.WRONG_PASSWORD.reveal()),
    )
    unique = tuple({(change.kind, getattr(change, "path", "")): change for change in changes}.values())
    names = " and ".join(each.name for each in stack.users)
    return (
        workspace_files.workspace_step(
            StepKind.USER,
            title=f"Set the password of user {names}"
            if len(stack.users) == 1
            else f"Set the passwords of users {names}",
            why=(
                "TLS encrypts the traffic, but a server still answers every client. With basic authentication it "
                "answers only clients that send user name and password."
            ),
            changes=unique,
        ),
    )


def trust_copies(
    facts: Facts, pairs: Sequence[tuple[Server, Pair]], *, owners: str = ""
) -> tuple[PlannedStep, ...]:
    """The files with which the probes verify each server, from its planned certificate.

    Args:
        owners: a name for these servers if they are not components.
    """
    if not pairs:
        return ()
    changes = list(
        workspace_files.workspace_folder(
            facts, "trust", "The probes check the certificates of servers against these."
        )
    )
    for server, pair in pairs:
        path = paths.trust_copy(facts, server)
        source = paths.ca_pair(facts)[0] if pair.own_ca else pair.trust_file
        changes += workspace_files.private(
            facts,
            path,
            pair.trust,
            ContentKind.CERTIFICATE,
            why=f"The probes check {server.key} against it, as its clients will.",
            by_hand=manual_commands.copy_there(source, path, FileState(b"", 0o600, "", ""))
            if source
            else manual_commands.text(path, FileState(pair.trust, 0o600, "", "")),
            secret=False,
            about=issue.describe(pair.trust),
        )
    if not changes:
        return ()
    return (
        workspace_files.workspace_step(
            StepKind.TRUST_COPIES,
            title=f"Store the CA certificates {f'of {owners} ' if owners else ''}for the probes",
            why="The probes check the certificates of servers as a client does: they need the same CA certificate.",
            changes=changes,
        ),
    )
