"""The trust map of a plan: which client connects to which server, what each presents, and how the other verifies it.

For front doors: the clients of the front door, its proxy's connections to components, and their other clients. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from wizard.certificates import issue
from wizard.model import Arrow
from wizard.planner.client import Target
from wizard.planner.client_facts import Client
from wizard.planner.front_doors.door_backends import Behind
from wizard.planner.front_doors.door_facts import Backend
from wizard.planner.front_doors.door_grafana import DoorGrafana
from wizard.planner.front_doors.door_probes import DoorInquiry
from wizard.planner.front_doors.door_site import Site
from wizard.planner.probes import up_id
from wizard.redact import plain

OUTSIDE = "any host"
"""The host of people and programs that connect to a front door."""


def arrows(targets: Sequence[Target], inquiry: DoorInquiry, clients: Sequence[Client]) -> tuple[Arrow, ...]:
    """The whole trust map: which client connects to which server, and the connections to and behind front doors."""
    return (*_of_servers(targets), *_of_doors(inquiry, clients))


def _of_servers(targets: Sequence[Target]) -> Iterator[Arrow]:
    """Yields one arrow for each place of a client that connects to a server, as after the plan."""
    for target in targets:
        plan = target.plan
        names = ", ".join(issue.summary(plan.pair.certificate).names)
        signed = "signed by your CA" if plan.pair.own_ca else "pinned"
        pair = target.pair if any(target.pair) else _tls_fields(target, "cert_file", "key_file")
        login = target.login if any(target.login) else (target.place.basic_auth.get("username", ""), "")
        yield Arrow(
            client_host=target.client.host.spec.name,
            client=_name(target.client.service.component, target.client.service.instance),
            server_host=plan.server.spec.host,
            server=_name(plan.server.spec.name, plan.server.spec.unit),
            how=target.place.how,
            address=target.address,
            encrypted=True,
            server_shows=plain(f"{names} ({signed})"),
            client_checks=target.ca_file,
            client_shows=pair[0] if plan.asks_certificate else "",
            server_checks=plan.client_ca_file,
            user=login[0] if plan.asks_password else "",
            probe=_probe(target),
        )


def _name(component: str, instance: str) -> str:
    return f"{component}/{instance}" if instance else component


def _tls_fields(target: Target, *keys: str) -> tuple[str, str]:
    first, second = (target.place.tls.get(key, "") for key in keys)
    return first, second


def _probe(target: Target) -> str:
    if target.place.kind == "job":
        return up_id(target)
    return f"{target.plan.server.key}/right-client"


def _of_doors(inquiry: DoorInquiry, clients: Sequence[Client]) -> Iterator[Arrow]:
    """Yields an arrow to the front door and one behind it per component, and one per job that scrapes it there."""
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
        # People log in at Grafana itself.
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
    visitors = [
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
        client=" and ".join(visitors),
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
