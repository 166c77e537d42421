"""The table of a run's hosts: a line each, however many there are; only the visible lines are drawn."""

from __future__ import annotations

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

from screens.run.status import host_line, name_width, order_hosts

if TYPE_CHECKING:
    from screens.run_state import HostRow


class HostTable(ScrollView, can_focus=True):
    """Lists hosts, failures first; the selected host stays selected wherever its line moves to.

    Its style is in `running.tcss`.
    """

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Previous host", show=False),
        Binding("down", "move(1)", "Next host", show=False),
        Binding("home", "edge(0)", "First host", show=False),
        Binding("end", "edge(-1)", "Last host", show=False),
        Binding("enter,space", "open", "Show what happened there", show=False),
    ]

    rows: reactive[tuple[HostRow, ...]] = reactive(())
    canary: reactive[str] = reactive("")
    selected: reactive[str] = reactive("")
    """The selected host; '' until the person selects one."""

    class Chosen(Message):
        """The person chose another host."""

    class Opened(Message):
        """The person wants to see what happened on the selected host."""

    def __init__(self) -> None:
        super().__init__()
        self._listed: tuple[HostRow, ...] = ()
        self._names = 0

    @property
    def listed(self) -> tuple[HostRow, ...]:
        """Returns the rows in the order in which they are listed."""
        return self._listed

    def watch_rows(self, before: tuple[HostRow, ...], rows: tuple[HostRow, ...]) -> None:
        """Sorts the rows; the height changes only with their number."""
        self._listed = order_hosts(rows)
        self._names = name_width(rows)
        if len(before) != len(rows):
            self.virtual_size = Size(0, len(rows))
            self.refresh(layout=True)
        elif self.selected:
            self._into_sight()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draws the given line of the visible part."""
        at = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if at >= len(self._listed):
            return Strip.blank(width, self.rich_style)
        row = self._listed[at]
        text = host_line(row, width=width - 2, names=self._names, canary=self.canary)
        mine = row.host == self.selected
        line = Content.assemble("▸" if mine else " ", text, " ")
        if mine and self.app.no_color:  # grey text would be unreadable on a reversed line
            line = Content.styled(line.plain, "bold reverse" if self.has_focus else "bold underline")
        elif mine:
            part = "" if self.has_focus else "-blurred"
            line = line.stylize_before(f"on $block-cursor{part}-background")
        return Visual.to_strips(self, line, width, 1, self.visual_style, pad=True)[0]

    def watch_selected(self) -> None:
        """Marks another line."""
        self._into_sight()
        self.refresh()

    def watch_has_focus(self, _focused: bool) -> None:
        """Redraws the mark, which depends on the focus."""
        super().watch_has_focus(_focused)
        self.refresh()

    @property
    def _at(self) -> int:
        return next((at for at, row in enumerate(self._listed) if row.host == self.selected), 0)

    def _into_sight(self) -> None:
        if self._listed and self.is_mounted:
            self.scroll_to_region(Region(0, self._at, 1, 1), animate=False, force=True)

    def action_move(self, by: int) -> None:
        """Selects a neighbouring host; stops at the ends."""
        self._choose(self._at + by if self.selected else 0)

    def action_edge(self, end: int) -> None:
        """Selects the first or the last host."""
        self._choose(len(self._listed) - 1 if end else 0)

    def action_turn(self, pages: int) -> None:
        """Scrolls by a page."""
        self._choose(self._at + pages * max(self.size.height - 1, 1))

    def action_open(self) -> None:
        """Shows what happened on the selected host."""
        if not self.selected and self._listed:
            self._choose(0)
        self.post_message(self.Opened())

    def _choose(self, at: int) -> None:
        if self._listed:
            self.selected = self._listed[min(max(at, 0), len(self._listed) - 1)].host
            self.post_message(self.Chosen())

    def on_click(self, event: events.Click) -> None:
        """Selects the host under the mouse; a second click opens it."""
        at = event.y + self.scroll_offset.y
        if at < len(self._listed):
            again = self._listed[at].host == self.selected
            self.focus()
            self._choose(at)
            if again:
                self.action_open()
