"""Parses the TCP sockets that listen on a host, from `ss` or the kernel's own table. Pure: text in, addresses out."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Iterable, Mapping, Sequence

from wizard import endpoints

_KERNEL = re.compile(r"([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})")
_EVERYWHERE = ("*", "0.0.0.0", "[::]")  # noqa: S104 - compared with, not bound to


def listening_sockets(text: str) -> dict[str, str]:
    """address:port by the socket's inode.

    Args:
        text: the output of `ss -Hltne`, or lines of `ADDRESS:PORT ino:INODE` with the kernel's hexadecimal numbers.
            Addresses are as `ss` writes them: `*` if the socket accepts IPv4 and IPv6, `[::]` if only IPv6.
    """
    found = {}
    for line in text.splitlines():
        columns = line.split()
        inode = next((word[4:] for word in columns if word.startswith("ino:")), "")
        place = columns[0] if len(columns) == 2 else columns[3] if len(columns) > 3 else ""
        if inode and (address := _address(place)):
            found[inode] = address
    return found


def open_addresses(listening: Mapping[str, str], inodes: Iterable[str]) -> tuple[str, ...]:
    """The addresses of the sockets that a process has open, in the order of its descriptors."""
    return tuple(dict.fromkeys(listening[inode] for inode in inodes if inode in listening))


def client_address(address: str) -> str:
    """The address at which a client on the same host reaches a socket."""
    host, _, port = address.rpartition(":")
    if host == "[::]":
        return f"[::1]:{port}"
    return f"{'127.0.0.1' if host in _EVERYWHERE else host}:{port}"


def port(address: str) -> str:
    """The port of address:port."""
    return address.rpartition(":")[2]


def is_enclosed(addresses: Sequence[str]) -> bool:
    """Whether all of these sockets can only be reached from their own host; False if there are none."""
    return bool(addresses) and all(
        endpoints.is_loopback(address.rpartition(":")[0].strip("[]")) for address in addresses
    )


def _address(place: str) -> str:
    kernel = _KERNEL.fullmatch(place)
    if kernel is None:
        # 127.0.0.1%lo:9100 and [fe80::1]%eth0:9100 contain the interface.
        bare = re.sub(r"%[^:\]]*(?=\]?:\d+$)", "", place)
        return bare if re.fullmatch(r"(\S+):\d+", bare) else ""
    words = bytes.fromhex(kernel[1])
    if sys.byteorder == "little":
        words = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    address, number = ipaddress.ip_address(words), int(kernel[2], 16)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return f"{address.ipv4_mapped}:{number}"
        # The table does not say whether the socket accepts IPv4 too; Go opens its sockets so that they do.
        return f"*:{number}" if address.is_unspecified else f"[{address}]:{number}"
    return f"{address}:{number}"
