"""The address at which a front door connects to a component, and the DNS name by which it verifies the component. Pure.

Both the proxy's configuration and the names in the component's certificate derive from it.
"""

from __future__ import annotations

import re

from wizard import endpoints
from wizard.errors import InputError
from wizard.front_doors import proxy
from wizard.model import DoorRoute, FrontDoor, HostFacts, Stack
from wizard.planner.server_facts import Server

_DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def asked_at(door: FrontDoor, route: DoorRoute, server: Server) -> str:
    """host:port at which the proxy connects to a component over TLS.

    Raises:
        InputError: no address is known that the proxy's host can reach and the proxy can verify.
    """
    if route.address:
        host, port = endpoints.split(route.address)
        return endpoints.join_host_port(host, port or server.port)
    reverse_proxy = proxy(door.proxy)
    by_name = reverse_proxy is not None and reverse_proxy.names_backends
    listens = endpoints.split(server.service.flag("web.listen-address"))[0]
    if not route.host:
        near = not listens or endpoints.is_wildcard(listens) or endpoints.is_loopback(listens)
        place = ("localhost" if by_name else "127.0.0.1") if near else listens
        return endpoints.join_host_port(place, server.port)
    place = _address(server.host)
    if not place:
        raise InputError(
            f"no address of {server.spec.host} is known at which the front door {door.name} could ask {route.to}",
            where=door.key,
            todo=f"Add it to the route: address: HOST:{server.port}",
        )
    if by_name and endpoints.parse_address(place) is not None:
        raise InputError(
            f"{server.spec.host} is known by its address {place} alone, and {door.proxy} verifies a server by its DNS name",
            where=door.key,
            todo=f"Add a name that {door.host} resolves to the route: address: NAME:{server.port}",
        )
    return endpoints.join_host_port(place, server.port)


def verified_name(door: FrontDoor, route: DoorRoute, server: Server) -> str:
    """The DNS name that the component's certificate must have for this front door.

    Raises:
        InputError: as `asked_at`; or the component has no DNS name.
    """
    asked = endpoints.split(asked_at(door, route, server))[0]
    if endpoints.parse_address(asked) is None:
        return asked
    candidates = (*server.spec.names, *server.host.names, server.spec.host)
    for name in map(endpoints.canonical, candidates):
        if (
            endpoints.parse_address(name) is None
            and not endpoints.is_loopback(name)
            and _DNS_NAME.fullmatch(name)
        ):
            return name
    raise InputError(
        f"{server.key} has no DNS name by which the front door {door.name} could verify it",
        where=door.key,
        todo=f"Add names: [NAME] to {server.key} in components",
    )


def verified_names(stack: Stack, server: Server) -> dict[str, str]:
    """The names by which front doors verify a server, each with that front door; {} if none connects over TLS."""
    if not server.spec.protect or not server.behind_doors(stack):
        return {}
    return {
        verified_name(door, route, server): f"The front door {door.name}"
        for door, route in stack.doors_to(server.spec.host, server.spec.name)
    }


def _address(host: HostFacts) -> str:
    """The address of a host for other hosts: the one that this machine uses, or one of its own; '' for none."""
    for name in (host.spec.address, *host.names):
        address = endpoints.parse_address(name) if name else None
        if address is not None and (address.is_loopback or address.is_link_local):
            continue
        if name and (address is not None or (name == host.spec.address and not endpoints.is_loopback(name))):
            return name
    return ""
