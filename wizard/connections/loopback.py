"""Loopback addresses that nothing listens on yet, so that practice hosts can have the usual ports."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from zlib import crc32

_THIRDS = 240
"""How many 127.0.x.0 are tried, from 127.0.10.0 on."""


def is_free(address: str, port: int) -> bool:
    """Whether a server could listen there now, also when connections of an earlier one still linger."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError:
            return False
    # Where SO_REUSEADDR lets two share a port (macOS), the other one is found by calling it.
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex((address, port)) != 0


def choose(ports: Sequence[int], *, for_whom: str = "") -> tuple[tuple[str, int], ...]:
    """An address and port for each of `ports`: the first pair of neighbours in 127.0.10.0 and up that is free.

    The search begins at a place of its own for each `for_whom`, so that two stacks keep out of each other's way
    even while one of them is down.

    Where the usual ports are taken on every address (a server listens on all of them), or where the system
    has no address but 127.0.0.1 (macOS), other ports of the same ending are taken.
    """
    begin = crc32(for_whom.encode()) % _THIRDS if for_whom else 0
    for third in (10 + (begin + step) % _THIRDS for step in range(_THIRDS)):
        found = tuple((f"127.0.{third}.{last}", port) for last, port in enumerate(ports, start=1))
        if all(is_free(address, port) for address, port in found):
            return found
    chosen: list[tuple[str, int]] = []
    for last, port in enumerate(ports, start=1):
        own = f"127.0.10.{last}"
        address = own if _has(own) else "127.0.0.1"
        chosen.append((address, _first_free(address, _others(port), chosen)))
    return tuple(chosen)


def free_port(address: str, usual: int) -> int:
    """A port that is free at an address: the usual one, or another one of the same ending."""
    return _first_free(address, _others(usual), ())


def _others(port: int) -> Iterable[int]:
    return range(port, 65536, 1000)


def _first_free(address: str, ports: Iterable[int], taken: Sequence[tuple[str, int]]) -> int:
    for port in ports:
        if (address, port) not in taken and is_free(address, port):
            return port
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _has(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
