"""An error as a person meets it: what happened, where, what to do. Never a traceback."""

from __future__ import annotations

from textual.content import Content

from screens.dialogs.base import Dialog
from screens.state import ErrorMessage
from screens.state_styles import describe_error


class ErrorDialog(Dialog[str]):
    """Shows an error; answers with the id of the button pressed, 'close' for Escape.

    Args:
        error: the error.
        ways: (id, label) of the buttons; one to close it by default.
    """

    def __init__(
        self, error: ErrorMessage, ways: tuple[tuple[str, str], ...] = (("close", "Close"),)
    ) -> None:
        super().__init__()
        self.error, self._ways = error, ways

    def title_text(self) -> str:
        """What kind of error."""
        return self.error.title

    def text(self) -> Content:
        """The three parts."""
        return describe_error(self.error)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """As asked for."""
        return self._ways

    def chosen(self, name: str) -> None:
        """Says which."""
        self.dismiss(name)

    def action_refuse(self) -> None:
        """Escape."""
        self.dismiss("close")
