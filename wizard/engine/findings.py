"""Judges the probes of a plan, and derives findings from exposures. Pure functions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from wizard.components import component as find_component
from wizard.engine import report
from wizard.engine.outcome import Exposure, Outcome
from wizard.errors import FirescreenError, PartialFailureError, VerificationError
from wizard.model import WORKSPACE, Attempt, ComponentSpec, Finding, MakeFolder, Plan, Service, WriteFile
from wizard.plurals import join_words
from wizard.redact import redact


def first_writes(plan: Plan) -> tuple[tuple[WriteFile, ...], ...]:
    """The first change of each file, grouped by host: later changes start from content that is not there yet."""
    first: dict[str, dict[str, WriteFile]] = {}
    for change in plan.changes:
        if isinstance(change, WriteFile):
            first.setdefault(change.host, {}).setdefault(change.path, change)
    return tuple(tuple(mine.values()) for mine in first.values())


def changed_at(plan: Plan) -> float:
    """Unix time after which a scrape counts: now, or 0 if the plan changes nothing outside the workspace."""
    return time.time() if any(change.host != WORKSPACE for change in plan.changes) else 0.0


def judge(attempts: tuple[Attempt, ...]) -> None:
    """Raises an error if a probe did not end as expected.

    Raises:
        VerificationError: see `failure`.
    """
    failed = [attempt for attempt in attempts if attempt.failed]
    if failed:
        raise failure(failed)


def failure(failed: Sequence[Attempt], host: str = "") -> VerificationError:
    """The error for failed probes; it names the most important one: expected to succeed, and not about a target.

    Args:
        host: only consider probes of this host; '' for all.
    """
    mine = [attempt for attempt in failed if host in ("", attempt.probe.host)]
    worst = min(mine, key=lambda attempt: (not attempt.probe.wanted, attempt.probe.kind == "up"))
    reason = f": {worst.reason}" if worst.reason else ""
    return VerificationError(
        f"probe '{worst.probe.name}' failed: expected {worst.probe.expect}, got {worst.outcome}{redact(reason)}",
        where=worst.probe.server,
        todo=f"Run it yourself: {worst.curl}" if worst.curl else "",
    )


def after_rollback(error: FirescreenError, plan: Plan) -> FirescreenError:
    """The error with advice that still works after the rollback, which removes the files that the run has written."""
    written = (change.path for change in plan.changes if isinstance(change, WriteFile | MakeFolder))
    if any(path in error.todo for path in written):
        error.todo = "Correct that, then make a new plan and apply it"
    return error


def judge_unchanged(outcome: Outcome, plan: Plan) -> Outcome:
    """The outcome of a run without changes: state `failed` if a probe failed, else with a summary."""
    try:
        judge(outcome.attempts)
    except VerificationError as error:
        return replace(outcome, state="failed", error=error)
    return replace(outcome, summary=report.summary(plan, outcome.attempts))


def partly(outcome: Outcome, plan: Plan) -> Outcome:
    """The outcome of a finished run, with an error that names the hosts that were left out or rolled back."""
    lost = [each for each in outcome.hosts if each.state not in ("proven", "changed", "working")]
    if not lost or outcome.error is not None:
        return outcome
    reasons = {
        "away": plan.facts.away,
        "rolled-back": {each.host: each.error.what for each in lost if each.error},
        "stuck": {each.host: each.error.what for each in lost if each.error},
    }
    lines = []
    for each in lost:
        words = {
            "away": "is unreachable and was not changed",
            "rolled-back": "failed and was rolled back",
            "stuck": "failed and needs recovery: it is unreachable now, roll it back with firescreen recover --yes",
        }[each.state]
        lines.append(f"{each.host} {words}: {reasons[each.state].get(each.host, '')}")
    owed = [each.host for each in lost if each.state == "stuck"]
    todo = (
        f"Make {join_words(owed)} reachable again, and roll back what was changed there"
        if owed
        else "Correct that and apply again"
    )
    first = lost[0]
    others = len(outcome.hosts) - len(lost)
    error = PartialFailureError(
        f"{first.host}: {reasons[first.state].get(first.host, '')}"
        if len(lost) == 1
        else f"{len(lost)} of {len(outcome.hosts)} hosts: {reasons[first.state].get(first.host, '')}",
        where=", ".join(each.host for each in lost),
        todo=f"{todo}; {_others_verified_text(others)}" if others else todo,
        recover=bool(owed),
    )
    return replace(outcome, error=error, summary=(*outcome.summary, *lines))


def _others_verified_text(others: int) -> str:
    return "the other host is verified" if others == 1 else f"the other {others} are verified"


def _place(host: str) -> str:
    """A host's name for a person: 'here' is the name that Firescreen gives this machine without a stack file."""
    return "this machine" if host == "here" else host


