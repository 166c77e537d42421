"""A host of the practice stack: a folder and a loopback address of this machine, used like a real host.

Promises: paths are this machine's own absolute paths, so that a command which is shown works when typed.
"""

from __future__ import annotations

from pathlib import Path

from wizard.connections.local import LocalConnection


class PracticeConnection(LocalConnection):
    """This machine's files under the name of a practice host.

    Args:
        name: e.g. srv1; it resolves nowhere, targets use the address.
        folder: absolute path of the host's folder; its services lie below it.
        address: the loopback address that its services listen on, or ''.
    """

    def __init__(self, name: str, folder: Path | str, *, address: str = "") -> None:
        super().__init__(name, own=True)
        self.folder = str(folder)
        self._listens_at = address

    def host_names(self) -> tuple[str, ...]:
        """Addresses and names that the host answers to, best first: what its certificate must name."""
        return tuple(filter(None, (self._listens_at, self.name)))
