"""An error as it is shown: what happened, where, what to do. Never a traceback."""

from __future__ import annotations

from textual.content import Content

from screens.dialogs.base import Dialog
from screens.state import ErrorMessage
from screens.state_styles import describe_error


class ErrorDialog(Dialog[None]):
    """Shows an error, until it is closed."""

    def __init__(self, error: ErrorMessage) -> None:
        super().__init__()
        self.error = error

    def title_text(self) -> str:
        """Returns the kind of error."""
        return self.error.title

    def text(self) -> Content:
        """Returns the three parts of the error."""
        return describe_error(self.error)

    def handle_button(self, name: str) -> None:
        """Closes."""
        self.dismiss()

    def action_refuse(self) -> None:
        """Closes on Escape."""
        self.dismiss()
