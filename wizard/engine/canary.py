"""Chooses the canary of a plan: the one host that is changed and verified before the others are touched."""

from __future__ import annotations

from wizard import planner
from wizard.errors import InputError
from wizard.model import Plan

CANARY_FROM = 4
"""Hosts from which on one is changed and proven before the rest."""


def canary_of(plan: Plan, wanted: str = "") -> str:
    """The host that goes first; '' for none.

    Args:
        wanted: the person's choice: a host's name, 'none', or '' for ours: the first that may, where there are more
            than three.

    Raises:
        InputError: the host that the person named is not changed by this plan, or cannot go before the others.
    """
    changed, able = planner.changed_hosts(plan), may_go_first(plan)
    if wanted == "none" or len(changed) < 2:
        return ""
    if not wanted:
        # A practice stack is one machine, however many hosts it plays.
        real = [spec.name for spec in plan.stack.hosts if spec.connect != "practice" and spec.name in changed]
        return able[0] if able and len(real) >= CANARY_FROM else ""
    if wanted not in able:
        why = reason_for_none(plan) or ("it asks the others" if wanted in planner.askers(plan) else "")
        raise InputError(
            f"{wanted} cannot go first" + (f": {why}" if why else ""),
            where=plan.stack.source or wanted,
            todo=f"choose one of: {', '.join(able)}" if able else "leave the choice out",
        )
    return wanted


def may_go_first(plan: Plan) -> tuple[str, ...]:
    """The hosts of which one may be changed and proven before the others, in the stack's order."""
    changed, asking = planner.changed_hosts(plan), planner.askers(plan)
    if not plan.probes or len(changed) < 2 or reason_for_none(plan):
        return ()
    return tuple(host for host in changed if host not in asking)


def reason_for_none(plan: Plan) -> str:
    """Why no host of a plan can go before the others; '' if one can."""
    if plan.answers.renew:
        return "what is replaced is replaced on all hosts together"
    for host in planner.askers(plan):
        if any(service.web_config for service in plan.facts.hosts[host].services):
            return f"what asks them, on {host}, is encrypted itself already"
    return ""
