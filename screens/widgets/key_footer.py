"""The keys of a page, in its last line."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

_NO_FOCUS = 0.5
"""Seconds after which no keys are waited for: a window without the focus, or below a dialog, gets no keys."""


class KeyFooter(Footer):
    """Textual's footer, but the keys have its density from the start: Textual styles each of them a second time."""

    _when_drawn: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        """Yields Textual's keys; none before the page knows which."""
        keys = 0
        for child in super().compose():
            if isinstance(child, FooterKey):
                child.set_reactive(FooterKey.compact, self.compact)
                keys += 1
            yield child
        if keys:
            self.call_after_refresh(self.call_after_refresh, self._call_when_drawn)

    def when_drawn(self, then: Callable[[], None]) -> None:
        """Calls `then` once when the keys, and so the whole page, have been drawn."""
        self._when_drawn = then
        self.set_timer(_NO_FOCUS, self._call_when_drawn)

    def _call_when_drawn(self) -> None:
        then, self._when_drawn = self._when_drawn, None
        if then is not None:
            then()
