"""Tests of loopback_programs.py: a program is ready as soon as it logs so, however many lines it logs at once."""

from __future__ import annotations

import sys
import time

import pytest

from tests.integration.loopback_programs import running_program

BURST = (
    "import time\nprint('\\n'.join(f'line {n}' for n in range(200)) + '\\nready', flush=True)\ntime.sleep(60)"
)


def test_many_buffered_lines_are_read_without_delay() -> None:
    began = time.monotonic()
    with running_program([sys.executable, "-c", BURST], "ready") as lines:
        passed = time.monotonic() - began
    assert lines[:2] == ["line 0", "line 1"]
    assert passed < 20  # 200 lines would take 200 s if each waited for the next select()


def test_a_program_that_ends_before_it_is_ready_fails_with_its_log() -> None:
    with (
        pytest.raises(AssertionError, match="never said 'ready':\ngoodbye"),
        running_program([sys.executable, "-c", "print('goodbye')"], "ready"),
    ):
        pass
