"""Creates folders atomically, also with several processes at once and after a kill."""

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
"""Seconds to wait for another process that is fetching the same."""


def publish(folder: Path, fill: Callable[[Path], None]) -> None:
    """Makes `folder` by letting `fill` work on a temporary one beside it, then renaming that.

    A second process waits for the first and then finds the folder; what an interrupted one left is removed.

    Raises:
        ProgramUnavailableError: the cache cannot be written; and whatever `fill` raises, with nothing left behind.
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
    """Holds an exclusive lock on a file; the kernel lets go of it when its holder dies.

    Raises:
        ProgramUnavailableError: another process has held it for a quarter of an hour.
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
