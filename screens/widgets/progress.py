"""How far a run is, as a line and as a number."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget


class RunProgress(Widget):
    """A progress bar one line high; `done` of `total`."""

    DEFAULT_CSS = """
    RunProgress { height: 1; width: 1fr; padding: 0 2; }
    """

    done: reactive[int] = reactive(0)
    total: reactive[int] = reactive(0)
    colour: reactive[str] = reactive("$primary")

    def render(self) -> Content:
        """A filled part, an empty part, the numbers."""
        numbers = f" {self.done}/{self.total}" if self.total else ""
        width = max(self.size.width - len(numbers), 1)
        filled = min(width, round(width * self.done / self.total)) if self.total else 0
        return Content.assemble(
            ("━" * filled, self.colour), ("─" * (width - filled), "$faint"), (numbers, "$quiet")
        )
