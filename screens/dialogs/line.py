"""Asks for one line of text, e.g. a message or a number of minutes."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static

from screens.dialogs.base import FieldDialog
from screens.state_styles import safe
from screens.widgets.prose import Prose

Use = Callable[[str, Callable[[], None], Callable[[str], None]], None]
"""Uses the typed text; calls its second argument when that has worked, or its third with why the text is invalid."""


class LineDialog(FieldDialog[str | None]):
    """Returns the text, or None for no answer. An invalid text stays for correction, with the reason below it.

    Args:
        title: the name of the value.
        text: one sentence about it.
        send: label of the button that gives the answer.
        value: the initial text.
        use: uses the text while the dialog is open; by default, any text is valid.
        longest: how many characters can be typed.
        empty: the error for an empty answer.
    """

    def __init__(
        self,
        title: str,
        text: str,
        *,
        send: str,
        value: str = "",
        use: Use | None = None,
        longest: int = 500,
        empty: str = "Nothing is written yet",
    ) -> None:
        super().__init__()
        self._title, self._text, self._send, self._longest = title, text, send, longest
        self._value, self._empty = value, empty
        self._use: Use = use or (lambda _text, done, _wrong: done())

    def title_text(self) -> str:
        """Returns the name of the value."""
        return self._title

    def inside(self) -> ComposeResult:
        """Yields a sentence, the line, and room for an error."""
        yield Prose(self._text, markup=False)
        yield Input(self._value, max_length=self._longest, select_on_focus=False)
        yield Prose("", id="wrong", markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons to answer and to cancel."""
        return (("send", self._send), ("stop", "Close"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answers on Enter."""
        event.stop()
        self.handle_button("send")

    def handle_button(self, name: str) -> None:
        """Returns the text, unless it is empty."""
        text = self.query_one(Input).value.strip()
        if name != "send":
            self.dismiss(None)
        elif text:
            self._use(text, lambda: self._done(text), self._wrong)
        else:
            self._wrong(f"{self._empty}. Escape closes this.")

    def _done(self, text: str) -> None:
        if self.is_current:
            self.dismiss(text)

    def _wrong(self, why: str) -> None:
        if self.is_current:
            self.query_one("#wrong", Static).update(Content.assemble("✗ ", safe(why, 600)))
            self.query_one("#wrong").add_class("-on")
            self.query_one(Input).focus()

    def action_refuse(self) -> None:
        """Closes without an answer on Escape."""
        self.dismiss(None)
