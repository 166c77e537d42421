"""The plain mode's sentences, to be read aloud, about a scan, a plan, a run and its verification."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from wizard.cli.output import HOST_WORDS
from wizard.cli.text_format import verification_line
from wizard.model import WORKSPACE, RunService, WriteFile
from wizard.plurals import count_noun
from wizard.redact import redact

if TYPE_CHECKING:
    from wizard.engine import Exposure, Scan
    from wizard.model import Attempt, Event, Plan, PlannedStep


_BASE64 = re.compile(
    r"^([-+ ])[A-Za-z0-9+/]{64}\n(?:\1[A-Za-z0-9+/]{64}\n)+(?:\1[A-Za-z0-9+/]{1,63}={0,2}\n)?", re.MULTILINE
)
"""The body of a certificate in a diff: the lines above describe it, and nobody listens to base64."""


def scan_lines(scan: Scan) -> Iterator[str]:
    """Yields a sentence for each component and each remark of a scan, and the number of unprotected components."""
    for exposure in scan.exposures:
        yield exposure_sentence(exposure)
    for finding in scan.remarks:
        todo = f" What to do: {finding.remediation}." if finding.remediation else ""
        yield f"Note: {finding.what}.{todo}"
    unprotected = sum(exposure.state == "open" for exposure in scan.exposures)
    yield f"{unprotected} of {count_noun(len(scan.exposures), 'component')} unprotected."


def exposure_sentence(exposure: Exposure) -> str:
    """Returns where a component is, and how it is protected."""
    version = f", version {exposure.version}" if exposure.version else ""
    return f"{exposure.key} at {exposure.address}{version}: {exposure.words}."


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yields a plan's summary, its steps as numbered sentences, its warnings and interruptions."""
    hosts = {step.host for step in plan.steps if step.host != WORKSPACE}
    files = sum(isinstance(change, WriteFile) for change in plan.changes)
    yield (
        f"The plan has {count_noun(len(plan.steps), 'step')} on {count_noun(len(hosts), 'host')}: it writes "
        f"{count_noun(files, 'file')}, and restarts or reloads {count_noun(len(plan.restarts), 'service')}."
    )
    for number, step in enumerate(plan.steps, start=1):
        yield f"Step {number} of {len(plan.steps)}, {step_place(step)}: {step.title}. {_full_stop(step.why)}"
    for warning in plan.warnings:
        yield f"Warning: {_full_stop(warning.what)} What to do: {_full_stop(warning.remediation)}"
    for gap in plan.gaps:
        yield f"Interruption: {_full_stop(gap.sentence)}"
    if plan.asked:
        yield _full_stop(plan.asked)


def step_place(step: PlannedStep) -> str:
    """Returns where a step is carried out."""
    return "in the workspace" if step.host == WORKSPACE else f"on {step.host}"


def diff_lines(plan: Plan, step: PlannedStep) -> Iterator[str]:
    """Yields the diffs of a step: lines that begin with minus are removed, lines with plus are added."""
    for change in step.changes:
        yield f"{change.title()}."
        yield from _BASE64.sub(_fold_certificate, redact(change.diff(), plan.secrets)).splitlines()
    yield "End of the diff."


def _fold_certificate(body: re.Match[str]) -> str:
    return f"{body[1]}({count_noun(body[0].count(chr(10)), 'line')} of base64)\n"


def command_lines(step: PlannedStep) -> Iterator[str]:
    """Yields the manual commands of a step, ready to be typed."""
    for change in step.changes:
        commands = change.commands()
        if commands:
            here = step.host == WORKSPACE or (not isinstance(change, RunService) and change.typed_here)
            yield f"{change.title()}. Commands, {'on this machine' if here else f'on {step.host}'}:"
        for command in commands:
            yield from command.splitlines()
    yield "End of the commands."


def progress(say: Callable[..., None]) -> Callable[[Event], None]:
    """Returns a listener that says a sentence for each event of a run, without repetitions.

    Args:
        say: gets a line, and `whole` for a command.
    """
    printed: set[str] = set()
    lock = threading.Lock()

    def tell(event: Event) -> None:
        typed = event.text.splitlines() if event.kind == "waiting" else ()
        for line in event_lines(event):
            with lock:
                if event.kind != "host" or line not in printed:
                    printed.add(line)
                    say(line, whole=line in typed)

    return tell


def event_lines(event: Event) -> Sequence[str]:
    """Returns an event of a run as sentences; none for events that need not be mentioned."""
    match event.kind, event.state:
        case "change", "done":
            return (
                (f"Done, {event.done} of {event.total}, {event.host}: {event.text}.",)
                if event.total
                else (event.text,)
            )
        case "change", "failed":
            return (f"Failed, {event.done} of {event.total}, {event.host}: {event.text}.",)
        case "probe", "waiting":
            return (f"{event.host}: waiting for the next scrape by Prometheus.",)
        case "rollback", _ if event.text:
            return (f"Rolling back: {redact(event.text)}.",)
        case "host", ("proven" | "rolled-back" | "stuck"):
            why = f": {redact(event.error[1])}" if event.error else ""
            return (f"{event.host} is {HOST_WORDS[event.state]}{why}.",)
        case "waiting", _:
            return (
                f"To be done by you: {event.state}. Type these commands:",
                *event.text.splitlines(),
                "Waiting for the expected answer. Control C stops and rolls back.",
            )
        case "log", _ if event.text:
            place = f"{event.host}: " if event.host else ""
            return (f"{place}{_full_stop(redact(event.text))}",)
    return ()


def attempt_lines(attempts: Sequence[Attempt], away: Collection[str]) -> Iterator[str]:
    """Yields a sentence for each probe, and a summary.

    Args:
        attempts: the probes and their outcomes.
        away: hosts that are unreachable.
    """
    for attempt in attempts:
        probe = attempt.probe
        if attempt.ok:
            yield f"As expected: {probe.server}, {probe.name}: the answer is {attempt.outcome}."
        else:
            kind = "Excused" if attempt.excused else "Not as expected"
            reason = redact(attempt.excused or attempt.reason)
            yield (
                f"{kind}: {probe.server}, {probe.name}: the answer is {attempt.outcome}, expected {probe.expect}."
                + (f" Reason: {_full_stop(reason)}" if reason else "")
            )
    yield verification_line(attempts, away)


def _full_stop(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."
