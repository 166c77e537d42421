"""A new user's walk in a real terminal (tmux), by keyboard alone: secured, verified, undone. It counts keys."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wizard import practice as practice_stack

pytestmark = pytest.mark.matrix

PATIENCE = 150.0
"""Seconds for a text to appear; processors may be busy."""
MOST_TO_FIRST, MOST_TO_WHOLE = 10, 14
"""Keys from the first frame to a verified exporter, and to the verified whole practice stack."""


class Terminal:
    """The wizard in a tmux window of its own server.

    Args:
        folder: for the server's socket.
        size: columns and rows.
        argv: the program.
        env: variables for it, beside those of this process.
    """

    def __init__(self, folder: Path, size: tuple[int, int], argv: list[str], env: dict[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self.keys = 0
        columns, rows = map(str, size)
        self._call("new-session", "-d", "-x", columns, "-y", rows, shlex.join(argv), env=os.environ | env)

    def _call(self, *words: str, env: dict[str, str] | None = None) -> str:
        ended = subprocess.run(
            [*self._tmux, *words], capture_output=True, text=True, timeout=30, check=True, env=env
        )
        return ended.stdout

    def shown(self) -> str:
        """The text in the window, white space and borders as single blanks."""
        text = self._call("capture-pane", "-p")
        return " ".join(text.replace("│", " ").split())

    def until(self, *texts: str) -> str:
        """Waits until all of these are in the window; what it shows then."""
        deadline = time.monotonic() + PATIENCE
        while not all(text in (seen := self.shown()) for text in texts):
            assert time.monotonic() < deadline, f"{texts} never came; the window shows:\n{seen}"
            time.sleep(0.1)
        return seen

    def press(self, *keys: str) -> None:
        """Presses keys, by their names in tmux; each counts."""
        self.keys += len(keys)
        self._call("send-keys", *keys)

    def close(self) -> None:
        """Ends the window and its server."""
        subprocess.run([*self._tmux, "kill-server"], timeout=30, check=False, capture_output=True)


@pytest.fixture(params=[(80, 24), (120, 40)], ids=["80x24", "120x40"])
def terminal(request: pytest.FixtureRequest, tmp_path: Path, cache: Path) -> Iterator[Terminal]:
    """The wizard in a new workspace; its practice stack ends with the test."""
    workspace = tmp_path / "workspace"
    argv = [sys.executable, "-m", "screens", "--workspace", str(workspace)]
    window = Terminal(
        tmp_path, request.param, argv, {"FIRESCREEN_CACHE": str(cache), "TERM": "xterm-256color"}
    )
    try:
        yield window
    finally:
        window.close()
        practice_stack.down(workspace, remove=True)


def secured(window: Terminal, practise: str) -> None:
    """From the first frame to a verified practice stack."""
    window.until("Practise")
    window.press(practise)
    window.until("components are unprotected")
    window.press("s")
    window.until("TLS + password", "Password")
    window.press("C-s")
    window.until("Nothing has been written yet")
    window.press("a")
    window.until("Apply this plan?")
    window.press("Enter")
    window.until("✓ verified")


def test_from_nothing_to_a_verified_exporter_and_back(terminal: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "workspace" / "practice"
    secured(terminal, "p")
    print(f"{terminal.keys} keys to the first verified exporter")
    assert terminal.keys <= MOST_TO_FIRST
    terminal.press("u")
    terminal.until("Undo this run?")
    terminal.press("Enter")
    terminal.until("Every file is as it was")
    web_configs = [path for path in folder.rglob("web.yml") if path.is_file()]
    assert web_configs == []


def test_from_nothing_to_the_whole_practice_stack_verified(terminal: Terminal) -> None:
    secured(terminal, "w")
    print(f"{terminal.keys} keys to the whole practice stack")
    assert terminal.keys <= MOST_TO_WHOLE
    terminal.press("Escape")
    terminal.until("All components are secured")
