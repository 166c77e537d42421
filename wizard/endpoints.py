"""Host names, addresses and host:port, compared as DNS and TCP compare them; never as texts.

Pure, and asks no name server: what a name leads to is for the host to say that uses it.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_KEPT = 1 << 16
"""Texts whose reading is remembered: a plan compares each target with each server."""

PORTS = {"http": 80, "https": 443}
"""The port of a target that names none, by scheme."""

LOOPBACK_NAMES = (
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
)
"""The names that distributions give to a host's own loopback in /etc/hosts."""


@lru_cache(_KEPT)
def canonical(host: str) -> str:
    """One spelling for each host: lower case, no trailing dot, no brackets, addresses in their shortest form.

    An IPv4 address that is mapped into IPv6 (`::ffff:192.0.2.1`) is the IPv4 address: both lead to one socket.
    """
    bare = host.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    address = parse_address(bare)
    return str(address) if address is not None else bare.removesuffix(".").lower()


@lru_cache(_KEPT)
def parse_address(host: str) -> Address | None:
    """The address that a text is, or None if it is a name."""
    try:
        address = ipaddress.ip_address(host.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_address(host: str) -> bool:
    """Whether a text is an IP address and no name."""
    return parse_address(host) is not None


@lru_cache(_KEPT)
def split(address: str, scheme: str = "") -> tuple[str, int]:
    """Canonical host, and port, of `host:port`; without a port, that of the scheme (0 where it has none)."""
    text = address.strip()
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in host or host.endswith("]")):
        return canonical(host), int(port)
    return canonical(host if colon and not port else text), PORTS.get(scheme.lower(), 0)


def join_host_port(host: str, port: int) -> str:
    """host:port in one spelling, an IPv6 address in brackets."""
    name = canonical(host)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def is_same(one: str, other: str) -> bool:
    """Whether two texts `host:port` name the same host and port."""
    return split(one) == split(other)


@lru_cache(_KEPT)
def is_loopback(host: str) -> bool:
    """Whether a name or address means the machine that uses it: 127.0.0.0/8, ::1, localhost and its aliases."""
    address = parse_address(host)
    if address is not None:
        return address.is_loopback
    name = canonical(host)
    return name in LOOPBACK_NAMES or name.endswith(".localhost")


@lru_cache(_KEPT)
def is_wildcard(host: str) -> bool:
    """Whether it is 0.0.0.0 or ::, to listen on which is to listen everywhere; who connects to it gets to itself."""
    address = parse_address(host)
    return address is not None and address.is_unspecified
