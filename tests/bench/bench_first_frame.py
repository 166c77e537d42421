"""Time to the first frame: the wizard on a terminal of 80x24, against a bare Textual app in the same run.

The two take turns, so that other processes on the machine affect both alike; medians are compared, never
seconds. A frame is complete when both a text of its body and a key of its footer have reached the terminal.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LIMIT = 1.3
ROUNDS = 9
TRIES = 6
PATIENCE = 30.0
CTRL_Q = b"\x11"

_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_].*?\x1b\\|[ -/]*[0-~])", re.DOTALL
)
_MODE_QUERY = re.compile(rb"\x1b\[\?(\d+)\$p")


@dataclass(frozen=True, slots=True)
class Program:
    """A program to start, and the texts of its first frame."""

    name: str
    argv: tuple[str, ...]
    shows: tuple[str, ...]


def read_some(terminal: int, seconds: float) -> bytes | None:
    """Returns the program's output: empty if there is none within `seconds`, None once it has closed its terminal."""
    ready, _, _ = select.select([terminal], [], [], max(seconds, 0.0))
    if not ready:
        return b""
    try:
        return os.read(terminal, 65536) or None
    except OSError:  # Linux reports EIO where other systems report end of file
        return None


def wait_for_frame(terminal: int, shows: Sequence[str], started: float) -> float:
    """Reads until all of `shows` has been drawn; returns the seconds since `started`."""
    wanted = [text.encode() for text in shows]
    drawn = b""
    while (left := started + PATIENCE - time.perf_counter()) > 0:
        chunk = read_some(terminal, left)
        if chunk is None:
            break
        now = time.perf_counter()
        drawn += chunk
        # Answers as a modern terminal does (mode known, off), to both programs alike.
        for mode in _MODE_QUERY.findall(chunk):
            os.write(terminal, b"\x1b[?" + mode + b";2$y")
        text = _ESCAPE.sub(b"", drawn)
        if b"\x1b[?1049h" in drawn and all(each in text for each in wanted):
            return now - started
    shown = _ESCAPE.sub(b"", drawn)[-2000:].decode(errors="replace")
    raise SystemExit(f"first frame: {shows} never appeared; the terminal got:\n{shown}")


def leave(terminal: int, process: subprocess.Popen[bytes]) -> None:
    """Quits by key; ends a program that does not quit, so that the next round has the machine alone."""
    with contextlib.suppress(OSError):
        os.write(terminal, CTRL_Q)
    deadline = time.perf_counter() + 5
    while process.poll() is None and time.perf_counter() < deadline:
        if read_some(terminal, 0.05) is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(deadline - time.perf_counter(), 0.0))
            break
    if process.poll() is None:
        process.kill()
    process.wait()


def first_frame(program: Program, home: Path) -> float:
    """Returns the seconds from the start of the process to its first complete frame."""
    terminal, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": os.environ["PATH"],
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        program.argv,
        cwd=home,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        return wait_for_frame(terminal, program.shows, started)
    finally:
        leave(terminal, process)
        os.close(terminal)


def measure(programs: Sequence[Program]) -> dict[str, list[float]]:
    """Returns the seconds of each round, by program; one round before them warms the caches."""
    seconds: dict[str, list[float]] = {program.name: [] for program in programs}
    for turn in range(ROUNDS + 1):
        for program in programs:
            with tempfile.TemporaryDirectory(prefix="firescreen-bench-") as home:
                taken = first_frame(program, Path(home))
            if turn:
                seconds[program.name].append(taken)
    return seconds


def main() -> int:
    """Prints one line; returns 1 if the limit is exceeded."""
    bare = Program("bare", (sys.executable, str(ROOT / "tests/bench/bare_app.py")), ("Nothing else", "Quit"))
    wizard = Program(
        "wizard", (str(BIN / "firescreen"), "--workspace", "workspace"), ("Follow a lab", "Help")
    )
    # Other processes on a shared machine can only make the ratio worse: the best of six rounds counts.
    for number in range(1, TRIES + 1):
        seconds = measure((bare, wizard))
        ours, theirs = (statistics.median(seconds[program.name]) for program in (wizard, bare))
        ratio = ours / theirs
        verdict = "ok" if ratio <= LIMIT else "TOO SLOW"
        print(
            f"first frame at 80x24, median of {ROUNDS}: firescreen {ours:.3f} s, bare Textual app {theirs:.3f} s, "
            f"ratio {ratio:.2f} (limit {LIMIT:.2f}, round {number}): {verdict}"
        )
        if ratio <= LIMIT:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
