"""Sites that forward to a component's old path, which a front door changes: reported before a plan is applied. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wizard.model import BrokenClient, Facts, ProxyRoute
from wizard.planner.client_facts import Client
from wizard.planner.front_doors.door_facts import Backend, KnownDoor


def broken_clients(facts: Facts, doors: Sequence[KnownDoor]) -> list[BrokenClient]:
    """Existing sites that forward to the old path of a component."""
    found = []
    for known in doors:
        there = facts.proxies.get(known.door.host)
        for backend in known.backends:
            asking = Client(known.host, backend.service, backend.server.spec.files)
            foreign: list[ProxyRoute] = [
                route
                for route in (there.routes if there is not None else ())
                if not _is_ours(known, route, backend) and asking.means(route.upstream, backend.server)
            ]
            for program in dict.fromkeys(route.program for route in foreign) if backend.moves else ():
                own = tuple(route for route in foreign if route.program == program)
                lines = (f"{own[0].text} -> redirect to {backend.url}/",)
                found.append(broken_site(known.door.host, backend, own, lines))
    return found


def _is_ours(known: KnownDoor, route: ProxyRoute, backend: Backend) -> bool:
    """Whether a proxy's route is the front door's own, or is in the same site below the same path."""
    if not known.door.site:
        return known.owns(route.file, route.line)
    below = f"{route.path.rstrip('/')}/".startswith(f"{backend.route.prefix}/")
    return route.file == known.include or (route.file == known.site and below)


def broken_site(
    host: str, backend: Backend, routes: Sequence[ProxyRoute], lines: Sequence[str]
) -> BrokenClient:
    """The report on a proxy whose routes (all of one program) forward to a component at an old path."""
    where = tuple(dict.fromkeys(each.where for each in routes))
    client = broken_client(host, routes[0].program, backend, where=where, lines=lines)
    return replace(client, routes=tuple(routes))


def broken_client(
    host: str, client: str, backend: Backend, *, where: tuple[str, ...], lines: Sequence[str]
) -> BrokenClient:
    """The report on a client of a component that moves away; `client` is `job NAME` for a job of a Prometheus."""
    name = backend.component if backend.host.spec.name == host else backend.key
    return BrokenClient(
        key=f"{host}/{client.replace('job ', 'job:')}/{name}",
        host=host,
        client=client,
        server=backend.key,
        component=backend.component,
        where=where,
        lines=tuple(lines),
        job=client.partition("job ")[2],
    )
