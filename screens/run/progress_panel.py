"""The present step of a run, its progress, its duration, and how to stop it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from screens.run.status import DOING, colour, format_elapsed, headline
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from screens.run_state import RunState


class RunProgress(Widget):
    """A progress bar one line high; `done` of `total`."""

    DEFAULT_CSS = """
    RunProgress { height: 1; width: 1fr; padding: 0 2; }
    """

    done: reactive[int] = reactive(0)
    total: reactive[int] = reactive(0)
    colour: reactive[str] = reactive("$primary")

    def render(self) -> Content:
        """Draws a filled part, an empty part, and the numbers."""
        numbers = f" {self.done}/{self.total}" if self.total else ""
        width = max(self.size.width - len(numbers), 1)
        filled = min(width, round(width * self.done / self.total)) if self.total else 0
        return Content.assemble(
            ("━" * filled, self.colour), ("─" * (width - filled), "$faint"), (numbers, "$quiet")
        )


class ProgressPanel(Panel):
    """Redraws only what has changed, at most ten times a second. Its style is in `running.tcss`."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._shown: RunState | None = None

    def compose(self) -> ComposeResult:
        """Yields the current step and a bar."""
        yield Prose("", id="now", markup=False)
        yield RunProgress()

    def on_mount(self) -> None:
        """Updates the duration while nothing else happens."""
        self.set_interval(1.0, self._draw_time)

    def show(self, state: RunState) -> None:
        """Shows a state."""
        before, self._shown = self._shown, state
        head = headline(state)
        if before is None or head != headline(before):
            self.query_one("#now", Static).update(head)
        bar = self.query_one(RunProgress)
        bar.done, bar.total, bar.colour = state.done, state.total, colour(state)
        self._draw_time()

    def _draw_time(self) -> None:
        state = self._shown
        if state is None or not state.busy:
            return
        stopping = state.phase == "stopping"
        words = "" if stopping else " · x stops"
        self.set_title("Stopping" if stopping else DOING[state.activity])
        self.set_subtitle(f"for {format_elapsed(time.monotonic() - self._began)}{words}")
