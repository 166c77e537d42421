"""The progress of a lab, stored in a file of the workspace. It contains no secret."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from wizard import ownfiles
from wizard.errors import FirescreenError
from wizard.labs.content import Lab

FORMAT = 1
LONGEST_ANSWER = 4000
_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step: when it was found done (unix time, 0 for not yet), how, and how many hints were taken."""

    done: float = 0.0
    solved: bool = False
    """Whether Firescreen did it."""
    hints: int = 0
    begun: float = 0.0
    """When its fault was placed."""
    seen: tuple[str, ...] = ()
    """The findings of the check."""
    checked: float = 0.0
    """When it was last checked, to the minute."""
    held: bool = False
    """Whether the check passed then."""
    said: str = ""
    """The message of the check then."""
    checks: int = 0
    """How often the student requested a check before the step was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """One lab of one workspace."""

    started: float
    steps: dict[str, StepState] = field(default_factory=dict)
    runs: tuple[str, ...] = ()
    """The engine's runs that did steps, oldest first."""
    beginning: dict[str, str] = field(default_factory=dict)
    """The practice stack's files at the beginning of the lab: path -> fingerprint and mode."""
    answers: dict[str, str] = field(default_factory=dict)
    """The student's answers: question -> text."""
    placed: dict[str, str] = field(default_factory=dict)
    """The files after the last fault was placed, as in `beginning`."""

    @property
    def done(self) -> frozenset[str]:
        """Returns the ids of the finished steps."""
        return frozenset(name for name, step in self.steps.items() if step.done)

    def complete(self, lab: Lab) -> bool:
        """Returns whether every step of the lab is done."""
        return all(step.id in self.done for step in lab.steps)

    def step(self, step_id: str) -> StepState:
        """Returns the state of a step; a new one if nothing is known."""
        return self.steps.get(step_id, StepState())

    def with_answer(self, question: str, text: str) -> LabState:
        """Returns the state with a question answered; '' deletes the answer."""
        answers = {name: value for name, value in self.answers.items() if name != question}
        return replace(self, answers={**answers, question: text[:LONGEST_ANSWER]} if text else answers)

    def with_check(
        self, step_id: str, *, passed: bool, message: str, now: float, by_student: bool = False
    ) -> LabState:
        """Returns the state with the result of a check; itself, if the result is the same within a minute.

        Args:
            step_id: of the step.
            passed: whether the check passed.
            message: of the check.
            now: unix time.
            by_student: whether the student requested it; such checks are counted until the step is done.
        """
        before = self.step(step_id)
        counts = by_student and not before.done
        if not counts and (before.held, before.said) == (passed, message) and now - before.checked < _MINUTE:
            return self
        return self.with_step(
            step_id,
            checked=now,
            held=passed,
            said=message,
            checks=before.checks + 1 if counts else before.checks,
        )

    def with_step(self, step_id: str, **values: Any) -> LabState:
        """Returns the state with one step changed."""
        return replace(self, steps={**self.steps, step_id: replace(self.step(step_id), **values)})


def load(path: Path) -> LabState | None:
    """Reads the state from a file; None if it is missing or unreadable."""
    try:
        return parse(path.read_bytes())
    except OSError:
        return None


def parse(content: bytes) -> LabState | None:
    """Reads the state from a file's content; None if it is invalid: the checks will find out again what is done."""
    try:
        data = json.loads(content)
        if data["format"] != FORMAT:
            return None
        return LabState(
            started=float(data["started"]),
            steps={
                str(name): StepState(**{**step, "seen": tuple(map(str, step["seen"]))})
                for name, step in data["steps"].items()
            },
            runs=tuple(map(str, data["runs"])),
            beginning={str(name): str(value) for name, value in data["beginning"].items()},
            answers={str(name): str(value) for name, value in data.get("answers", {}).items()},
            placed={str(name): str(value) for name, value in data.get("placed", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def save(path: Path, state: LabState) -> None:
    """Writes the state in one step, 0600.

    Raises:
        FirescreenError: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        ownfiles.replace(path, json.dumps({"format": FORMAT, **asdict(state)}, indent=1))
    except OSError as error:
        raise FirescreenError(
            f"the progress of the lab cannot be saved: {error.strerror}",
            where=str(path),
            todo="Free some space, or choose another folder with --workspace",
        ) from error


# -- the lab that the hosts are in -------------------------------------------------------------------------


def current_lab(folder: Path) -> str:
    """Returns the id of the lab that hosts are in; '' for none.

    Args:
        folder: of the practice stack (the id is removed with the stack), or of a classroom's progress.
    """
    try:
        return (folder / "lab").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def newest_lab(*folders: Path) -> str:
    """Returns the lab used last, among those that several kinds of hosts are in; '' for none."""
    found: list[tuple[float, str]] = []
    for folder in folders:
        with suppress(OSError):
            found.append(((folder / "lab").stat().st_mtime, current_lab(folder)))
    return max(found, default=(0.0, ""))[1]


def go_to(folder: Path) -> None:
    """Records that somebody resumes the lab that hosts are in."""
    with suppress(OSError):
        os.utime(folder / "lab")


def set_current_lab(folder: Path, lab_id: str) -> None:
    """Remembers which lab hosts are in; '' for none.

    Raises:
        FirescreenError: it cannot be written.
    """
    try:
        if lab_id:
            (folder / "lab").write_text(f"{lab_id}\n", encoding="utf-8")
        else:
            (folder / "lab").unlink(missing_ok=True)
    except OSError as error:
        raise FirescreenError(f"the folder cannot be written: {error.strerror}", where=str(folder)) from error
