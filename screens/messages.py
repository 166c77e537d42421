"""Every message that crosses from a thread, or from one screen to another; nothing here touches a widget."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message


class EventsWaiting(Message):
    """The engine said something that must be seen at once; a newer one makes an older one needless."""

    def can_replace(self, message: Message) -> bool:
        """Two of these in the queue are one."""
        return isinstance(message, EventsWaiting)


class Progress(Message):
    """A line about something slow that goes on, e.g. the practice stack being made ready."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class WorkDone(Message):
    """What a thread was asked has an answer, or a question; `deliver` hands it over on the screen's own thread."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        super().__init__()
        self.deliver = deliver
