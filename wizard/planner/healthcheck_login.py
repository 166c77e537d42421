"""The file by which promtool in a healthcheck logs in: it names the files of Prometheus' own scrape job. Pure.

An image without a shell has no other program for a healthcheck. The file itself contains no secret.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from wizard import endpoints
from wizard.config_files import http_client
from wizard.model import Container, ContentKind, FileState, Service, WriteFile
from wizard.planner import manual_commands
from wizard.planner.client import ClientPlan
from wizard.planner.server import ServerPlan


def is_needed(box: Container) -> bool:
    """Whether a container's healthcheck uses promtool, without an --http.config.file."""
    from wizard.config_files.compose import healthcheck

    return healthcheck.asks_by_promtool(box.healthcheck)


def path(service: Service) -> str:
    """The path of the file, the same on the host and in the container."""
    return posixpath.join(service.home, "healthcheck.yml")


def login_file_changes(plan: ServerPlan, clients: Sequence[ClientPlan]) -> tuple[WriteFile, ...]:
    """The change that writes the file; () if it is not needed, or if Prometheus does not scrape itself.

    Without a job for itself, nothing in the container has the credentials for the healthcheck.
    """
    server = plan.server
    box = server.service.container
    if box is None or not is_needed(box):
        return ()
    own_targets = (
        target for client in clients if client.client.key == server.key for target in client.targets
    )
    target = next(
        (each for each in own_targets if each.plan.server.key == server.key and each.place.kind == "job"),
        None,
    )
    if target is None:
        return ()
    asked_for = target.place.tls.get("server_name", "") or endpoints.split(target.address)[0]
    content = http_client.text(
        ca_file=target.ca_file,
        cert_file=target.pair[0],
        key_file=target.pair[1],
        # promtool connects to the container's loopback address.
        server_name="" if endpoints.is_loopback(asked_for) else asked_for,
        username=target.login[0],
        password_file=target.login[1],
    )
    after = FileState(content, 0o640, server.owner, server.group)
    change = server.write(
        path(server.service),
        after,
        ContentKind.HTTP_CLIENT_CONFIG,
        why="promtool in the healthcheck reads in it which CA certificate and which password file to use.",
        by_hand=manual_commands.text(path(server.service), after),
    )
    return (change,)
