"""Records the wizard as a user sees it: the real program in a terminal of its own, from nothing to a verified
exporter.

Writes `assets/pictures/wizard.cast` (asciicast v2, which asciinema plays) and `assets/pictures/wizard.svg`,
an animated picture for the README. Each key waits for a text on the screen: one that never appears is an
error.
"""

from __future__ import annotations

import fcntl
import html
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "assets" / "pictures"
COLUMNS, ROWS = 100, 30
PATIENCE = 120.0
READING = 2.5
"""Seconds for which a screen that is waited for is left to be read."""
LONGEST = 3.0
"""Seconds that nothing changes in the recording, at most."""
WALK = (
    ("Practise", "p"),
    ("2 of 2 components are unprotected", "s"),
    ("Password", "\x13"),
    ("Nothing has been written", "a"),
    ("Apply this plan", "\r"),
    ("Prometheus reports", "\x1b"),
    ("All components are secured", ""),
)
"""The text that is waited for, and the key that is pressed then."""
GROUND, TEXT = "#121212", "#e0e0e0"
WIDTH, HEIGHT, SIZE = 8.4, 18, 14
NAMED = {
    "black": "#000000",
    "red": "#cd3131",
    "green": "#0dbc79",
    "brown": "#e5e510",
    "blue": "#2472c8",
    "magenta": "#bc3fbc",
    "cyan": "#11a8cd",
    "white": "#e5e5e5",
}

Cell = tuple[str, str, str, bool]
"""A character, its colour, its ground, and whether it is bold."""
Frame = tuple[tuple[Cell, ...], ...]


@dataclass(slots=True)
class Recording:
    """The output and the screens, by seconds since the start."""

    printed: list[tuple[float, str]] = field(default_factory=list)
    frames: list[tuple[float, Frame]] = field(default_factory=list)


def record() -> Recording:
    """Plays `WALK` in a new terminal with an empty home.

    Raises:
        SystemExit: a text never appeared.
    """
    made = Recording()
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    with tempfile.TemporaryDirectory(prefix="firescreen-recording-") as home:
        environment = os.environ | {"HOME": home, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        child, terminal = pty.fork()
        if child == 0:
            os.execve(sys.executable, [sys.executable, "-m", "screens"], environment)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        try:
            _play(made, screen, stream, terminal)
        finally:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
            os.close(terminal)
            ends = [sys.executable, "-m", "wizard.cli", "practice", "down"]
            subprocess.run(ends, env=environment, stdout=subprocess.DEVNULL, timeout=60, check=True)
    return made


def _play(made: Recording, screen: pyte.Screen, stream: pyte.ByteStream, terminal: int) -> None:
    begun = time.monotonic()
    for text, key in WALK:
        deadline = time.monotonic() + PATIENCE
        shown_at = 0.0
        while not shown_at or time.monotonic() < shown_at + READING:
            _read(made, screen, stream, terminal, begun)
            if not shown_at and text in " ".join(" ".join(screen.display).split()):
                shown_at = time.monotonic()
            if not shown_at and time.monotonic() > deadline:
                raise SystemExit(f"never on the screen: {text}\n" + "\n".join(screen.display))
        if key:
            os.write(terminal, key.encode())


def _read(made: Recording, screen: pyte.Screen, stream: pyte.ByteStream, terminal: int, begun: float) -> None:
    if not select.select([terminal], [], [], 0.1)[0]:
        return
    data = os.read(terminal, 65536)
    now = time.monotonic() - begun
    stream.feed(data)
    made.printed.append((now, data.decode("utf-8", "replace")))
    frame = tuple(
        tuple(_cell(screen.buffer[row][column]) for column in range(COLUMNS)) for row in range(ROWS)
    )
    if not made.frames or made.frames[-1][1] != frame:
        made.frames.append((now, frame))


def _cell(char: pyte.screens.Char) -> Cell:
    fg, bg = _colour(char.fg, TEXT), _colour(char.bg, GROUND)
    if char.reverse:
        fg, bg = bg, fg
    return char.data, fg, bg, char.bold


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return NAMED.get(name.removeprefix("bright"), f"#{name}")


def shortened(moments: list[float]) -> list[float]:
    """Returns the same moments with no pause longer than `LONGEST`."""
    result: list[float] = []
    now = before = 0.0
    for moment in moments:
        now += min(moment - before, LONGEST)
        before = moment
        result.append(now)
    return result


def cast(made: Recording) -> str:
    """Returns the recording as asciicast v2."""
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "Firescreen"}
    moments = shortened([moment for moment, _ in made.printed])
    rows = [[round(at, 3), "o", text] for at, (_, text) in zip(moments, made.printed, strict=True)]
    return "\n".join(json.dumps(each) for each in (header, *rows)) + "\n"


def svg(made: Recording) -> str:
    """Returns the frames as one animated picture without a script: each is shown in its part of an endless loop."""
    frames = list(_settled(made.frames))
    starts = shortened([moment for moment, _ in frames])
    whole = starts[-1] + LONGEST
    width, height = COLUMNS * WIDTH, ROWS * HEIGHT
    groups, rules = [], []
    for number, (start, (_, frame)) in enumerate(zip(starts, frames, strict=True)):
        end = starts[number + 1] if number + 1 < len(starts) else whole
        begin, stop = 100 * start / whole, 100 * end / whole
        before = "" if number == 0 else f"0%,{begin - 0.001:.3f}%{{visibility:hidden}}"
        after = "" if number + 1 == len(starts) else f"{stop:.3f}%,100%{{visibility:hidden}}"
        rules.append(
            f"@keyframes f{number}{{{before}{begin:.3f}%,{stop - 0.001:.3f}%{{visibility:visible}}{after}}}"
            f"#f{number}{{animation:f{number} {whole:.2f}s step-end infinite}}"
        )
        groups.append(f'<g id="f{number}">{"".join(_drawn(frame))}</g>')
    style = f"text{{font:{SIZE}px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width:g} {height:g}" role="img">'
        "<title>Firescreen: from nothing to a verified exporter</title>"
        f"<style>{style}{''.join(rules)}</style>"
        f'<rect width="100%" height="100%" rx="6" fill="{GROUND}"/>{"".join(groups)}</svg>\n'
    )


def _settled(frames: list[tuple[float, Frame]]) -> Iterator[tuple[float, Frame]]:
    """Returns the frames that were on the screen for a fifth of a second at least, and the last one."""
    for number, (moment, frame) in enumerate(frames):
        if number + 1 == len(frames) or frames[number + 1][0] - moment >= 0.2:
            yield moment, frame


def _drawn(frame: Frame) -> Iterator[str]:
    for row, cells in enumerate(frame):
        column = 0
        for (fg, bg, bold), group in groupby(cells, key=lambda cell: cell[1:]):
            text = "".join(cell[0] for cell in group)
            x, y, length = column * WIDTH, row * HEIGHT, len(text) * WIDTH
            column += len(text)
            if bg != GROUND:
                yield f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{HEIGHT}" fill="{bg}"/>'
            if text.strip():
                weight = ' font-weight="bold"' if bold else ""
                yield (
                    f'<text x="{x:.1f}" y="{y + 13}" textLength="{length:.1f}" fill="{fg}"{weight}>{html.escape(text)}</text>'
                )


def main() -> None:
    """Records, and writes both files."""
    made = record()
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / "wizard.cast").write_text(cast(made))
    (PICTURES / "wizard.svg").write_text(svg(made))
    print(f"{len(made.frames)} frames, {made.frames[-1][0]:.0f} s")


if __name__ == "__main__":
    main()
