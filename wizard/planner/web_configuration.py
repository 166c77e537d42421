"""A server's web configuration: the additions, its permissions, and its weaknesses. Pure."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Mapping

from wizard import passwords
from wizard.components import component as find_component
from wizard.config_files import web_config as web
from wizard.errors import InputError
from wizard.model import ContentKind, Facts, FileState, Finding, PlannedStep, StepKind, UserSpec, WriteFile
from wizard.planner import credentials as material
from wizard.planner import manual_commands, paths
from wizard.planner.certificates import Pair
from wizard.planner.client_authentication import ClientDemand
from wizard.planner.server_facts import Server
from wizard.redact import Secret


def web_step(
    facts: Facts,
    factory: material.CredentialFactory,
    server: Server,
    before: FileState | None,
    pair: Pair,
    demand: ClientDemand | None,
    *,
    asks_password: bool,
) -> PlannedStep | None:
    """Plans the missing TLS, users and client settings of the web configuration; None if nothing is missing."""
    config = web.parse(before.content) if before is not None else web.WebConfig()
    hashes = _new_hashes(facts, factory, config.users) if asks_password else {}
    spec = server.spec
    content = web.secure(
        before.content if before is not None else None,
        cert_file=_as_written(server, config.cert_file, pair.certificate_file),
        key_file=_as_written(server, config.key_file, pair.key_file),
        users={user.name: hashed for user, hashed in hashes.items()} or None,
        client_ca_file=_as_written(server, config.client_ca_file, demand.file) if demand is not None else "",
        client_auth_type=demand.client_auth_type if demand is not None else "",
        client_allowed_sans=demand.allowed if demand is not None else (),
        min_version=spec.min_version,
        headers=spec.headers or None,
        rate_limit=spec.rate_limit,
    )
    if before is not None and before.content == content:
        return None
    after = _restrict_access(server, before, content)
    why = f"This file names the key and certificate that {spec.name} uses for TLS."
    if demand is not None:
        why += " It also makes the server request a certificate from each client and verify it."
    if hashes:
        why += " It holds a bcrypt hash of the password, not the password itself."
    return server.step(
        StepKind.WEB_CONFIG,
        title=f"Write the web configuration of {server.title}",
        why=why,
        changes=(
            server.write(
                server.web_file,
                after,
                ContentKind.WEB_CONFIG,
                why="Only root and the service can read it, because it may hold password hashes.",
                by_hand=manual_commands.web_config(
                    server.web_file,
                    before,
                    after,
                    tuple((user, paths.user_files(facts, user)[0]) for user in hashes),
                ),
            ),
        ),
    )


def _new_hashes(
    facts: Facts, factory: material.CredentialFactory, present: Mapping[str, str]
) -> dict[UserSpec, str]:
    """The hashes of users that a server does not have yet, or has with another password."""
    hashes = {}
    for given in factory.credentials():
        user = given.user
        hashed = present.get(user.name, "")
        # Once for all servers: bcrypt makes both slow on purpose, and the password is the same.
        matches = functools.partial(passwords.matches, given.password, hashed)
        if not hashed or not factory.once(f"matches:{user.name}:{hashed}", matches):
            hashes[user] = factory.once(
                f"hash:{user.name}", functools.partial(_hash, facts, user, given.password)
            )
    return hashes


def _as_written(server: Server, there: str, path: str) -> str:
    """A file's name as in the present web configuration, or as it will be; '' for none."""
    if there and posixpath.join(server.home, there) == path:
        return there
    return server.path_in_web_config(path) if path else ""


def _restrict_access(server: Server, before: FileState | None, content: bytes) -> FileState:
    """The web configuration with permissions for the service, but not for others."""
    if before is None:
        return FileState(content, server.secret_mode, server.owner, server.group)
    if before.mode & 0o007 == 0:
        return FileState(content, before.mode, before.owner, before.group)
    # The service may have read it as "others", who lose their permissions.
    if server.host.root:
        return FileState(content, server.secret_mode, before.owner, server.group)
    reads = server.service.user == before.owner or server.group == before.group
    return FileState(content, 0o640 if reads else before.mode, before.owner, before.group)


def _hash(facts: Facts, user: UserSpec, password: Secret) -> str:
    """The hash of a user's password; a spare user has one already."""
    spare = facts.spares.get(user.name)
    return (
        spare.hashed
        if spare is not None and spare.password is password
        else passwords.hash_password(password, user.cost)
    )


def weak(server: Server, web_step: PlannedStep | None, before: FileState | None) -> tuple[Finding, ...]:
    """Findings about weak settings in the later web configuration, whether the person's own or chosen now."""
    writes = [change for change in web_step.changes if isinstance(change, WriteFile)] if web_step else []
    state = writes[-1].after if writes else before
    if state is None:
        return ()
    toolkit = find_component(server.spec.name).known_toolkit(server.service.version)
    newer = tuple(
        Finding(
            id="unfamiliar-web-config",
            host=server.spec.host,
            component=server.spec.name,
            what=f"{server.web_file}, {message}",
            why="Firescreen does not know this setting; a newer component may.",
            remediation="Check the spelling, or leave it if the documentation of the component has it",
        )
        for message in web.unfamiliar(state.content, toolkit=toolkit)
    )
    return newer + tuple(
        Finding(
            id="weak-web-config",
            host=server.spec.host,
            component=server.spec.name,
            instance=server.spec.unit,
            what=f"{server.web_file}, {message}",
            why="It works, but accepts or shows more than necessary.",
            remediation="Change that setting, unless it is intended",
        )
        for message in web.weak(state.content)
    )


def refuse_unsupported(server: Server) -> None:
    """Refuses settings of the person's choice that this version's web configuration does not support.

    Raises:
        InputError: names the first.
    """
    spec = server.spec
    component = find_component(spec.name)
    missing = web.unsupported_settings(
        component.toolkit(server.service.version),
        client_allowed_sans=spec.client_allowed_sans,
        headers=spec.headers or None,
        rate_limit=spec.rate_limit,
    )
    if missing:
        raise InputError(
            f"{spec.name} {server.service.version}: {missing[0]}",
            where=server.key,
            todo=f"Upgrade {spec.name}, or take that setting out of its entry",
        )
