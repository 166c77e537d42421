"""Connections that an SSH server makes for this machine (`direct-tcpip`, like `ssh -L`), as sockets.

They need no listening port on this machine, which other users of the machine could use, too.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from contextlib import suppress

import paramiko

from wizard.connections.errors import ForbiddenError

_CHUNK = 32768
_PROBLEMS = (paramiko.SSHException, EOFError, OSError)
_PROHIBITED = 1
"""The reason for refusing a channel (RFC 4254, 5.1) that means: administratively prohibited."""


def through(transport: paramiko.Transport, place: str, seconds: float) -> socket.socket:
    """Opens a socket to host:port, as the SSH server reaches it.

    Args:
        transport: must be logged in.
        place: e.g. 127.0.0.1:9100; IPv6 in brackets.
        seconds: time limit for the server's answer.

    Raises:
        ForbiddenError: its settings do not allow it. TimeoutError: it did not answer in time. OSError: it cannot
            connect (sshd gives no reason, so the error is ConnectionRefusedError), or the SSH connection is lost.
    """
    host, _, port = place.rpartition(":")
    try:
        channel = transport.open_channel(
            "direct-tcpip", (host.strip("[]"), int(port)), ("127.0.0.1", 0), timeout=seconds
        )
    except paramiko.ChannelException as refusal:
        if refusal.code == _PROHIBITED:
            raise ForbiddenError("its SSH server does not allow forwarding (AllowTcpForwarding)") from None
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)) from None
    except _PROBLEMS as problem:
        if transport.is_active():
            raise TimeoutError from None
        raise OSError("the SSH connection was lost") from problem
    ours, theirs = socket.socketpair()
    threading.Thread(target=_carry, args=(channel, ours), name=f"forward-{place}", daemon=True).start()
    return theirs


def _carry(channel: paramiko.Channel, ours: socket.socket) -> None:
    """Copies data in both directions until one end is closed."""

    def there() -> None:
        with suppress(*_PROBLEMS):
            while data := ours.recv(_CHUNK):
                channel.sendall(data)
        _close(channel)

    back = threading.Thread(target=there, name="forward", daemon=True)
    back.start()
    with suppress(*_PROBLEMS):
        while data := channel.recv(_CHUNK):
            ours.sendall(data)
    _close(channel)
    with suppress(OSError):
        ours.shutdown(socket.SHUT_RDWR)
    back.join()
    ours.close()


def _close(channel: paramiko.Channel) -> None:
    # It tells the SSH server, which raises an error where the connection has just been lost.
    with suppress(*_PROBLEMS):
        channel.close()
