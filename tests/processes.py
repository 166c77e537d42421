"""Programs that tests run to their end."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from os import PathLike
from typing import Any


def run_program(
    argv: Sequence[str | PathLike[str]] | str, *, timeout: float = 60, check: bool = False, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Runs a program and returns its exit code and texts; other arguments are those of `subprocess.run`."""
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=check, **more)
