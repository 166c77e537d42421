"""This machine as a host, according to `become`: directly, or with every operation as root through `sudo -n`.

sudo never asks for a password, since nobody could type it here. Only the caller's own argv and the fixed scripts of
`file_scripts` run as root.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from wizard.connections import errors
from wizard.connections.base import Connection
from wizard.connections.host_names import host_names
from wizard.connections.local import LocalConnection, connect
from wizard.connections.shell_connection import ShellConnection
from wizard.connections.subprocess_runner import LIMIT, Ended, OpenProgram, run_bounded
from wizard.errors import HostError


def open_local(name: str, *, become: str = "") -> Connection:
    """This machine as a host with that name.

    Args:
        become: '' for direct calls as the current user, 'sudo' for every operation through `sudo -n`.
    """
    if become not in ("", "sudo"):
        raise HostError(
            f"become can be 'sudo' or empty, not {become!r}", where=name, todo="Correct the stack file."
        )
    # Root needs no sudo, and many servers do not even have it.
    return SudoConnection(name) if become and os.geteuid() != 0 else LocalConnection(name)


class SudoConnection(ShellConnection):
    """This machine's files and programs as root, one call of sudo for each operation."""

    is_local = True

    def host_names(self) -> tuple[str, ...]:
        """See `host_names.host_names`."""
        return host_names()

    def identity(self) -> tuple[str, str, bool]:
        """Root; whether sudo permits it shows in the first operation."""
        return "root", "root", True

    def has_labels(self) -> bool:
        """See `ShellConnection.has_labels`."""
        return os.path.exists("/sys/fs/selinux/enforce")

    def run_bytes(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """Runs `argv` as root; HostError if sudo refuses or at a time-out."""
        # `timeout` runs as root too: this process cannot kill a program that has other rights.
        bounded = ["timeout", "--kill-after=2", f"{timeout:g}", *argv]
        ended = run_bounded(
            ["sudo", "-n", "--", *bounded], stdin=stdin, timeout=timeout + 5, limit=limit, keep_terminal=True
        )
        message = ended.stderr.decode("utf-8", "replace")
        if ended.code == 127 and message.startswith("sudo: not found"):
            raise HostError("sudo is not installed", where=self.name, todo="Run Firescreen as root.")
        if ended.code and (refusal := errors.from_sudo(message, host=self.name)):
            raise refusal
        self.refuse_late(argv, ended.code)
        return ended

    def open_program(self, argv: Sequence[str]) -> OpenProgram:
        """See `Connection.open_program`; a program that runs as root ends when its input ends."""
        return OpenProgram(self.name, ["sudo", "-n", "--", *argv], keep_terminal=True)

    def open_tunnel(self, place: str, seconds: float) -> socket.socket:
        """See `Connection.open_tunnel`."""
        return connect(place, seconds)

    def close(self) -> None:
        """Nothing stays open."""
