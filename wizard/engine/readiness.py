"""Refuses a plan if a service that it restarts is already down: it would look as if the run had broken it."""

from __future__ import annotations

from wizard import probes
from wizard.engine.exposure import exposure
from wizard.engine.parallel import run_parallel
from wizard.errors import InputError
from wizard.model import Plan, RunService, Service, StepKind
from wizard.service_managers import proxy_services

_SHORT = 1.0
"""Time limit of the first, short request in seconds."""


def refuse_silent(plan: Plan, dial: probes.Dial) -> None:
    """Probes each service that a plan restarts or reloads.

    Skips the practice stack (Firescreen starts its services itself), manual hosts, and services that the plan restores
    because they are down.

    Raises:
        InputError: a service does not answer at its address. Nothing has been changed.
    """
    services = {
        change.service.key: change.service
        for step in plan.steps
        if step.kind is not StepKind.RESTORE
        for change in step.changes
        if isinstance(change, RunService) and _is_checked(plan, change.service)
    }
    seen = run_parallel(lambda key: _answers(services[key], dial), list(services))
    silent = [services[key] for key, found in zip(services, seen, strict=True) if not found]
    if not silent:
        return
    first = silent[0]
    more = f", and {len(silent) - 1} more do not" if len(silent) > 1 else ""
    what = "is not running" if not first.active else f"does not answer at {first.listen}"
    raise InputError(
        f"{first.component} ({first.unit}) {what}{more}; nothing was touched",
        where=", ".join(each.key for each in silent),
        todo="Start it and read its log, then plan again; or leave it out of the stack (protect: [])",
    )


def _answers(service: Service, dial: probes.Dial) -> bool:
    """Whether a service answers; the slower request for its metrics is only made if a short request fails."""
    if service.forward is None and probes.answers(service.listen, _SHORT):
        return True
    return exposure(service, dial).state != "down"


def _is_checked(plan: Plan, service: Service) -> bool:
    known = plan.facts.hosts.get(service.host)
    return (
        known is not None
        and known.spec.is_real
        and not service.out_of_reach
        and service.component != "grafana"
        and service.manager != proxy_services.NAME
    )
