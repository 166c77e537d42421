"""Who scrapes what, by the configurations that were read: for a person who looks at the stack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from wizard import endpoints
from wizard.errors import ConfigError
from wizard.model import Facts, Service, Stack
from wizard.planner import identity, paths


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
        try:
            jobs = [place for place in client.places() if place.kind == "job"]
        except ConfigError:
            continue
        for job in jobs:
            name = f"{client.service.key} (job {job.name})"
            for address in job.addresses:
                port = endpoints.split(address, job.scheme)[1]
                for service, listener in listeners[port] if port in listeners else ():
                    if identity.means(client.host, address, listener, scheme=job.scheme):
                        found[service.key][name] = None
    return {key: tuple(names) for key, names in found.items()}
