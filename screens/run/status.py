"""The state of a run as text: its headline, a line for each step or host, the log, and the result. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.content import Content

from screens.run.actions import needs_recovery
from screens.state_styles import (
    HOST,
    RESULT,
    STEP,
    at,
    commands,
    describe_error,
    fit,
    hang,
    inline,
    place,
    safe,
    short_paths,
)
from screens.widgets.cards import Card

if TYPE_CHECKING:
    from screens.run_state import HostRow, RunState, StepState

NAMES = {"apply": "Apply", "undo": "Undo", "verify": "Verification", "recover": "Recover"}
DOING = {"changing": "Applying", "verifying": "Verifying", "rolling back": "Rolling back"}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SHOWN_LINES = 60


def step_part(state: RunState) -> tuple[object, ...]:
    """Returns the part of the state that the list of steps shows."""
    return (state.steps, state.current, state.busy)


def stop_words(*, leaving: bool) -> Content:
    """Returns what stopping does, and the keys; `leaving` also closes Firescreen."""
    close = " It closes after that." if leaving else ""
    does = f"Firescreen finishes the current change and rolls back what was done so far.{close}"
    return Content(f"{does}\nEnter or y stops the run, n or Escape continues it.")


def host_to_follow(state: RunState, followed: str) -> str:
    """Returns the host that is shown while none is selected: the same until it is finished, however many run."""
    row, step = state.row(followed), state.step
    if state.waiting_host and state.waiting:
        return state.waiting_host
    if step is not None and (row is None or row.state != "working"):
        return step.host
    return followed


def colour(state: RunState) -> str:
    """Returns the colour of the progress bar."""
    if state.phase != "finished":
        return "$warning" if state.activity == "rolling back" else "$primary"
    return RESULT.get(state.result, RESULT["failed"])[2]


def headline(state: RunState) -> Content:
    """Returns the current action, or how the run ended."""
    if state.phase == "finished":
        sign, word, colour = RESULT.get(state.result, RESULT["failed"])
        return Content.assemble((f"{sign} {word}", f"bold {colour}"))
    if state.phase == "stopping":
        return Content.assemble(
            ("▸ ", "$warning"), "stopping: finishing the current change, then rolling back"
        )
    words = {"changing": "changing", "verifying": _verification_text(state)}
    step = state.step
    if state.activity == "rolling back":
        return Content.assemble(("↶ ", "$warning bold"), "rolling back")
    doing = (
        words[state.activity]
        if state.activity == "verifying" or step is None
        else f"{inline(step.title)}, {at(step.host)}"
    )
    return Content.assemble(("▸ ", "$primary bold"), doing)


def _verification_text(state: RunState) -> str:
    """Returns what verification waits for: a target is probed again until its time is over."""
    left = {row.host for row in state.hosts if row.state in ("rolled-back", "stuck")}
    late = [
        each.probe
        for each in state.attempts
        if each.failed and each.probe.kind == "up" and each.probe.host not in left
    ]
    if not late:
        return "verifying: running every probe"
    more = len({(each.instance, each.job) for each in late}) - 1
    named = f"{inline(late[0].instance, 60)} (job {inline(late[0].job, 40)})"
    named += f" and {more} more" if more else ""
    return f"verifying: Prometheus does not report {named} as up yet"


def format_elapsed(seconds: float) -> str:
    """Returns a duration as people read it: '12 s', '2 min 5 s'."""
    minutes, seconds_left = divmod(int(seconds), 60)
    return f"{minutes} min {seconds_left} s" if minutes else f"{seconds_left} s"


def run_cards(state: RunState) -> tuple[Card, ...]:
    """Returns the progress of the run in numbers."""
    failed = sum(row.needs_attention or row.failing for row in state.hosts)
    probes = len(state.attempts)
    right = sum(not attempt.failed for attempt in state.attempts)
    hosts = Card("0", "hosts verified")
    if state.hosts:
        verified = sum(row.state == "proven" for row in state.hosts)
        name = "host" if len(state.hosts) == 1 else "hosts"
        hosts = Card(f"{verified}/{len(state.hosts)}", f"{name} verified", colour="$success")
    changes = f"{state.done}/{state.total}" if state.total else str(state.done)
    if state.kind == "apply" and state.activity == "verifying" and state.plan is not None:
        # All changes are made; the bar counts the probes now.
        changes = f"{len(state.plan.changes)}/{len(state.plan.changes)}"
    went = "$success" if right == probes else "$error"
    if state.result == "failed" and not state.hosts:
        failed = max(failed, 1)  # a recovery that did not reach its host
    fell = Card(str(failed), "failed", colour="$error" if failed else "$quiet")
    changed = Card(changes, "changes" if state.kind == "apply" else "changes undone")
    if not (probes or (state.kind == "apply" and (state.plan is None or state.plan.probes))):
        return changed, fell  # an undo compares files, and a timer has no probes
    return (
        changed,
        hosts,
        fell,
        Card(f"{right}/{probes}", "probes as expected", colour=went) if probes else Card("0", "probes yet"),
    )


def step_log(state: RunState, step: str) -> Content:
    """Returns the output of a step, below the changes that it consists of."""
    planned = next((one for one in state.plan.steps if one.id == step), None) if state.plan else None
    parts = []
    if planned is not None:
        parts += [safe(planned.why, 400), Content("")] if planned.why else []
        parts += [
            Content.assemble(("• ", "$primary"), inline(change.title(), 300)) for change in planned.changes
        ]
        parts.append(Content(""))
    else:
        parts += [safe(one.title, 400) for one in state.steps if one.id == step] + [Content("")]
    output = [line.text for line in state.lines if line.step == step]
    parts += [safe(text, 500, "$quiet") for text in output[-SHOWN_LINES:]]
    if not output:
        parts.append(Content.styled("Nothing was logged for this step yet.", "$quiet"))
    return Content("\n").join(parts)


def log(state: RunState, row: HostRow | None) -> Content:
    """Returns the last lines of the log, below the commands that the person has to type.

    Args:
        state: the run; its current step's lines, if that has any.
        row: the host whose lines are shown instead.
    """
    current = [line.text for line in state.lines if line.step == state.current]
    if row is not None:
        lines = list(row.lines)
    else:
        lines = current if current and state.busy else [line.text for line in state.lines]
    text = Content("\n").join([safe(line, 500, "$quiet") for line in lines[-SHOWN_LINES:]])
    if not state.waiting:
        return text
    return Content.assemble(
        ("▸ Run these commands ", "bold $warning"),
        (f"{at(state.waiting_host)}:\n\n", "bold $warning"),
        commands(state.waiting.splitlines()),
        "\n\nFirescreen waits for the result… ('c' copies the commands, 'x' stops)\n\n",
        text,
    )


def group_steps(steps: Iterable[StepState]) -> list[tuple[str, list[StepState]]]:
    """Groups the steps by host and component, in the order in which each group is begun."""
    found: dict[tuple[str, str], list[StepState]] = {}
    for step in steps:
        found.setdefault((step.host, step.component), []).append(step)
    return [
        (f"{place(host)} · {inline(component, 40)}" if component else place(host), of_it)
        for (host, component), of_it in found.items()
    ]


def group_line(name: str, steps: list[StepState], *, width: int) -> Content:
    """Returns the heading of a group with its progress."""
    states = {step.state for step in steps}
    done = sum(step.state == "done" for step in steps)
    key = next((key for key in ("failed", "undone", "running") if key in states), "")
    sign, _, colour = STEP["done" if done == len(steps) else key]
    # The sign is enough if everything was rolled back.
    count = "" if states == {"undone"} else f" {done}/{len(steps)}"
    head = fit(name, max(width - len(count) - 2, 4))
    return Content.assemble((f"{sign} ", f"bold {colour}"), (head, "bold $primary"), (count, "$quiet"))


def step_lines(step: StepState, *, current: bool, width: int) -> list[Content]:
    """Returns a step with its sign, indented below its group; a long title is wrapped in its own column."""
    sign, _, colour = STEP.get(step.state, STEP[""])
    style = "bold" if current else "$quiet" if not step.state else ""
    # A wrapped path cannot be read; the log of the selected step contains the full path.
    first, *more_lines = hang(short_paths(step.title, width - 4), width - 4, 0).split("\n")
    head = Content.assemble((f"  {sign} ", f"bold {colour}"), (first, style))
    return [head, *(Content.assemble("    ", (line, style)) for line in more_lines)]


def ending_text(state: RunState) -> Content:
    """Returns the result of the run: what happened, what was rolled back, what to do, and the summary."""
    parts: list[Content] = []
    if state.error is not None:
        parts.append(Content.styled(inline(state.error.title), "bold"))
        parts.append(describe_error(state.error))
    back = _rolled_back(state)
    if back:
        parts.append(Content.assemble(("↶ ", "bold $warning"), back))
    parts.extend(_what_keys_do(state))
    summary = state.outcome.summary if state.outcome is not None else ()
    if not summary and state.result in ("rolled-back", "cancelled", "undone"):
        summary = ("Files and services are as before the run.",)
    sign, _, colour = RESULT.get(state.result, RESULT["failed"])
    if summary:
        parts.append(Content.assemble((f"{sign} ", f"bold {colour}"), safe(summary[0], 400)))
        parts.extend(safe(line, 400) for line in summary[1:])
    return Content("\n").join(parts)


def _rolled_back(state: RunState) -> str:
    """Returns the hosts that were rolled back in a run that kept its changes on other hosts."""
    if state.result != "partly":
        return ""
    names = [place(row.host) for row in state.hosts if row.state == "rolled-back"]
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Rolled back: {', '.join(names[:3])}{more}. The other hosts keep their changes."


def _what_keys_do(state: RunState) -> list[Content]:
    """Returns what the keys do about the hosts that failed."""
    failed = sum(row.needs_attention for row in state.hosts)
    if state.result != "partly" or not failed:
        return []
    todo = "'t' makes a new plan with only the missing changes."
    if needs_recovery(state):
        todo = "'r' rolls back the hosts that need recovery, once they are reachable again."
    return [
        Content.styled(
            f"Enter on a host above shows what happened there. {todo} 'u' undoes the run on all hosts.",
            "$quiet",
        )
    ]


ORDER = (
    "stuck",
    "failed",
    "failing",
    "away",
    "working",
    "changed",
    "waiting",
    "proven",
    "rolled-back",
    "undone",
)
"""Failures first, then running hosts, then the others; each group in the plan's order."""

