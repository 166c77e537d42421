"""Carries the engine's events from its thread to the screen's, few at a time and none lost.

`emit` is called in the engine's thread and never waits. Log lines lie still until the next `take`, which the
App calls ten times a second while a run goes on; everything else asks for a `take` at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.model import Event

KEPT = 2000
LINE = 500


class EventQueue:
    """A queue of events between two threads.

    Args:
        wake: asks the screen's thread to call `take` soon; must be safe to call from any thread.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._events: deque[Event] = deque()
        self._wake = wake

    def emit(self, event: Event) -> None:
        """Takes an event of the engine; its text is made harmless here, so that drawing costs nothing."""
        if event.text:
            limit = 8000 if event.kind == "waiting" else LINE
            event = replace(event, text=redact(plain(event.text, limit)))
        if event.kind == "log" and len(self._events) >= KEPT:
            return
        self._events.append(event)
        if event.kind != "log":
            self._wake()

    def take(self) -> tuple[Event, ...]:
        """All that came since the last call, in order."""
        taken = []
        while self._events:
            taken.append(self._events.popleft())
        return tuple(taken)
