"""An error as a person meets it: what happened, where, what to do. Never a traceback."""

from __future__ import annotations

from textual.content import Content

from screens.dialogs.base import Dialog
from screens.state import Trouble
from screens.state_styles import safe


class TroubleDialog(Dialog[str]):
    """Shows an error; answers with the id of the button pressed, 'close' for Escape.

    Args:
        trouble: the error.
        ways: (id, label) of the buttons; one to close it by default.
    """

    def __init__(self, trouble: Trouble, ways: tuple[tuple[str, str], ...] = (("close", "Close"),)) -> None:
        super().__init__()
        self.trouble, self._ways = trouble, ways

    def title_text(self) -> str:
        """What kind of error."""
        return self.trouble.title

    def text(self) -> Content:
        """The three parts."""
        return describe(self.trouble)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """As asked for."""
        return self._ways

    def chosen(self, name: str) -> None:
        """Says which."""
        self.dismiss(name)

    def action_refuse(self) -> None:
        """Escape."""
        self.dismiss("close")


def describe(trouble: Trouble) -> Content:
    """The parts of an error, each on its own lines; empty parts are left out."""
    parts = [Content.assemble(("✗ ", "$error bold"), safe(trouble.what, 2000))]
    if trouble.where:
        parts.append(Content.assemble(("Where  ", "$quiet"), safe(trouble.where, 500)))
    if trouble.todo:
        parts.append(Content.assemble(("Do     ", "$success bold"), safe(trouble.todo, 1000)))
    return Content("\n").join(parts)
