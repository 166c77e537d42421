"""Files for a server whose user exists only while it runs: owned by root, passed to the unit by LoadCredential=. Pure.

systemd copies them at each start to /run/credentials/UNIT, readable for the unit alone, so a file replaced later takes
effect at the next start. Relative names in the web configuration mean the copies, as they mean the files beside it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from wizard.components import component as find_component
from wizard.components.base import numbers
from wizard.errors import InputError
from wizard.model import FileState, PlannedStep, StepKind
from wizard.planner import paths
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server

_RELATIVE_SINCE = (0, 5, 1)
"""The first toolkit version that resolves relative names at the web configuration's folder."""


def wanted_files(servers: Sequence[Server]) -> dict[str, tuple[str, ...]]:
    """The drop-ins that a plan may write, by host."""
    return paths.by_host((server.spec.host, (_dropin(server),)) for server in servers if server.credentials)


def wanted_folders(servers: Sequence[Server]) -> dict[str, tuple[str, ...]]:
    """The folders of these drop-ins, by host."""
    return paths.by_host(
        (server.spec.host, (posixpath.dirname(_dropin(server)),)) for server in servers if server.credentials
    )


def refuse_no_owner(server: Server) -> None:
    """Refuses a server whose files could not be readable for it and nobody else.

    Raises:
        InputError: its user exists only while it runs, and its systemd or the program does not support credentials.
    """
    service = server.service
    if not service.dynamic:
        return
    toolkit = numbers(find_component(server.spec.name).toolkit(service.version))
    if server.credentials and toolkit >= _RELATIVE_SINCE and not server.spec.cluster_tls:
        return
    reason = (
        "the TLS of its gossip cannot be handed over as a credential"
        if server.credentials and server.spec.cluster_tls
        else "its systemd is older than 247 or the unit starts it through a wrapper, so it takes no credentials"
    )
    raise InputError(
        f"{service.unit} runs as a user that exists only while it runs (DynamicUser=yes), and {reason}",
        where=server.key,
        todo=f"Give it a fixed user: useradd --system {server.spec.name}; DynamicUser=no and User={server.spec.name}",
    )


def refuse_no_reader(client: Client, path: str) -> None:
    """Refuses a client whose secret could not be readable for it and nobody else.

    Raises:
        InputError: its user exists only while it runs.
    """
    if client.service.dynamic:
        name = client.service.component
        raise InputError(
            f"{client.service.unit} runs as a user that exists only while it runs (DynamicUser=yes): nobody could be "
            "the owner of what it is to keep secret",
            where=f"{client.host.spec.name}:{path}",
            todo=f"Give it a fixed user: useradd --system {name}; DynamicUser=no and User={name}",
        )


def step(server: Server, files: Sequence[str]) -> PlannedStep | None:
    """Plans the drop-in that passes the files; None if it is not needed, or exists already.

    Args:
        files: the files that the server reads: its web configuration and those that it names.

    Raises:
        InputError: one of them is in another folder than the web configuration.
    """
    if not server.credentials:
        return None
    path = _dropin(server)
    for file in files:
        if posixpath.dirname(file) != server.home:
            raise InputError(
                f"{server.service.unit} gets its files as credentials (DynamicUser=yes), which must lie together",
                where=f"{server.spec.host}:{file}",
                todo=f"Copy it to {server.home} and name it there",
            )
    lines = [f"LoadCredential={posixpath.basename(file)}:{file}" for file in files]
    after = FileState("\n".join(["[Service]", *lines, ""]).encode())
    why = f"At each start, systemd copies them to {server.credentials}, which only this unit can read."
    changes = server.dropin(path, after, why=why)
    if not changes:
        return None
    return server.step(
        StepKind.SYSTEMD_CREDENTIALS,
        title=f"Pass the files of {server.title} with LoadCredential=",
        why=(
            f"{server.service.unit} runs as a user that exists only while it runs (DynamicUser=yes), so no file can "
            "belong to it. The files belong to root, and systemd passes copies to the unit. A renewed certificate "
            "or a new user takes effect with the next restart."
        ),
        changes=changes,
    )


def _dropin(server: Server) -> str:
    return f"/etc/systemd/system/{server.service.unit}.service.d/50-firescreen-credentials.conf"
