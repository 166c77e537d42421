"""The standard input and output of an SSH session, as a `base.Stream`."""

from __future__ import annotations

from contextlib import suppress

import paramiko

from wizard.connections.base import Connection, Stream
from wizard.connections.errors import connection_lost_error
from wizard.connections.ssh.login import time_limit

_PROBLEMS = (paramiko.SSHException, EOFError, OSError)
_SENDING = 0.2
"""Seconds that a write may wait for the other side to read."""
_SENT = 20.0
"""Seconds after which a blocked write ends the connection."""


class ChannelStream:
    """An SSH channel as a `base.Stream`."""

    def __init__(self, host: str, channel: paramiko.Channel) -> None:
        self._host = host
        self._channel = channel

    def send(self, data: memoryview) -> int:
        """See `base.Stream.send`."""
        self._channel.settimeout(_SENDING)
        try:
            sent = self._channel.send(bytes(data[:32768]))
        except TimeoutError:
            return 0
        except _PROBLEMS:
            raise connection_lost_error(self._host) from None
        if not sent:
            raise connection_lost_error(self._host)
        return sent

    def receive(self, seconds: float) -> bytes | None:
        """See `base.Stream.receive`."""
        self._channel.settimeout(max(seconds, 0.001))
        try:
            return self._channel.recv(65536)
        except TimeoutError:
            return None
        except _PROBLEMS:
            raise connection_lost_error(self._host) from None

    def close(self) -> None:
        """See `base.Stream.close`."""
        with suppress(*_PROBLEMS):
            self._channel.close()


class ProgramStream:
    """A program that replaced the shell of a connection, as a `base.Stream`."""

    def __init__(self, connection: Connection, stream: Stream, transport: paramiko.Transport | None) -> None:
        self._connection = connection
        self._stream = stream
        self._transport = transport

    def send(self, data: memoryview) -> int:
        """See `base.Stream.send`."""
        with time_limit(self._transport, _SENT):
            return self._stream.send(data)

    def receive(self, seconds: float) -> bytes | None:
        """See `base.Stream.receive`."""
        return self._stream.receive(seconds)

    def close(self) -> None:
        """See `base.Stream.close`."""
        self._connection.close()
