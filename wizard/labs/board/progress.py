"""A student's progress, as the board shows it and as a student's machine reports it. It contains nothing else.

A report comes from a machine that the instructor does not control: `parse` accepts valid values and rejects the others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

from wizard.errors import InputError
from wizard.labs.content import Lab, LabStep
from wizard.labs.state import LabState, StepState
from wizard.redact import Secret, plain, redact

FORMAT = 1
LARGEST_REPORT = 200_000
"""Maximum size of one report in bytes."""
LONGEST_NAME = 40
_LONGEST_TEXT = 400
_LONGEST_ANSWER = 2000
_MOST_LABS = 40
_MOST_STEPS = 60
_MOST_ANSWERS = 20
_LATEST = 4_102_444_800.0
"""The year 2100: no time of a report is later."""
_MOST_TIMES = 9999

StepName: TypeAlias = Literal["open", "begun", "done", "solved", "impossible"]
Signal: TypeAlias = Literal["", "help", "ready"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """One step.

    `state`: open (nothing happened yet), begun (checked, hint taken or fault placed), done (by the student), solved
    (done by Firescreen) or impossible (not with these versions). Times are unix times, 0 for never.
    """

    id: str
    title: str
    state: StepName = "open"
    done_at: float = 0.0
    hints: int = 0
    checks: int = 0
    checked_at: float = 0.0
    said: str = ""
    """The message of the last check, if it did not pass."""

    @property
    def is_done(self) -> bool:
        """Returns whether nothing is left to do for the student."""
        return self.state in ("done", "solved", "impossible")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabProgress:
    """One started lab: its steps in order, and the questions with the student's answers."""

    id: str
    title: str
    started: float
    steps: tuple[StepProgress, ...]
    answers: tuple[tuple[str, str], ...] = ()

    @property
    def current(self) -> StepProgress | None:
        """Returns the first step that is not done; None at the end."""
        return next((step for step in self.steps if not step.is_done), None)

    @property
    def current_since(self) -> float:
        """Returns when the current step became the current one (unix time)."""
        return max([self.started, *(step.done_at for step in self.steps if step.is_done)])

    def seconds(self, step: StepProgress) -> float:
        """Returns the duration of a step, from the end of the one before or the lab's start; 0 while it is not done."""
        if not step.done_at:
            return 0.0
        earlier = [other.done_at for other in self.steps if other.is_done and other.done_at < step.done_at]
        return max(step.done_at - max([self.started, *earlier]), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress in a student's workspace, as reported to the board."""

    name: str = ""
    """The name that the student chose; '' for a number only."""
    lab: str = ""
    """The lab that is in progress."""
    labs: tuple[LabProgress, ...] = ()
    signal: Signal = ""
    signal_at: float = 0.0
    live: bool = False
    """Whether a wizard reports every few seconds, so that its silence means something."""

    def find(self, lab_id: str) -> LabProgress | None:
        """Returns a started lab; None if it was not started."""
        return next((lab for lab in self.labs if lab.id == lab_id), None)


# -- from the state of a lab -------------------------------------------------------------------------------


def of_lab(lab: Lab, lab_state: LabState, secrets: Iterable[Secret] = ()) -> LabProgress:
    """Returns the progress of one lab, without secrets.

    Args:
        lab: the lab.
        lab_state: its stored state.
        secrets: passwords that an answer or a message may quote.
    """
    secrets = tuple(secrets)

    def clean(text: str, limit: int = _LONGEST_TEXT) -> str:
        return redact(plain(text, limit), secrets)

    return LabProgress(
        id=lab.id,
        title=clean(lab.title),
        started=lab_state.started,
        steps=tuple(_step(step, lab_state.step(step.id), clean(step.title), clean) for step in lab.steps),
        answers=tuple(
            (clean(question.ask), clean(lab_state.answers[question.ask], _LONGEST_ANSWER))
            for question in lab.questions
            if lab_state.answers.get(question.ask)
        ),
    )


def _step(step: LabStep, step_state: StepState, title: str, clean: Any) -> StepProgress:
    state: StepName = "open"
    if step_state.done:
        state = "solved" if step_state.solved else "done"
        if step.needs and any("too old for this step" in line for line in step_state.seen):
            state = "impossible"
    elif step_state.begun or step_state.checks or step_state.hints:
        state = "begun"
    return StepProgress(
        id=step.id,
        title=title,
        state=state,
        done_at=step_state.done,
        hints=step_state.hints,
        checks=step_state.checks,
        checked_at=step_state.checked,
        said="" if step_state.held else clean(step_state.said),
    )


# -- as JSON -----------------------------------------------------------------------------------------------


def to_json(progress: Progress) -> dict[str, Any]:
    """Returns the progress as a report: only this leaves a student's machine."""
    return {"format": FORMAT, **asdict(progress)}


def parse(content: bytes) -> Progress:
    """Reads the progress from a report; its texts are made harmless and shortened.

    Raises:
        InputError: it is no valid report, is too large, or has impossible values.
    """
    if len(content) > LARGEST_REPORT:
        raise InputError(f"the report has more than {LARGEST_REPORT} bytes")
    try:
        data = json.loads(content)
        if data["format"] != FORMAT:
            raise InputError("the report has a format that this version does not know")
        return Progress(
            name=_text(data["name"], LONGEST_NAME),
            lab=_text(data["lab"], LONGEST_NAME),
            labs=tuple(_lab(lab) for lab in _list(data["labs"], _MOST_LABS)),
            signal=_word(data["signal"], get_args(Signal)),
            signal_at=_time(data["signal_at"]),
            live=data["live"] is True,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("this is no report of a lab") from error


def _lab(data: Mapping[str, Any]) -> LabProgress:
    return LabProgress(
        id=_text(data["id"], LONGEST_NAME),
        title=_text(data["title"], _LONGEST_TEXT),
        started=_time(data["started"]),
        steps=tuple(_reported_step(step) for step in _list(data["steps"], _MOST_STEPS)),
        answers=tuple(
            (_text(ask, _LONGEST_TEXT), _lines(answer, _LONGEST_ANSWER))
            for ask, answer in _list(data["answers"], _MOST_ANSWERS)
        ),
    )


def _reported_step(data: Mapping[str, Any]) -> StepProgress:
    values = {field.name: data[field.name] for field in fields(StepProgress)}
    return StepProgress(
        id=_text(values["id"], LONGEST_NAME),
        title=_text(values["title"], _LONGEST_TEXT),
        state=_word(values["state"], get_args(StepName)),
        done_at=_time(values["done_at"]),
        hints=_count(values["hints"]),
        checks=_count(values["checks"]),
        checked_at=_time(values["checked_at"]),
        said=_text(values["said"], _LONGEST_TEXT),
    )


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str):
        raise TypeError
    return plain(" ".join(value[: 4 * limit].split()), 4 * limit)[:limit]


def _lines(value: Any, limit: int) -> str:
    if not isinstance(value, str):
        raise TypeError
    return plain(value[:limit], limit)[:limit]


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise TypeError
    return value


def _word(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError
    return value


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return min(max(float(value), 0.0), _LATEST)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return min(max(value, 0), _MOST_TIMES)
