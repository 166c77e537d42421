"""Decides what a renewal replaces, and which other pending changes it must not make. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.model import Plan, PlannedStep, StepKind
from wizard.upkeep.lifetimes import Lifetime

_CERTIFICATES = (
    StepKind.CA,
    StepKind.SHARED_CERTIFICATE,
    StepKind.PROBE_CERTIFICATES,
    StepKind.TRUST_COPIES,
    StepKind.COMMAND_LINE_TOOLS,
    StepKind.SERVER_CERTIFICATE,
    StepKind.CLIENT_CERTIFICATE,
    StepKind.TRUST,
    StepKind.NARROW,
    StepKind.CLUSTER,
)
"""Steps that a plan includes without a renewal as soon as a certificate has expired."""
_NAMING = (
    StepKind.WEB_CONFIG,
    StepKind.SCRAPE_CONFIG,
    StepKind.BLACKBOX_MODULES,
    StepKind.RELOAD,
    StepKind.FRONT_DOOR,
    StepKind.FRONT_DOOR_RELOAD,
)
"""Steps that change files which name a certificate; they are planned too if that certificate has expired."""


def names(due: Iterable[Lifetime]) -> frozenset[str]:
    """The values of `Answers.renew` that replace these certificates; 'ca' also replaces everything that it has signed."""
    found = frozenset(each.renew for each in due)
    return frozenset({"ca"}) if "ca" in found else found


def pending_steps(plan: Plan, due: Iterable[Lifetime], now: float) -> tuple[PlannedStep, ...]:
    """The pending steps of a stack that have nothing to do with the renewal, which must not make them unasked.

    Args:
        plan: the plan of the stack without a renewal.
        due: the certificates to renew.
        now: Unix time.
    """
    expired = any(each.not_after <= now for each in due)
    allowed = (*_CERTIFICATES, *_NAMING) if expired else _CERTIFICATES
    return tuple(step for step in plan.steps if step.kind not in allowed)
