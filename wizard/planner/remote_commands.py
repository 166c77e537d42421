"""How a person reaches the host of a step, for commands typed on the machine where Firescreen runs. Pure."""

from __future__ import annotations

from dataclasses import replace

from wizard.model import WORKSPACE, Facts, PlannedStep, Route, RunService


def with_route(facts: Facts, step: PlannedStep) -> PlannedStep:
    """Adds the route to its host (ssh, incus) to each change of a step."""
    if step.host == WORKSPACE:
        return step
    specs = {name: known.spec for name, known in facts.hosts.items()}
    route = Route.to(specs, step.host, workspace=facts.workspace)
    changes = (
        change if isinstance(change, RunService) else replace(change, route=route) for change in step.changes
    )
    return step if route is None else replace(step, changes=tuple(changes))
