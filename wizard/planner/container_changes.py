"""What a component in a container needs besides its files, and which containers are not changed. Pure."""

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
    if box.unchangeable:
        raise InputError(
            f"container {box.name} {box.unchangeable}, so {service.component} in it cannot be changed",
            where=service.key,
            todo=f"Correct that, or leave {service.key} unprotected in the stack (protect: [])",
        )
    if box.is_compose:
        raise InputError(
            f"{service.component} runs in container {box.name} of the Compose project {box.project}: Firescreen shows "
            "it, and cannot change it yet",
            where=service.key,
            todo=f"Leave {service.key} unprotected in the stack (protect: [])",
        )
