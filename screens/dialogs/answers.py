"""Takes a student's answers to the questions at the end of a lab; they are put into the report."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import TextArea

from screens.dialogs.base import Dialog
from screens.dialogs.diagnosis import Pasted
from screens.state_styles import safe
from screens.widgets.prose import Prose


class AnswersDialog(Dialog[tuple[str, ...] | None]):
    """Returns a text for each question, or None for no change.

    Args:
        questions: their texts.
        answers: the earlier answers; '' for none.
    """

    TITLE_TEXT = "Your answers"
    AUTO_FOCUS = "Pasted"
    DEFAULT_CSS = """
    AnswersDialog {
        .box { width: 96%; max-width: 110; }
        .text { max-height: 70vh; scrollbar-gutter: stable; }
        Pasted { height: 4; border: none; padding: 0 1; margin: 0 1 1 0; background: $panel; }
        Pasted:focus { border: none; background-tint: $foreground 8%; }
    }
    """

    def __init__(self, questions: Sequence[str], answers: Sequence[str]) -> None:
        super().__init__()
        self._questions, self._answers = questions, answers

    def inside(self) -> ComposeResult:
        """Yields each question with a field for its answer."""
        yield Prose(
            "Answer in your own words; your report includes the answers. Tab goes to the next one.\n",
            markup=False,
        )
        for question, answer in zip(self._questions, self._answers, strict=True):
            yield Prose(Content.assemble(("? ", "bold $primary"), safe(question, 300)), markup=False)
            yield Pasted(answer, tab_behavior="focus", show_line_numbers=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons to save and to discard."""
        return (("keep", "Save"), ("stop", "Discard"))

    def handle_button(self, name: str) -> None:
        """Returns the answers, or closes."""
        texts = tuple(area.text.strip() for area in self.query(TextArea))
        self.dismiss(texts if name == "keep" else None)

    def action_refuse(self) -> None:
        """Discards the changes on Escape."""
        self.dismiss(None)
