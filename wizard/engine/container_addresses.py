"""Updates the addresses of containers without published ports: Docker may assign another one on recreation.

A plan's probes hold the addresses of the time when it was made; they are corrected before the probes run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from wizard.engine.hosts import Hosts
from wizard.model import Facts, Probe, Service
from wizard.service_managers.registry import manager_of


def current(probes: Sequence[Probe], facts: Facts, hosts: Hosts) -> list[Probe]:
    """The probes, with the current addresses of the containers."""
    moved = _new_addresses((service for host in facts.hosts.values() for service in host.services), hosts)
    return [_with_new_address(probe, moved) for probe in probes] if moved else list(probes)


def _new_addresses(services: Iterable[Service], hosts: Hosts) -> dict[tuple[str, str], str]:
    """The new address:port of each container whose address has changed, by (host, old address:port)."""
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
    # A query to Prometheus about a target goes to the host of that Prometheus.
    host = probe.asker.partition("/")[0] or probe.host
    place = probe.forward.place if probe.forward is not None else parts.netloc
    now = moved.get((host, place))
    if now is None:
        return probe
    forward = replace(probe.forward, place=now) if probe.forward is not None else None
    return replace(probe, url=parts._replace(netloc=now).geturl(), forward=forward)
