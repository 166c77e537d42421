"""The names that a server's certificate has to hold, and those that it may."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from wizard import endpoints
from wizard.model import Facts, Stack
from wizard.planner import paths
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.planner.paths import LOOPBACK
from wizard.planner.server_facts import Server


def certificate_names(stack: Stack, facts: Facts, server: Server) -> tuple[str, ...]:
    """Names and addresses for the certificate: what the person said, or what the real targets are.

    Every target of a job or other client that means this server, its own names, and where it listens.
    """
    if server.spec.names:
        return server.spec.names
    found: dict[str, None] = {}
    scrapers = paths.scrapers(stack, facts)
    clients = (*scrapers, *paths.probers(stack, facts))
    for scraper in scrapers:
        for place in scraper.places():
            asked = [address for address in place.addresses if scraper.means(address, server)]
            found |= dict.fromkeys(map(_bare, asked))
            if asked and place.tls.get("server_name"):
                found[endpoints.canonical(place.tls["server_name"])] = None
            found |= _probed(clients, place, server)
    address = _bare(server.address)
    practice = server.host.spec.connect == "practice"
    for name in (address, server.host.spec.address, server.spec.host if practice else "", *server.host.names):
        if name and not (practice and name in LOOPBACK):
            found[endpoints.canonical(name)] = None
    # The names that mean it everywhere first: so a certificate is spoken of.
    return tuple(sorted(found, key=lambda name: endpoints.is_loopback(name) or endpoints.is_wildcard(name)))


def needed_names(stack: Stack, facts: Facts, server: Server) -> tuple[str, ...]:
    """The names without which a certificate does not serve: what the person said, or what clients ask for.

    One that is there already need not be good for every name of its host.
    """
    if server.spec.names:
        return server.spec.names
    found: dict[str, None] = {}
    scrapers = paths.scrapers(stack, facts)
    clients = (*scrapers, *paths.probers(stack, facts))
    for scraper in scrapers:
        for place in scraper.places():
            asked = [address for address in place.addresses if scraper.means(address, server)]
            name = place.tls.get("server_name")  # checked in place of the address
            found |= dict.fromkeys([endpoints.canonical(name)] if asked and name else map(_bare, asked))
            found |= _probed(clients, place, server)
    return tuple(found) or (_bare(server.address),)


def _probed(clients: Sequence[Client], place: Place, server: Server) -> dict[str, None]:
    """The names under which a blackbox exporter is told to ask the server."""
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
    """The host of host:port as a certificate names it."""
    return endpoints.split(address)[0]
