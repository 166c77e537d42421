"""The trust map as a widget: the arrow keys select a connection and scroll to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from screens.trust_map.canvas import Drawing, draw

if TYPE_CHECKING:
    from wizard.model import Arrow, Attempt

ROOMY = 100
"""From this width (cells) on, there is room for the certificates below each arrow."""

WAYS = ((True, True), (True, False), (False, True), (False, False))
"""(notes, apart) from the most detailed to the most compact drawing; the first that fits is used."""


class TrustGraph(Widget, can_focus=True):
    """Draws arrows between hosts; one of them is selected. Its parent scrolls."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TrustGraph { height: auto; width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Previous connection", show=False),
        Binding("down", "move(1)", "Next connection", show=False),
        Binding("home", "edge(0)", "First connection", show=False),
        Binding("end", "edge(-1)", "Last connection", show=False),
    ]

    arrows: reactive[tuple[Arrow, ...]] = reactive((), layout=True)
    attempts: reactive[dict[str, Attempt]] = reactive(dict)
    at: reactive[int] = reactive(0)

    def __init__(self) -> None:
        super().__init__()
        self._room = 0

    class Chosen(Message):
        """Another arrow is selected."""

    class Opened(Message):
        """A second click on the selected arrow."""

    @property
    def arrow(self) -> Arrow | None:
        """Returns the selected arrow."""
        return self.arrows[self.at] if self.at < len(self.arrows) else None

    def _fitting_drawing(self, width: int) -> Drawing:
        """Returns the most detailed drawing that fits into the frame's height, or else the most compact one."""
        for notes, apart in WAYS if width >= ROOMY else WAYS[-1:]:
            drawing = draw(
                self.arrows,
                self.attempts,
                width=max(width, 60),
                selected=self.at,
                notes=notes,
                apart=apart,
                colourless=self.app.no_color,
            )
            if len(drawing.lines) <= self._room:
                break
        return drawing

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Returns the number of lines of the drawing."""
        self._room = container.height
        return len(self._fitting_drawing(width).lines)

    def render(self) -> Content:
        """Draws the map for the present width."""
        return Content("\n").join(self._fitting_drawing(self.size.width).lines)

    def watch_at(self) -> None:
        """Notifies the screen and scrolls to the selected arrow."""
        self.post_message(self.Chosen())
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        drawing = self._fitting_drawing(self.size.width)
        if self.at < len(drawing.at) and self.parent is not None and isinstance(self.parent, Widget):
            top = max(drawing.at[self.at] - 1, 0)
            if self.at == len(drawing.at) - 1:
                top, height = drawing.at[self.at], len(drawing.lines) - drawing.at[self.at]
            else:
                height = 3
            self.parent.scroll_to_region(Region(0, top, 1, height), animate=False)

    def action_move(self, by: int) -> None:
        """Selects a neighbouring arrow; stops at the ends."""
        self.at = min(max(self.at + by, 0), max(len(self.arrows) - 1, 0))

    def action_edge(self, end: int) -> None:
        """Selects the first or the last arrow."""
        self.at = max(len(self.arrows) - 1, 0) if end else 0

    def on_click(self, event: events.Click) -> None:
        """Selects the arrow under the mouse; a second click opens it."""
        at = self._fitting_drawing(self.size.width).at
        under = [number for number, line in enumerate(at) if line <= event.y]
        if not under:
            return
        if under[-1] == self.at:
            self.post_message(self.Opened())
        self.at = under[-1]
