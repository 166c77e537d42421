"""Refuses plans that break clients without the person's consent, or whose verification would take too long."""

from __future__ import annotations

from wizard.errors import InputError
from wizard.model import Plan
from wizard.planner.health_findings import format_duration

LONGEST = 3600.0
"""Longest wait for Prometheus' next scrapes, in seconds; a longer one needs `--verify-later`."""


def refuse(plan: Plan, *, later: bool) -> None:
    """Refuses a plan that breaks a client without consent, or whose verification would wait for hours.

    Args:
        later: whether verification is postponed (`--verify-later`).

    Raises:
        InputError: names the first broken client and how to consent, or the wait. Nothing has been changed.
    """
    if not plan.changes:
        return
    if plan.unaccepted:
        first = plan.unaccepted[0]
        others = len(plan.unaccepted) - 1
        more = f" ({others} more clients likewise: see the plan)" if others else ""
        keys = " ".join(f"--accept-broken '{each.key}'" for each in plan.unaccepted)
        raise InputError(
            f"{first.client} on {first.host} connects to {first.server} and will be rejected after this run{more}",
            where=", ".join(first.where),
            todo=(
                f"Plan its change ({'; '.join(first.lines)}), then accept that it is rejected until then: {keys}, "
                f"or accept_broken in the stack file. Or leave {first.server} as it is"
            ),
        )
    if plan.longest_wait > LONGEST and not later:
        raise InputError(
            f"verification would have to wait {format_duration(plan.longest_wait)} for Prometheus' next scrapes",
            where=plan.stack.source or "STACK",
            todo="Add --verify-later, and run firescreen verify when all targets were scraped again",
        )
