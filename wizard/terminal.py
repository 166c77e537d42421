"""Handles the loss of the terminal, e.g. after an SSH connection was lost."""

from __future__ import annotations

import os
import stat


def let_go() -> None:
    """Redirects output to /dev/null and input to a pipe that never returns.

    Without a terminal, writing would fail, and reading would return at once in an endless loop. Files and pipes, to
    which a shell may have redirected the output, are not changed.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    silent_pipe, _ = os.pipe()
    for number, replacement in ((0, silent_pipe), (1, null), (2, null)):
        try:
            if stat.S_ISCHR(os.fstat(number).st_mode):
                os.dup2(replacement, number)
        except OSError:
            continue  # it was closed from the beginning
