"""The top line of every screen: Firescreen, the name of the screen, and the current hosts in their colours.

While something is being secured, the stages from scan to verification replace the name.
"""

from __future__ import annotations

from enum import IntEnum

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from screens.state_styles import fit, inline
from screens.themes import CHIP_TEXT, NO_HOST

MANY = 8
"""Up to so many hosts are named one by one."""

HEAD = " Firescreen "
LONGEST = 44
"""Up to this width (cells), the name of a screen is shown completely, even if fewer hosts can be named."""
LEAST = 20
"""Minimum width of the hosts in cells, whatever the name of the screen is."""


class Stage(IntEnum):
    """A stage on the way from a scan to a verified stack."""

    SCAN = 0
    CHOOSE = 1
    PLAN = 2
    APPLY = 3
    VERIFY = 4


class TitleBar(Widget):
    """Draws one line of exactly the screen's width; the place is shortened if otherwise no host could be named."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TitleBar { dock: top; height: 1; background: $panel; color: $foreground; }
    """

    place: reactive[str] = reactive("")
    """The name of the page, e.g. 'History'; drawn if there is no stage."""
    stage: reactive[Stage | None] = reactive(None)
    """The stage of the page from scan to verification; None for other pages."""
    hosts: reactive[tuple[tuple[str, str], ...]] = reactive(())
    """(name, its colour) of the current hosts; the name is always written, so that colour is never the only sign."""
    lead: reactive[str] = reactive("")
    """A word before the hosts, e.g. 'practice'."""

    class StageChosen(Message):
        """A finished stage was clicked."""

        def __init__(self, stage: Stage) -> None:
            super().__init__()
            self.stage = stage

    def render(self) -> Content:
        """Draws the whole line."""
        room = self.size.width
        head = Content.assemble((HEAD, "bold $primary"), ("│ ", "$quiet"))
        if self.stage is None:
            named = min(Content(self.place).cell_length + 1, LONGEST)
            right = self._tags(max(room - head.cell_length - named, LEAST))
            room_left = max(room - head.cell_length - right.cell_length - 1, 0)
            return Content.assemble(head, fit(self.place, room_left), " ", right)
        steps = Content.styled(" ─ ", "$faint").join(self._stage(stage) for stage in Stage)
        right = self._tags(max(room - head.cell_length - steps.cell_length - 1, 0))
        room_left = max(room - head.cell_length - steps.cell_length - right.cell_length, 0)
        return Content.assemble(head, steps, " " * room_left, right)

    def _stage(self, stage: Stage) -> Content:
        """Draws the stages, the current one reversed, finished ones with a tick."""
        if stage == self.stage:
            return Content.styled(f" {stage.name.capitalize()} ", "bold reverse $primary")
        return Content.styled(self._words(stage), "$success" if self._is_done(stage) else "$quiet")

    def _words(self, stage: Stage) -> str:
        if stage == self.stage:
            return f" {stage.name.capitalize()} "
        return f"✓ {stage.name.capitalize()}" if self._is_done(stage) else stage.name.capitalize()

    def _is_done(self, stage: Stage) -> bool:
        return self.stage is not None and stage < self.stage

    def on_click(self, event: events.Click) -> None:
        """Goes back to the stage under the mouse."""
        edge = len(HEAD) + 2
        for stage in Stage if self.stage is not None else ():
            end = edge + len(self._words(stage))
            if edge <= event.x < end and self._is_done(stage):
                self.post_message(self.StageChosen(stage))
            edge = end + 3

    def _tags(self, room: int) -> Content:
        lead = f"{self.lead} " if self.lead and len(self.lead) < room else ""
        shown = Content.styled(lead, "$quiet")
        if len(self.hosts) > MANY:  # all of them: no single host is selected
            return Content.assemble(shown, (f" {len(self.hosts)} hosts ", f"bold {CHIP_TEXT} on {NO_HOST}"))
        for count, (name, colour) in enumerate(self.hosts):
            tag = Content.styled(f" {inline(name, 24)} ", f"bold {CHIP_TEXT} on {colour}")
            left_out = len(self.hosts) - count
            if shown.cell_length + tag.cell_length + (6 if left_out > 1 else 0) > room:
                return Content.assemble(shown, f" +{left_out} ")
            shown = Content.assemble(shown, tag)
        return shown
