"""Judges: what is proposed for what was found, whether the probes prove a plan, what an exposure means.

Pure: the engine looks and acts, this says what it amounts to.
"""

from __future__ import annotations

import time
from dataclasses import replace

from wizard.components import component as find_component
from wizard.engine import telling
from wizard.engine.outcome import Exposure, Outcome
from wizard.errors import ProofError
from wizard.journal import Record
from wizard.model import WORKSPACE, Attempt, ComponentSpec, Finding, Plan, Service, WriteFile
from wizard.redact import redact


def practises(record: Record) -> bool:
    """Whether a run touched nothing but the practice stack (and the workspace)."""
    return all(host.connect == "practice" for host in record.hosts)


def first_writes(plan: Plan) -> tuple[WriteFile, ...]:
    """The first change of each file: what a later one builds on is not there yet."""
    first: dict[tuple[str, str], WriteFile] = {}
    for change in plan.changes:
        if isinstance(change, WriteFile):
            first.setdefault((change.host, change.path), change)
    return tuple(first.values())


def turned(plan: Plan) -> float:
    """The moment after which Prometheus' word counts: now, if anything but the workspace was changed."""
    return time.time() if any(change.host != WORKSPACE for change in plan.changes) else 0.0


def judge(attempts: tuple[Attempt, ...]) -> None:
    """Whether every probe ended as it must.

    Raises:
        ProofError: for the first that did not, the wanted ones before the others.
    """
    failed = [attempt for attempt in attempts if not attempt.ok]
    if not failed:
        return
    worst = min(failed, key=lambda attempt: (not attempt.probe.wanted, attempt.probe.kind == "up"))
    said = f": {worst.reason}" if worst.reason else ""
    raise ProofError(
        f"'{worst.probe.name}' did not hold: expected {worst.probe.expect}, got {worst.outcome}{redact(said)}",
        where=f"{worst.probe.host}/{worst.probe.component}",
        todo=f"try it by hand: {worst.curl}" if worst.curl else "",
    )


def judged(outcome: Outcome, plan: Plan) -> Outcome:
    """The outcome of a run that had nothing to change: failed if a probe did not hold, else with its summary."""
    try:
        judge(outcome.attempts)
    except ProofError as error:
        return replace(outcome, state="failed", error=error)
    return replace(outcome, summary=telling.summary(plan, outcome.attempts))


def not_found(component: ComponentSpec) -> Finding:
    """What to tell of a component that the stack names and the host does not have."""
    return Finding(
        severity="warning",
        id="not-found",
        host=component.host,
        component=component.name,
        what=f"there is no {component.name} on {component.host}",
        why="The stack names it, and nothing of that kind runs or is installed there.",
        mend="install and start it, or take it out of the stack",
    )


def findings(exposure: Exposure, service: Service) -> tuple[Finding, ...]:
    """What to tell of a component that is not closed; nothing of one that is."""
    if exposure.state == "secured":
        return ()
    return (*_openness(exposure), *(() if exposure.state == "down" else _powers(exposure, service)))


def _powers(exposure: Exposure, service: Service) -> tuple[Finding, ...]:
    """Endpoints with power that are switched on and that nothing guards."""
    if exposure.password or exposure.client_certificate:
        return ()
    return tuple(
        Finding(
            severity="open",
            id="powerful-endpoint-open",
            host=exposure.host,
            component=exposure.component,
            what=f"{exposure.component} on {exposure.address}: --{flag} is on, and nothing guards it",
            why=means,
            mend="firescreen",
        )
        for flag, means in find_component(exposure.component).opened(service.arguments)
    )


def _openness(exposure: Exposure) -> tuple[Finding, ...]:
    texts = {
        "open": ("open-to-everyone", "Anyone who can reach it can read it, and read along."),
        "partly": ("partly-protected", "One half of the protection is missing."),
        "down": ("not-answering", "It is installed, but nothing answers there."),
    }
    identity, why = texts[exposure.state]
    return (
        Finding(
            severity="open" if exposure.state == "open" else "warning",
            id=identity,
            host=exposure.host,
            component=exposure.component,
            what=f"{exposure.component} on {exposure.address}: {exposure.words}",
            why=why,
            mend="firescreen",
        ),
    )
