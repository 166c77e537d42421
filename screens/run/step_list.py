"""The steps of a run by host and component; only visible lines are drawn, running steps with a spinner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from screens.run.status import SPINNER, group_line, group_steps, step_lines

if TYPE_CHECKING:
    from screens.run_state import StepState

SPINS_EVERY = 0.2
"""Seconds between two frames of the spinner."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: Content
    step: str = ""
    """'' for the heading of a group."""
    spins: bool = False


class StepList(ScrollView, can_focus=True):
    """Lists steps; one of them can be selected to read its log. Its style is in `running.tcss`."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Previous step", show=False),
        Binding("down", "move(1)", "Next step", show=False),
        Binding("home", "edge(0)", "First step", show=False),
        Binding("end", "edge(-1)", "Last step", show=False),
    ]

    selected: reactive[str] = reactive("")
    """The id of the selected step; '' to follow the run."""

    class Chosen(Message):
        """The person selected another step."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: tuple[StepState, ...] = ()
        self._lines: list[_Line] = []
        self._ids: list[str] = []
        self._current = ""
        self._frame = 0

    def on_mount(self) -> None:
        """Starts the spinner of running steps."""
        self.set_interval(SPINS_EVERY, self._spin)

    def show(self, steps: tuple[StepState, ...], *, current: str) -> None:
        """Lists these steps; `current` is the step that the run is working on, '' for none."""
        self._steps, self._current = steps, current
        self._draw()
        at = next((at for at, line in enumerate(self._lines) if line.step == (self.selected or current)), -1)
        if at >= 0 and self.is_mounted:
            middle = at - self.size.height // 2
            wanted = Region(0, at, 1, 1) if self.selected else None
            if wanted:
                self.scroll_to_region(wanted, animate=False, force=True)
            else:
                self.scroll_to(y=max(middle, 0), animate=False, force=True)

    def on_resize(self) -> None:
        """Wraps the titles to the present width."""
        self._draw()

    def _draw(self) -> None:
        width = max(self.scrollable_content_region.width, 12)
        lines: list[_Line] = []
        self._ids = []
        for name, steps in group_steps(self._steps):
            lines.append(_Line(group_line(name, steps, width=width)))
            for step in steps:
                self._ids.append(step.id)
                texts = step_lines(step, current=step.id == self._current, width=width)
                spins = step.state == "running" and bool(self._current)
                lines += [_Line(text, step.id, spins and not at) for at, text in enumerate(texts)]
        grown = len(lines) != len(self._lines)
        self._lines = lines
        if grown:
            self.virtual_size = Size(0, len(lines))
        self.refresh()

    def _spin(self) -> None:
        self._frame = (self._frame + 1) % len(SPINNER)
        top, height = int(self.scroll_offset.y), self.size.height
        for at in range(top, min(top + height, len(self._lines))):
            if self._lines[at].spins:
                self.refresh(Region(0, at - top, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Draws the given line of the visible part."""
        at = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if at >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[at]
        text = line.text
        if line.spins:
            text = Content.assemble("  ", (SPINNER[self._frame], "bold $primary"), text[3:])
        if line.step and line.step == self.selected:
            text = text.pad_right(max(width - text.cell_length, 0))
            if self.app.no_color:
                text = Content.styled(text.plain, "bold reverse" if self.has_focus else "bold underline")
            else:
                part = "" if self.has_focus else "-blurred"
                text = text.stylize_before(f"on $block-cursor{part}-background")
        return Visual.to_strips(self, text, width, 1, self.visual_style, pad=True)[0]

    def watch_selected(self) -> None:
        """Marks another line."""
        self.refresh()

    def watch_has_focus(self, _focused: bool) -> None:
        """Redraws the mark, which depends on the focus."""
        super().watch_has_focus(_focused)
        self.refresh()

    def action_move(self, by: int) -> None:
        """Selects a neighbouring step; if none is selected, the current step."""
        here = self.selected or self._current
        at = self._ids.index(here) if here in self._ids else -1
        self._choose(at + by if self.selected else max(at, 0))

    def action_edge(self, end: int) -> None:
        """Selects the first or the last step."""
        self._choose(len(self._ids) - 1 if end else 0)

    def _choose(self, at: int) -> None:
        if not self._ids:
            return
        self.selected = self._ids[min(max(at, 0), len(self._ids) - 1)]
        line = next(at for at, line in enumerate(self._lines) if line.step == self.selected)
        self.scroll_to_region(Region(0, line, 1, 1), animate=False, force=True)
        self.post_message(self.Chosen())

    def on_click(self, event: events.Click) -> None:
        """Selects the step under the mouse."""
        at = event.y + self.scroll_offset.y
        if at < len(self._lines) and self._lines[at].step:
            self.focus()
            self._choose(self._ids.index(self._lines[at].step))
