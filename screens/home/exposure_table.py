"""The table of components: a sign, a word, and a sentence on the protection of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from screens.state_styles import EXPOSURE, fit, inline, protection_label

if TYPE_CHECKING:
    from wizard.engine import Exposure

_SIGN = 15
"""Columns for a sign and its word."""
MOST = 10
"""Lines; of more components those with the least protection are shown, and the rest are counted."""
_WORST = ("open", "partly", "down", "secured")


class ExposureTable(Widget):
    """One line for each component, with its version and unit where the terminal is wide enough."""

    DEFAULT_CSS = """
    ExposureTable { height: auto; padding: 0 2; }
    """

    rows: reactive[tuple[Exposure, ...]] = reactive((), layout=True)
    hosts: reactive[int] = reactive(1)
    """Hosts that were scanned; of one, the name would stand in each line."""

    def render(self) -> Content:
        """The table for the present width; the columns are as wide as what stands in them."""
        rows = self.rows
        if len(rows) > MOST:
            rows = tuple(sorted(rows, key=lambda row: _WORST.index(row.state))[: MOST - 1])
        several = self.hosts > 1 or len({row.host for row in self.rows}) > 1
        texts = [(row.host if several else "", row.key.partition("/")[2], row.address) for row in rows]
        if not texts:
            return Content("")
        # One host's name once: the rows of a host stand together.
        texts = [
            ("", *text[1:]) if place and text[0] == texts[place - 1][0] else text
            for place, text in enumerate(texts)
        ]
        widths = [min(max(Content(inline(row[at])).cell_length for row in texts), 28) + 2 for at in range(3)]
        room = self.size.width - sum(widths)
        most = max(len(_more(row)) for row in rows)
        lines = [
            self._line(row, text, widths, room, detailed=room - _SIGN - 40 > most)
            for row, text in zip(rows, texts, strict=True)
        ]
        return Content("\n").join([*lines, *self._rest(rows)])

    def _rest(self, shown: tuple[Exposure, ...]) -> list[Content]:
        """How many more there are, and in which states."""
        left = Counter[str](row.state for row in self.rows)
        left.subtract(row.state for row in shown)
        words = ", ".join(f"{left[state]} {EXPOSURE[state][1]}" for state in _WORST if left[state])
        return (
            [Content.styled(f"… and {len(self.rows) - len(shown)} more: {words}", "$quiet")] if words else []
        )

    def _line(
        self, row: Exposure, texts: tuple[str, str, str], widths: list[int], room: int, *, detailed: bool
    ) -> Content:
        sign, word, colour = EXPOSURE[row.state]
        host, component, address = (fit(text, width) for text, width in zip(texts, widths, strict=True))
        detail = row.words.removeprefix(f"{word}: ")
        words = detail if len(detail) + _SIGN <= room else _brief(row)
        return Content.assemble(
            host if widths[0] > 2 else "",
            (component, "bold"),
            address,
            (fit(f"{sign} {word}", _SIGN), colour),
            fit(words, 40 if detailed else max(room - _SIGN, 0)),
            (fit(_more(row), room - _SIGN - 40), "$quiet") if detailed else "",
        )


def _more(row: Exposure) -> str:
    return " · ".join(text for text in (row.version, row.unit or row.manager) if text)


def _brief(row: Exposure) -> str:
    """Where there is no room for a sentence."""
    return protection_label(row) if row.tls or row.password or row.state == "down" else "plain HTTP"
