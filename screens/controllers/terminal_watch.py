"""Ends the wizard when its terminal goes away, e.g. because an SSH session was cut: nobody could end it any more.

A run is stopped first, and what it has changed is rolled back. If that is killed as well, the journal shows an interrupted
run.
"""

from __future__ import annotations

import errno
import os
import signal
import termios
import threading
import time
from typing import TYPE_CHECKING, NoReturn

from wizard import terminal

if TYPE_CHECKING:
    from screens.controllers.run_controller import RunController

EVERY = 3.0
"""Seconds between two looks at the terminal, for a wizard that was started to ignore hang-ups."""


class TerminalWatch:
    """Notices the end of the terminal, from when it is made.

    Args:
        runs: what may be under way then.
    """

    def __init__(self, runs: RunController) -> None:
        self._runs = runs
        self._ends = False
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, lambda *_: self._end_without_terminal())
        # A thread of its own: what draws the screen waits for ever once nothing takes what it draws.
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._ends:
            time.sleep(EVERY)
            try:
                termios.tcgetattr(0)
            except termios.error as gone:
                if gone.args[0] == errno.EIO:
                    self._end_without_terminal()

    def _end_without_terminal(self) -> None:
        if self._ends:
            return
        self._ends = True
        terminal.let_go()
        threading.Thread(target=_end, args=(self._runs.abandon(),), daemon=True).start()


def _end(returned: threading.Event | None) -> NoReturn:
    if returned is not None:
        returned.wait()
    # As SIGHUP does, which ends a program where it stands.
    os._exit(128 + signal.SIGHUP)
