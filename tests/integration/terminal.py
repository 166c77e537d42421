"""A terminal (tmux) with a program in it, for tests that press keys and read the screen."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path

from tests.processes import run_program

PATIENCE = 150.0
"""Seconds for a text to appear; processors may be busy."""


class Terminal:
    """A program in a window of a tmux server of its own.

    Args:
        folder: for the server's socket.
        size: columns and rows.
        argv: the program.
        env: variables to add to those of this process.
    """

    def __init__(self, folder: Path, size: tuple[int, int], argv: list[str], env: dict[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self.keys = 0
        columns, rows = map(str, size)
        self._call("new-session", "-d", "-x", columns, "-y", rows, shlex.join(argv), env=os.environ | env)

    def _call(self, *words: str, env: dict[str, str] | None = None) -> str:
        ended = run_program([*self._tmux, *words], timeout=30, check=True, env=env)
        return ended.stdout

    def shown(self) -> str:
        """Returns the text in the window, with white space and borders as single blanks."""
        text = self._call("capture-pane", "-p")
        return " ".join(text.replace("│", " ").split())

    def until(self, *texts: str) -> str:
        """Waits until all these texts are in the window; returns its text."""
        deadline = time.monotonic() + PATIENCE
        while not all(text in (seen := self.shown()) for text in texts):
            assert time.monotonic() < deadline, f"{texts} never came; the window shows:\n{seen}"
            time.sleep(0.1)
        return seen

    def press(self, *keys: str) -> None:
        """Presses keys, by their tmux names, and counts them."""
        self.keys += len(keys)
        self._call("send-keys", *keys)

    def type(self, text: str) -> None:
        """Types a text without counting its keys: its length is the user's choice."""
        self._call("send-keys", "-l", text)

    def close(self) -> None:
        """Ends the window and its server."""
        subprocess.run([*self._tmux, "kill-server"], timeout=30, check=False, capture_output=True)
