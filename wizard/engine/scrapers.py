"""Who scrapes what, by the configurations that were read: for a person who looks at the stack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from wizard import endpoints
from wizard.model import Facts, Service, Stack
from wizard.planner import identity, paths
from wizard.planner.client_facts import Client


def scraped_by(stack: Stack, facts: Facts) -> Mapping[str, tuple[str, ...]]:
    """By the key of each service that is scraped: 'monitor/prometheus (job node)' for each job that does.

    A configuration that cannot be read scrapes nothing here: the plan says what is wrong with it.
    """
    listeners: dict[int, list[tuple[Service, identity.Listener]]] = defaultdict(list)
    for host in facts.hosts.values():
        for service in host.services:
            listener = identity.Listener(host, service)
            for port in {port for _, port in listener.sockets}:
                listeners[port].append((service, listener))
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for client in paths.scrapers(stack, facts):
        for name, address, scheme in _targets(client):
            for service, listener in listeners.get(endpoints.split(address, scheme)[1], ()):
                if identity.means(client.host, address, listener, scheme=scheme):
                    found[service.key][name] = None
    return {key: tuple(names) for key, names in found.items()}


def _targets(client: Client) -> Iterator[tuple[str, str, str]]:
    """(the client and its job, address, scheme) of all that its scrape jobs ask."""
    for place in client.known_places:
        if place.kind == "job":
            name = f"{client.service.key} (job {place.name})"
            yield from ((name, address, place.scheme) for address in place.addresses)
