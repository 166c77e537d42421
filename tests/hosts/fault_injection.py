"""Runs the command line with a fault at a chosen moment, in the process itself.

fault_injection.py kill 7 -- apply stack.yaml --yes      dies by SIGKILL once the journal has seven lines
fault_injection.py append PATH -- apply stack.yaml --yes   a comment is added to a file after the plan was shown
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from screens.__main__ import main
from wizard.engine.journal import Journal


def kill_after(count: int) -> None:
    """Makes this process die once that many lines of the journal are on the disk."""
    written = 0
    real = Journal._append

    def counted(self: Journal, line: Any, *, durable: bool = True) -> None:
        nonlocal written
        real(self, line, durable=durable)
        written += 1
        if written == count:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal._append = counted  # type: ignore[method-assign]


def kill_at_event(name: str) -> None:
    """Makes this process die once the daemon reports an event of a container, such as `create`."""
    words = ["docker", "events", "--filter", "type=container", "--filter", f"event={name}"]
    events = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def wait() -> None:
        if events.stdout is not None and events.stdout.readline():
            events.kill()
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def before_apply(happens: Callable[[], None]) -> None:
    """Calls `happens` between the plan and its apply, after all checks before the first change."""
    real = Journal.create

    def late(*words: Any, **more: Any) -> Journal:
        happens()
        return real(*words, **more)

    Journal.create = late  # type: ignore[method-assign]


def append(path: Path) -> None:
    """Adds a comment."""
    with path.open("a") as file:
        file.write("# mine\n")


def empty(path: Path) -> None:
    """Empties a file."""
    path.write_text("")


def fill(folder: Path) -> None:
    """Writes until the disk is full."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(1024)):
            pass


if __name__ == "__main__":
    kind, value, _, *words = sys.argv[1:]
    if kind == "kill":
        kill_after(int(value))
    elif kind == "event":
        kill_at_event(value)
    else:
        before_apply(partial({"append": append, "empty": empty, "fill": fill}[kind], Path(value)))
    sys.argv[1:] = words
    main()
