"""Firescreen's own files: written whole or not at all, and never more open than they end."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def create(path: Path, content: str | bytes, mode: int = 0o600, *, durable: bool = False) -> None:
    """Writes a new file; the folder must be there.

    Args:
        durable: whether it is on the disk when this returns.

    Raises:
        FileExistsError: there is one already, which stays. OSError: it cannot be written; nothing is left of it.
    """
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            os.fchmod(number, mode)
            if durable:
                file.flush()
                os.fsync(number)
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def replace(path: Path, content: str | bytes, mode: int = 0o600, *, durable: bool = False) -> None:
    """Puts `content` in place of what `path` names, in one step; the folder must be there.

    Args:
        durable: whether the content is on the disk before it takes its place.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    part = path.with_name(f".{path.name}.firescreen-{os.getpid()}")
    part.unlink(missing_ok=True)
    try:
        create(part, content, mode, durable=durable)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Puts a folder's own entries on the disk."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
