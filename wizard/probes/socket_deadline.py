"""TCP connections with one deadline for all operations, however slowly the server sends.

All waits of a probe use the same `Clock`; every network error becomes an `RequestError`.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from wizard.model import Forward

Dial: TypeAlias = Callable[[Forward, float], socket.socket]
"""(a forward, time limit in seconds) -> a socket connected to the forward's destination; raises OSError."""

TIMEOUT: Final = "context deadline exceeded"
"""The reason of a request that was not answered in time, in Go's words."""
_SLICE: Final = 0.1
_CHUNK: Final = 65536
_Address: TypeAlias = tuple[socket.AddressFamily, Any]

_WORDS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by peer",
    errno.EPIPE: "broken pipe",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ETIMEDOUT: "connection timed out",
}


class RequestError(Exception):
    """A request ended without a complete response; `outcome` and `reason` as in `model.Attempt`."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class Clock:
    """The deadline of one probe, and its cancellation."""

    def __init__(self, seconds: float, cancel: threading.Event | None) -> None:
        self._cancel = cancel
        self._end = time.monotonic() + max(0.05, seconds)

    def seconds_left(self) -> float:
        """The seconds until the deadline, always more than zero.

        Raises:
            RequestError: the deadline has passed, or the probe was cancelled.
        """
        if self._cancel is not None and self._cancel.is_set():
            raise RequestError("error", "context canceled")
        left = self._end - time.monotonic()
        if left <= 0:
            raise RequestError("error", TIMEOUT)
        return left

    def ready(self, sock: socket.socket, event: int, limit: float = float("inf")) -> bool:
        """Waits until `sock` is ready for `event` (select.POLLIN or POLLOUT); False after `limit` seconds.

        Raises:
            RequestError: the deadline has passed, or the probe was cancelled.
        """
        until = time.monotonic() + limit
        # poll() and not epoll: it needs no file descriptor, and a probe waits a dozen times.
        poll = select.poll()
        poll.register(sock, event)
        while True:
            wait = min(self.seconds_left(), _SLICE, max(0.0, until - time.monotonic()))
            if poll.poll(wait * 1000):
                return True
            if time.monotonic() >= until:
                return False


class Wire:
    """One connection. A write error is only reported after reading, so that a response sent before it is not lost."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._sock = sock
        self._clock = clock
        self._broken = ""

    def send(self, data: bytes) -> None:
        """Sends all data, or as much as possible before the server closes the connection."""
        view = memoryview(data)
        while view and not self._broken:
            self._clock.seconds_left()
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                self._clock.ready(self._sock, select.POLLOUT)
            except OSError as error:
                self._broken = f"write: {words(error)}"

    def receive(self) -> bytes:
        """The next bytes; b'' at the end.

        Raises:
            RequestError: the connection broke, or the deadline has passed.
        """
        while True:
            self._clock.ready(self._sock, select.POLLIN)
            try:
                data = self._sock.recv(_CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise RequestError("error", self._broken or f"read: {words(error)}") from error
            if not data and self._broken:
                raise RequestError("error", self._broken)
            return data

    def readable(self, limit: float) -> bool:
        """Whether data arrives within `limit` seconds."""
        return self._clock.ready(self._sock, select.POLLIN, limit)

    def close(self) -> None:
        """Closes the socket."""
        self._sock.close()


def connect(host: str, port: int, clock: Clock) -> Wire:
    """Connects to the first address of `host` that accepts.

    Raises:
        RequestError: no such host, connection refused, unreachable, or the deadline has passed.
    """
    addresses = resolve(host, port, clock)
    failure = RequestError("error", f"dial tcp: lookup {host}: no such host")
    for index, (family, address) in enumerate(addresses):
        # Like Go: an address that does not answer must not use up the time for the next ones.
        share = clock.seconds_left() / (len(addresses) - index)
        shown = f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"
        try:
            return Wire(_dial(family, address, clock, share), clock)
        except TimeoutError:
            failure = RequestError("error", f"dial tcp {shown}: i/o timeout")
        except OSError as error:
            failure = RequestError("error", f"dial tcp {shown}: connect: {words(error)}")
    raise failure


def connect_by(forward: Forward, dial: Dial | None, clock: Clock) -> Wire:
    """Connects through another host.

    Raises:
        RequestError: there is no connection to that host, or it cannot reach the destination.
    """
    if dial is None:
        raise RequestError("error", f"dial tcp {forward.place}: only {forward.host.name} reaches it")
    try:
        sock = dial(forward, clock.seconds_left())
    except TimeoutError:
        raise RequestError("error", f"dial tcp {forward.place}: i/o timeout") from None
    except OSError as error:
        raise RequestError("error", f"dial tcp {forward.place}: connect: {words(error)}") from error
    sock.setblocking(False)
    return Wire(sock, clock)


def resolve(host: str, port: int, clock: Clock) -> list[_Address]:
    """Resolves `host` to at most eight addresses.

    The system's resolver has no time limit, so it runs in a thread that is abandoned at the deadline.

    Raises:
        RequestError: no such host, or the deadline has passed.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _look_up(host, port, clock)
    if address.version == 4:
        return [(socket.AF_INET, (host, port))]
    return _addresses(host, port, socket.AI_NUMERICHOST)


def words(error: OSError) -> str:
    """Go's text for an error of the operating system."""
    if error.errno is None:
        return str(error)
    return _WORDS.get(error.errno, os.strerror(error.errno).lower())


def _look_up(host: str, port: int, clock: Clock) -> list[_Address]:
    found: list[_Address] = []
    done = threading.Event()

    def ask() -> None:
        try:
            found.extend(_addresses(host, port, 0))
        except RequestError:
            pass
        finally:
            done.set()

    threading.Thread(target=ask, name="firescreen-resolver", daemon=True).start()
    while not done.wait(min(clock.seconds_left(), _SLICE)):
        clock.seconds_left()
    if not found:
        raise RequestError("error", f"dial tcp: lookup {host}: no such host")
    return list(found)


def _addresses(host: str, port: int, flags: int) -> list[_Address]:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError, OverflowError, ValueError) as error:
        raise RequestError("error", f"dial tcp: lookup {host}: no such host") from error
    return [(row[0], row[4]) for row in rows[:8]]


def _dial(family: socket.AddressFamily, address: Any, clock: Clock, share: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            raise OSError(code, os.strerror(code))
        if not clock.ready(sock, select.POLLOUT, share):
            raise TimeoutError
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock
