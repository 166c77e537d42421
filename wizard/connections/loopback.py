"""Finds loopback addresses with free ports, so that practice hosts can use the usual ports."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from zlib import crc32

_THIRDS = 240
"""How many networks 127.0.x.0 are tried, from 127.0.10.0 on."""


def is_free(address: str, port: int) -> bool:
    """Whether a server could listen there now, even if connections of an earlier server are not closed yet."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Without `listen`, which would refuse the port to a program that starts there at this moment.
        try:
            probe.bind((address, port))
        except OSError:
            return False
    # Where SO_REUSEADDR lets two servers share a port (macOS), connecting shows whether there is another one.
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex((address, port)) != 0


def choose(ports: Sequence[int], *, for_whom: str = "") -> tuple[tuple[str, int], ...]:
    """Chooses an address and a port for each of `ports`: the first run of free neighbours from 127.0.10.0 on.

    For each `for_whom` the search begins at another network, so that two stacks do not get the same addresses even
    while one of them is down.

    If the usual ports are taken on every address (because a server listens on all of them), or if 127.0.0.1 is the
    only loopback address of the system (macOS), other ports with the same last digits are used.
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
    """Finds a free port at an address: the usual one, or one with the same last digits."""
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
