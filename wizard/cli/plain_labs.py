"""Labs in the plain mode: the list, and a lab's steps with check, hint, solve and next."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from wizard.cli import plain_sentences as sentences
from wizard.cli.lab_selection import chosen_classroom, current_lab_id, open_session
from wizard.cli.plain_dialog import Leave, ask, choose, complain, confirm, say
from wizard.errors import FirescreenError, InputError
from wizard.plurals import count_noun

if TYPE_CHECKING:
    from wizard.labs import CheckResult, LabSession, LabStep
    from wizard.workspace import Workspace

_HELP = (
    "check looks whether the step is done. hint gives the next hint.",
    "solve lets Firescreen do the step, and earlier steps that are not done.",
    "next shows the next step. back shows the step before. repeat shows this step again.",
    "q leaves. Progress is kept: firescreen --plain goes on where you were.",
)


def choose_lab(workspace: Workspace) -> int:
    """Asks which lab to do, and does it with the person; returns the exit code.

    Raises:
        Leave: the person leaves before the lab has begun.
    """
    from wizard.labs import finished_labs, labs
    from wizard.labs.classroom import progress_folder
    from wizard.labs.environment import LabInProgressError

    all_labs = labs(workspace.packs)
    marks = finished_labs.marks(progress_folder(workspace, chosen_classroom(workspace)), all_labs)
    wanted = choose(
        "Which lab?",
        tuple((lab.id, f"{lab.title}, {marks[lab.id].text}") for lab in all_labs),
        current_lab_id(workspace) or all_labs[0].id,
        explain=lambda: ("A lab is done on the practice stack on this machine. It needs no root.",),
    )
    try:
        session = open_session(workspace, wanted, progress=_say_progress)
    except LabInProgressError as error:
        say(f"{error.what}.")
        if not confirm("Begin this lab?", yes="Discard the other lab and begin", no="Leave"):
            raise Leave from None
        session = open_session(workspace, wanted, anew=True, progress=_say_progress)
    return PlainLab(session).go_through()


def _say_progress(text: str) -> None:
    say(f"{text}.")


class PlainLab:
    """A lab as a dialog in lines, for one person."""

    def __init__(self, session: LabSession) -> None:
        self._session = session
        self._place = 0

    def go_through(self) -> int:
        """Shows steps and does what is typed until the person leaves; returns 0 if all steps are done, else 1."""
        session = self._session
        say(f"Lab: {session.lab.title}.")
        _say_text(session.lab.intro)
        current = session.current
        self._place = session.lab.steps.index(current) if current else len(session.lab.steps) - 1
        try:
            self._show()
            while True:
                ask("Type check, hint, solve, next, back, repeat, or q.", self._take, explain=lambda: _HELP)
        except Leave as leave:
            if leave.why:
                say(leave.why)
        say(
            f"{len(session.done)} of {count_noun(len(session.lab.steps), 'step')} done. Your progress is kept."
        )
        say("To stop the practice stack, type: firescreen practice down")
        return 0 if session.current is None else 1

    def _take(self, line: str) -> None:
        """Does what a line requests; an error of the stack is printed, and the lab continues."""
        actions = {
            "check": self._check,
            "hint": self._hint,
            "solve": self._solve,
            "next": lambda: self._move(1),
            "back": lambda: self._move(-1),
            "repeat": self._show,
        }
        action = actions.get(line.lower())
        if action is None:
            raise InputError(f"'{line[:60]}' does nothing here", todo="Type one of the words")
        try:
            action()
        except FirescreenError as error:
            complain(error)

    @property
    def _step(self) -> LabStep:
        return self._session.lab.steps[self._place]

    def _show(self) -> None:
        session, step = self._session, self._step
        if not session.has_begun(step.id):
            session.begin(step.id)
            say("The fault is placed.")
        done = ", done" if step.id in session.done else ""
        say(f"Step {self._place + 1} of {len(session.lab.steps)}, on host {step.host}{done}: {step.title}.")
        _say_text(step.text)
        if step.commands or session.answer(step.id):
            say("Commands, for another terminal. There, type this once first:")
            say(f". {shlex.quote(str(session.shell_file))}", whole=True)
            self._say_commands(step.commands)
            self._say_commands(session.answer(step.id))

    def _say_commands(self, commands: tuple[str, ...]) -> None:
        for command in commands:
            for line in command.splitlines():
                say(line, whole=True)

    def _move(self, steps: int) -> None:
        place = self._place + steps
        if place < 0:
            say("This is the first step.")
        elif place < len(self._session.lab.steps):
            if steps > 0 and self._step.id not in self._session.done:
                say("The step before is not done yet.")
            self._place = place
            self._show()
        elif self._session.current is None:
            say("This is the last step, and all steps of the lab are done. Type q to leave.")
        else:
            say(f"This is the last step. Not done yet: {self._session.current.title}.")

    def _check(self) -> None:
        from wizard.labs.environment import PATIENCE

        self._say_result(self._session.check(self._step.id, patience=PATIENCE))

    def _hint(self) -> None:
        say(f"Hint: {self._session.hint(self._step.id)}")
        self._say_commands(self._session.answer(self._step.id))

    def _solve(self) -> None:
        outcome = self._session.solve(self._step.id, sentences.progress(say))
        if outcome.error is not None:
            raise outcome.error
        self._check()

    def _say_result(self, result: CheckResult) -> None:
        for line in result.seen:
            say(f"As it should be: {line}.")
        if result.found:
            say(f"Found: {result.found}")
        if not result.ok:
            say(f"Not done yet: {result.what}.")
            say(f"What to do: {result.todo}")
        elif self._session.current is None:
            say("This step is done, and with it all steps of the lab.")
            self._say_end()
        else:
            say("This step is done. Type next for the next step.")

    def _say_end(self) -> None:
        _say_text(self._session.lab.outro)
        for question in self._session.lab.questions:
            _say_text(f"Question: {question.ask}")
            _say_text(question.answer)


def _say_text(markdown: str) -> None:
    """Prints each paragraph or list item on a line, without Markdown markup."""
    for paragraph in markdown.split("\n\n"):
        items = paragraph.split("\n- ") if paragraph.startswith("- ") else [paragraph]
        for item in items:
            # Every other part is code: its asterisks are kept.
            parts = " ".join(item.removeprefix("- ").split()).split("`")
            words = "".join(
                part if number % 2 else re.sub(r"(\*\*?)(.+?)\1", r"\2", part)
                for number, part in enumerate(parts)
            )
            if words:
                say(words)
