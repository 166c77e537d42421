"""Chooses the canary of a plan: the one host that is changed and verified before the others are touched."""

from __future__ import annotations

from wizard import planner
from wizard.errors import InputError
from wizard.model import Plan

CANARY_FROM = 4
"""A plan that changes at least this many hosts has a canary by default."""


def canary_of(plan: Plan, wanted: str = "") -> str:
    """The canary of a plan; '' for none.

    Args:
        wanted: a host's name, 'none', or '' for the default: the first possible host if the plan changes at least
            `CANARY_FROM` real hosts, else none.

    Raises:
        InputError: the plan does not change the host `wanted`, or cannot change it before the others.
    """
    changed, candidates = planner.changed_hosts(plan), may_go_first(plan)
    if wanted == "none" or len(changed) < 2:
        return ""
    if not wanted:
        # All hosts of a practice stack are one machine.
        real = [spec.name for spec in plan.stack.hosts if spec.connect != "practice" and spec.name in changed]
        return candidates[0] if candidates and len(real) >= CANARY_FROM else ""
    if wanted not in candidates:
        why = reason_for_none(plan) or ("it connects to the others" if wanted in planner.askers(plan) else "")
        raise InputError(
            f"{wanted} cannot be the canary" + (f": {why}" if why else ""),
            where=plan.stack.source or wanted,
            todo=f"Choose one of: {', '.join(candidates)}" if candidates else "Choose none",
        )
    return wanted


def may_go_first(plan: Plan) -> tuple[str, ...]:
    """The hosts that can be the canary, in the stack's order."""
    changed, asking = planner.changed_hosts(plan), planner.askers(plan)
    if not plan.probes or len(changed) < 2 or reason_for_none(plan):
        return ()
    return tuple(host for host in changed if host not in asking)


def reason_for_none(plan: Plan) -> str:
    """Why a plan cannot have a canary; '' if it can."""
    if plan.answers.renew:
        return "credentials are replaced on all hosts together"
    for host in planner.askers(plan):
        if any(service.web_config for service in plan.facts.hosts[host].services):
            return f"the component on {host} that connects to the others uses TLS itself already"
    return ""
