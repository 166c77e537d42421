"""Checks of containers: their health, and whether Docker shows a secret."""

from __future__ import annotations

import time

from wizard.errors import LabError
from wizard.labs.compose_inspection import ComposeLook
from wizard.labs.content import Check
from wizard.labs.inspection import Look
from wizard.labs.results import NotYet


def container(check: Check, look: Look, patience: float) -> list[str]:
    """Checks whether a container is healthy, or shows no secret."""
    if not isinstance(look, ComposeLook):
        raise LabError("the check 'container' needs a lab with docker: true", where=check.of)
    if check.options["expect"] == "no-secret":
        return _no_secret(check, look)
    return _healthy(check, look, patience)


def _healthy(check: Check, look: ComposeLook, patience: float) -> list[str]:
    deadline = time.monotonic() + patience
    role = check.of.partition("/")[0]
    while (health := look.box(check.of).health) != "healthy":
        if time.monotonic() > deadline:
            problem = f"is {health}" if health else "has no health check"
            raise NotYet(
                f"the container of {role} {problem}",
                "Its health check must ask as its server demands. Show what it said: "
                f"docker inspect -f '{{{{json .State.Health}}}}' {look.box(check.of).name}",
            )
        time.sleep(0.3)
        look.meet()
    return [f"the container of {role} is healthy"]


def _no_secret(check: Check, look: ComposeLook) -> list[str]:
    for place in look.secrets_outside(check.of):
        raise NotYet(
            f"a hash or a password stands in {place}",
            "Keep hashes in web.yml and passwords in files of their own, and mount the folder.",
        )
    return ["neither compose.yaml nor docker inspect shows a hash or a password"]
