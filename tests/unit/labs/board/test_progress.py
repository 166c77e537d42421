"""The content of a student's report, and the limits for a hostile one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wizard.errors import InputError
from wizard.labs import find
from wizard.labs.board import progress
from wizard.labs.board.progress import LabProgress, Progress, StepProgress
from wizard.labs.state import LabState
from wizard.redact import Secret


def _state() -> LabState:
    lab = find("node-tls")
    first, second, third, _ = (step.id for step in lab.steps)
    state = LabState(started=1000.0).with_step(first, done=1060.0, hints=1, checks=2, held=True)
    state = state.with_step(second, done=1100.0, solved=True)
    state = state.with_step(third, checks=1, checked=1110.0, said="no password hunter2-long here")
    return state.with_answer(lab.questions[0].ask, "it is hunter2-long")


def _report() -> dict[str, Any]:
    lab = progress.of_lab(find("node-tls"), _state(), (Secret("hunter2-long"),))
    report: dict[str, Any] = json.loads(
        json.dumps(progress.to_json(Progress(name="Ada", lab="node-tls", labs=(lab,))))
    )
    return report


def test_the_progress_of_a_lab_describes_each_step() -> None:
    lab = progress.of_lab(find("node-tls"), _state())
    assert [step.state for step in lab.steps] == ["done", "solved", "begun", "open"]
    assert lab.current is not None and lab.current.id == lab.steps[2].id
    assert lab.current_since == 1100.0
    assert [lab.seconds(step) for step in lab.steps] == [60.0, 40.0, 0.0, 0.0]


def test_a_password_of_the_workspace_is_masked() -> None:
    assert "hunter2" not in json.dumps(_report())


def test_a_report_is_read_as_it_was_sent() -> None:
    sent = _report()
    read = progress.parse(json.dumps(sent).encode())
    assert json.loads(json.dumps(progress.to_json(read))) == sent


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"labs": {}},
        {"labs": [1]},
        {"labs": [[]] * 1000},
        {"signal": "fire"},
        {"signal": ["help"]},
        {"signal_at": "now"},
        {"signal_at": float("nan")},
        {"signal_at": True},
        {"name": 5},
        {"name": None},
    ],
)
def test_an_invalid_report_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        progress.parse(json.dumps({**_report(), **change}).encode())


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 300_000, b'{"format": 1}']
)
def test_invalid_json_is_refused(content: bytes) -> None:
    with pytest.raises(InputError):
        progress.parse(content)


def test_texts_are_truncated_and_escaped() -> None:
    sent = _report()
    sent["name"] = "\x1b[2J<script>\u202e" + "x" * 5000
    sent["labs"][0]["steps"][0]["said"] = "a\nb\x07" + "y" * 5000
    found = progress.parse(json.dumps(sent).encode())
    assert len(found.name) == progress.LONGEST_NAME
    assert "\x1b" not in found.name and "\u202e" not in found.name
    said = found.labs[0].steps[0].said
    assert len(said) == 400 and "\n" not in said and "\x07" not in said


def test_numbers_are_limited() -> None:
    sent = _report()
    sent["labs"][0]["steps"][0] |= {"hints": 10**30, "checks": -5, "done_at": 1e300}
    step = progress.parse(json.dumps(sent).encode()).labs[0].steps[0]
    assert (step.hints, step.checks) == (9999, 0)
    assert step.done_at == 4_102_444_800.0


def test_a_finished_lab_has_no_current_step() -> None:
    steps = (StepProgress(id="a", title="A", state="done", done_at=5.0),)
    assert LabProgress(id="x", title="X", started=1.0, steps=steps).current is None
