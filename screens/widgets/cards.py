"""A row of cards: numbers before sentences. One line in a low or narrow terminal, boxes elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from screens.state_styles import fit, inline

LOW = 30
"""Below so many lines of the terminal, the cards are one line."""
NARROW = 18
"""Below this width (cells) of a card, the cards are one line."""


@dataclass(frozen=True, slots=True)
class Card:
    """A number and what it counts."""

    number: str
    label: str
    detail: str = ""
    """More about it, shown if there is room: it must be said elsewhere too."""
    colour: str = "$primary"


class Cards(Widget):
    """Draws cards side by side, as wide as the page.

    Args:
        cards: the initial cards.
        id: its name in queries and styles.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = "Cards { height: auto; width: 1fr; padding: $page-padding; }"

    cards: reactive[tuple[Card, ...]] = reactive((), layout=True)

    def __init__(self, *cards: Card, id: str | None = None) -> None:  # noqa: A002 - Textual's own word
        super().__init__(id=id)
        self.set_reactive(Cards.cards, cards)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Returns one line, or the height of a box with one or two lines."""
        if not self.cards:
            return 0
        if not self._has_boxes(width):
            return 1
        return 4 if any(card.detail for card in self.cards) else 3

    def _has_boxes(self, width: int) -> bool:
        return self.app.size.height >= LOW and width // max(len(self.cards), 1) >= NARROW

    def render(self) -> Content:
        """Draws all cards for the present width."""
        width = self.size.width
        if not self.cards:
            return Content("")
        if not self._has_boxes(width):
            return Content.styled(" │ ", "$faint").join(_words(card) for card in self.cards)
        count = len(self.cards)
        widths = [width // count + (place < width % count) for place in range(count)]
        detailed = any(card.detail for card in self.cards)
        boxes = [_box(card, wide, detailed=detailed) for card, wide in zip(self.cards, widths, strict=True)]
        return Content("\n").join(Content("").join(line) for line in zip(*boxes, strict=True))


def _words(card: Card) -> Content:
    return Content.assemble((inline(card.number), f"bold {card.colour}"), f" {inline(card.label)}")


def _box(card: Card, width: int, *, detailed: bool) -> list[Content]:
    """Returns the lines of a card, each exactly `width` cells."""
    edge = Content.styled("│", "$border-blurred")
    room = width - 4
    words = _words(card).truncate(room, ellipsis=True)
    lines = [Content.assemble(edge, " ", words, " " * (room - words.cell_length), " ", edge)]
    if detailed:
        lines.append(Content.assemble(edge, " ", (fit(card.detail, room), "$quiet"), " ", edge))
    top, bottom = (
        Content.styled(f"{left}{'─' * (width - 2)}{right}", "$border-blurred") for left, right in ("╭╮", "╰╯")
    )
    return [top, *lines, bottom]
