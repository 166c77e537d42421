"""The line on top of every screen: Firescreen, the name of the screen, and the current hosts in their colours."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from screens.state_styles import fit, inline
from screens.themes import CHIP_TEXT, NO_HOST

MANY = 8
"""Hosts up to which each is named."""


class TitleBar(Widget):
    """Draws one line of exactly the screen's width; the place gives way before the host does."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TitleBar { dock: top; height: 1; background: $panel; color: $foreground; }
    """

    place: reactive[str] = reactive("")
    """Where one is, e.g. 'Choices · 2 of 5'."""
    hosts: reactive[tuple[tuple[str, str], ...]] = reactive(())
    """(name, its colour) of the current hosts; the name is always written, so the colour says nothing alone."""
    lead: reactive[str] = reactive("")
    """A word before the hosts, e.g. 'practice'."""

    def render(self) -> Content:
        """The whole line."""
        room = self.size.width
        head = Content.assemble((" Firescreen ", "bold $primary"), ("│ ", "$quiet"))
        right = self._tags(max(room - head.cell_length - 12, 0))
        rest = max(room - head.cell_length - right.cell_length - 1, 0)
        return Content.assemble(head, fit(self.place, rest), " ", right)

    def _tags(self, room: int) -> Content:
        lead = f"{self.lead} " if self.lead else ""
        shown = Content.styled(lead, "$quiet")
        if len(self.hosts) > MANY:  # all of them: none is in hand
            return Content.assemble(shown, (f" {len(self.hosts)} hosts ", f"bold {CHIP_TEXT} on {NO_HOST}"))
        for count, (name, colour) in enumerate(self.hosts):
            tag = Content.styled(f" {inline(name, 24)} ", f"bold {CHIP_TEXT} on {colour}")
            left_out = len(self.hosts) - count
            if shown.cell_length + tag.cell_length + (6 if left_out > 1 else 0) > room:
                return Content.assemble(shown, f" +{left_out} ")
            shown = Content.assemble(shown, tag)
        return shown
