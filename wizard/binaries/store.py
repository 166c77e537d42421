"""Creates folders atomically, even if several processes do so at once or one is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.errors import ProgramUnavailableError

_PATIENCE = 900.0
"""Seconds to wait for another process that downloads the same program."""


def publish(folder: Path, fill: Callable[[Path], None]) -> None:
    """Creates `folder`: calls `fill` for a temporary folder beside it, then renames that.

    A second process waits for the first, and then finds the folder. Leftovers of an interrupted process are removed.

    Raises:
        ProgramUnavailableError: the cache cannot be written. Errors of `fill` are passed on; nothing is left behind.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(folder.parent / f".{folder.name}.lock"):
            if folder.is_dir():
                return
            for leftover in folder.parent.glob(f".{folder.name}.part-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.part-", dir=folder.parent))
            try:
                fill(part)
                part.chmod(0o755)
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as problem:
        raise ProgramUnavailableError(
            f"the cache cannot be written: {problem.strerror or problem}",
            where=str(folder),
            todo="Make room there, or name another folder with FIRESCREEN_CACHE.",
        ) from None


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file; the kernel releases it when the process dies.

    Raises:
        ProgramUnavailableError: another process has held the lock for a quarter of an hour.
    """
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _PATIENCE
    try:
        while not _is_taken(number):
            if time.monotonic() > deadline:
                raise ProgramUnavailableError(
                    "another process has been fetching the same program for too long",
                    where=str(path),
                    todo="End it, then try again.",
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(number)


def _is_taken(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
