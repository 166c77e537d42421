"""Time from a key to its drawing while an apply runs: the real wizard on a terminal of 80x24, a real stack.

`?` is pressed again and again: it builds a dialog over the running screen, the slowest reaction to a key
there. The yardstick is the same key when nothing runs any more: with an apply running, the median press may
take at most 1.5 times as long, in one of three rounds. The goal of 50 ms for the slowest press is printed
beside it and decides nothing: other processes on a shared machine affect it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from wizard import practice
from wizard.workspace import Workspace

BIN = Path(sys.executable).parent
GOAL = 0.050
LIMIT = 1.5
ROUNDS = 3
PATIENCE = 40.0
_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_].*?\x1b\\|[ -/]*[0-~])", re.DOTALL
)
_MODE_QUERY = re.compile(rb"\x1b\[\?(\d+)\$p")
HELP = b"The steps of the plan:"
HOME_HELP = b"This screen changes nothing"
"""A line of the first screen's help."""


class Terminal:
    """The wizard on a terminal of its own."""

    def __init__(self, workspace: Path) -> None:
        self._number, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._process = subprocess.Popen(
            [str(BIN / "firescreen"), "--workspace", str(workspace), "--practice"],
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def press(self, key: bytes, *shows: bytes, unless: bytes = b"\0") -> float:
        """Returns the seconds from the key until all of `shows` has been drawn after it; 0 if `unless` was."""
        drawn = b""
        started = time.perf_counter()
        if key:
            os.write(self._number, key)
        while time.perf_counter() < started + PATIENCE:
            ready, _, _ = select.select([self._number], [], [], 1.0)
            if not ready:
                continue
            chunk = os.read(self._number, 65536)
            now = time.perf_counter()
            drawn += chunk
            for mode in _MODE_QUERY.findall(chunk):
                os.write(self._number, b"\x1b[?" + mode + b";2$y")
            text = _ESCAPE.sub(b"", drawn)
            if all(each in text for each in shows):
                return now - started
            if unless in text:
                return 0.0
        shown = _ESCAPE.sub(b"", drawn)[-1500:].decode(errors="replace")
        raise SystemExit(f"key press: {shows!r} never appeared after {key!r}; the terminal got:\n{shown}")

    def settle(self, seconds: float) -> bytes:
        """Returns the drawn text until nothing has been drawn for `seconds`, or for five times as long at most."""
        drawn = b""
        end = time.perf_counter() + 5 * seconds
        while time.perf_counter() < end and select.select([self._number], [], [], seconds)[0]:
            drawn += os.read(self._number, 65536)
        return _ESCAPE.sub(b"", drawn)

    def back(self) -> bytes:
        """Closes the dialog; returns the drawn text. (A lone Escape is recognised only after a pause.)"""
        os.write(self._number, b"\x1b")
        return self.settle(0.15)

    def close(self) -> None:
        """Ends the wizard."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._number)


def one_round() -> tuple[list[float], list[float]]:
    """Returns the seconds of each press while the apply runs, and of as many when it is over."""
    with tempfile.TemporaryDirectory(prefix="firescreen-bench-") as folder:
        workspace = Workspace(Path(folder))
        workspace.ensure()
        practice.up(workspace.root, workspace.cache)
        terminal = Terminal(workspace.root)
        try:
            terminal.press(b"", b"Components of the practice stack", b"2 of 2")
            terminal.press(b"s", b"new level", b"Leave it empty")
            terminal.press(b"\x13", b"Nothing has been written yet")
            terminal.press(b"a", b"Apply this plan?")
            terminal.press(b"\r", b"Applying")  # the apply has begun
            busy: list[float] = []
            while len(busy) < 20:
                waited = terminal.press(b"?", HELP, unless=b"Each row is a client")
                if not waited:
                    break  # the run was over before the key was pressed
                busy.append(waited)
                if b"Clients and components" in terminal.back():
                    break
            else:
                terminal.press(b"", b"Clients and components")
            terminal.settle(0.5)
            for _ in range(2):  # from the verification, or from a dialog over it, back to the first screen
                terminal.back()
            idle = []
            for _ in busy:
                idle.append(terminal.press(b"?", HOME_HELP))
                terminal.back()
            return busy, idle
        finally:
            terminal.close()
            practice.down(workspace.root, remove=True)


def main() -> int:
    """Prints a line per round; returns 1 if the limit is exceeded in each."""
    held = False
    for number in range(ROUNDS):
        busy, idle = one_round()
        worst = max(busy)
        ratio = statistics.median(busy) / statistics.median(idle)
        over = "" if worst <= GOAL else ", NOT reached in this round"
        print(
            f"key press, round {number + 1}: while an apply runs median {statistics.median(busy) * 1000:.0f} ms, "
            f"worst {worst * 1000:.0f} ms (goal {GOAL * 1000:.0f} ms{over}); "
            f"idle median {statistics.median(idle) * 1000:.0f} ms, worst {max(idle) * 1000:.0f} ms; "
            f"ratio of the medians {ratio:.2f} (limit {LIMIT})\n"
            f"  presses: {' '.join(f'{seconds * 1000:.0f}' for seconds in busy)} ms"
        )
        held = held or ratio <= LIMIT
        if held and worst <= GOAL:
            break
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
