"""Services on one host that read the same web configuration, and instances that a stack does not name. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wizard.errors import InputError
from wizard.model import Facts, FileState, Finding, Stack, WriteFile
from wizard.planner.server import ServerPlan


def written_once(plans: Sequence[ServerPlan]) -> tuple[ServerPlan, ...]:
    """The plans, with only one edit of a web configuration that several servers read.

    Raises:
        InputError: two servers need different contents of one file.
    """
    first: dict[tuple[str, str], ServerPlan] = {}
    found = []
    for plan in plans:
        place = plan.server.spec.host, plan.server.web_file
        other = first.setdefault(place, plan)
        if other is plan:
            found.append(plan)
            continue
        if _content(plan) != _content(other):
            raise InputError(
                f"{other.server.title} and {plan.server.title} read the same web configuration, and would need "
                "different ones",
                where=":".join(place),
                todo=f"Give {plan.server.service.unit} a web configuration of its own, or protect both alike",
            )
        found.append(replace(plan, web=None))
    return tuple(found)


def _content(plan: ServerPlan) -> bytes | None:
    states: list[FileState | None] = [
        change.after for change in (plan.web.changes if plan.web else ()) if isinstance(change, WriteFile)
    ]
    return states[-1].content if states and states[-1] is not None else None


def unlisted_instances(stack: Stack, facts: Facts) -> tuple[Finding, ...]:
    """Warns about further instances of a protected component that the stack does not name: they do not change."""
    listed = {spec.key for spec in stack.components}
    kinds = {(spec.host, spec.name) for spec in stack.components if spec.protect}
    return tuple(
        Finding(
            id="not-in-stack",
            host=service.host,
            component=service.component,
            instance=service.instance,
            what=(
                f"another {service.component} runs on {service.host} at {service.listen} ({service.unit}); "
                "the stack does not name it"
            ),
            why="It stays as it is: whoever reaches it reads the same as before.",
            remediation=f"Add it to the stack: {{host: {service.host}, name: {service.component}, unit: {service.unit}}}",
        )
        for host in facts.hosts.values()
        for service in host.services
        if service.active and (service.host, service.component) in kinds and service.key not in listed
    )
