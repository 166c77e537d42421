"""Ends the wizard when its terminal closes, e.g. because an SSH session was cut: nobody could end it any more.

A run is stopped first, and its changes are rolled back. If the rollback is killed as well, the journal shows an
interrupted run.
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
"""Seconds between two checks of the terminal, for a wizard that was started to ignore hang-ups."""


class TerminalWatch:
    """Notices when the terminal closes; begins watching when it is created.

    Args:
        runs: stops the run that may be under way at that time.
    """

    def __init__(self, runs: RunController) -> None:
        self._runs = runs
        self._ends = False
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, lambda *_: self._end_without_terminal())
        # A separate thread, because the drawing thread blocks forever once nothing reads what it writes.
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
    # The same exit status as after SIGHUP, which ends a program immediately.
    os._exit(128 + signal.SIGHUP)
