"""Only one process writes in a workspace; the lock of a killed process is taken over soon."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wizard import workspace
from wizard.errors import LockedError, WorkspaceError
from wizard.workspace import Workspace

HOLD = """
import subprocess, sys, time, os
from pathlib import Path
from wizard.workspace import Workspace
with Workspace(Path(sys.argv[1])).lock("an apply"):
    child = os.fork()  # as between fork and exec: it has the lock too
    if not child:
        time.sleep(float(sys.argv[2]))
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


def start_lock_holder(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """Starts a process that holds the lock, with a child that survives it for some seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_the_lock_of_a_running_process_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start_lock_holder(tmp_path, 0)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it is waited for"))
    try:
        with (
            pytest.raises(LockedError, match=rf"in use by an apply \(process {process.pid}\)"),
            Workspace(tmp_path).lock("another"),
        ):
            pass
    finally:
        kill(process)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raises the time limit: on a busy machine, a process of one second takes several."""
    monkeypatch.setattr(workspace, "_LAST_BREATH", 60.0)


@pytest.mark.usefixtures("patient")
def test_children_of_a_killed_process_are_awaited(tmp_path: Path) -> None:
    kill(start_lock_holder(tmp_path, 1.0))
    with Workspace(tmp_path).lock("a recover"):
        assert "a recover" in (tmp_path / "lock").read_text()


def test_the_wait_for_children_of_a_killed_process_times_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "_LAST_BREATH", 0.5)
    kill(start_lock_holder(tmp_path, 40.0))
    with pytest.raises(LockedError), Workspace(tmp_path).lock("a recover"):
        pass


@pytest.mark.usefixtures("patient")
def test_a_zombie_process_counts_as_dead(tmp_path: Path) -> None:
    process = start_lock_holder(tmp_path, 1.0)
    try:
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with Workspace(tmp_path).lock("a recover"):
            assert "a recover" in (tmp_path / "lock").read_text()
    finally:
        kill(process)


def test_a_process_that_rolls_back_is_awaited(tmp_path: Path) -> None:
    process = start_lock_holder(tmp_path, 0)
    (tmp_path / "lock").write_text(f"rolling back (process {process.pid})")
    ending = threading.Timer(0.5, kill, (process,))
    ending.start()
    with Workspace(tmp_path).lock("an apply"):
        ending.join()
        assert "an apply" in (tmp_path / "lock").read_text()


def test_the_lock_says_that_its_holder_rolls_back(tmp_path: Path) -> None:
    writer = Workspace(tmp_path)
    with writer.lock("an apply"):
        writer.note_rollback()
        assert (tmp_path / "lock").read_text() == f"rolling back (process {os.getpid()})"


@pytest.mark.parametrize(
    ("number", "what", "todo"),
    [
        (errno.ENOSPC, "the disk is full", "Make room there"),
        (errno.EROFS, "read-only file system", "Choose a folder that you may write to"),
    ],
)
def test_an_unwritable_workspace_is_refused_with_a_reason(
    number: int, what: str, todo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(WorkspaceError) as caught:
        Workspace(tmp_path / "new").ensure()
    assert caught.value.title == "The workspace cannot be written"
    assert what in caught.value.what
    assert todo in caught.value.todo
