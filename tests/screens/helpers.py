"""Helpers for the tests of the screens: wait for a text, and an engine whose answers a test chooses."""

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
"""How many times the screen is compared until it no longer changes; an animation never settles."""
_TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


def drawn(pilot: Pilot[Any]) -> str:
    """Returns the text on the screen, one line per row."""
    screen = pilot.app.screen
    lines = ["".join(segment.text for segment in strip) for strip in screen._compositor.render_strips()]
    return "\n".join(lines)


async def until(pilot: Pilot[Any], wanted: str | Callable[[], bool]) -> str:
    """Waits until a text is drawn, or a condition is true; fails with the screen's text after `PATIENCE` seconds.

    Returns the whole screen after it has settled: on a busy machine a part of it can be drawn before the
    rest.
    """
    deadline = time.monotonic() + PATIENCE

    def is_fulfilled(text: str) -> bool:
        return wanted in text if isinstance(wanted, str) else wanted()

    while True:
        await pilot.pause()
        text = drawn(pilot)
        if is_fulfilled(text):
            break
        assert time.monotonic() < deadline, f"{wanted!r} never came; the screen shows:\n{text}"
    unchanged = 0
    for _ in range(SETTLING):
        await pilot.pause()
        redrawn = drawn(pilot)
        if redrawn != text:
            if not is_fulfilled(redrawn):
                break
            unchanged, text = 0, redrawn
            continue
        unchanged += 1
        if unchanged >= 2 and text.strip():
            break
    return text


class QuietEngine:
    """An engine that finds nothing and changes nothing; a test overrides the methods that it is about."""

    def __init__(self) -> None:
        self.workspace = Workspace(Path("/nowhere/firescreen"))
        self.gate = threading.Event()
        self.cancelled: list[bool] = []

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """Returns an empty machine."""
        return Scan(stack=stack or Stack(hosts=(), components=()), facts=Facts({}), exposures=(), findings=())

    def dial(self, forward: Forward, seconds: float) -> socket.socket:
        """Fails: no port can be forwarded."""
        raise ConnectionRefusedError(f"{forward.host.name} in {seconds:g} s")

    def refuse_silent(self, plan: Plan) -> None:
        """Accepts every plan: all servers answer."""

    def interrupted_run(self) -> RunRecord | None:
        """Returns None: no run was interrupted."""
        return None

    def explain(self, text: str, stack: Stack | None = None) -> Diagnosis | None:
        """Diagnoses the text without asking any host."""
        return catalogue.diagnose(text)

    def history(self) -> tuple[RunRecord, ...]:
        """Returns no runs."""
        return ()

    def apply(
        self, plan: object, emit: Callable[[Event], None], cancel: threading.Event, **_: object
    ) -> Outcome:
        """Emits log lines until the run is cancelled or `gate` is set."""
        emit(Event(run="7", kind="started", total=2))
        while not self.gate.wait(0.01) and not cancel.is_set():
            emit(Event(run="7", kind="log", text="still at it"))
        self.cancelled.append(cancel.is_set())
        state = "cancelled" if cancel.is_set() else "proven"
        attempts: tuple[Attempt, ...] = ()
        emit(Event(run="7", kind="finished", state=state))
        return Outcome(run="7", state=cast("Any", state), attempts=attempts)


def engine(quiet: QuietEngine | None = None) -> Callable[[], Engine]:
    """Returns a builder of this engine for `make_app`."""
    instance = quiet or QuietEngine()
    return lambda: cast("Engine", instance)


def svg_text(svg: str) -> str:
    """Returns the text inside an SVG, to look for what must not be in it."""
    return html.unescape("".join(_TEXT.findall(svg))).replace("\xa0", " ")
