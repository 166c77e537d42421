"""How this machine connects to a service of another one: directly, or through its host's SSH connection."""

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
"""Seconds for a server to take a connection: a firewall that drops packets gives no answer."""
_FORWARDED = 5.0
_ENCLOSED = "it listens on its own machine's loopback"


@dataclass(frozen=True, slots=True)
class Way:
    """How a machine is reached.

    address: by which its services are asked from here. holder: the host whose SSH connection leads to it: its own, or
    of an instance that of the machine that holds it; None where there is none. behind: whether it is reached by way of
    others, so that its address may mean another machine here.
    """

    address: str
    holder: HostSpec | None
    inside: bool
    behind: bool


def seen_from_here(service: Service, way: Way, dial: Callable[[Forward, float], socket.socket]) -> Service:
    """A service with the address by which this machine reaches it, from the one that its own machine uses.

    What can be asked directly is; what cannot, or might be mistaken for another machine's, goes by SSH.
    """
    # Of several addresses, one that others reach; its sockets count before its flags.
    open_to_all = next((each for each in service.sockets if not sockets.is_enclosed((each,))), "")
    if open_to_all and _is_enclosed(service.flag("web.listen-address")):
        service = replace(service, listen=sockets.client_address(open_to_all))
    host, _, port = service.listen.rpartition(":")
    enclosed = not open_to_all if service.sockets else _is_enclosed(service.flag("web.listen-address"))
    if service.container is not None and not service.container.is_reachable:
        enclosed = True  # a network of containers is its own host's
    # What is reached by a loopback address itself is this machine, or forwarded by other means.
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
            return found  # nobody reaches it: the probe will find that it is down
    return replace(found, forward=forward)


def _is_enclosed(address: str) -> bool:
    return endpoints.is_loopback(address.rpartition(":")[0].strip("[]"))


def forward_to(facts: Facts, url: str) -> Forward | None:
    """How this machine connects to the server that a URL names, if that is one of a stack's that it cannot reach directly.

    A loopback address, and localhost, mean this machine.
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
    # Of what does not run, that is not known.
    return not service.active or probes.reaches(service.listen, _PATIENCE)


def bracket_ipv6(address: str) -> str:
    """An address in the form that a port can follow."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address
