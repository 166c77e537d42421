"""The messages that threads post to the app."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message


class EventsWaiting(Message):
    """The engine has emitted events; a newer message replaces an older one."""

    def can_replace(self, message: Message) -> bool:
        """Returns whether the older message is of this kind too."""
        return isinstance(message, EventsWaiting)


class Progress(Message):
    """A line about slow work in progress, e.g. the practice stack being prepared."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class WorkDone(Message):
    """A thread has a result or an error; `deliver` passes it on in the app's own thread."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        super().__init__()
        self.deliver = deliver
