"""Ends the wizard when its terminal goes away, e.g. because an SSH session was cut: nobody could end it any more.

A run is stopped first, and what it has changed is rolled back. If that is killed as well, the journal shows an interrupted
run.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from screens.controllers.run_controller import RunController

EVERY = 3.0
"""Seconds between two looks at the terminal, for a wizard that was started to ignore hang-ups."""


class TerminalWatch:
    """Notices the end of the terminal.

    Args:
        runs: what may be under way then.
    """

    def __init__(self, runs: RunController) -> None:
        self._runs = runs
        self._ends = False
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, lambda *_: self._gone())

    def look(self) -> None:
        """Ends the wizard if the terminal is gone; to be called every now and then."""
        import termios

        try:
            termios.tcgetattr(0)
        except termios.error as gone:
            if gone.args[0] == errno.EIO:
                self._gone()

    def _gone(self) -> None:
        if self._ends:
            return
        self._ends = True
        returned = self._runs.abandon()
        if returned is None:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGHUP)
            return
        from wizard import terminal

        terminal.let_go()
        # A thread, for what draws the screen may be blocked by now, and the engine's thread is the one that counts.
        threading.Thread(target=_end, args=(returned,), daemon=True).start()


def _end(returned: threading.Event) -> NoReturn:
    returned.wait()
    os._exit(128 + signal.SIGHUP)
