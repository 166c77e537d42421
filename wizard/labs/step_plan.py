"""The part of a plan that does a step of a lab."""

from __future__ import annotations

from dataclasses import replace

from wizard.model import Plan, PlannedStep, Role, RunService, StepKind
from wizard.service_managers.registry import manager_of


def with_restarts(plan: Plan, wanted: tuple[str, ...]) -> Plan:
    """Adds the restarts and reloads that the step names, if the engine plans none.

    The engine plans nothing for a file that is already right, even if the program has not read it yet.
    """
    steps = list(plan.steps)
    for name in wanted:
        kind, _, place = name.partition(":")
        if kind not in ("switch", "reload") or any(step.id == name for step in steps):
            continue
        host, _, component = place.partition("/")
        host_facts = plan.facts.hosts.get(host)
        service = host_facts.service(component or "prometheus") if host_facts else None
        if service is None:
            continue
        action = "restart" if kind == "switch" else "reload"
        steps.append(
            PlannedStep(
                id=name,
                kind=StepKind(kind),
                role=Role.SERVER if kind == StepKind.RESTART else Role.CLIENT,
                component=service.component,
                instance=service.instance,
                title=f"{action.capitalize()} {service.unit}",
                host=host,
                why="It has to read its changed files.",
                changes=(
                    RunService(
                        host=host,
                        service=service,
                        action="restart" if kind == "switch" else "reload",
                        why="This applies the changed files.",
                        by_hand=manager_of(service).manual_commands(
                            service, action, workspace=plan.facts.workspace_option
                        ),
                    ),
                ),
            )
        )
    return replace(plan, steps=tuple(steps))
