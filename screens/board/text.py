"""Texts of a class's board: numbers, a line for each student, and all details of one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import fit, hang, inline, safe
from screens.widgets.cards import Card

if TYPE_CHECKING:
    from wizard.labs.board.board import Pace
    from wizard.labs.board.class_view import ClassView, Row, StepSummary, StudentState
    from wizard.labs.board.progress import LabProgress, StepProgress

# state: (sign, words, colour)
STATES = {
    "help": ("?", "needs help", "$error"),
    "stuck": ("!", "stuck", "$warning"),
    "working": ("▸", "working", "$primary"),
    "ready": ("✓", "ready", "$success"),
    "finished": ("★", "finished", "$success"),
    "not started": ("·", "not started", "$quiet"),
    "away": ("✗", "away", "$warning"),
    "left": ("–", "left", "$quiet"),
    "not shown": ("○", "not shown", "$quiet"),
}
STEPS = {
    "open": ("·", "not begun", "$quiet"),
    "begun": ("▸", "begun", "$primary"),
    "done": ("✓", "done", "$success"),
    "solved": ("+", "done by Firescreen", "$warning"),
    "impossible": ("–", "not possible with these versions", "$quiet"),
}
LEGEND = "  ".join(f"{sign} {words}" for sign, words, _ in STEPS.values())
_COUNTED: tuple[StudentState, ...] = ("help", "stuck", "working", "ready", "finished")
_NAME, _STATE, _SINCE = 18, 14, 8
_STEP = 3
_TITLE = 12
"""From this width (cells) on, the title of the current step is shown."""


def board_cards(view: ClassView) -> tuple[Card, ...]:
    """Returns how many students are in each state that matters now."""
    counts = view.counts
    states = [
        Card(
            str(counts.get(state, 0)),
            STATES[state][1],
            colour=STATES[state][2] if state in counts else "$quiet",
        )
        for state in _COUNTED
    ]
    return (*states, Card(str(len(view.rows)), "student" + "s" * (len(view.rows) != 1)))


def name_width(view: ClassView, width: int) -> int:
    """Returns the width of the students' names: the longest name, if the other columns leave enough room."""
    longest = max((Content(inline(row.label, 80)).cell_length for row in view.rows), default=0) + 2
    signs = max(_STEP * _step_count(view) - 2, 0)  # no gap follows the last one
    return max(_NAME, min(longest, width - _STATE - _SINCE - signs))


def _step_count(view: ClassView) -> int:
    return max((len(row.lab.steps) for row in view.rows if row.lab), default=0)


def head_line(view: ClassView, width: int) -> str:
    """Returns the column headings; steps are headed by their numbers."""
    numbers = "".join(f"{number:<{_STEP}}" for number in range(1, _step_count(view) + 1))
    name = name_width(view, width)
    return fit(f"{'student':{name}}{'state':{_STATE}}{'for':{_SINCE}}{numbers}", width)


def row_line(row: Row, now: float, width: int, name: int = _NAME) -> Content:
    """Returns the line of a student: name, state, since when, a sign for each step, and the step's title if it fits.

    Args:
        row: the student.
        now: Unix time.
        width: of the line in cells.
        name: width of the name, from `name_width`.
    """
    sign, words, colour = STATES[row.state]
    parts: list[Content] = [
        Content.styled(fit(row.label, name - 1) + " ", "bold"),
        Content.styled(fit(f"{sign} {words}", _STATE), colour),
        Content(fit(ago(now - row.since) if row.since else "", _SINCE)),
    ]
    for step in row.lab.steps if row.lab else ():
        mark, _, shade = STEPS[step.state]
        here = step == row.step
        parts.append(Content.styled(f"{mark}", f"bold reverse {shade}" if here else shade))
        parts.append(Content(" " * (_STEP - 1)))
    line = Content("").join(parts)
    room = width - line.cell_length
    title = fit(row.step.title, room) if row.step is not None and room >= _TITLE else ""
    return Content.assemble(line, (title, "$quiet"))


def details(row: Row, now: float, width: int) -> Content:
    """Returns all details of a student: each lab's steps with times, checks, hints and the last check's result."""
    sign, words, colour = STATES[row.state]
    lines = [Content.styled(inline(row.label, 80), "bold")]
    since = f" for {ago(now - row.since)}" if row.since else ""
    lines.append(Content.styled(f"{sign} {words}{since}", colour))
    if row.state == "not shown":
        lines.append(Content("This student does not want to be shown."))
    for lab in row.student.progress.labs:
        lines += _lab(lab, now, width)
    if not row.student.progress.labs and row.state != "not shown":
        lines.append(Content("No lab was started yet."))
    return Content("\n").join(lines)


def _lab(lab: LabProgress, now: float, width: int) -> list[Content]:
    lines = [
        Content(""),
        Content.styled(hang(f"{lab.title}, begun {ago(now - lab.started)} ago", width, 0), "bold"),
    ]
    for number, step in enumerate(lab.steps, start=1):
        mark, words, colour = STEPS[step.state]
        facts = [words, *_counts(lab, step)]
        lines.append(
            Content.assemble(
                (f"{mark} ", colour), hang(f"{number} {step.title}: {', '.join(facts)}", width, 4)
            )
        )
        if step.said:
            lines.append(Content.styled(f"    {hang(f'last check: {step.said}', width, 4)}", "$quiet"))
    for ask, answer in lab.answers:
        lines += [Content.styled(f"? {hang(ask, width, 2)}", "bold"), safe(answer, 2000)]
    return lines


def _counts(lab: LabProgress, step: StepProgress) -> list[str]:
    found = [ago(lab.seconds(step))] if step.done_at else []
    for count, word in ((step.checks, "check"), (step.hints, "hint")):
        if count:
            found.append(f"{count} {word}{'s' * (count != 1)}")
    return found


def summary(steps: tuple[StepSummary, ...], width: int) -> Content:
    """Returns how each step went in the class: who finished it, how fast, with how many checks and hints."""
    lines = []
    for number, step in enumerate(steps, start=1):
        own = step.done - step.solved
        facts = [f"{step.done} done"]
        if step.solved:
            facts.append(f"{step.solved} by Firescreen")
        if own:
            facts.append(
                f"medians: {ago(step.median_seconds)}, checks {step.median_checks:g}, hints {step.median_hints:g}"
            )
        lines.append(Content(hang(f"{number} {step.title}: {', '.join(facts)}", width, 4)))
    return Content("\n").join(lines)


def pace_line(view: ClassView, pace: Pace, now: float) -> str:
    """Returns the settings for the whole class: which steps are open, and the clock."""
    count = len(view.steps)
    words = [
        f"open: {pace.open_steps} of {count} steps"
        if pace.lab and pace.lab == view.lab
        else "all steps are open"
    ]
    if pace.clock_until:
        left = pace.clock_until - now
        words.append(f"{ago(left)} left" if left > 0 else "the time is up")
    return " · ".join(words)


def ago(seconds: float) -> str:
    """Returns a duration as people say it: '40 s', '12 min', '3 h'."""
    whole_seconds = max(round(seconds), 0)
    if whole_seconds < 90:
        return f"{whole_seconds} s"
    return f"{whole_seconds // 60} min" if whole_seconds < 5400 else f"{whole_seconds // 3600} h"
