"""The report of each student of a class, made from the board's data: for the instructor to keep or to return."""

from __future__ import annotations

import time
from pathlib import Path

from wizard.labs import report as reporting
from wizard.labs.board.class_view import ClassView, Row
from wizard.labs.board.progress import LabProgress, StepProgress
from wizard.plurals import count_noun

_HOW = {
    "done": "done by the student",
    "solved": "done by Firescreen",
    "impossible": "not possible with these versions",
}


def write_all(view: ClassView, folder: Path, *, numbers_only: bool = False) -> tuple[Path, ...]:
    """Writes a report as HTML for each student who is shown; returns their paths.

    Raises:
        FirescreenError: one cannot be written.
    """
    rows = sorted(view.rows, key=lambda row: row.student.number)
    return tuple(
        reporting.save(
            folder / f"student-{row.student.number:03}.html",
            reporting.page(student_report(row, view.at, numbers_only=numbers_only)),
        )
        for row in rows
        if row.state != "not shown"
    )


def student_report(row: Row, at: float, *, numbers_only: bool = False) -> reporting.Report:
    """Returns the report of one student.

    Args:
        row: the student.
        at: when the board was read (unix time).
    """
    name = "" if numbers_only else row.student.name
    facts = [("student", f"{row.student.number} {name}".strip()), ("written", _when(at))]
    return reporting.Report(tuple(facts), tuple(_lab(lab) for lab in row.student.progress.labs))


def _lab(lab: LabProgress) -> reporting.Part:
    done = [step for step in lab.steps if step.done_at]
    alone = [step for step in done if step.state != "solved"]
    facts = (
        ("started", _when(lab.started)),
        ("steps done", f"{len(done)} of {len(lab.steps)}, {len(alone)} by the student"),
        ("hints taken", str(sum(step.hints for step in lab.steps))),
        ("checks", str(sum(step.checks for step in lab.steps))),
    )
    return reporting.Part(lab.title, facts, tuple(_step(step) for step in lab.steps), lab.answers)


def _step(step: StepProgress) -> reporting.Done:
    how = _HOW.get(step.state, "not done")
    if step.done_at:
        how += f", {_when(step.done_at)}"
    if step.hints:
        how += f", {count_noun(step.hints, 'hint')}"
    seen = (f"last check {_when(step.checked_at)}: {step.said}",) if step.said else ()
    return reporting.Done(step.title, bool(step.done_at), how, seen)


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
