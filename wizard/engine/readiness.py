"""Whether what a plan is about to change is up: a service that was down before looks like one that the run broke."""

from __future__ import annotations

from wizard import probes
from wizard.engine.exposure import exposure
from wizard.engine.parallel import run_parallel
from wizard.errors import InputError
from wizard.model import Plan, RunService, Service, StepKind
from wizard.service_managers import proxy_services

_SHORT = 1.0
"""Seconds for the short question."""


def refuse_silent(plan: Plan, dial: probes.Dial) -> None:
    """Asks each service that a plan restarts or reloads.

    Those of the practice stack, which Firescreen starts itself, and of hosts whose commands a person types are not
    asked; nor are those that a restoration starts again.

    Raises:
        InputError: one of them does not answer where its process listens. Nothing has been touched.
    """
    services = {
        change.service.key: change.service
        for step in plan.steps
        if step.kind is not StepKind.RESTORE
        for change in step.changes
        if isinstance(change, RunService) and _is_asked(plan, change.service)
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
    """Whether it answers; its metrics, which take longer, are requested only where a short request fails."""
    if service.forward is None and probes.answers(service.listen, _SHORT):
        return True
    return exposure(service, dial).state != "down"


def _is_asked(plan: Plan, service: Service) -> bool:
    known = plan.facts.hosts.get(service.host)
    return (
        known is not None
        and known.spec.is_real
        and not service.out_of_reach
        and service.component != "grafana"
        and service.manager != proxy_services.NAME
    )
