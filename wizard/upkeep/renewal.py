"""What a renewal replaces, and what must not be changed along with it. Pure."""

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
"""What a plan replaces by itself once a certificate has expired."""
_NAMING = (
    StepKind.WEB_CONFIG,
    StepKind.SCRAPE_CONFIG,
    StepKind.BLACKBOX_MODULES,
    StepKind.RELOAD,
    StepKind.FRONT_DOOR,
    StepKind.FRONT_DOOR_RELOAD,
)
"""What names a certificate, and changes with an expired one."""


def names(due: Iterable[Lifetime]) -> frozenset[str]:
    """What `Answers.renew` has to hold to replace these; with the CA, everything that it signed is replaced."""
    found = frozenset(each.renew for each in due)
    return frozenset({"ca"}) if "ca" in found else found


def pending_steps(plan: Plan, due: Iterable[Lifetime], now: float) -> tuple[PlannedStep, ...]:
    """The steps that a stack plans although nothing is renewed: a renewal must not carry them out unasked.

    Args:
        plan: the plan without a renewal.
        due: what is to be renewed.
        now: Unix time.
    """
    expired = any(each.not_after <= now for each in due)
    allowed = (*_CERTIFICATES, *_NAMING) if expired else _CERTIFICATES
    return tuple(step for step in plan.steps if step.kind not in allowed)
