"""Draws the README's pictures: the real wizard, headless, securing a real practice stack of its own.

Each picture is a screen that the keys of `WALK` lead to; a text that never appears is an error, so that a
picture can be neither empty nor outdated.
"""

from __future__ import annotations

import asyncio
import html
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from screens.app import make_app

if TYPE_CHECKING:
    from textual.pilot import Pilot

PICTURES = Path(__file__).resolve().parents[2] / "assets" / "pictures"
SIZE = (120, 36)
PATIENCE = 90.0

_FONT = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
_TAG = re.compile(r"<style>.*?</style>|<[^>]*>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of the walk: keys to press, the text to wait for, and the picture's name, if any."""

    keys: tuple[str, ...]
    text: str
    picture: str = ""
    until: str = ""
    """A key that is pressed again and again until the text is there: to a step, however many are before it."""


WALK = (
    Stop((), "Components of the practice stack"),
    Stop((), "components are unprotected"),
    Stop((), "Scraped by", "home"),
    Stop(("s",), "TLS + password", "choices"),
    Stop(("ctrl+s",), "Nothing has been written"),
    Stop((), "Switch Prometheus to https", until="n"),
    Stop(("2",), "unchanged lines", "plan"),
    Stop(("a",), "Apply this plan"),
    Stop(("enter",), "waiting until", "run"),
    Stop((), "Verify again", "verification"),
    Stop(("escape",), "TLS + password", "closed"),
    Stop(("l",), "about 25 min"),
    Stop(("down", "enter"), "Start this lab?"),
    Stop(("tab", "enter"), "About this lab"),
    Stop(("n",), "Hint", "lab"),
)


def drawn(pilot: Pilot[int]) -> tuple[str, str]:
    """Returns the screen as SVG, and its text."""
    # Without its web fonts, so that a viewer sends no requests for them.
    svg = _FONT.sub("", pilot.app.export_screenshot(title="firescreen"))
    return svg, html.unescape(_TAG.sub(" ", svg)).replace("\xa0", " ")


async def visit(pilot: Pilot[int], stop: Stop) -> None:
    """Presses the keys, waits for the text, keeps the picture."""
    await pilot.press(*stop.keys)
    deadline = time.monotonic() + PATIENCE
    svg, text = drawn(pilot)
    while stop.text not in text:
        if time.monotonic() > deadline:
            raise SystemExit(f"screenshots: '{stop.text}' never appeared; the screen shows:\n{text}")
        if stop.until:
            await pilot.press(stop.until)
        await pilot.pause(0.1)
        svg, text = drawn(pilot)
    if stop.picture:
        (PICTURES / f"{stop.picture}.svg").write_text(svg, encoding="utf-8")
        print(f"assets/pictures/{stop.picture}.svg")


async def walk(workspace: Path) -> None:
    """Plays the complete walk, on a practice stack that is removed afterwards."""
    app = make_app(practice=True, workspace=workspace)
    try:
        async with app.run_test(size=SIZE) as pilot:
            for stop in WALK:
                await visit(pilot, stop)
    finally:
        app.client.engine.practice_down()


def main() -> int:
    """Writes all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    # A short name that says nothing of this machine: it is in the pictures.
    folder = Path(tempfile.gettempdir()) / "firescreen"
    folder.mkdir(mode=0o700)
    try:
        asyncio.run(walk(folder))
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
