"""Fixed scripts of our own, asked of a host: by the shell that stays open there, where there is one.

A program is started under a bound, which costs the host five processes; a script of ours that is short costs it one.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from wizard.model import Completed, Connection


@runtime_checkable
class _Scripting(Protocol):
    """A connection with a shell that stays open."""

    def run_script(self, text: str, *arguments: str, timeout: float) -> Completed:
        """What `sh -c TEXT sh ARGUMENTS` does."""
        ...


def run(connection: Connection, text: str, *arguments: str, timeout: float = 30.0) -> Completed:
    """Runs a script that ends by itself; `$1` and so on are the arguments."""
    if isinstance(connection, _Scripting):
        return connection.run_script(text, *arguments, timeout=timeout)
    return connection.run(["sh", "-c", text, "sh", *arguments], timeout=timeout)
