"""The table of what runs and how open it is: a sign, a word, and a sentence for each component."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from screens.words import EXPOSURE, fit, inline

if TYPE_CHECKING:
    from wizard.engine import Exposure


class Exposures(Widget):
    """One line for each component, with its version and unit where the terminal is wide enough."""

    DEFAULT_CSS = """
    Exposures { height: auto; padding: 0 2; }
    """

    rows: reactive[tuple[Exposure, ...]] = reactive((), layout=True)

    def render(self) -> Content:
        """The table for the present width; the columns are as wide as what stands in them."""
        texts = [self._texts(row) for row in self.rows]
        if not texts:
            return Content("")
        widths = [min(max(Content(inline(row[at])).cell_length for row in texts), 28) + 2 for at in range(3)]
        room = self.size.width - sum(widths)
        return Content("\n").join(
            self._line(row, text, widths, room) for row, text in zip(self.rows, texts, strict=True)
        )

    def _texts(self, row: Exposure) -> tuple[str, str, str]:
        several = len({one.host for one in self.rows}) > 1
        return (row.host if several else "", row.component, row.address)

    def _line(self, row: Exposure, texts: tuple[str, str, str], widths: list[int], room: int) -> Content:
        sign, word, colour = EXPOSURE[row.state]
        host, component, address = (fit(text, width) for text, width in zip(texts, widths, strict=True))
        words = row.words if len(row.words) + 11 <= room else row.words.partition(":")[0]
        more = " · ".join(text for text in (row.version, row.unit or row.manager) if text)
        rest = room - 11 - 40
        return Content.assemble(
            host if host.strip() else "",
            (component, "bold"),
            address,
            (fit(f"{sign} {word}", 11), colour),
            fit(words, 40 if rest > len(more) else max(room - 11, 0)),
            (fit(more, rest), "$quiet") if rest > len(more) else "",
        )