COUNTED = (
    "proven",
    "failed",
    "failing",
    "stuck",
    "away",
    "rolled-back",
    "undone",
    "changed",
    "working",
    "waiting",
)

_STATE = 17
_NAME = 24
_BAR = 6
_ROOMY = 100
"""From this width (cells) on, there is room for a bar beside the numbers."""


def order_hosts(rows: Iterable[HostRow]) -> tuple[HostRow, ...]:
    """Returns the rows in the order of the list."""
    return tuple(sorted(rows, key=lambda row: ORDER.index(row.label)))


def host_summary(rows: Iterable[HostRow]) -> Content:
    """Returns how many hosts are in which state: '17 verified, 1 failed, 2 pending'."""
    counts = Counter(row.label for row in rows)
    parts = []
    for key in COUNTED:
        if counts[key]:
            sign, word, colour = HOST[key]
            parts.append(Content.assemble((f"{sign} ", f"bold {colour}"), f"{counts[key]} {word}"))
    total = counts.total()
    return Content.assemble((f"{total} host{'s' * (total != 1)}: ", "$quiet"), Content(", ").join(parts))


def name_width(rows: Iterable[HostRow]) -> int:
    """Returns the width of the longest name, up to a maximum."""
    return min(max((len(inline(row.host)) for row in rows), default=0), _NAME)


