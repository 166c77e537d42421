"""The trust map of front doors: who comes to the door, whom its proxy asks behind it, and who asks them there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from wizard.model import Arrow
from wizard.planner import trust_graph
from wizard.planner.client import Target
from wizard.planner.client_facts import Client
from wizard.planner.front_door_backends import Behind
from wizard.planner.front_door_facts import Backend
from wizard.planner.front_door_grafana import DoorGrafana
from wizard.planner.front_door_probes import DoorInquiry
from wizard.planner.front_door_site import Site

OUTSIDE = "any host"
"""The host of people and programs that come to a front door."""


def arrows(targets: Sequence[Target], inquiry: DoorInquiry, clients: Sequence[Client]) -> tuple[Arrow, ...]:
    """The whole trust map: what `trust_graph` has of other servers, and the ways to and behind front doors."""
    return (*trust_graph.arrows(targets), *_of_doors(inquiry, clients))


def _of_doors(inquiry: DoorInquiry, clients: Sequence[Client]) -> Iterator[Arrow]:
    """One arrow to the door and one behind it for each component, and one for each job that scrapes it there."""
    behind = [(site, backend) for site in inquiry.sites for backend in site.known.backends]
    for site, backend in behind:
        yield _to_door(site, backend)
    for site, backend in behind:
        yield Arrow(
            client_host=site.known.door.host,
            client=site.known.proxy.name,
            server_host=backend.host.spec.name,
            server=backend.component,
            how=f"path {backend.route.prefix or '/'}",
            address=backend.address,
            local=not backend.over_tls,
            probe=f"{backend.key}/door/page",
            **(_over_tls(site, backend) if backend.over_tls else {}),
        )
    for site in inquiry.sites:
        if site.known.grafana is not None:
            yield from _of_grafana(site, site.known.grafana)
    for probe in inquiry.up_probes(clients):
        host, _, component = probe.asker.partition("/")
        yield Arrow(
            client_host=host,
            client=component,
            server_host=probe.host,
            server=probe.component,
            how=f"job {probe.job}",
            address=probe.instance,
            local=True,
            probe=probe.id,
        )


def _of_grafana(site: Site, grafana: DoorGrafana) -> Iterator[Arrow]:
    to_door = _to_door(site, grafana)
    if grafana.route.has_own_login:
        # They log in at Grafana itself.
        to_door = replace(to_door, client="people and programs", client_shows="", server_checks="", user="")
    yield to_door
    yield Arrow(
        client_host=site.known.door.host,
        client=site.known.proxy.name,
        server_host=grafana.host.spec.name,
        server=grafana.component,
        how=f"path {grafana.route.prefix or '/'}",
        address=grafana.address,
        local=True,
        probe=f"{grafana.key}/door/API",
    )


def _over_tls(site: Site, backend: Backend) -> dict[str, Any]:
    known = site.known
    return {
        "encrypted": True,
        "server_shows": backend.verified_name,
        "client_checks": known.backend_ca,
        "client_shows": known.client_pair[0],
        "server_checks": backend.server.client_ca,
    }


def _to_door(site: Site, backend: Behind) -> Arrow:
    known, door = site.known, site.known.door
    who = [
        name
        for name, comes in (
            ("people", door.people or door.sign_in),
            ("programs", door.machines or door.client_cert),
        )
        if comes
    ]
    signed = "signed by your CA" if site.pair.own_ca else "your own"
    return Arrow(
        client_host=OUTSIDE,
        client=" and ".join(who),
        server_host=door.host,
        server=known.proxy.name,
        how=f"front door of {backend.component}",
        address=backend.url.removeprefix("https://"),
        encrypted=True,
        server_shows=f"{door.name} ({signed})",
        client_shows="a client certificate of your CA" if door.client_cert else "",
        server_checks=known.client_ca if door.client_cert else "",
        user=", ".join(door.users),
        probe=f"{backend.key}/door/API",
    )
