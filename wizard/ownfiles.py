"""Writes Firescreen's own files atomically, and never with more permissions than their final mode."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def create(path: Path, content: str | bytes, mode: int = 0o600, *, durable: bool = False) -> None:
    """Writes a new file; its folder must exist.

    Args:
        durable: whether the file is on the disk (fsync) when this returns.

    Raises:
        FileExistsError: the file exists and is not changed. OSError: it cannot be written and is removed again.
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
    """Replaces (or creates) a file atomically; its folder must exist.

    Args:
        durable: whether the content is on the disk (fsync) before it replaces the old file.

    Raises:
        OSError: the file cannot be written; the old one is unchanged.
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
    """Writes a folder's entries to the disk (fsync)."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
