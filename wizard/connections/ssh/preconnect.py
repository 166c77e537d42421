"""TCP connections to hosts that are opened while Paramiko is being imported: `ssh -G` and sshd use other processors.

Nothing is sent on such a connection; its error is raised when the connection is used.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from wizard.connections.ssh import config as sshconfig
from wizard.connections.ssh.config import Target
from wizard.errors import FirescreenError
from wizard.model import HostSpec

CONNECT = 10.0
"""Seconds for a TCP connection."""
UNCONFIRMED = 15.0
"""Seconds without acknowledgement after which a host counts as unreachable; by default Linux waits 15 minutes."""


def dial(target: Target) -> socket.socket:
    """Opens a TCP connection to a target.

    Raises:
        OSError: the connection fails. UnicodeError: the address is no valid name.
    """
    sock = socket.create_connection((target.address, target.port), timeout=CONNECT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: unacknowledged data ends the connection
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNCONFIRMED * 1000))
    return sock


class EarlyConnection:
    """Resolves a host in a thread and, unless there are jump hosts or a ProxyCommand, opens a connection to it.

    Args:
        spec: the host.
        config: a file to read in place of ~/.ssh/config and the system's.
    """

    def __init__(self, spec: HostSpec, *, config: Path | None = None) -> None:
        self._spec = spec
        self._config = config
        self._target: Target | None = None
        self._sock: socket.socket | None = None
        self._error: FirescreenError | None = None
        self._problem: OSError | UnicodeError | None = None
        self._thread = threading.Thread(target=self._dial, name=f"dial-{spec.name}", daemon=True)
        self._thread.start()

    def _dial(self) -> None:
        try:
            self._target = sshconfig.target(self._spec, config=self._config)
            if not self._target.jumps and not self._target.command:
                self._sock = dial(self._target)
        except FirescreenError as error:
            self._error = error
        except (OSError, UnicodeError) as problem:
            self._problem = problem

    def target(self) -> Target:
        """Returns the resolved target.

        Raises:
            FirescreenError: see `sshconfig.target`.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._target or sshconfig.target(self._spec, config=self._config)

    def connection(self) -> socket.socket | None:
        """Returns the connection, to the first caller; None if none was opened.

        Raises:
            OSError, UnicodeError: see `dial`.
        """
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        sock, self._sock = self._sock, None
        return sock
