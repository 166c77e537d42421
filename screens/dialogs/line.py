"""Asks for one line of text, e.g. a message or a number of minutes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input

from screens.dialogs.base import Dialog
from screens.widgets.prose import Prose


class LineDialog(Dialog[str | None]):
    """Answers with the text, or None for no answer.

    Args:
        title: what is asked for.
        text: one sentence about it.
        send: label of the button that gives the answer.
        longest: characters that can be typed.
    """

    AUTO_FOCUS = "Input"
    DEFAULT_CSS = """
    LineDialog {
        Input { border: none; height: 1; padding: 0 1; margin: 1 0 0 0; background: $panel; }
        Input:focus { border: none; background-tint: $foreground 8%; }
    }
    """

    def __init__(self, title: str, text: str, *, send: str, longest: int = 500) -> None:
        super().__init__()
        self._title, self._text, self._send, self._longest = title, text, send, longest

    def title_text(self) -> str:
        """What is asked for."""
        return self._title

    def inside(self) -> ComposeResult:
        """A sentence and the line."""
        yield Prose(self._text, markup=False)
        yield Input(max_length=self._longest)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Give the answer, or not."""
        return (("send", self._send), ("stop", "Close"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter gives the answer."""
        event.stop()
        self.chosen("send")

    def chosen(self, name: str) -> None:
        """The text; without one there is nothing to send."""
        text = self.query_one(Input).value.strip()
        if name == "send" and not text:
            self.app.notify("Nothing is written yet. Escape closes this.", severity="warning")
            return
        self.dismiss(text if name == "send" else None)

    def action_refuse(self) -> None:
        """Escape gives no answer."""
        self.dismiss(None)
