"""podman-compose where it differs from Docker's Compose: its commands, and which containers cannot be changed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from wizard.connections.base import Connection
from wizard.model import Container
from wizard.service_managers.container_engines import PODMAN_COMPOSE, PODMAN_COMPOSE_VERSION

_SINCE = (1, 6)
"""The first version known to compare each service; 1.0.3 and 1.3.0 take down the whole project to change one."""
# The only way to find out what `up` would do.
_DRY_RUN = r"""
cd "$1" || exit 1
shift
"$@" 2>&1
"""


def is_used(box: Container) -> bool:
    """Whether podman-compose made a container and recreates it."""
    return box.compose == PODMAN_COMPOSE


def refusal(box: Container, labels: Mapping[str, str], owner: str) -> str:
    """Why a container of Podman cannot be changed, as a clause with the container as its subject; '' if it can.

    Args:
        owner: the user whose rootless Podman runs it; '' for root's.
    """
    if owner and (box.unit or box.is_compose):
        # Only root can give a file to a group inside the container, and root does not write to folders of a user.
        by = f"the unit {box.unit} (systemctl --user)" if not box.is_compose else f"the project {box.project}"
        return f"is run by {by} of the user {owner}: only containers of root's Podman are changed"
    version = labels.get(PODMAN_COMPOSE_VERSION, "")
    if not version:
        return ""
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _SINCE:
        return (
            f"was made by podman-compose {version}, which takes its whole project down for a change of one service; "
            "podman-compose 1.6 and newer, or Docker's Compose as `podman compose`, do not"
        )
    if box.compose_files and posixpath.dirname(box.compose_files[0]) != box.folder:
        return f"belongs to a project in {box.folder} whose first Compose file lies elsewhere, which podman-compose cannot be told"
    return ""


def words(box: Container) -> list[str]:
    """The beginning of its commands; it takes the folder of the first file as the project's."""
    files = [word for path in box.compose_files for word in ("-f", path)]
    return [PODMAN_COMPOSE, *files, "-p", box.project]


def would_make_anew(connection: Connection, box: Container) -> bool:
    """Whether `up` would recreate a container, according to a dry run; also if it rejects the files."""
    command = [*words(box), "--verbose", "--dry-run", "up", "-d", "--no-deps", box.service]
    output = connection.run_script(_DRY_RUN, box.folder or "/", *command, timeout=60).stdout
    found = re.search(r"Prepare to recreate services: (.*)", output)
    return found is None or f"'{box.service}'" in found.group(1)
