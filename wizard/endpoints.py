"""Compares host names, addresses and host:port like DNS and TCP do, not as texts.

Pure functions that resolve no names: the result would depend on the host that uses the name.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_KEPT = 1 << 16
"""Size of the caches: a plan compares each target with each server."""

PORTS = {"http": 80, "https": 443}
"""The default port of each scheme."""

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
    """The canonical spelling of a host: lower case, no trailing dot, no brackets, addresses in their shortest form.

    An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) becomes the IPv4 address: both lead to the same socket.
    """
    bare = host.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    address = parse_address(bare)
    return str(address) if address is not None else bare.removesuffix(".").lower()


@lru_cache(_KEPT)
def parse_address(host: str) -> Address | None:
    """Parses an IP address; None if the text is a name."""
    try:
        address = ipaddress.ip_address(host.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_address(host: str) -> bool:
    """Whether a text is an IP address and not a name."""
    return parse_address(host) is not None


@lru_cache(_KEPT)
def split(address: str, scheme: str = "") -> tuple[str, int]:
    """(canonical host, port) of `host:port`; without a port, the default port of the scheme, or 0."""
    text = address.strip()
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in host or host.endswith("]")):
        return canonical(host), int(port)
    return canonical(host if colon and not port else text), PORTS.get(scheme.lower(), 0)


def join_host_port(host: str, port: int) -> str:
    """host:port in canonical spelling, with an IPv6 address in brackets."""
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
    """Whether an address is 0.0.0.0 or ::, which means all addresses for a listener, and this machine for a client."""
    address = parse_address(host)
    return address is not None and address.is_unspecified
