"""Reads a program's version by running it, once for each file and modification time."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path

_VERSION = re.compile(r"(?:version[ =]v?|\Av?)(\d+\.\d+\.\d+[^\s,()]*)")


def version_of(path: Path | str, *, word: str = "--version") -> str:
    """The version that a program prints when called with `word`, e.g. 2.42.0+ds; '' if it prints none in time."""
    try:
        found = Path(path).stat()
    except OSError:
        return ""
    return _run(str(path), word, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=64)
def _run(path: str, word: str, _changed: int, _size: int) -> str:
    # Older versions print it on standard error, newer ones on standard output.
    try:
        ended = subprocess.run(
            [path, word],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.search(ended.stdout.decode("utf-8", "replace"))
    return match.group(1) if match else ""
