"""Where containers that publish no port are reached now: Docker may give them another address when it makes them anew.

A plan's probes have the addresses that it was made with; these are put right before the probes are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from wizard.engine.hosts import Hosts
from wizard.model import Facts, Probe, Service
from wizard.service_managers.registry import manager_of


def current(probes: Sequence[Probe], facts: Facts, hosts: Hosts) -> list[Probe]:
    """The probes, with the addresses that the containers have now."""
    moved = _new_addresses((service for host in facts.hosts.values() for service in host.services), hosts)
    return [_with_new_address(probe, moved) for probe in probes] if moved else list(probes)


def _new_addresses(services: Iterable[Service], hosts: Hosts) -> dict[tuple[str, str], str]:
    """The new address:port of those that have one, by host and old address:port."""
    found = {}
    for service in services:
        if service.container is None or service.container.is_reachable or not service.listen:
            continue
        place = service.forward.place if service.forward is not None else service.listen
        now = manager_of(service).address(hosts.connection(service.host), service)
        if now and now != place:
            found[service.host, place] = now
    return found


def _with_new_address(probe: Probe, moved: Mapping[tuple[str, str], str]) -> Probe:
    parts = urlsplit(probe.url)
    # Of a question to Prometheus, the one that is asked.
    host = probe.asker.partition("/")[0] or probe.host
    place = probe.forward.place if probe.forward is not None else parts.netloc
    now = moved.get((host, place))
    if now is None:
        return probe
    forward = replace(probe.forward, place=now) if probe.forward is not None else None
    return replace(probe, url=parts._replace(netloc=now).geturl(), forward=forward)
