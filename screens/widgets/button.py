"""A button one line high: Enter, space and the mouse press it, and the focus is visible without colour too."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class ActionButton(Widget, can_focus=True):
    """A button for an action.

    Args:
        label: a word or two; drawn as plain text.
        id: names it in `Pressed`.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    ActionButton {
        width: auto; height: 1; padding: 0 1; margin: 0 0 0 2; background: $panel; color: $foreground;
        pointer: pointer;
        &:hover { background: $surface-lighten-2; }
        &:focus { background: $primary; color: $background; text-style: bold; }
        &:nocolor:focus { text-style: bold reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "press", "Press", show=False)]

    label: reactive[str] = reactive("", layout=True)

    class Pressed(Message):
        """The button was pressed."""

        def __init__(self, button: ActionButton) -> None:
            super().__init__()
            self.button = button

    def __init__(self, label: str, *, id: str) -> None:  # noqa: A002 - Textual's own word
        super().__init__(id=id)
        self.label = label

    def render(self) -> Content:
        """Draws the label, in brackets if there is no colour."""
        return Content(f"[{self.label}]" if self.app.no_color else f" {self.label} ")

    def get_content_width(self, container: object, viewport: object) -> int:
        """Returns the width of the label and a cell on each side."""
        return len(self.label) + 2

    def action_press(self) -> None:
        """Notifies the screen."""
        self.post_message(self.Pressed(self))

    def on_click(self, event: events.Click) -> None:
        """Presses the button with the mouse."""
        event.stop()
        self.focus()
        self.action_press()
