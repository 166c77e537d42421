"""What is left to do where the terminal is gone, as after an SSH session that was cut."""

from __future__ import annotations

import os
import stat


def let_go() -> None:
    """Has what is still printed go nowhere, and reading wait: each would fail, or return at once for ever, without end.

    Files and pipes, into which a shell may have redirected the output, are left as they are.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    silent, _ = os.pipe()
    for number, instead in ((0, silent), (1, nowhere), (2, nowhere)):
        try:
            if stat.S_ISCHR(os.fstat(number).st_mode):
                os.dup2(instead, number)
        except OSError:
            continue  # it was closed from the beginning
