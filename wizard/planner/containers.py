"""Which containers are changed, and where the files of what runs in them go. Pure."""

from __future__ import annotations

from wizard.errors import InputError
from wizard.model import Service


def refuse_unchangeable(service: Service) -> None:
    """Whether Firescreen can change what runs in this container.

    Raises:
        InputError: it cannot; says why.
    """
    box = service.container
    if box is None:
        return
    why = box.unchangeable
    if not why and service.web_config and not box.sees(service.web_config):
        why = f"has its web configuration as {service.web_config} on the host and under another path inside"
    if why:
        raise InputError(
            f"container {box.name} {why}, so {service.component} in it cannot be changed",
            where=service.key,
            todo=f"Correct that, or leave {service.key} unprotected in the stack (protect: [])",
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
    """Whether the configuration of a client in a container can be changed.

    Raises:
        InputError: nothing describes the container but itself, so that it cannot be given files.
    """
    refuse_unchangeable(service)
    box = service.container
    if box is not None and not box.is_compose:
        raise InputError(
            f"{service.component} runs in container {box.name}, which no Compose file describes: it cannot be given the "
            "CA certificate and the password of its servers",
            where=service.key,
            todo="Put it into a Compose file, or leave the servers that it asks unprotected (protect: [])",
        )
