"""Chooses the loopback address and port of each practice host; keeps present ones if possible."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from wizard.connections import loopback
from wizard.practice.record import BESIDE, FIRST, PracticeStack, host_ports


def choose(
    names: Sequence[str], before: PracticeStack | None, *, running: Collection[str], for_whom: str
) -> dict[str, tuple[str, int]]:
    """Returns address and port of each of these hosts, by name.

    Args:
        before: the present stack, whose hosts keep their addresses if they run or the address is free.
        running: names of its running hosts.
        for_whom: see `loopback.choose`.
    """
    places: dict[str, tuple[str, int]] = {}
    for host in before.hosts if before else ():
        if host.name in running or loopback.is_free(host.address, host.port):
            places[host.name] = (host.address, host.port)
    for name in names:
        if name not in places and (near := _near(places, name)):
            places[name] = near
    missing = [name for name in names if name not in places and name not in BESIDE]
    if missing:
        # Chosen for all possible hosts, so that a host that is added later still gets an address of its own.
        candidates = (
            _hosts_with_address()
            if len(names) > len(FIRST)
            else [name for name in names if name not in BESIDE]
        )
        chosen = loopback.choose([host_ports()[name][1] for name in candidates], for_whom=for_whom)
        places |= {name: place for name, place in zip(candidates, chosen, strict=True) if name in missing}
    for name in BESIDE.keys() & set(names):
        address, usual = places[BESIDE[name]][0], host_ports()[name][1]
        if places.get(name, ("", 0))[0] != address:
            places[name] = (address, loopback.free_port(address, usual))
    return places


def _hosts_with_address() -> list[str]:
    """The hosts with an address of their own, in the order of their addresses."""
    return [name for name in host_ports() if name not in BESIDE]


def _near(places: Mapping[str, tuple[str, int]], name: str) -> tuple[str, int] | None:
    """The address for a host that is added later: the one reserved for it in the stack's network; None if taken."""
    if name in BESIDE:
        return None
    networks = {address.rpartition(".")[0] for address, _ in places.values()}
    port = host_ports()[name][1]
    if len(networks) != 1 or "127.0.0" in networks:
        return None
    address = f"{networks.pop()}.{_hosts_with_address().index(name) + 1}"
    taken = any(address == other for other, _ in places.values())
    return (address, port) if not taken and loopback.is_free(address, port) else None
