"""The content of the board: a row for each student, those who need help first, and each step's results. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from wizard.labs.board.progress import LabProgress, Progress, StepProgress

StudentState: TypeAlias = Literal[
    "help", "stuck", "working", "ready", "finished", "not started", "away", "left", "not shown"
]
ORDER: tuple[StudentState, ...] = (
    "help",
    "stuck",
    "working",
    "ready",
    "finished",
    "not started",
    "away",
    "left",
    "not shown",
)
"""Students who need the instructor come first."""
AWAY = 20.0
"""Seconds without a sign of life after which a student counts as away."""
STUCK_TIME = 300.0
"""Seconds on one step that are never too long, however fast the others were."""
STUCK_FACTOR = 2.0
"""A student needs help after so many times the class's median for the step."""
STUCK_CHECKS = 3
"""Unsuccessful checks after which a student needs help, even without asking for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A student as reported by a source.

    Args:
        id: unique in a class, and the same as long as the class lasts.
        number: from 1, in the order of the class.
        name: '' if only the number is known.
        seen_at: unix time of the last sign of life; 0 for none, which does not mean absence if a source has no such
            sign.
        reports: whether signs of life are expected.
        left: whether the student has left the class.
        shown: False if the student does not want to be shown; the progress is empty then.
    """

    id: str
    number: int
    name: str
    progress: Progress
    seen_at: float = 0.0
    reports: bool = False
    left: bool = False
    shown: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A student's row for the lab that the board shows. `since`: when the state began (unix time)."""

    student: Student
    label: str
    state: StudentState
    since: float
    lab: LabProgress | None
    step: StepProgress | None
    """The current step; None at the end, and before the beginning."""

    @property
    def step_number(self) -> int:
        """Returns the number of the current step, from 1; 0 for none."""
        if self.lab is None or self.step is None:
            return 0
        return self.lab.steps.index(self.step) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSummary:
    """The results of a step: numbers of students, and medians of those who have done it (seconds, counts)."""

    id: str
    title: str
    done: int
    solved: int
    working: int
    stuck: int
    median_seconds: float
    median_checks: float
    median_hints: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassView:
    """The whole board at a moment (unix time)."""

    at: float
    lab: str
    title: str
    rows: tuple[Row, ...]
    steps: tuple[StepSummary, ...]
    labs: tuple[tuple[str, str], ...]
    """Labs that at least one student has started: (id, title)."""

    @property
    def counts(self) -> dict[StudentState, int]:
        """Returns how many students are in each state, without the states of nobody."""
        found = Counter(row.state for row in self.rows)
        return {state: found[state] for state in ORDER if found[state]}


def view(
    students: Sequence[Student],
    *,
    now: float,
    lab: str = "",
    numbers_only: bool = False,
    by_need: bool = True,
) -> ClassView:
    """Returns the board.

    Args:
        students: all students of the class.
        now: unix time.
        lab: the lab whose steps are the columns; '' for the lab that most students are in.
        numbers_only: leaves out the names.
        by_need: sorts by need of help, and for how long; otherwise by number.
    """
    titles = {each.id: each.title for student in students for each in student.progress.labs}
    shown = lab if lab in titles else _most_common(students)
    usual = _median_times(students, shown)
    rows = [_row(student, shown, usual, now, numbers_only=numbers_only) for student in students]
    steps = _summary(rows, shown)
    if by_need:
        rows.sort(key=lambda row: (ORDER.index(row.state), row.since, row.student.number))
    else:
        rows.sort(key=lambda row: row.student.number)
    return ClassView(
        at=now,
        lab=shown,
        title=titles.get(shown, ""),
        rows=tuple(rows),
        steps=steps,
        labs=tuple(titles.items()),
    )


def _most_common(students: Sequence[Student]) -> str:
    found = Counter(student.progress.lab for student in students if student.progress.lab)
    return min(found, key=lambda lab: (-found[lab], lab)) if found else ""


def _median_times(students: Sequence[Student], lab_id: str) -> dict[str, float]:
    """Returns for each step the median of the seconds of those who did it themselves."""
    took: dict[str, list[float]] = {}
    for student in students:
        lab = student.progress.find(lab_id)
        for step in lab.steps if lab else ():
            if lab and step.state == "done":
                took.setdefault(step.id, []).append(lab.seconds(step))
    return {step: statistics.median(times) for step, times in took.items()}


def _row(student: Student, lab_id: str, usual: dict[str, float], now: float, *, numbers_only: bool) -> Row:
    lab = student.progress.find(lab_id)
    step = lab.current if lab else None
    state, since = _state(student, lab, step, usual, now)
    name = "" if numbers_only else student.name
    return Row(
        student=student,
        label=f"{student.number} {name}".strip(),
        state=state,
        since=since,
        lab=lab,
        step=step,
    )


def _state(
    student: Student, lab: LabProgress | None, step: StepProgress | None, usual: dict[str, float], now: float
) -> tuple[StudentState, float]:
    progress = student.progress
    if not student.shown:
        return "not shown", 0.0
    if student.left or (student.reports and now - student.seen_at > AWAY):
        return ("left" if student.left else "away"), student.seen_at
    if progress.signal == "help":
        return "help", progress.signal_at
    if lab is None:
        return "not started", 0.0
    if step is None:
        return "finished", lab.current_since
    if progress.signal == "ready":
        return "ready", progress.signal_at
    since = lab.current_since
    limit = max(STUCK_TIME, STUCK_FACTOR * usual.get(step.id, 0.0))
    return ("stuck" if now - since > limit or step.checks >= STUCK_CHECKS else "working"), since


def _summary(rows: Sequence[Row], lab_id: str) -> tuple[StepSummary, ...]:
    labs = [row.lab for row in rows if row.lab is not None and row.lab.id == lab_id]
    order: dict[str, str] = {}
    for lab in sorted(labs, key=lambda lab: -len(lab.steps)):
        for step in lab.steps:
            order.setdefault(step.id, step.title)
    return tuple(_step_summary(step_id, title, rows) for step_id, title in order.items())


def _step_summary(step_id: str, title: str, rows: Sequence[Row]) -> StepSummary:
    done: list[tuple[LabProgress, StepProgress]] = []
    solved = 0
    for row in rows:
        for step in row.lab.steps if row.lab else ():
            if row.lab and step.id == step_id:
                solved += step.state == "solved"
                if step.state == "done":
                    done.append((row.lab, step))
    here = [row for row in rows if row.step is not None and row.step.id == step_id]
    return StepSummary(
        id=step_id,
        title=title,
        done=len(done) + solved,
        solved=solved,
        working=len(here),
        stuck=sum(row.state in ("stuck", "help") for row in here),
        median_seconds=_median(lab.seconds(step) for lab, step in done),
        median_checks=_median(step.checks for _, step in done),
        median_hints=_median(step.hints for _, step in done),
    )


def _median(values: object) -> float:
    found = list(values)  # type: ignore[call-overload]
    return float(statistics.median(found)) if found else 0.0
