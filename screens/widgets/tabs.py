"""A one-line strip of tabs, moved by the keys of its screen; the focus stays where it was."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class Tabs(Widget):
    """Named tabs, one of them chosen.

    Args:
        names: their titles; the digit before each is its key.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Tabs { height: 1; width: 1fr; background: $panel; }
    """

    chosen: reactive[int] = reactive(0)

    class Changed(Message):
        """Another tab was chosen."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names

    def render(self) -> Content:
        """Draws all tabs; the chosen one is reversed and in brackets."""
        return Content("").join(
            Content.styled(f" {self._text(place)} ", "bold reverse $primary" if place == self.chosen else "")
            for place in range(len(self._names))
        )

    def _text(self, place: int) -> str:
        return f"{place + 1} {self._names[place]}"

    def move(self, by: int) -> None:
        """Chooses a neighbouring tab; the last is followed by the first."""
        self.chosen = (self.chosen + by) % len(self._names)

    def watch_chosen(self) -> None:
        """Notifies the screen."""
        self.post_message(self.Changed())

    def on_click(self, event: events.Click) -> None:
        """Chooses the tab under the mouse."""
        edge = 0
        for place in range(len(self._names)):
            edge += len(self._text(place)) + 2
            if event.x < edge:
                self.chosen = place
                return
