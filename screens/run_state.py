"""The state of the current run for the screens: its steps, hosts, log and probes, as frozen values.

`advance` is pure, so that the page of a run can be tested without a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from screens.state import OWN_FOLDER, ErrorMessage
from screens.state_styles import came

if TYPE_CHECKING:
    from wizard.engine import Outcome
    from wizard.engine.outcome import HostOutcome
    from wizard.model import Arrow, Attempt, Event, HostState, Plan, PlannedStep

MAX_LINES = 400
"""How many log lines are kept for the screen; the journal's folder contains all."""

MAX_HOST_LINES = 40
"""How many log lines are kept for each host."""

RunKind = Literal["apply", "undo", "verify", "recover"]
Phase = Literal["idle", "running", "stopping", "finished"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step of the run and its state: '' (pending), running, done, failed or undone."""

    id: str
    title: str
    host: str
    component: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRow:
    """One host of the run: its state, its current step, and its error."""

    host: str
    state: HostState = "waiting"
    done: int = 0
    total: int = 0
    """Number of changes on it; 0 if unknown (an undo)."""
    now: str = ""
    """What is being done there, in one line; '' for nothing."""
    failing: bool = False
    """Whether a change failed there; its error and the rollback follow."""
    undone: bool = False
    """Whether it was rolled back because a person asked for it."""
    error: ErrorMessage | None = None
    lines: tuple[str, ...] = ()
    """What was said about it, the oldest first, at most MAX_HOST_LINES."""

    @property
    def label(self) -> str:
        """Returns the key of `state_styles.HOST`: a host that was rolled back because it failed counts as failed."""
        if self.failing and self.state in ("working", "changed"):
            return "failing"
        if self.state == "rolled-back" and self.error is not None:
            return "failed"
        return "undone" if self.state == "rolled-back" and self.undone else self.state

    @property
    def needs_attention(self) -> bool:
        """Returns whether something went wrong there that has to be fixed."""
        return self.label in ("failed", "stuck", "away")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line from the engine or a program, and the step it belongs to."""

    step: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """The state of a run, for all screens that show it."""

    kind: RunKind = "apply"
    phase: Phase = "idle"
    run: str = ""
    activity: Literal["changing", "verifying", "rolling back"] = "changing"
    steps: tuple[StepState, ...] = ()
    hosts: tuple[HostRow, ...] = ()
    """The hosts that are changed or rolled back, and the unreachable ones."""
    canary: str = ""
    """The canary; '' for none."""
    plan: Plan | None = None
    """The plan that is applied."""
    current: str = ""
    done: int = 0
    total: int = 0
    lines: tuple[LogLine, ...] = ()
    waiting: str = ""
    """Commands that the person has to type while the engine waits for their effect; '' otherwise."""
    waiting_host: str = ""
    attempts: tuple[Attempt, ...] = ()
    arrows: tuple[Arrow, ...] = ()
    """The connections of the plan that is applied or verified."""
    ups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """For each instance, the values of `up` that Prometheus reported so far, oldest first: 'up' or 'down'."""
    error: ErrorMessage | None = None
    result: str = ""
    """The result in the engine's finished event; '' before that event."""
    outcome: Outcome | None = None

    @property
    def busy(self) -> bool:
        """Returns whether the engine is working: from the start until its finished event."""
        return self.phase in ("running", "stopping")

    @property
    def step(self) -> StepState | None:
        """Returns the current step."""
        return next((step for step in self.steps if step.id == self.current), None)

    def row(self, host: str) -> HostRow | None:
        """Returns the row of a host; None if the run has nothing to do there."""
        return next((row for row in self.hosts if row.host == host), None)


def begin(
    kind: RunKind,
    steps: tuple[PlannedStep, ...] = (),
    *,
    away: Mapping[str, str] | None = None,
    canary: str = "",
) -> RunState:
    """Returns the initial state of a run.

    Args:
        kind: what is done.
        steps: of the plan; none without a plan.
        away: unreachable hosts, which are left alone, with the reason.
        canary: the host that is changed and verified before the others; '' for none.
    """
    totals = Counter(change.host for step in steps for change in step.changes if change.host != OWN_FOLDER)
    return RunState(
        kind=kind,
        phase="running",
        activity="rolling back"
        if kind in ("undo", "recover")
        else "verifying"
        if kind == "verify"
        else "changing",
        steps=tuple(
            StepState(id=step.id, title=step.title, host=step.host, component=step.component)
            for step in steps
        ),
        hosts=(
            *(HostRow(host=host, total=total) for host, total in totals.items()),
            *(
                HostRow(host=host, state="away", error=_out_of_reach(host, why))
                for host, why in (away or {}).items()
            ),
        ),
        canary=canary,
        total=sum(len(step.changes) for step in steps),
    )


def _out_of_reach(host: str, why: str) -> ErrorMessage:
    return ErrorMessage(
        "The host is unreachable",
        why,
        host,
        "Make it reachable, then try again: the new plan has only the missing changes.",
    )


def stop(state: RunState) -> RunState:
    """Returns the state after a request to stop; the run ends only with the engine's finished event."""
    return replace(state, phase="stopping") if state.phase == "running" else state


def advance(state: RunState, event: Event) -> RunState:
    """Returns the state after an event. Pure. Events after the finished one change nothing.

    Args:
        state: the present state.
        event: the engine's event; see `model.Event` for the kinds.
    """
    if state.phase == "finished":
        return state
    if event.run and not state.run:
        state = replace(state, run=event.run)
    if event.total:
        state = replace(state, done=event.done, total=event.total)
    again = event.kind == "change" and event.state == "done"  # the same text as when it began
    if event.text and not again and event.kind not in ("waiting", "probe", "finished"):
        state = _after_log_line(state, event)
    state = _on_host(state, event)
    match event.kind:
        case "host":
            return state  # a failure on one host is no error of the whole run
        case "change":
            return _after_change(state, event)
        case "waiting":
            return replace(state, waiting=event.text, waiting_host=event.host)
        case "probe":
            return _after_probe(state, event)
        case "rollback":
            return _put_back(state, event)
        case "finished":
            return _after_end(state, event)
        case _:
            return replace(state, error=_trouble(event) or state.error)


def _after_change(state: RunState, event: Event) -> RunState:
    place = next((at for at, step in enumerate(state.steps) if step.id == event.step), len(state.steps))
    same_step = state.steps[place : place + 1] or (
        StepState(id=event.step, title=event.text or event.step, host=event.host),
    )
    steps = (*state.steps[:place], replace(same_step[0], state=event.state), *state.steps[place + 1 :])
    # The other hosts are changed after the canary is verified, so changing and verifying alternate.
    again = event.state == "running" and state.activity == "verifying"
    activity = "rolling back" if event.state == "undone" else "changing" if again else state.activity
    return replace(
        state,
        steps=steps,
        current=event.step,
        waiting="",
        activity=activity,
        error=_trouble(event) or state.error,
    )


def _after_probe(state: RunState, event: Event) -> RunState:
    attempt = event.attempt
    if attempt is None:
        return state
    before = state.attempts
    place = next((at for at, other in enumerate(before) if other.probe.id == attempt.probe.id), len(before))
    earlier = before[place] if place < len(before) else None
    kept = (*before[:place], attempt, *before[place + 1 :])
    activity = state.activity if state.activity == "rolling back" else "verifying"
    state = replace(state, attempts=kept, activity=activity, waiting="")
    # Each scrape counts once; a scrape before the change, or of a target that Prometheus has not discovered yet, does
    # not count.
    asked_again = earlier is not None and earlier.detail == attempt.detail != ""
    scraped = attempt.outcome == "up" or (attempt.scrape_url and not attempt.pending)
    if attempt.probe.kind != "up" or not scraped or asked_again:
        return state
    values = dict(state.ups)
    earlier_values = values.get(attempt.probe.instance, ())
    values[attempt.probe.instance] = (*earlier_values, "up" if attempt.outcome == "up" else "down")[-30:]
    return replace(state, ups=tuple(values.items()))


def _put_back(state: RunState, event: Event) -> RunState:
    """Adds the steps of an undo or a recovery: without a plan, its steps are known only from the rollback's events."""
    steps = state.steps
    if state.kind in ("undo", "recover") and event.state == "undone" and event.text:
        step = StepState(id=event.text, title=event.text, host=event.host, state="undone")
        steps = (*(other for other in steps if other.id != step.id), step)
    return replace(
        state, steps=steps, activity="rolling back", waiting="", error=_trouble(event) or state.error
    )


def _after_end(state: RunState, event: Event) -> RunState:
    steps = state.steps
    if event.state in ("rolled-back", "cancelled"):
        steps = tuple(
            replace(step, state="undone") if step.state in ("done", "running") else step for step in steps
        )
    return replace(
        state,
        phase="finished",
        steps=steps,
        hosts=tuple(_at_the_end(row, event.state) for row in state.hosts),
        result=event.state or "failed",
        waiting="",
        error=_trouble(event) or state.error,
    )


def _on_host(state: RunState, event: Event) -> RunState:
    """Updates the row of the event's host. An undo has no plan that names its hosts: its events do."""
    if not event.host or event.host == OWN_FOLDER:
        return state
    place = next((at for at, row in enumerate(state.hosts) if row.host == event.host), len(state.hosts))
    rows_of_host = state.hosts[place : place + 1]
    if not rows_of_host and (event.kind not in ("host", "rollback") or state.kind == "verify"):
        return state
    row = _row_after(rows_of_host[0] if rows_of_host else HostRow(host=event.host), event)
    return replace(state, hosts=(*state.hosts[:place], row, *state.hosts[place + 1 :]))


def _row_after(row: HostRow, event: Event) -> HostRow:
    """Returns a row after an event about its host."""
    match event.kind:
        case "host":
            error = _trouble(event) or row.error
            return replace(row, state=cast("HostState", event.state), now="", error=error)
        case "change" if event.state == "done":
            done = row.done + 1  # can exceed the plan: what the canary shares with others is changed twice
            return replace(row, done=done, total=max(row.total, done))
        case "change":
            text = event.text if event.state == "running" else f"{event.state}: {event.text}"
            state: HostState = "working" if row.state == "waiting" else row.state
            failing = row.failing or event.state == "failed"
            return replace(_with_line(row, text), state=state, now=text, failing=failing)
        case "log" | "rollback" if event.text:
            undoing = event.kind == "rollback" and not row.total
            row = replace(row, state="working", done=row.done + 1) if undoing else row
            return replace(_with_line(row, event.text), now=event.text)
        case "waiting":
            return replace(_with_line(row, f"run manually: {event.state}"), now="waits for your command")
        case "probe" if event.attempt is not None:
            attempt = event.attempt
            ended = "" if event.state == "waiting" else f": {came(attempt.outcome)}"
            sign = (
                "" if event.state == "waiting" else "✓ " if attempt.ok else "– " if attempt.excused else "✗ "
            )
            text = f"{sign}{attempt.probe.name}{ended}"
            return replace(_with_line(row, text) if sign else row, now=text)
    return row


def _with_line(row: HostRow, text: str) -> HostRow:
    return replace(row, lines=(*row.lines[-MAX_HOST_LINES + 1 :], text))


def _at_the_end(row: HostRow, result: str) -> HostRow:
    """Returns a row at the end of the run."""
    if result == "cancelled" and row.error is None:
        row = replace(row, failing=False)  # the stop interrupted its change: nothing failed there
    back = result in ("rolled-back", "cancelled", "undone") and row.state not in ("away", "stuck")
    return (
        replace(row, now="", state="rolled-back", undone=result == "undone") if back else replace(row, now="")
    )


def final_rows(rows: tuple[HostRow, ...], outcomes: Sequence[HostOutcome]) -> tuple[HostRow, ...]:
    """Returns the rows with the states that the engine reports at the end."""
    rows_by_host = {row.host: row for row in rows}
    for one in outcomes:
        row = rows_by_host.get(one.host) or HostRow(host=one.host)
        error = ErrorMessage.of(one.error) if one.error else row.error
        rows_by_host[one.host] = replace(row, state=one.state, now="", error=error)
    return tuple(rows_by_host.values())


def _after_log_line(state: RunState, event: Event) -> RunState:
    line = LogLine(event.step or state.current, event.text)
    return replace(state, lines=(*state.lines[-MAX_LINES + 1 :], line))


def _trouble(event: Event) -> ErrorMessage | None:
    return ErrorMessage(*event.error) if event.error is not None else None
