"""What the tests of the screens share: waiting for a text, and an engine that says what a test wants said."""

from __future__ import annotations

import html
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wizard.diagnostics import catalogue
from wizard.diagnostics.catalogue import Diagnosis
from wizard.engine import Outcome, Scan
from wizard.model import Attempt, Event, Facts, Forward, Plan, RunRecord, Stack
from wizard.workspace import Workspace

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from wizard.engine import Engine

PATIENCE = 60.0
SETTLING = 20
"""How many looks a screen gets until it stays the same; what moves by itself never does."""
_TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


def drawn(pilot: Pilot[Any]) -> str:
    """The text that stands on the screen, a line each."""
    screen = pilot.app.screen
    lines = ["".join(segment.text for segment in strip) for strip in screen._compositor.render_strips()]
    return "\n".join(lines)


async def until(pilot: Pilot[Any], wanted: str | Callable[[], bool]) -> str:
    """Waits until a text is drawn, or something is so; fails with the screen's text if it never is.

    What is returned is the whole screen: on a busy machine a part of it can be drawn before the rest.
    """
    deadline = time.monotonic() + PATIENCE

    def holds(text: str) -> bool:
        return wanted in text if isinstance(wanted, str) else wanted()

    while True:
        await pilot.pause()
        text = drawn(pilot)
        if holds(text):
            break
        assert time.monotonic() < deadline, f"{wanted!r} never came; the screen shows:\n{text}"
    same = 0
    for _ in range(SETTLING):
        await pilot.pause()
        later = drawn(pilot)
        if later != text:
            if not holds(later):
                break
            same, text = 0, later
            continue
        same += 1
        if same >= 2 and text.strip():
            break
    return text


class QuietEngine:
    """Finds nothing and changes nothing; a test overrides what it is about."""

    def __init__(self) -> None:
        self.workspace = Workspace(Path("/nowhere/firescreen"))
        self.gate = threading.Event()
        self.cancelled: list[bool] = []

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """An empty machine."""
        return Scan(stack=stack or Stack(hosts=(), components=()), facts=Facts({}), exposures=(), findings=())

    def dial(self, forward: Forward, seconds: float) -> socket.socket:
        """No other host leads anywhere."""
        raise ConnectionRefusedError(f"{forward.host.name} in {seconds:g} s")

    def refuse_silent(self, plan: Plan) -> None:
        """Everything answers."""

    def interrupted_run(self) -> RunRecord | None:
        """No run was cut off."""
        return None

    def explain(self, text: str, stack: Stack | None = None) -> Diagnosis | None:
        """By the text alone."""
        return catalogue.diagnose(text)

    def history(self) -> tuple[RunRecord, ...]:
        """None."""
        return ()

    def apply(
        self, plan: object, emit: Callable[[Event], None], cancel: threading.Event, **_: object
    ) -> Outcome:
        """Waits until it is stopped, or its gate opens."""
        emit(Event(run="7", kind="started", total=2))
        while not self.gate.wait(0.01) and not cancel.is_set():
            emit(Event(run="7", kind="log", text="still at it"))
        self.cancelled.append(cancel.is_set())
        state = "cancelled" if cancel.is_set() else "proven"
        attempts: tuple[Attempt, ...] = ()
        emit(Event(run="7", kind="finished", state=state))
        return Outcome(run="7", state=cast("Any", state), attempts=attempts)


def engine(quiet: QuietEngine | None = None) -> Callable[[], Engine]:
    """A builder for `make_app`."""
    one = quiet or QuietEngine()
    return lambda: cast("Engine", one)


def svg_text(svg: str) -> str:
    """The text of a picture, to look for what must not be in it."""
    return html.unescape("".join(_TEXT.findall(svg))).replace("\xa0", " ")
