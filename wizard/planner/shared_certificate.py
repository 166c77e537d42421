"""One pair for all nodes, as in workshops: kept in the workspace for nodes that are added later."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.certificates import issue
from wizard.model import WORKSPACE, Change, ContentKind, Facts, PlannedStep, Stack, StepKind
from wizard.planner import credentials, manual_commands, paths, workspace_files
from wizard.planner.certificate_names import certificate_names


@dataclass(frozen=True, slots=True)
class SharedPair:
    """The pair that all nodes share, kept in the workspace so that a node added later gets the same one."""

    certificate: bytes
    key: bytes
    changes: tuple[Change, ...]

    @property
    def trust(self) -> bytes:
        """The certificate itself, which is self-signed."""
        return self.certificate


def shared_pair(stack: Stack, facts: Facts, factory: credentials.CredentialFactory) -> SharedPair:
    """The pair that all servers but Prometheus share, valid for all of their names."""
    return factory.once("shared", lambda: _shared_pair(stack, facts, factory))


def _shared_pair(stack: Stack, facts: Facts, factory: credentials.CredentialFactory) -> SharedPair:
    certificate_path, key_path = paths.shared_pair(facts)
    nodes = [server for server in paths.servers(stack, facts) if server.spec.name != "prometheus"]
    names = tuple(dict.fromkeys(name for node in nodes for name in certificate_names(stack, facts, node)))
    kept, key = facts.file(WORKSPACE, certificate_path), facts.file(WORKSPACE, key_path)
    if kept is not None and key is not None and not factory.renewing:
        problems = issue.problems(kept.content, names=names, key_pem=key.content, purpose="server")
        if not problems:
            return SharedPair(kept.content, key.content, ())
    spec = stack.certificates
    key_pem = issue.new_key(spec.key)
    certificate = issue.self_signed(
        key_pem=key_pem, names=names, days=spec.days, common_name="node", client=True
    )
    changes = (
        *workspace_files.workspace_folder(
            facts, "shared", "The pair that all nodes share is kept for nodes that come later."
        ),
        *workspace_files.private(
            facts,
            key_path,
            key_pem,
            ContentKind.PRIVATE_KEY,
            why="Every node gets a copy: who takes it from one can pose as all of them.",
            by_hand=manual_commands.new_key(key_path, spec.key),
        ),
        *workspace_files.private(
            facts,
            certificate_path,
            certificate,
            ContentKind.CERTIFICATE,
            why="One certificate with the names of all nodes.",
            by_hand=manual_commands.self_signed(
                key=key_path,
                certificate=certificate_path,
                names=names,
                days=spec.days,
                name="node",
                usage="serverAuth, clientAuth",
            ),
            secret=False,
            about=issue.describe(certificate),
        ),
    )
    return SharedPair(certificate, key_pem, changes)


def shared_step(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory
) -> tuple[PlannedStep, ...]:
    """The step that creates the shared pair, if it is new and a server of this plan gets it."""
    changes = shared_pair(stack, facts, factory).changes if factory.has("shared") else ()
    if not changes:
        return ()
    return (
        workspace_files.workspace_step(
            StepKind.SHARED_CERTIFICATE,
            title="Create one certificate for all nodes",
            why=(
                "One key and certificate for every node is the least work, and common in workshops. The cost: a key "
                "that is stolen from one node works for all, and all must change when one is lost."
            ),
            changes=changes,
        ),
    )
