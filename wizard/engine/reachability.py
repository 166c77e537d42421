"""Finds out how this machine connects to a service on another host: directly, or through the host's SSH connection."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from wizard import endpoints, probes
from wizard.connections.errors import ForbiddenError
from wizard.model import Facts, Forward, HostSpec, Service
from wizard.service_managers import sockets

_PATIENCE = 2.0
"""Seconds for a server to accept a connection: with a firewall that drops packets, there is no answer at all."""
_FORWARDED = 5.0
_ENCLOSED = "it listens on its own machine's loopback"


@dataclass(frozen=True, slots=True)
class Way:
    """How a machine is reached."""

    address: str
    """The address of its services as seen from this machine."""
    holder: HostSpec | None
    """The host whose SSH connection leads to it: itself, or the host of an Incus instance; None without SSH."""
    inside: bool
    """Whether it is an Incus instance."""
    behind: bool
    """Whether it is reached through jump hosts, so that its address may mean another machine here."""


def seen_from_here(service: Service, way: Way, dial: Callable[[Forward, float], socket.socket]) -> Service:
    """The service with `listen`, `forward` or `out_of_reach` set to how this machine reaches it.

    A direct connection is preferred. SSH is used if that fails, or if the address may mean another machine here.

    Args:
        service: as discovered, with the address that its own host uses.
        dial: opens a connection through SSH within a number of seconds.
    """
    # Of several addresses, prefer one that other machines can connect to; sockets are more reliable than flags.
    open_to_all = next((each for each in service.sockets if not sockets.is_enclosed((each,))), "")
    if open_to_all and _is_enclosed(service.flag("web.listen-address")):
        service = replace(service, listen=sockets.client_address(open_to_all))
    host, _, port = service.listen.rpartition(":")
    enclosed = not open_to_all if service.sockets else _is_enclosed(service.flag("web.listen-address"))
    if service.container is not None and not service.container.is_reachable:
        enclosed = True  # a container network is only reachable from its own host
    # A host with a loopback address is this machine, or its ports are forwarded here by other means.
    near = not enclosed or endpoints.is_loopback(way.address)
    found = service
    if not host or (endpoints.is_loopback(host.strip("[]")) and not (enclosed and near)):
        found = replace(service, listen=f"{bracket_ipv6(way.address)}:{port}")
    if way.holder is None or (way.inside and enclosed):
        return found if near else replace(service, out_of_reach=_ENCLOSED)
    if near and not way.behind and _direct(found):
        return found
    forward = Forward(way.holder, found.listen if way.inside else service.listen)
    try:
        dial(forward, _FORWARDED).close()
    except ForbiddenError as error:
        if near and way.behind and _direct(found):
            return found
        why = _ENCLOSED if enclosed else "it takes no connection from here"
        return replace(found if near else service, out_of_reach=f"{why}, and {error}")
    except OSError:
        if near and not way.behind:
            return found  # unreachable both ways: the probe will report that it is down
    return replace(found, forward=forward)


def _is_enclosed(address: str) -> bool:
    return endpoints.is_loopback(address.rpartition(":")[0].strip("[]"))


def forward_to(facts: Facts, url: str) -> Forward | None:
    """The forward to the server that a URL names, if it belongs to the stack and is not reachable directly; else None.

    A loopback address or localhost means this machine.
    """
    try:
        target = urlsplit(url)
        name, port = target.hostname or "", target.port or (443 if target.scheme == "https" else 80)
    except ValueError:
        return None
    if endpoints.is_loopback(name):
        return None
    for known in facts.hosts.values():
        for service in known.services:
            host, _, own = service.listen.rpartition(":")
            names = (known.spec.name, known.spec.address, host.strip("[]"), *known.names)
            mine = endpoints.canonical(name) in map(endpoints.canonical, filter(None, names))
            if service.forward is not None and own == str(port) and mine:
                return service.forward
    return None


def _direct(service: Service) -> bool:
    # A service that does not run cannot be tested; it is assumed to be reachable directly.
    return not service.active or probes.reaches(service.listen, _PATIENCE)


def bracket_ipv6(address: str) -> str:
    """The address as it is written before `:port`: an IPv6 address in brackets."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address
