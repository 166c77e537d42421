"""The log of a run, or of one step of it, that is scrolled to its newest line."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content

from screens.widgets.prose import Prose


class RunLog(VerticalScroll, can_focus=False):
    """Stays at the end of a growing log; whoever scrolls keeps that place until another log is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, str] | None = None

    def compose(self) -> ComposeResult:
        """Yields the text."""
        yield Prose("", markup=False)

    def show(self, text: Content, name: str, *, from_start: str) -> None:
        """Shows a text.

        Args:
            text: its lines.
            name: the host or step that it belongs to; "" for the whole run.
            from_start: the manual commands or the step that are read from their start; "" for a log.
        """
        self.query_one(Prose).update(text)
        if self._shown == (name, from_start):
            return
        self._shown = name, from_start
        # The anchor keeps it at the end also when the layout changes its height.
        self.anchor(not from_start)
        if from_start:
            self.call_after_refresh(self.scroll_home, animate=False)
