"""Which containers can be changed, and with which warnings. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard.errors import InputError
from wizard.model import Finding, Service

_ANONYMOUS = re.compile(r"/[0-9a-f]{64}(?:/|$)")


def refuse_unchangeable(service: Service) -> None:
    """Refuses a container whose component Firescreen cannot change.

    Raises:
        InputError: says why.
    """
    box = service.container
    if box is None:
        return
    why = box.unchangeable
    if not why and service.web_config and not box.sees(service.web_config):
        why = f"has its web configuration as {service.web_config} on the host and under another path inside"
    if why:
        stopped = box.state not in ("running", "restarting")
        raise InputError(
            f"container {box.name} {why}, so {service.component} in it cannot be changed",
            where=service.key,
            todo=f"{f'Start it ({box.engine} start {box.name})' if stopped else 'Correct that'}, or leave {service.key} unprotected in the stack (protect: [])",
        )
    if not box.is_reachable and not service.listen:
        port = box.inside_port
        raise InputError(
            f"container {box.name} publishes no port for {service.component} and has no address of its own, so that it "
            "could not be verified",
            where=service.key,
            todo=f'Publish it on this host alone (ports: ["127.0.0.1:{port}:{port}"] in its Compose file), then plan again',
        )


def refuse_unknown_client(service: Service) -> None:
    """Refuses a client whose container gives Firescreen no way to change its configuration.

    Raises:
        InputError: no Compose file or quadlet describes the container, so it cannot be given files.
    """
    refuse_unchangeable(service)
    box = service.container
    if box is not None and not box.is_described:
        raise InputError(
            f"{service.component} runs in container {box.name}, which no Compose file or quadlet describes: it cannot be given the "
            "CA certificate and the password of its servers",
            where=service.key,
            todo="Put it into a Compose file, or leave the servers that it asks unprotected (protect: [])",
        )


def refuse_pending(services: Iterable[Service]) -> None:
    """Refuses containers that a plan recreates or reloads and that do not run as their Compose files say.

    Raises:
        InputError: one differs: recreating it would also apply a change that its owner has not applied yet.
    """
    for service in services:
        box = service.container
        if box is None or not box.pending:
            continue
        raise InputError(
            f"container {box.name} {box.pending}: recreating it would apply that difference too; nothing was touched",
            where=f"{service.key}: {', '.join(box.compose_files)}",
            todo=f"Run `{box.compose} up -d {box.service}` as you usually do, or take the edit back; then plan again",
        )


def lost_volumes(service: Service) -> tuple[Finding, ...]:
    """A warning about data that are lost with a recreated container: unnamed volumes, with Podman's own tools."""
    box = service.container
    if box is None or not (box.quadlet or box.compose == "podman-compose"):
        return ()
    lost = [each.target for each in box.mounts if each.kind == "volume" and _ANONYMOUS.search(each.source)]
    if not lost:
        return ()
    if box.quadlet:
        what = "which Podman removes with the container"
        why = "Each restart of its unit makes the container anew, this one too: what is stored there is lost."
        line = f"Volume={box.name}-data:{lost[0]}"
    else:
        what = "which a container that is made anew does not get"
        why = "podman-compose gives it a new one; what is stored stays in the old one, and no container uses that."
        line = (
            f'volumes: ["{box.service}-data:{lost[0]}"], and {box.service}-data below the top-level volumes'
        )
    finding = Finding(
        id="anonymous-volume",
        host=service.host,
        component=service.component,
        instance=service.instance,
        what=f"{lost[0]} of container {box.name} is a volume without a name, {what}",
        why=why,
        remediation=f"Give it a name in {box.file} first if you need the data: {line}",
    )
    return (finding,)
