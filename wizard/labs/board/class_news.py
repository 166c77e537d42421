"""The instructor's news for a class: messages, how far a lab is open, and a clock. Kept as one small file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from wizard.errors import InputError
from wizard.redact import plain

FORMAT = 1
LARGEST = 64_000
"""Maximum size of the file in bytes."""
LONGEST_MESSAGE = 500
MOST_MESSAGES = 20
"""How many messages are kept; older ones are dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of the instructor. `number` grows with each message of a board."""

    number: int
    text: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """The news for one student."""

    class_name: str = ""
    messages: tuple[Message, ...] = ()
    lab: str = ""
    """The lab whose steps the instructor opens one by one; '' for none."""
    open_steps: int = 0
    """How many of its steps are open."""
    clock_until: float = 0.0
    """When the time is over (unix time); 0 for no clock."""
    read_at: float = 0.0
    """When the board last read this student's progress (unix time)."""

    def with_message(self, message: Message) -> News:
        """Returns the news with one more message; the oldest ones are dropped."""
        return replace(self, messages=(*self.messages, message)[-MOST_MESSAGES:])

    def open_in(self, lab_id: str) -> int | None:
        """Returns how many steps of a lab may be begun; None for all."""
        return self.open_steps if self.lab == lab_id else None


def message_text(text: str) -> str:
    """Returns a message as it is stored: without control characters, in one paragraph.

    Raises:
        InputError: it is empty or too long.
    """
    message = plain(" ".join(text.split()), 2 * LONGEST_MESSAGE)
    if not message:
        raise InputError("the message is empty", todo="Write what the student is to read")
    if len(message) > LONGEST_MESSAGE:
        raise InputError(
            f"the message has more than {LONGEST_MESSAGE} characters", todo="Say it in fewer words, or twice"
        )
    return message


def to_json(news: News) -> dict[str, Any]:
    """Returns the news as they are stored and sent."""
    return {"format": FORMAT, **asdict(news)}


def parse(content: bytes) -> News:
    """Reads the news from a file or a response and makes them harmless to show.

    Raises:
        InputError: they cannot be read.
    """
    try:
        if len(content) > LARGEST:
            raise ValueError
        data = json.loads(content)
        if data["format"] != FORMAT:
            raise ValueError
        return News(
            class_name=plain(str(data["class_name"])[:80], 80),
            messages=tuple(
                Message(
                    number=int(one["number"]),
                    text=plain(str(one["text"])[:LONGEST_MESSAGE], LONGEST_MESSAGE),
                    at=_finite(one["at"]),
                )
                for one in data["messages"][-MOST_MESSAGES:]
            ),
            lab=plain(str(data["lab"])[:80], 80),
            open_steps=int(data["open_steps"]),
            clock_until=_finite(data["clock_until"]),
            read_at=_finite(data["read_at"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError("this is no news of a class") from error


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number
