"""Files and programs of this machine as root, by way of `sudo -n`, one call for each operation.

Promises: sudo never asks (it could not be answered here), and what runs as root is either the caller's own argv
or one of the fixed scripts of `shell`.
"""

from __future__ import annotations

from collections.abc import Sequence

from wizard.connections import errors
from wizard.connections.shell_files import ShellFiles
from wizard.connections.subprocess_runner import LIMIT, Ended, run_bounded
from wizard.errors import HostError


class SudoFiles(ShellFiles):
    """What `LocalConnection` does, through sudo. `host` is what messages call this machine."""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """Runs `argv` as root; HostError when sudo refuses or the time is over."""
        ended = run_bounded(
            ["sudo", "-n", "--", *self.bounded(argv, timeout)],
            stdin=stdin,
            timeout=timeout + 5,
            limit=limit,
            keep_terminal=True,
        )
        said = ended.stderr.decode("utf-8", "replace")
        if ended.code == 127 and said.startswith("sudo: not found"):
            raise HostError("sudo is not installed", where=self._host, todo="Run Firescreen as root.")
        if ended.code and (refusal := errors.from_sudo(said, host=self._host)):
            raise refusal
        self.refuse_late(argv, ended.code)
        return ended
