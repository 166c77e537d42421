"""A choice from a few options: the arrow keys choose immediately, Enter goes on; a filled sign marks the chosen one."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from screens.state_styles import inline


class Choice(Widget, can_focus=True):
    """A list of options, one of them chosen.

    Args:
        ways: (value, text) of each option.
        value: the initial choice.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = "Choice { height: auto; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Choose", show=False),
        Binding("down", "move(1)", "Choose", show=False),
        Binding("enter", "accept", "Accept", show=False),
    ]

    chosen: reactive[int] = reactive(0)

    class Changed(Message):
        """Another option was chosen."""

        def __init__(self, value: str) -> None:
            super().__init__()
            self.value = value

    def __init__(self, ways: tuple[tuple[str, str], ...], value: str) -> None:
        super().__init__()
        self._ways = ways
        values = [way for way, _ in ways]
        self.set_reactive(Choice.chosen, values.index(value) if value in values else 0)

    def render(self) -> Content:
        """Draws a line for each option."""
        return Content("\n").join(self._line(place, words) for place, (_, words) in enumerate(self._ways))

    def _line(self, place: int, words: str) -> Content:
        text = inline(words, 400)
        if place != self.chosen:
            return Content.assemble(("○ ", "$quiet"), f" {text} ")
        style = "bold $block-cursor-foreground on $block-cursor-background" if self.has_focus else "bold"
        if self.has_focus and self.app.no_color:
            style = "bold reverse"
        return Content.assemble(("● ", "bold $primary"), (f" {text} ", style))

    def on_focus(self) -> None:
        """Marks the chosen line as focused."""
        self.refresh()

    def on_blur(self) -> None:
        """Removes the focus mark."""
        self.refresh()

    def action_move(self, by: int) -> None:
        """Chooses a neighbouring option; stops at the ends."""
        self._choose(self.chosen + by)

    def action_accept(self) -> None:
        """Goes on to the next field."""
        self.screen.focus_next()

    def on_click(self, event: events.Click) -> None:
        """Chooses the option under the mouse."""
        self._choose(event.y)

    def _choose(self, place: int) -> None:
        if 0 <= place < len(self._ways) and place != self.chosen:
            self.chosen = place
            self.post_message(self.Changed(self._ways[place][0]))
