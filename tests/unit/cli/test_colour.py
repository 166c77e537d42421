"""Colour only repeats signs and words, on a terminal and without NO_COLOR; and the estimate of the remaining time."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest

from wizard.cli.output import colour_mark, estimate


@pytest.mark.parametrize(
    ("done", "seconds", "words"),
    [
        (0, 10.0, ""),
        (1, 1.0, ""),
        (10, 10.0, ", about 18 s left"),
        (28, 60.0, ""),
        (7, 60.0, ", about 3 min left"),
    ],
)
def test_an_estimate_is_shown_once_it_can_be_made(done: int, seconds: float, words: str) -> None:
    assert estimate(done, 28, seconds) == words


def test_the_text_of_a_line_is_the_same_without_colour() -> None:
    for line in ("✓ accepted", "✗ not accepted", "– excused", "nothing"):
        assert click.unstyle(colour_mark(line)) == line


@pytest.mark.parametrize(
    ("terminal", "settings", "colour"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_colour_is_used_on_terminals_only_and_not_with_no_color(
    terminal: bool, settings: dict[str, str], colour: bool, tmp_path: Path
) -> None:
    leader, follower = pty.openpty()
    environment = (
        {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"} | settings
    )
    argv = [sys.executable, "-m", "screens", "--workspace", str(tmp_path), "scan", "practice"]
    stream = follower if terminal else subprocess.PIPE
    ended = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=stream,
        env=environment,
        timeout=60,
        check=False,
    )
    os.close(follower)
    text = os.read(leader, 65536) if terminal else ended.stderr
    os.close(leader)
    assert ended.returncode == 2
    assert b"practice stack does not run" in text
    assert (b"\x1b[31m" in text) == colour


def test_a_dumb_terminal_gets_a_list_of_commands(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-m", "screens", "--workspace", str(tmp_path)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "dumb"},
        timeout=60,
        check=False,
    )
    os.close(follower)
    text = os.read(leader, 65536)
    os.close(leader)
    assert ended.returncode == 2
    assert b"TERM=dumb" in text
    assert b"--plain" in text
    assert b"\x1b" not in text
