"""Every message that crosses from a thread, or from one screen to another; nothing here touches a widget."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message

from screens.state import Trouble


class Drain(Message):
    """The engine said something that must be seen at once; a newer one makes an older one needless."""

    def can_replace(self, message: Message) -> bool:
        """Two of these in the queue are one."""
        return isinstance(message, Drain)


class Told(Message):
    """A line about something slow that goes on, e.g. the practice stack being made ready."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class Answered(Message):
    """What a thread was asked has an answer; `deliver` hands it over on the screen's own thread."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        super().__init__()
        self.deliver = deliver


class Refused(Message):
    """What a thread was asked ended in an error; `otherwise` is told first, the person by a dialog if it is None."""

    def __init__(self, trouble: Trouble, otherwise: Callable[[Trouble], None] | None) -> None:
        super().__init__()
        self.trouble = trouble
        self.otherwise = otherwise
