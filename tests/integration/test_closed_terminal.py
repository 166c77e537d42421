"""A terminal that closes during a run, as when an SSH session breaks: the run is rolled back without a user."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.command_line import firescreen
from tests.integration.snapshot import differences, snapshot
from wizard.practice import PracticeStack

MOST = 60.0
"""Seconds until a program has drawn, or has ended."""


class Terminal:
    """A program in a terminal of its own, which can be closed."""

    def __init__(self, *words: str, cache: Path, nohup: bool = False) -> None:
        self.pid, self._leader = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)
            environment = {**os.environ, "FIRESCREEN_CACHE": str(cache), "TERM": "xterm-256color"}
            os.execve(sys.executable, [sys.executable, "-m", "screens", *words], environment)
        self._drawn = b""

    def until(self, text: str) -> None:
        """Reads until the program has drawn a text since the previous call."""
        ends = time.monotonic() + MOST
        while text.encode() not in self._drawn:
            assert select.select([self._leader], [], [], ends - time.monotonic())[0], self._drawn[-3000:]
            self._drawn += os.read(self._leader, 65536)
        self._drawn = b""

    def press(self, keys: str) -> None:
        """Types keys."""
        os.write(self._leader, keys.encode())

    def cut(self) -> int:
        """Closes the terminal; returns the program's exit code."""
        os.close(self._leader)
        ends = time.monotonic() + MOST
        while time.monotonic() < ends:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("it never ended")


@pytest.mark.matrix
@pytest.mark.parametrize("front", ["command", "wizard", "wizard, nohup"])
def test_a_run_whose_terminal_closes_is_rolled_back(
    practice: PracticeStack, tmp_path: Path, cache: Path, front: str
) -> None:
    workspace = tmp_path / "workspace"
    before = snapshot(workspace)
    options = ["--workspace", str(workspace)]
    if front == "command":
        shown = Terminal(*options, "apply", "practice", "--yes", cache=cache)
        shown.until("[6/")
    else:
        shown = Terminal(*options, "--practice", cache=cache, nohup="nohup" in front)
        shown.until("bearer tokens")
        shown.press("s")
        shown.until("new level")
        shown.press("\x13")
        shown.until("written yet")
        shown.press("a")
        shown.until("Apply this plan?")
        shown.press("\r")
        shown.until("Stop")
    assert shown.cut() in (1, 128 + signal.SIGHUP)
    history = firescreen("--workspace", str(workspace), "history")
    assert "rolled back" in history.stdout and "interrupted" not in history.stdout, history.stdout
    assert differences(before, snapshot(workspace)) == []
    assert firescreen("--workspace", str(workspace), "recover").returncode == 0


def test_output_to_a_file_is_kept(tmp_path: Path) -> None:
    """Only the terminal is closed: a shell may have redirected the other streams."""
    output = tmp_path / "said"
    leader, follower = pty.openpty()
    code = "from wizard import terminal; import sys; terminal.let_go(); print('kept'); print('x', file=sys.stderr)"
    with output.open("w") as out:
        ended = subprocess.run(
            [sys.executable, "-c", code], stdin=follower, stdout=out, stderr=follower, check=True, timeout=60
        )
    os.close(follower)
    assert ended.returncode == 0 and output.read_text() == "kept\n"
    os.close(leader)
