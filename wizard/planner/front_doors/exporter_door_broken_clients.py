"""Other clients of an exporter's port, which will be closed: reported before a plan is applied. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wizard.model import EXPORTERS, BrokenClient, Facts, HostFacts, ProxyRoute, Stack
from wizard.planner import monitors
from wizard.planner.client_facts import Client
from wizard.planner.front_doors.door_broken_clients import broken_client, broken_site
from wizard.planner.front_doors.door_facts import Backend
from wizard.planner.front_doors.exporter_door_facts import ExporterDoor, asks, wanted_flags


def broken_clients(stack: Stack, facts: Facts, doors: Sequence[ExporterDoor]) -> Iterator[BrokenClient]:
    """Yields sites of reverse proxies, and jobs whose targets the plan does not know.

    Args:
        facts: as they are before the plan.
    """
    for door in doors:
        for backend in (each for each in door.backends if wanted_flags(each)):
            for host, known in facts.proxies.items():
                if host in facts.hosts:
                    yield from _sites(door, backend, facts.hosts[host], known.routes)
            for name, client in monitors.monitors(stack, facts):
                yield from _jobs(door, backend, client, facts, name)


def _sites(
    door: ExporterDoor, backend: Backend, host: HostFacts, routes: Sequence[ProxyRoute]
) -> Iterator[BrokenClient]:
    asking = Client(host, backend.service, backend.server.spec.files)
    foreign = [each for each in routes if each.program != EXPORTERS and asks(asking, each.upstream, backend)]
    for program in dict.fromkeys(each.program for each in foreign):
        own = tuple(each for each in foreign if each.program == program)
        yield broken_site(host.spec.name, backend, own, _lines(door, backend))


def _jobs(
    door: ExporterDoor, backend: Backend, client: Client, facts: Facts, name: str
) -> Iterator[BrokenClient]:
    health = facts.health.get(f"{client.host.spec.name}/{name}")
    known_addresses = {
        place.name
        for place in client.places()
        if place.kind == "job" and any(asks(client, address, backend) for address in place.addresses)
    }
    for pool in dict.fromkeys(
        each.pool
        for each in (health.targets if health is not None else ())
        if each.health == "up" and each.pool not in known_addresses and asks(client, each.endpoint, backend)
    ):
        where = (f"{client.host.spec.name}:{client.service.config_file}",)
        yield broken_client(
            client.host.spec.name, f"job {pool}", backend, where=where, lines=_lines(door, backend)
        )


def _lines(door: ExporterDoor, backend: Backend) -> tuple[str, ...]:
    return (
        f"ask {backend.component} at {door.door.root}/proxy, by its module and with a client certificate",
    )
