"""The states of students, their order, and the summary of each step."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from wizard import assets
from wizard.labs import report as reporting
from wizard.labs.board import class_table, student_report
from wizard.labs.board.class_view import AWAY, STUCK_TIME, Student, view
from wizard.labs.board.progress import LabProgress, Progress, StepProgress

NOW = 10_000.0


def _lab(*states: str, started: float = NOW - 100, **last: Any) -> LabProgress:
    steps = []
    for at, state in enumerate(states):
        more = last if at == len(states) - 1 else {}
        done = started + 10 * (at + 1) if state in ("done", "solved") else 0.0
        steps.append(StepProgress(id=f"s{at}", title=f"Step {at}", state=state, **{"done_at": done, **more}))  # type: ignore[arg-type]
    return LabProgress(id="tls", title="TLS", started=started, steps=tuple(steps))


def _student(number: int, *labs: LabProgress, name: str = "", **more: Any) -> Student:
    own = {key: more.pop(key) for key in ("signal", "signal_at") if key in more}
    progress = Progress(name=name, lab=labs[0].id if labs else "", labs=labs, **own)
    return Student(id=f"x{number}", number=number, name=name, progress=progress, **more)


@pytest.mark.parametrize(
    ("student", "state"),
    [
        (_student(1), "not started"),
        (_student(1, _lab("done", "begun")), "working"),
        (_student(1, _lab("done", "open", started=NOW - STUCK_TIME - 60)), "stuck"),
        (_student(1, _lab("done", "begun", checks=3)), "stuck"),
        (_student(1, _lab("done", "solved")), "finished"),
        (_student(1, _lab("done", "open"), signal="help", signal_at=5.0), "help"),
        (_student(1, _lab("done", "open"), signal="ready", signal_at=5.0), "ready"),
        (_student(1, signal="help", signal_at=5.0), "help"),
        (_student(1, _lab("open"), reports=True, seen_at=NOW - AWAY - 1), "away"),
        (_student(1, _lab("open"), reports=True, seen_at=NOW - 1), "working"),
        (_student(1, _lab("open"), left=True), "left"),
        (_student(1, shown=False), "not shown"),
    ],
)
def test_each_student_has_one_state(student: Student, state: str) -> None:
    assert view([student], now=NOW).rows[0].state == state


def test_students_who_need_help_longest_come_first() -> None:
    found = view(
        [
            _student(1, _lab("open")),
            _student(2, _lab("done", "open"), signal="help", signal_at=NOW - 5),
            _student(3, _lab("done", "open"), signal="help", signal_at=NOW - 50),
            _student(4, _lab("open", started=NOW - 4000)),
            _student(5, shown=False),
        ],
        now=NOW,
    )
    assert [row.student.number for row in found.rows] == [3, 2, 4, 1, 5]
    assert found.counts == {"help": 2, "stuck": 1, "working": 1, "not shown": 1}
    by_number = view([row.student for row in found.rows], now=NOW, by_need=False)
    assert [row.student.number for row in by_number.rows] == [1, 2, 3, 4, 5]


def test_a_step_that_is_slow_for_all_marks_nobody() -> None:
    slow = [_student(n, _lab("done", "open", started=NOW - 900, done_at=0.0)) for n in range(1, 4)]
    done = [
        LabProgress(
            id="tls",
            title="TLS",
            started=NOW - 2000,
            steps=(
                StepProgress(id="s0", title="Step 0", state="done", done_at=NOW - 1990),
                StepProgress(id="s1", title="Step 1", state="done", done_at=NOW - 1000),
            ),
        )
    ]
    assert {row.state for row in view([*slow, _student(9, *done)], now=NOW).rows} == {"working", "finished"}


def test_a_step_is_summarised_over_students_who_did_it_themselves() -> None:
    found = view(
        [
            _student(1, _lab("done", "open")),
            _student(2, _lab("solved", "begun")),
            _student(3, _lab("done", "done", hints=2, checks=5)),
        ],
        now=NOW,
    )
    first, second = found.steps
    assert (first.done, first.solved, first.working, first.median_seconds) == (3, 1, 0, 10.0)
    assert (second.done, second.working, second.median_checks, second.median_hints) == (1, 2, 5.0, 2.0)


def test_the_lab_of_most_students_is_shown_unless_another_is_chosen() -> None:
    other = LabProgress(id="auth", title="Auth", started=1.0, steps=(StepProgress(id="a", title="A"),))
    students = [_student(1, _lab("open")), _student(2, _lab("open")), _student(3, other)]
    assert view(students, now=NOW).lab == "tls"
    chosen = view(students, now=NOW, lab="auth")
    assert (chosen.lab, chosen.title) == ("auth", "Auth")
    assert [row.state for row in chosen.rows] == ["stuck", "not started", "not started"]
    assert view(students, now=NOW, lab="unknown").lab == "tls"


def test_names_can_be_hidden_everywhere() -> None:
    found = view([_student(7, _lab("open"), name="Ada")], now=NOW, numbers_only=True)
    assert found.rows[0].label == "7"
    assert "Ada" not in class_table.as_csv(found, numbers_only=True)
    assert "Ada" not in str(class_table.as_json(found, numbers_only=True))


def test_the_csv_table_has_a_line_for_each_step_and_no_formula() -> None:
    lab = _lab("done", "begun", said="=cmd|' /C calc'!A0", checks=2)
    rows = list(
        csv.reader(
            io.StringIO(class_table.as_csv(view([_student(1, lab, name="=1+1"), _student(2)], now=NOW)))
        )
    )
    assert rows[0] == list(class_table.COLUMNS)
    assert [row[4] for row in rows[1:]] == ["s0", "s1", ""]
    assert rows[1][1] == "'=1+1"
    assert rows[2][-1].startswith("'=cmd")
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row)


def test_the_document_is_valid_by_the_schema() -> None:
    schema = json.loads(assets.path("board.schema.json").read_text(encoding="utf-8"))
    students = [_student(1, _lab("done", "begun", checks=2)), _student(2), _student(3, shown=False)]
    document = json.loads(json.dumps(class_table.as_json(view(students, now=NOW))))
    jsonschema.validate(document, schema)
    assert document["students"][0]["labs"][0]["steps"][0]["seconds"] == 10.0


def test_each_shown_student_has_a_report(tmp_path: Path) -> None:
    lab = _lab("done", "solved", "begun", said="<b>no</b> certificate", checks=2, hints=1)
    found = view([_student(1, lab, name="Ada"), _student(2), _student(3, shown=False)], now=NOW)
    written = student_report.write_all(found, tmp_path / "reports")
    assert [path.name for path in written] == ["student-001.html", "student-002.html"]
    text = written[0].read_text(encoding="utf-8")
    for part in (
        "1 Ada",
        "2 of 3, 1 by the student",
        "done by Firescreen",
        "&lt;b&gt;no&lt;/b&gt; certificate",
    ):
        assert part in text, part
    assert "Ada" not in reporting.page(student_report.student_report(found.rows[0], NOW, numbers_only=True))
