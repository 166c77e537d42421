"""A terminal with a program that records what is drawn, cell by cell, and when a text appears: for the benchmarks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence

import pyte

PATIENCE = 60.0
_MODE_QUERY = re.compile(rb"\x1b\[\?(\d+)\$p")
_KEYBOARD = re.compile(rb"\x1b\[[<>=][0-9;]*u")
"""The kitty protocol, which pyte takes for a text."""

Holds = Callable[[str], bool]


class DrawnTerminal:
    """A program on a terminal of its own.

    Args:
        argv: the program.
        size: columns and rows.
        env: variables to add to those of this process.
    """

    def __init__(
        self, argv: Sequence[str], size: tuple[int, int] = (80, 24), env: dict[str, str] | None = None
    ) -> None:
        columns, rows = size
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._number, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        known = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        self._process = subprocess.Popen(
            argv,
            env={**os.environ, **known, **(env or {})},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    @property
    def shown(self) -> str:
        """Returns the text on the screen, one line per row."""
        return "\n".join(self._screen.display)

    @property
    def looks(self) -> tuple[tuple[object, ...], ...]:
        """Returns the screen with its colours, one line per row."""
        width, buffer = self._screen.columns, self._screen.buffer
        return tuple(
            tuple(buffer[row][column] for column in range(width)) for row in range(self._screen.lines)
        )

    def press(self, keys: bytes, condition: Holds, *, patience: float = PATIENCE) -> float:
        """Types keys; returns the seconds until the screen fulfils `holds`."""
        began = time.perf_counter()
        os.write(self._number, keys)
        return self._until(condition, began, patience)

    def until(self, condition: Holds | str, *, patience: float = PATIENCE) -> float:
        """Returns the seconds until a text is on the screen, or the screen fulfils a condition."""
        text = condition
        return self._until(
            (lambda shown: text in shown) if isinstance(text, str) else text, time.perf_counter(), patience
        )

    def _until(self, condition: Holds, began: float, patience: float) -> float:
        now = began
        while not condition(self.shown):
            if time.perf_counter() > began + patience:
                raise SystemExit(f"after {patience:.0f} s the terminal still shows:\n{self.shown}")
            now = self._read(0.5) or now
        return now - began

    def settle(self, seconds: float) -> None:
        """Reads until nothing has been drawn for so long, or for ten times as long at most."""
        end = time.perf_counter() + 10 * seconds
        while self._read(seconds) and time.perf_counter() < end:
            pass

    def _read(self, seconds: float) -> float:
        """Returns the time at which something was drawn; 0 if nothing was for so long."""
        if not select.select([self._number], [], [], seconds)[0]:
            return 0.0
        chunk = os.read(self._number, 1 << 20)
        now = time.perf_counter()
        for mode in _MODE_QUERY.findall(chunk):
            os.write(self._number, b"\x1b[?" + mode + b";2$y")
        self._stream.feed(_KEYBOARD.sub(b"", chunk))
        return now

    def close(self) -> None:
        """Ends the program."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._number)
