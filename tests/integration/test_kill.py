"""After kill -9 at any instant everything is old and running, or new and verified, with no leftovers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from wizard import practice

ROOT = Path(__file__).parents[2]
WORKERS = 4
"""Trials mostly wait for Prometheus, so several stacks keep two processors busy."""

KILLS = int(os.environ.get("FIRESCREEN_KILLS", "12"))
"""Random instants in all; `make soak` asks for 200, `make matrix` for an eighth."""


@contextmanager
def stacks(folder: Path, cache: Path) -> Iterator[list[Path]]:
    """Starts practice stacks and yields their workspaces; removes them afterwards."""
    with ExitStack() as stack:
        found = []
        for number in range(WORKERS):
            workspace = folder / f"w{number}"
            stack.callback(practice.down, workspace, remove=True)
            practice.up(workspace, cache)
            found.append(workspace)
        yield found


def trials(workspaces: Sequence[Path], cache: Path, arguments: Sequence[Sequence[str]]) -> str:
    """Runs the trials in parallel; returns their output once all have succeeded."""
    running = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "tests/tools/kill_trials.py"), str(workspace), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "FIRESCREEN_CACHE": str(cache)},
        )
        for workspace, words in zip(workspaces, arguments, strict=True)
    ]
    outputs = [process.communicate(timeout=1200)[0] for process in running]
    for process, text in zip(running, outputs, strict=True):
        assert process.returncode == 0, text[-3000:]
    return "\n".join(outputs)


@pytest.mark.matrix
@pytest.mark.timeout(900)
def test_killed_after_each_line_of_the_journal(tmp_path: Path, cache: Path) -> None:
    with stacks(tmp_path, cache) as workspaces:
        shares = [["lines", "--share", f"{number + 1}/{WORKERS}"] for number in range(WORKERS)]
        outputs = trials(workspaces, cache, shares)
    assert outputs.count("killed, old") > 30
    assert outputs.count("each survived") == WORKERS


@pytest.mark.timeout(1800)
@pytest.mark.matrix
def test_killed_at_random_instants(tmp_path: Path, cache: Path) -> None:
    each = max(1, KILLS // WORKERS)
    with stacks(tmp_path, cache) as workspaces:
        outputs = trials(workspaces, cache, [["random", str(each)]] * WORKERS)
    assert outputs.count(", old") + outputs.count("then undone") >= each * WORKERS
    assert outputs.count("kills, each survived") == WORKERS