def not_found(component: ComponentSpec) -> Finding:
    """The finding for a component of the stack that the host does not have."""
    unit = f" in a unit {component.unit}" if component.unit else ""
    return Finding(
        id="not-found",
        host=component.host,
        component=component.name,
        instance=component.unit,
        what=f"there is no {component.name}{unit} on {_place(component.host)}",
        why="The stack names it, and nothing of that kind runs or is installed there.",
        remediation="Install and start it, or remove it from the stack",
    )


def containers_not_shown(host: str, user: str) -> Finding:
    """The finding for a host that runs Docker but denies this user access to it."""
    return Finding(
        severity="ok",
        id="containers-not-shown",
        host=host,
        what=f"containers on {_place(host)} are not shown in full: the user {user} may not ask Docker",
        why="A component in a container is missing, or it is shown as a process that only you can restart.",
        remediation=f"add {user} to the group docker and log in again, or use sudo",
    )


def not_in_stack(exposure: Exposure, service: Service) -> Finding:
    """The finding for a further instance of a component that the stack does not name."""
    return Finding(
        severity="ok" if exposure.state == "secured" else "open" if exposure.state == "open" else "warning",
        id="not-in-stack",
        host=service.host,
        component=service.component,
        instance=service.instance,
        what=(
            f"the stack does not name the {service.component} on {_place(service.host)} at {service.listen} "
            f"({service.unit}): {exposure.words}"
        ),
        why="A plan for this stack leaves it as it is.",
        remediation=f"Add it to the stack: {{host: {service.host}, name: {service.component}, unit: {service.unit}}}",
    )


def away(host: str, why: str) -> Finding:
    """The finding for an unreachable host."""
    return Finding(
        id="host-away",
        host=host,
        what=f"{host} is unreachable: {why}",
        why="What runs there, and how it is protected, is not known.",
        remediation="Make it reachable and rescan",
    )


def findings(exposure: Exposure, service: Service) -> tuple[Finding, ...]:
    """The findings of a component that is not fully protected."""
    if exposure.state == "secured":
        return ()
    if service.out_of_reach:
        return (_out_of_reach(service),)
    return (*_openness(exposure), *(() if exposure.state == "down" else _powers(exposure, service)))


def _out_of_reach(service: Service) -> Finding:
    return Finding(
        id="out-of-reach",
        host=service.host,
        component=service.component,
        instance=service.instance,
        what=f"{service.component} on {_place(service.host)} cannot be probed from here: {service.out_of_reach}",
        why="How it is protected is not known, and nothing about it could be verified.",
        remediation="Run Firescreen on that host itself, or make it reachable from here",
    )


def _powers(exposure: Exposure, service: Service) -> tuple[Finding, ...]:
    """The findings for administrative endpoints that are enabled and have no authentication."""
    if exposure.password or exposure.client_certificate:
        return ()
    return tuple(
        Finding(
            severity="open",
            id="powerful-endpoint-open",
            host=exposure.host,
            component=exposure.component,
            instance=exposure.instance,
            what=f"{exposure.component} on {exposure.address}: --{flag} is on and has no authentication",
            why=means,
        )
        for flag, means in find_component(exposure.component).open_features(service.arguments)
    )


def _openness(exposure: Exposure) -> tuple[Finding, ...]:
    alone = "Traffic is encrypted, but everyone who reaches the port can still read the metrics."
    texts = {
        "open": (
            "open-to-everyone",
            "Every client that can reach it can read it, and the traffic is not encrypted.",
        ),
        "partly": (
            "partly-protected",
            alone if exposure.tls else "Whoever sees the traffic can read the metrics and the password.",
        ),
        "down": ("not-answering", "It is installed, but does not answer."),
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
        ),
    )
