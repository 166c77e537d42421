"""Asks before a plan is applied: whether rejected clients are accepted, and whether to verify now or later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from textual.content import Content

from screens.dialogs.base import Dialog
from screens.state_styles import inline

if TYPE_CHECKING:
    from wizard.model import BrokenClient

Choice: TypeAlias = Literal["", "now", "later"]
"""Stay on the plan; apply and verify; apply and verify later."""


class ApplyDialog(Dialog[Choice]):
    """Asks when to verify a plan whose verification takes long.

    Args:
        text: what will happen.
    """

    TITLE_TEXT = "Apply this plan?"

    def __init__(self, text: Content) -> None:
        super().__init__()
        self._text = text

    def text(self) -> Content:
        """Returns what will happen."""
        return self._text

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the three buttons."""
        return ("now", "Apply"), ("later", "Apply, verify later"), ("no", "Stay on the plan")

    def handle_button(self, name: str) -> None:
        """Returns the button's answer."""
        self.dismiss("now" if name == "now" else "later" if name == "later" else "")

    def action_refuse(self) -> None:
        """Stays on the plan on Escape."""
        self.dismiss("")


class AcceptDialog(Dialog[bool]):
    """Asks whether clients may be rejected after the plan; the harmless answer has the focus.

    Args:
        clients: those that will be rejected and are not accepted yet.
    """

    TITLE_TEXT = "These clients will be rejected"

    def __init__(self, clients: tuple[BrokenClient, ...]) -> None:
        super().__init__()
        self._clients = clients

    def text(self) -> Content:
        """Returns each client with its place and the lines to change there."""
        parts: list[Content] = []
        for each in self._clients:
            parts.append(
                Content.assemble(
                    ("! ", "bold $warning"),
                    (inline(f"{each.client} on {each.host}", 60), "bold"),
                    f" connects to {inline(each.server, 80)} ({inline(', '.join(each.where), 300)}). Change there:",
                )
            )
            parts += [Content.styled(f"    {inline(line, 200)}", "$secondary") for line in each.lines]
        parts.append(Content(""))
        parts.append(
            Content("Firescreen does not change these clients. Their requests fail until you change them.")
        )
        return Content("\n").join(parts)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the two buttons."""
        return ("no", "Stay on the plan"), ("yes", "Accept")

    def handle_button(self, name: str) -> None:
        """Returns yes or no."""
        self.dismiss(name == "yes")

    def action_refuse(self) -> None:
        """Answers no on Escape."""
        self.dismiss(False)
