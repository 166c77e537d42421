"""A host of the practice stack: a folder and a loopback address of this machine, used like a real host.

Paths are absolute paths of this machine, so that commands that Firescreen shows can be run as they are.
"""

from __future__ import annotations

from pathlib import Path

from wizard.connections.local import LocalConnection


class PracticeConnection(LocalConnection):
    """This machine's files, with the name of a practice host.

    Args:
        name: e.g. srv1; no resolver knows it, targets use the address.
        folder: absolute path of the host's folder; it contains the folders of its services.
        address: the loopback address on which its services listen, or ''.
    """

    def __init__(self, name: str, folder: Path | str, *, address: str = "") -> None:
        super().__init__(name, own=True)
        self.folder = str(folder)
        self._listens_at = address

    def host_names(self) -> tuple[str, ...]:
        """The host's addresses and names, best first: the names that its certificate needs."""
        return tuple(filter(None, (self._listens_at, self.name)))
