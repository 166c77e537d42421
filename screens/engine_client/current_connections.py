"""The present connections of a stack: which client connects to which server, and how, by what the scan found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.state import with_present_levels

if TYPE_CHECKING:
    from wizard.engine import Engine, Scan
    from wizard.model import Answers, Arrow, Plan, Stack


def plan_of_connections(engine: Engine, scan: Scan, stack: Stack, answers: Answers) -> Plan:
    """Returns the present connections: a plan with only the probes that test them.

    The chosen levels may not be applied yet, so each server gets the level that the scan found. The engine plans no
    connection to a server without a level, so those are taken from a plan that protects every server.
    """
    found = {one.key: one for one in scan.exposures}
    plan = _as_chosen(engine, stack, answers)
    if (
        plan is None
        or plan.steps
        or any(not one.protect for one in stack.components if not stack.doors_to(one.host, one.name))
    ):
        plan = engine.plan(with_present_levels(stack, found), answers)
        everyone = engine.plan(with_present_levels(stack, {}), answers)
        there = {_ends(arrow) for arrow in plan.arrows}
        plain = tuple(
            replace(
                arrow,
                encrypted=False,
                server_shows="",
                client_checks="",
                client_shows="",
                server_checks="",
                user="",
                probe="",
            )
            for arrow in everyone.arrows
            if _ends(arrow) not in there
            and (seen := found.get(f"{arrow.server_host}/{arrow.server}")) is not None
            and not seen.tls
        )
        plan = replace(plan, arrows=(*plan.arrows, *plain))
    probed = {arrow.probe for arrow in plan.arrows}
    return replace(plan, probes=tuple(probe for probe in plan.probes if probe.id in probed), watched=())


def _as_chosen(engine: Engine, stack: Stack, answers: Answers) -> Plan | None:
    """Returns the plan for the chosen levels; None if that plan cannot be made, which says nothing about what exists.

    Raises:
        CredentialNeededError: a password or a passphrase is needed for it.
    """
    from wizard.errors import CredentialNeededError, InputError

    try:
        return engine.plan(stack, answers)
    except CredentialNeededError:
        raise
    except InputError:
        return None


def _ends(arrow: Arrow) -> tuple[str, ...]:
    return (arrow.client_host, arrow.client, arrow.server_host, arrow.server, arrow.how, arrow.address)
