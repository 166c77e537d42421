"""Says that the terminal is too small, and closes by itself once it is large enough."""

from __future__ import annotations

from textual import events
from textual.content import Content

from screens.dialogs.base import Dialog


class TerminalSizeDialog(Dialog[None]):
    """A notice only: Escape goes on in the small terminal.

    Args:
        width: columns that are needed.
        height: rows that are needed.
    """

    TITLE_TEXT = "The terminal is too small"

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self._needed = (width, height)

    def text(self) -> Content:
        """Returns the present and the needed size."""
        now, needed = self.app.size, self._needed
        return Content(
            f"It has {now.width}x{now.height} cells; Firescreen needs {needed[0]}x{needed[1]} or more. "
            "Enlarge the window, or press Escape to continue."
        )

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the only button."""
        return (("on", "Continue"),)

    def on_resize(self, event: events.Resize) -> None:
        """Closes when the terminal is large enough."""
        self._close_if_room()

    def on_screen_resume(self) -> None:
        """Closes if the terminal became large enough while another dialog covered this one."""
        self._close_if_room()

    def _close_if_room(self) -> None:
        size = self.app.size
        if self.is_current and size.width >= self._needed[0] and size.height >= self._needed[1]:
            self.dismiss(None)

    def handle_button(self, name: str) -> None:
        """Goes on."""
        self.dismiss(None)

    def action_refuse(self) -> None:
        """Goes on."""
        self.dismiss(None)
