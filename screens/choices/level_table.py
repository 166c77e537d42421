"""The table of levels: a row for each component, grouped by host; the arrow keys choose.

The table is as high as its rows and shrinks if there is less room; the selected row is always visible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from screens.choices.levels import SHORT, USUAL, LevelRow
from screens.state_styles import EXPOSURE, fit, inline, place


class LevelTable(Widget, can_focus=True):
    """A table of components with the level chosen for each.

    Args:
        rows: the components.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    LevelTable { height: auto; width: 1fr; max-height: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Component above", show=False),
        Binding("down", "move(1)", "Component below", show=False),
        Binding("left", "turn(-1)", "Level before", show=False),
        Binding("right", "turn(1)", "Another level", show=False),
        Binding("home", "edge(0)", "First component", show=False),
        Binding("end", "edge(-1)", "Last component", show=False),
        Binding("enter", "accept", "Accept", show=False),
        Binding(
            "space",
            "leave_out",
            "Leave out",
            key_display="Space",
            tooltip="Leave this component as it is; again, and it is protected as before",
        ),
    ]

    rows: reactive[tuple[LevelRow, ...]] = reactive((), layout=True)
    at: reactive[int] = reactive(0)
    """Index of the selected row."""

    class Changed(Message):
        """Levels were chosen.

        Args:
            answers: (question's key, level) of each row that changed.
        """

        def __init__(self, answers: tuple[tuple[str, str], ...]) -> None:
            super().__init__()
            self.answers = answers

    class Moved(Message):
        """Another row was selected."""

    def __init__(self, rows: tuple[LevelRow, ...]) -> None:
        super().__init__()
        self.set_reactive(LevelTable.rows, rows)
        self._top = 0
        self._left: dict[str, str] = {}
        """The level that a component had before it was left out."""

    def watch_at(self) -> None:
        """Notifies the screen of the newly selected row."""
        self.post_message(self.Moved())

    @property
    def row(self) -> LevelRow:
        """Returns the selected row."""
        return self.rows[min(self.at, len(self.rows) - 1)]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Returns the height of the heading and all rows."""
        return len(self.rows) + 1

    def render(self) -> Content:
        """Draws the rows that fit."""
        room = max(self.size.height - 1, 1)
        self._top = _window(self.at, len(self.rows), room, self._top)
        shown = self.rows[self._top : self._top + room]
        lines = [self._head(room)]
        for number, row in enumerate(shown, start=self._top):
            again = number > self._top and self.rows[number - 1].host == row.host
            lines.append(self._line(row, selected=number == self.at, host="" if again else place(row.host)))
        return Content("\n").join(lines)

    def _widths(self) -> tuple[int, int, int, int, int]:
        """Returns the widths of host, component, address, present level and chosen level; 0 hides a column."""
        several = len({row.host for row in self.rows}) > 1
        host = min(max(len(place(row.host)) for row in self.rows), 16) + 2 if several else 0
        name = min(max(len(inline(row.name)) for row in self.rows), 20) + 2
        now = max(len(row.now) for row in self.rows) + 4
        words = [_short(row.ways, value) for row in self.rows for value, _ in row.ways]
        level = max(map(len, (*words, *map(_level_text, self.rows)))) + 4
        room_left = self.size.width - 2 - name - now - level
        if host > max(room_left, 0):
            host = max(room_left, 0) if room_left >= 6 else 0
        address = min(max(len(inline(row.address)) for row in self.rows) + 2, max(room_left - host, 0))
        return host, name, address if address >= 16 else 0, now, level

    def _head(self, room: int) -> Content:
        host, name, address, now, _ = self._widths()
        words = (
            "  ",
            fit("host", host),
            fit("component", name),
            fit("address", address),
            fit("now", now),
            "new level",
        )
        hidden = len(self.rows) - room
        more = f"   {self.at + 1} of {len(self.rows)}" if hidden > 0 else ""
        return Content.assemble(("".join(words), "$quiet"), (more, "bold $primary"))

    def _line(self, row: LevelRow, *, selected: bool, host: str) -> Content:
        wide, name, address, now, level = self._widths()
        focus = selected and self.has_focus
        chosen = _level_text(row)
        style = (
            "bold reverse"
            if self.app.no_color
            else "bold $block-cursor-foreground on $block-cursor-background"
        )
        left, right = self._ends(row)
        shown = f"{'◂' if focus and left else ' '} {chosen} {'▸' if focus and right else ' '}"
        return Content.assemble(
            ("▸ " if selected else "  ", "bold $primary"),
            (f"{fit(host, max(wide - 2, 0))}  " if wide else "", "italic"),
            (fit(row.name, name), "bold" if selected else ""),
            (fit(row.address, address), "$quiet"),
            (fit(f"{row.sign} {row.now}", now), row.colour),
            (fit(shown, level), style if focus else "$quiet" if row.is_kept else "bold"),
        )

    def _ends(self, row: LevelRow) -> tuple[bool, bool]:
        """Returns whether there is a lower and a higher level."""
        values = [value for value, _ in row.ways]
        where = values.index(row.value) if row.value in values else 0
        return where > 0, where < len(values) - 1

    def on_focus(self) -> None:
        """Marks the selected row as focused."""
        self.refresh()

    def on_blur(self) -> None:
        """Removes the focus mark."""
        self.refresh()

    def action_move(self, by: int) -> None:
        """Selects a neighbouring row; stops at the ends."""
        self.at = min(max(self.at + by, 0), len(self.rows) - 1)

    def action_edge(self, end: int) -> None:
        """Selects the first or the last row."""
        self.at = len(self.rows) - 1 if end else 0

    def action_turn(self, by: int) -> None:
        """Chooses the next level of the selected row; stops at the ends."""
        values = [value for value, _ in self.row.ways]
        where = values.index(self.row.value) + by if self.row.value in values else 0
        if 0 <= where < len(values):
            self._choose({self.row.key: values[where]})

    def action_leave_out(self) -> None:
        """Leaves the selected component as it is, or restores its earlier level."""
        key, value = self.row.key, self.row.value
        self._choose({key: "" if value else self._left.get(key, USUAL)})
        self._left[key] = value or USUAL

    def all_alike(self) -> None:
        """Gives the level of the selected row to every component that supports it."""
        value = self.row.value
        self._choose({row.key: value for row in self.rows if value in dict(row.ways)})

    def action_accept(self) -> None:
        """Goes on to the other questions."""
        self.screen.focus_next()

    def on_click(self, event: events.Click) -> None:
        """Selects the row under the mouse; clicking its level again chooses the next level."""
        number = self._top + event.get_content_offset_capture(self).y - 1
        if not 0 <= number < len(self.rows):
            return
        if number == self.at and event.x >= self.size.width - self._widths()[4]:
            self.action_turn(1)
        self.at = number

    def _choose(self, levels: Mapping[str, str]) -> None:
        changed = tuple(
            (row.key, levels[row.key]) for row in self.rows if levels.get(row.key, row.value) != row.value
        )
        self.rows = tuple(replace(row, value=levels.get(row.key, row.value)) for row in self.rows)
        if changed:
            self.post_message(self.Changed(changed))


def _short(ways: tuple[tuple[str, str], ...], value: str) -> str:
    return SHORT.get(value) or inline(dict(ways).get(value, value), 30)


def _level_text(row: LevelRow) -> str:
    """Returns the level that the row shows: an already protected component is shown as kept."""
    if row.is_kept and row.sign == EXPOSURE["secured"][0]:
        return f"keep {row.now}"
    return _short(row.ways, row.value)


def _window(at: int, count: int, room: int, top: int) -> int:
    """Returns the first visible row, so that the selected row is visible and no room is wasted."""
    top = min(max(top, at - room + 1), at)
    return max(min(top, count - room), 0)
