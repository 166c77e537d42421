"""The names that a server's certificate must have, and those that it may have."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from wizard import endpoints
from wizard.certificates.go.hostnames import matches_name
from wizard.components import component as find_component
from wizard.model import Facts, Finding, Stack
from wizard.planner import paths
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import door_addresses
from wizard.planner.paths import LOOPBACK
from wizard.planner.server_facts import Server
from wizard.redact import plain


def certificate_names(stack: Stack, facts: Facts, server: Server) -> tuple[str, ...]:
    """The names and addresses for a new certificate: those that the person chose, or else all that are in use.

    In use are every target of a job or another client that means this server, its own names, and its listen address.
    """
    if server.spec.names:
        return server.spec.names
    found: dict[str, None] = {}
    scrapers = paths.scrapers(stack, facts)
    clients = (*scrapers, *paths.probers(stack, facts))
    found |= dict.fromkeys(door_addresses.verified_names(stack, server))
    for scraper in scrapers:
        for place in scraper.places():
            asked = [address for address in place.addresses if scraper.means(address, server)]
            found |= dict.fromkeys(map(_bare, asked))
            if asked and place.tls.get("server_name"):
                found[endpoints.canonical(place.tls["server_name"])] = None
            found |= _blackbox_target_names(clients, place, server)
    address = endpoints.canonical(own_name(server))
    practice = server.host.spec.connect == "practice"
    for name in (address, server.host.spec.address, server.spec.host if practice else "", *server.host.names):
        if name and not (practice and name in LOOPBACK):
            found[endpoints.canonical(name)] = None
    # Names that mean the server on every host come first: messages name a certificate by its first name.
    return tuple(sorted(found, key=lambda name: endpoints.is_loopback(name) or endpoints.is_wildcard(name)))


def needed_names(stack: Stack, facts: Facts, server: Server) -> tuple[str, ...]:
    """The names without which a certificate is not good: those that the person chose, or those that clients use.

    An existing certificate need not cover every name of its host.
    """
    if server.spec.names:
        return server.spec.names
    return tuple(_used_names(stack, facts, server)) or (endpoints.canonical(own_name(server)),)


def missing_names(stack: Stack, facts: Facts, server: Server) -> dict[str, str]:
    """Names that clients connect to and that the person left out of the certificate, each with its client.

    A client rejects a certificate without the name to which it connects: verification would fail.
    """
    if not server.spec.names or server.spec.files.cert_file or stack.certificates.issued_by == "files":
        return {}
    used = _used_names(stack, facts, server)
    present_names = tuple(map(endpoints.canonical, server.spec.names))
    return {
        name: client
        for name, client in used.items()
        if endpoints.canonical(name) not in present_names
        and not any(matches_name(each, name) for each in present_names)
    }


def missing_name_findings(stack: Stack, facts: Facts, servers: Sequence[Server]) -> tuple[Finding, ...]:
    """The findings about these names, before anything is written."""
    return tuple(
        Finding(
            id="name-missing",
            host=server.spec.host,
            component=server.spec.name,
            instance=server.spec.unit,
            what=f"{client} connects to {server.title} as {plain(name)}, which its certificate will not name",
            why="A client rejects a certificate without the name that it connects with: the verification will fail.",
            remediation=f"Add {plain(name)} to the names of {server.title}",
        )
        for server in servers
        for name, client in missing_names(stack, facts, server).items()
    )


def _used_names(stack: Stack, facts: Facts, server: Server) -> dict[str, str]:
    """The names for which clients check the server's certificate, each with the first such client."""
    found: dict[str, str] = {}
    scrapers = paths.scrapers(stack, facts)
    clients = (*scrapers, *paths.probers(stack, facts))
    for scraper in scrapers:
        for place in scraper.places():
            asked = [address for address in place.addresses if scraper.means(address, server)]
            name = place.tls.get("server_name")  # checked instead of the address
            used = [endpoints.canonical(name)] if asked and name else map(_bare, asked)
            title = (
                f"{find_component(scraper.component).title} on {scraper.host.spec.name} ({plain(place.how)})"
            )
            for each in (*used, *_blackbox_target_names(clients, place, server)):
                found.setdefault(each, title)
    for name, door in door_addresses.verified_names(stack, server).items():
        found.setdefault(name, door)
    return found


def own_name(server: Server) -> str:
    """The name or address of a server that no client's configuration names.

    For a container without published ports, its name in its network: a recreated container may have another address.
    """
    box = server.service.container
    if box is not None and not box.is_reachable:
        return next(iter(box.own_names), box.name)
    return _bare(server.address)


def _blackbox_target_names(clients: Sequence[Client], place: Place, server: Server) -> dict[str, None]:
    """The names by which a job makes a blackbox exporter probe the server."""
    found: dict[str, None] = {}
    for target in place.targets:
        try:
            url = urlsplit(target.param_target)
            host = url.hostname
        except ValueError:
            continue
        if host and any(client.means(url.netloc, server, scheme=url.scheme) for client in clients):
            found[endpoints.canonical(host)] = None
    return found


def _bare(address: str) -> str:
    """The host of host:port, as a certificate has it."""
    return endpoints.split(address)[0]
