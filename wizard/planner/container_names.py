"""Which server a target means if the client or the server is in a container. Pure.

In a container, the loopback address is the container's own. Names of services, aliases and container names lead to the
containers of a shared network, at the port inside. The gateway and host.docker.internal lead to the host. Everything
else is as on the host.
"""

from __future__ import annotations

from wizard import endpoints
from wizard.model import Container, Service
from wizard.planner import identity
from wizard.planner.identity import Listener

HOST_GATEWAY = "host-gateway"


def means(asker: Service, own: Listener, address: str, server: Listener, *, scheme: str = "") -> bool:
    """Whether host:port in a component's configuration leads to a server.

    Args:
        asker: the component that connects; in a container or not.
        own: where that component listens itself, which tells its host.
        server: where the server listens.
    """
    own_box, server_box = asker.container, server.service.container
    host, port = endpoints.split(address, scheme)
    same_host = own.host.spec.name == server.host.spec.name
    if same_host and server_box is not None and server_box.has_own_network:
        names = _names(own_box, server_box)
        if host in names:
            return port == server_box.inside_port
    if own_box is None or not own_box.has_own_network:
        return identity.means(own.host, address, server, scheme=scheme)
    if endpoints.is_loopback(host) or host in _other_names(own_box, own, server_box):
        return False
    if leads_to_host(own_box, host):
        return same_host and _accepts(own_box, server, port)
    return identity.means(own.host, address, server, scheme=scheme)


def target(asker: Service, own: Listener, server: Listener, usual: str) -> str:
    """host:port by which a component will scrape a server; in a container it uses the names of its networks.

    Args:
        asker: the component that connects; in a container or not.
        own: where that component listens itself, which tells its host.
        server: where the server listens.
        usual: host:port as used from this machine.
    """
    own_box, server_box = asker.container, server.service.container
    if own_box is None or not own_box.has_own_network or own.host.spec.name != server.host.spec.name:
        return usual
    port = endpoints.split(usual)[1]
    if server_box is not None and server_box.has_own_network:
        shared = next(iter(server_box.names_in(own_box)), "")
        if shared:
            return f"{shared}:{server_box.inside_port}"
        port = next(
            (each.port for each in server_box.published if each.inside == server_box.inside_port), port
        )
    gateway = next((name for name, _ in own_box.extra_hosts if leads_to_host(own_box, name)), "")
    gateway = gateway or next((each.gateway for each in own_box.networks if each.gateway), "")
    return f"{gateway}:{port}" if gateway else usual


def leads_to_host(box: Container, host: str) -> bool:
    """Whether a name or address, used in a container, means the container's host."""
    given = {
        name for name, address in box.extra_hosts if address == HOST_GATEWAY or _is_gateway(box, address)
    }
    return host in {endpoints.canonical(name) for name in given} or _is_gateway(box, host)


def _is_gateway(box: Container, address: str) -> bool:
    return bool(address) and address in {each.gateway for each in box.networks}


def _names(own_box: Container | None, server_box: Container) -> set[str]:
    """The names by which another container reaches a container, or the addresses by which the host does."""
    if own_box is not None and own_box.has_own_network:
        return {endpoints.canonical(name) for name in server_box.names_in(own_box)}
    return {each.address for each in server_box.networks if each.address}


def _other_names(own_box: Container, own: Listener, server_box: Container | None) -> set[str]:
    """The names of the other containers in its networks, none of which means the host."""
    boxes = (service.container for service in own.host.services)
    return {
        endpoints.canonical(name)
        for box in boxes
        if box is not None and box.has_own_network and box is not server_box
        for name in box.names_in(own_box)
    }


def _accepts(own_box: Container, server: Listener, port: int) -> bool:
    """Whether a server on the host accepts connections to the gateway's address."""
    gateways = {each.gateway for each in own_box.networks if each.gateway}
    return any(own == port and (not host or host in gateways) for host, own in server.sockets)
