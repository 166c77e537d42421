"""This machine as a host, by what `become` says: directly, or every operation as root through `sudo -n`.

Promises: sudo never asks (it could not be answered here), and what runs as root is either the caller's own argv
or one of the fixed scripts of `file_scripts`.
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
    """This machine under a name.

    Args:
        become: '' for direct calls as the user one is, 'sudo' for every operation through `sudo -n`.
    """
    if become not in ("", "sudo"):
        raise HostError(
            f"become can be 'sudo' or empty, not {become!r}", where=name, todo="Correct the stack file."
        )
    # Root has no use for sudo, which is not even installed on many servers.
    return SudoConnection(name) if become and os.geteuid() != 0 else LocalConnection(name)


class SudoConnection(ShellConnection):
    """This machine's files and programs as root, one call of sudo for each operation."""

    is_local = True

    def host_names(self) -> tuple[str, ...]:
        """See `host_names.host_names`."""
        return host_names()

    def identity(self) -> tuple[str, str, bool]:
        """Root: whether sudo lets us is seen at the first operation."""
        return "root", "root", True

    def has_labels(self) -> bool:
        """See `ShellConnection.has_labels`."""
        return os.path.exists("/sys/fs/selinux/enforce")

    def run_bytes(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """Runs `argv` as root; HostError when sudo refuses or the time is over."""
        # Bounded there: from here, what has other rights cannot be ended.
        bounded = ["timeout", "--kill-after=2", f"{timeout:g}", *argv]
        ended = run_bounded(
            ["sudo", "-n", "--", *bounded], stdin=stdin, timeout=timeout + 5, limit=limit, keep_terminal=True
        )
        said = ended.stderr.decode("utf-8", "replace")
        if ended.code == 127 and said.startswith("sudo: not found"):
            raise HostError("sudo is not installed", where=self.name, todo="Run Firescreen as root.")
        if ended.code and (refusal := errors.from_sudo(said, host=self.name)):
            raise refusal
        self.refuse_late(argv, ended.code)
        return ended

    def open_program(self, argv: Sequence[str]) -> OpenProgram:
        """See `Connection.open_program`; what runs as root ends with its input."""
        return OpenProgram(self.name, ["sudo", "-n", "--", *argv], keep_terminal=True)

    def open_tunnel(self, place: str, seconds: float) -> socket.socket:
        """See `Connection.open_tunnel`."""
        return connect(place, seconds)

    def close(self) -> None:
        """Nothing stays open."""
