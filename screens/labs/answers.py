"""The end of a lab: takes the student's answers, and offers the report to a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.content import Content

from screens.dialogs.answers import AnswersDialog

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import App

    from screens.interface import Wizard
    from wizard.labs import LabSession


def take_answers(app: Wizard, session: LabSession, say: Callable[[Content], None]) -> None:
    """Asks for an answer to each question, and stores the answers for the report."""

    def keep(texts: tuple[str, ...]) -> None:
        for number, text in enumerate(texts):
            session.respond(number, text)

    def save_answers(texts: tuple[str, ...] | None) -> None:
        if texts is not None:
            kept = Content.assemble(("✓ ", "bold $success"), "Saved. 'o' writes your report.")
            app.ask(lambda: keep(texts), lambda _: say(kept))

    question_texts = tuple(question.ask for question in session.lab.questions)
    app.push_screen(AnswersDialog(question_texts, session.answers), save_answers)


def offer_report(app: App[int], path: Path) -> None:
    """Sends a report to the browser that shows the wizard; does nothing on a terminal."""
    if app.is_web:
        app.deliver_text(path.with_suffix(".html"))
