"""Judges: what is proposed for what was found, whether the probes prove a plan, what an exposure means.

Pure: the engine looks and acts, this says what it amounts to.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from wizard.components import component as find_component
from wizard.engine import report
from wizard.engine.outcome import Exposure, Outcome
from wizard.errors import PartError, ProofError
from wizard.model import WORKSPACE, Attempt, ComponentSpec, Finding, Plan, Service, WriteFile
from wizard.redact import redact


def first_writes(plan: Plan) -> tuple[tuple[WriteFile, ...], ...]:
    """The first change of each file, by host: what a later one builds on is not there yet."""
    first: dict[str, dict[str, WriteFile]] = {}
    for change in plan.changes:
        if isinstance(change, WriteFile):
            first.setdefault(change.host, {}).setdefault(change.path, change)
    return tuple(tuple(mine.values()) for mine in first.values())


def turned(plan: Plan) -> float:
    """The moment after which Prometheus' word counts: now, if anything but the workspace was changed."""
    return time.time() if any(change.host != WORKSPACE for change in plan.changes) else 0.0


def judge(attempts: tuple[Attempt, ...]) -> None:
    """Whether every probe ended as it must.

    Raises:
        ProofError: for the first that did not, the wanted ones before the others.
    """
    failed = [attempt for attempt in attempts if attempt.failed]
    if failed:
        raise failure(failed)


def failure(failed: Sequence[Attempt], host: str = "") -> ProofError:
    """What to tell of probes that did not hold, the wanted ones before the others.

    Args:
        host: only of this one; '' for all.
    """
    mine = [attempt for attempt in failed if host in ("", attempt.probe.host)]
    worst = min(mine, key=lambda attempt: (not attempt.probe.wanted, attempt.probe.kind == "up"))
    said = f": {worst.reason}" if worst.reason else ""
    return ProofError(
        f"'{worst.probe.name}' did not hold: expected {worst.probe.expect}, got {worst.outcome}{redact(said)}",
        where=worst.probe.server,
        todo=f"try it by hand: {worst.curl}" if worst.curl else "",
    )


def judged(outcome: Outcome, plan: Plan) -> Outcome:
    """The outcome of a run that had nothing to change: failed if a probe did not hold, else with its summary."""
    try:
        judge(outcome.attempts)
    except ProofError as error:
        return replace(outcome, state="failed", error=error)
    return replace(outcome, summary=report.summary(plan, outcome.attempts))


def partly(outcome: Outcome, plan: Plan) -> Outcome:
    """The outcome of a run that stands, with what became of the hosts that are not part of it."""
    lost = [each for each in outcome.hosts if each.state not in ("proven", "changed", "working")]
    if not lost or outcome.error is not None:
        return outcome
    ways = {
        "away": plan.facts.away,
        "rolled-back": {each.host: each.error.what for each in lost if each.error},
        "stuck": {each.host: each.error.what for each in lost if each.error},
    }
    lines = []
    for each in lost:
        words = {
            "away": "could not be reached and was left alone",
            "rolled-back": "failed and was put back",
            "stuck": "failed and cannot be reached now: it is put back by firescreen recover --yes",
        }[each.state]
        lines.append(f"{each.host} {words}: {ways[each.state].get(each.host, '')}")
    first = lost[0]
    others = len(outcome.hosts) - len(lost)
    error = PartError(
        f"{first.host}: {ways[first.state].get(first.host, '')}"
        if len(lost) == 1
        else f"{len(lost)} of {len(outcome.hosts)} hosts: {ways[first.state].get(first.host, '')}",
        where=", ".join(each.host for each in lost),
        todo=f"mend that and apply again; the other {others} are proven"
        if others
        else "mend that and apply again",
    )
    return replace(outcome, error=error, summary=(*outcome.summary, *lines))


def not_found(component: ComponentSpec) -> Finding:
    """What to tell of a component that the stack names and the host does not have."""
    unit = f" in a unit {component.unit}" if component.unit else ""
    return Finding(
        severity="warning",
        id="not-found",
        host=component.host,
        component=component.name,
        instance=component.unit,
        what=f"there is no {component.name}{unit} on {component.host}",
        why="The stack names it, and nothing of that kind runs or is installed there.",
        mend="install and start it, or take it out of the stack",
    )


def not_in_stack(exposure: Exposure, service: Service) -> Finding:
    """What to tell of a further instance of a component, which the stack does not name."""
    return Finding(
        severity="ok" if exposure.state == "secured" else "open" if exposure.state == "open" else "warning",
        id="not-in-stack",
        host=service.host,
        component=service.component,
        instance=service.instance,
        what=(
            f"the stack does not name the {service.component} on {service.host} at {service.listen} "
            f"({service.unit}): {exposure.words}"
        ),
        why="A plan for this stack leaves it as it is.",
        mend=f"add it to the stack: {{host: {service.host}, name: {service.component}, unit: {service.unit}}}",
    )


def away(host: str, why: str) -> Finding:
    """What to tell of a host that could not be reached."""
    return Finding(
        severity="warning",
        id="host-away",
        host=host,
        component="",
        what=f"{host} cannot be looked at: {why}",
        why="What runs there, and how open it is, is not known.",
        mend="bring it within reach and look again",
    )


def findings(exposure: Exposure, service: Service) -> tuple[Finding, ...]:
    """What to tell of a component that is not closed; nothing of one that is."""
    if exposure.state == "secured":
        return ()
    if service.out_of_reach:
        return (_out_of_reach(service),)
    return (*_openness(exposure), *(() if exposure.state == "down" else _powers(exposure, service)))


def _out_of_reach(service: Service) -> Finding:
    return Finding(
        severity="warning",
        id="out-of-reach",
        host=service.host,
        component=service.component,
        instance=service.instance,
        what=f"{service.component} on {service.host} cannot be asked from here: {service.out_of_reach}",
        why="How open it is, is not known, and nothing about it could be proven.",
        mend="run Firescreen on that host itself, or let it be reached from here",
    )


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
            instance=exposure.instance,
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
            instance=exposure.instance,
            what=f"{exposure.component} on {exposure.address}: {exposure.words}",
            why=why,
            mend="firescreen",
        ),
    )
