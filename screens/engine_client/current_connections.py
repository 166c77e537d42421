"""The present connections of a stack: who connects to whom now, and how, by what the scan found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wizard.engine import Engine, Exposure, Scan
    from wizard.model import Answers, Arrow, ComponentSpec, Plan, Protection, Stack


def plan_of_connections(engine: Engine, scan: Scan, stack: Stack, answers: Answers) -> Plan:
    """The present connections: a plan with the probes that test its arrows, and no others.

    The chosen levels may not be applied yet, so each server gets the level that the scan found. The engine plans no
    arrow to a server without a level, so those are taken from a plan that protects every server.
    """
    plan = engine.plan(stack, answers)
    found = {one.key: one for one in scan.exposures}
    if plan.steps or any(not one.protect for one in stack.components):
        plan = engine.plan(_protected(stack, found), answers)
        everyone = engine.plan(_protected(stack, {}), answers)
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
    asked = {arrow.probe for arrow in plan.arrows}
    return replace(plan, probes=tuple(probe for probe in plan.probes if probe.id in asked))


def _protected(stack: Stack, found: Mapping[str, Exposure]) -> Stack:
    """The stack with the protection that the scan found; TLS where nothing is known."""
    parts = (
        replace(one, protect=_protection(one, found[one.key]) if one.key in found else ("tls",))
        for one in stack.components
    )
    return replace(stack, components=tuple(parts))


def _protection(one: ComponentSpec, found: Exposure) -> tuple[Protection, ...]:
    """The protection that a component has, by the scan.

    A server that rejects clients without a certificate never asks for a password: there the stack says it.
    """
    if not found.tls:
        return ()
    parts: list[Protection] = ["tls"]
    if found.password or (found.client_certificate and "basic_auth" in one.protect):
        parts.append("basic_auth")
    if found.client_certificate:
        parts.append("client_cert")
    return tuple(parts)


def _ends(arrow: Arrow) -> tuple[str, ...]:
    return (arrow.client_host, arrow.client, arrow.server_host, arrow.server, arrow.how, arrow.address)
