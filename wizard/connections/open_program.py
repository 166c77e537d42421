"""A program of this machine that stays open, with both its outputs in one: a `remote.Stream`."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from wizard.connections.remote_shell import gone
from wizard.connections.subprocess_runner import environment
from wizard.errors import HostError

_ENDS = 3.0
"""Seconds that it has to end by itself once its input ends."""


class OpenProgram:
    """A running program and its pipes.

    Args:
        host: what messages call the machine.
        argv: program and arguments; looked up on PATH and in the usual system folders.
        keep_terminal: see `process.run_bounded`.

    Raises:
        HostError: it is not there, or cannot be run.
    """

    def __init__(self, host: str, argv: Sequence[str], *, keep_terminal: bool = False) -> None:
        self._host = host
        try:
            self._child = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(),
                bufsize=0,
                start_new_session=not keep_terminal,
                process_group=0 if keep_terminal else None,
            )
        except OSError as problem:
            missing = isinstance(problem, FileNotFoundError)
            why = "not found" if missing else str(problem.strerror)
            raise HostError(f"{argv[0]}: {why}", where=host, todo=f"Install {argv[0]} here.") from None
        assert self._child.stdin
        assert self._child.stdout
        self._in, self._out = self._child.stdin, self._child.stdout
        self._closing = threading.Lock()
        os.set_blocking(self._in.fileno(), False)

    def send(self, data: memoryview) -> int:
        """See `remote.Stream.send`."""
        try:
            if not _ready(self._in, select.POLLOUT, 0.2):
                return 0
            return os.write(self._in.fileno(), data[:65536])
        except BlockingIOError:
            return 0
        except (OSError, ValueError):  # its end, or closed by another thread
            raise gone(self._host) from None

    def receive(self, seconds: float) -> bytes | None:
        """See `remote.Stream.receive`."""
        try:
            if not _ready(self._out, select.POLLIN, seconds):
                return None
            return os.read(self._out.fileno(), 65536)
        except (OSError, ValueError):
            raise gone(self._host) from None

    def close(self) -> None:
        """Ends it; safe to call twice. What runs as root by way of sudo ends with its input."""
        with self._closing:
            with suppress(OSError):
                self._in.close()
            if self._child.returncode is None:
                try:
                    self._child.wait(_ENDS)
                except subprocess.TimeoutExpired:
                    with suppress(OSError):
                        self._child.kill()
                    with suppress(subprocess.TimeoutExpired):
                        self._child.wait(_ENDS)
            self._out.close()


def _ready(pipe: IO[bytes], event: int, seconds: float) -> bool:
    waiting = select.poll()  # select() knows no numbers from 1024 on
    waiting.register(pipe, event)
    return bool(waiting.poll(max(seconds, 0.0) * 1000))
