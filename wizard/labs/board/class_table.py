"""The results of a class: a table for a spreadsheet, and the whole board as JSON."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import asdict
from typing import Any

from wizard.labs.board.class_view import ClassView, Row
from wizard.labs.board.progress import LabProgress, StepProgress

COLUMNS = (
    "number",
    "name",
    "student_state",
    "lab",
    "step",
    "title",
    "state",
    "done_at",
    "seconds",
    "checks",
    "hints",
    "last_check",
)


def as_csv(view: ClassView, *, numbers_only: bool = False) -> str:
    """Returns a line for each step of each started lab; one without steps for a student without a lab.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in sorted(view.rows, key=lambda row: row.student.number):
        name = "" if numbers_only else row.student.name
        head = [row.student.number, _harmless(name), row.state]
        labs = row.student.progress.labs
        if not labs:
            table.writerow([*head, *[""] * (len(COLUMNS) - len(head))])
        for lab in labs:
            for step in lab.steps:
                table.writerow([*head, _harmless(lab.id), *_step(lab, step)])
    return out.getvalue()


def _step(lab: LabProgress, step: StepProgress) -> list[object]:
    return [
        _harmless(step.id),
        _harmless(step.title),
        step.state,
        time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(step.done_at)) if step.done_at else "",
        round(lab.seconds(step)) if step.done_at else "",
        step.checks,
        step.hints,
        _harmless(step.said),
    ]


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def as_json(view: ClassView, *, numbers_only: bool = False) -> dict[str, Any]:
    """Returns the board as one document; see assets/board.schema.json."""
    return {
        "version": 1,
        "at": view.at,
        "lab": view.lab,
        "title": view.title,
        "labs": [{"id": name, "title": title} for name, title in view.labs],
        "students": [_student(row, numbers_only=numbers_only) for row in view.rows],
        "steps": [asdict(step) for step in view.steps],
    }


def _student(row: Row, *, numbers_only: bool) -> dict[str, Any]:
    progress = row.student.progress
    return {
        "id": row.student.id,
        "number": row.student.number,
        "name": "" if numbers_only else row.student.name,
        "state": row.state,
        "since": row.since,
        "lab": progress.lab,
        "step": row.step.id if row.step else "",
        "signal": progress.signal,
        "seen_at": row.student.seen_at,
        "labs": [_lab(lab) for lab in progress.labs],
    }


def _lab(lab: LabProgress) -> dict[str, Any]:
    return {
        "id": lab.id,
        "title": lab.title,
        "started": lab.started,
        "steps": [
            {**asdict(step), "seconds": lab.seconds(step) if step.done_at else None} for step in lab.steps
        ],
        "answers": [{"question": ask, "answer": answer} for ask, answer in lab.answers],
    }