def host_line(row: HostRow, *, width: int, names: int, canary: str = "") -> Content:
    """Returns the line of a host, exactly `width` cells.

    Args:
        row: the host.
        width: in cells.
        names: width of the names, see `name_width`.
        canary: the host that the others wait for; '' for none.
    """
    sign, word, colour = HOST[row.label]
    numbers = f"{row.done}/{row.total}" if row.total else ""
    bar = Content("")
    if width >= _ROOMY:
        filled = min(_BAR, round(_BAR * row.done / row.total)) if row.total else 0
        empty_part = ("─" if row.total else " ") * (_BAR - filled)
        bar = Content.assemble(("━" * filled, colour), (empty_part, "$faint"), " ")
    head = Content.assemble(
        (fit(f"{sign} {word}", _STATE), f"bold {colour}"),
        (f"{fit(row.host, names)} ", "bold"),
        bar,
        (f"{numbers:>6} ", "$quiet"),
    )
    room = max(width - head.cell_length, 0)
    return Content.assemble(head, (fit(short_path(_row_text(row, canary), room), room), _tone(row)))


def short_path(text: str, room: int) -> str:
    """Returns a text that ends in a path, with as much of the path's end as fits: the file name matters most."""
    verb, blank, path = text.rpartition(" ")
    if len(text) <= room or not path.startswith("/"):
        return text
    left = room - len(verb) - len(blank) - 1
    parts = path.split("/")
    ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
    return f"{verb}{blank}…/{next((end for end in ends if len(end) < left), parts[-1])}"


def _row_text(row: HostRow, canary: str) -> str:
    """Returns in one line the error, the current step, or what the host waits for."""
    if row.error is not None:
        return row.error.what.partition("\n")[0]
    if row.now:
        return row.now
    first = "canary" if row.host == canary else ""
    if row.state == "waiting":
        return first or (f"waits for the canary {canary}" if canary else "")
    if row.state == "rolled-back" and row.done and not row.total:
        return f"{row.done} change{'s' * (row.done != 1)} {'undone' if row.undone else 'rolled back'}"
    return {"changed": "not verified yet", "proven": first}.get(row.state, "")


def _tone(row: HostRow) -> str:
    return "" if row.error is not None or row.now else "$quiet"


def host_details(row: HostRow) -> Content:
    """Returns all details of a host: its state, its error, and its log."""
    sign, word, colour = HOST[row.label]
    changes = f"{row.done} of {row.total} changes made" if row.total else ""
    back = "changes there were rolled back" if row.label == "failed" else ""
    more = " · ".join(part for part in (changes, back) if part)
    parts = [Content.assemble((f"{sign} {word}", f"bold {colour}"), (f"  {more}", "$quiet"))]
    if row.error is not None:
        parts += [Content.styled(inline(row.error.title), "bold"), describe_error(row.error)]
    if row.lines:
        parts.append(Content.styled("Log of this host, the newest line last", "$quiet"))
        parts += [safe(text, 400) for text in row.lines]
    elif not row.error:
        parts.append(Content("Nothing was done there yet."))
    return Content("\n").join(parts)
