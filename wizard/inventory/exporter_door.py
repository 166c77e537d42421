"""Checks an entry of `front_doors` with exporter_exporter: one port for the exporters of its host."""

from __future__ import annotations

from wizard.components import component as find_component
from wizard.errors import StackError
from wizard.model import EXPORTERS, DoorRoute, FrontDoor, Stack


def check(stack: Stack, door: FrontDoor, where: str) -> None:
    """Checks its settings and routes against those that exporter_exporter supports.

    Raises:
        StackError: the first error.
    """
    plain = FrontDoor(
        host=door.host,
        proxy=door.proxy,
        name=door.host.lower(),
        port=door.port,
        client_cert=True,
        routes=tuple(DoorRoute(to=route.to) for route in door.routes),
        cert_file=door.cert_file,
        key_file=door.key_file,
        ca_file=door.ca_file,
    )
    if not door.client_cert:
        raise StackError(
            f"everybody could read the metrics of {door.host} at its one port",
            where=where,
            todo="Add machines: {client_cert: true}",
        )
    if door != plain:
        raise StackError(
            f"{EXPORTERS} has neither a name nor users, paths or settings of a web server",
            where=where,
            todo="Keep host, proxy, port, files, machines: {client_cert: true}, and routes with `to` alone",
        )
    if stack.certificates.issued_by != "ca":
        raise StackError(
            "client certificates at a front door need a CA",
            where=where,
            todo="Use certificates: {issued_by: ca}",
        )
    others = [each for each in stack.front_doors if each.host == door.host and each.serves_exporters]
    if len(others) > 1:
        raise StackError(
            f"{EXPORTERS} of {door.host} is listed twice",
            where=where,
            todo="Put the routes of both into one entry",
        )
    for route in door.routes:
        _check_route(stack, door, route, where)


def _check_route(stack: Stack, door: FrontDoor, route: DoorRoute, where: str) -> None:
    spec = next((each for each in stack.components if (each.host, each.name) == (door.host, route.to)), None)
    if spec is None:
        raise StackError(
            f"there is no {route.to} on {door.host} in components",
            where=where,
            todo=f"Add {{host: {door.host}, name: {route.to}}} to components",
        )
    if not find_component(route.to).is_exporter:
        raise StackError(
            f"{EXPORTERS} serves metrics alone, and {route.to} has pages and an API too",
            where=where,
            todo=f"Protect {route.to} itself (protect: [tls, client_cert]), or use nginx, Apache, Caddy or HAProxy for it",
        )
    if spec.protect:
        raise StackError(
            f"{EXPORTERS} cannot verify the certificate of {spec.key} (it reads tls_ca_cert_file, but does not use it)",
            where=where,
            todo="Use protect: []: the exporter then listens on the loopback address alone",
        )
    if len(stack.doors_to(door.host, route.to)) > 1:
        raise StackError(
            f"{spec.key} is behind two front doors",
            where=where,
            todo="Keep one of the routes",
        )
