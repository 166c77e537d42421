"""The front doors of a stack file: parsed, checked with the place of an error, and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from wizard import yamlfile
from wizard.errors import StackError
from wizard.inventory import exporter_door, sign_in
from wizard.model import EXPORTERS, EXPORTERS_PORT, GRAFANA, ComponentSpec, DoorRoute, FrontDoor, Stack

_PLAIN = ("port", "site", "max_body_size", "hsts_days", "headers", "timeout", "rate_limit")
_FILES = ("cert_file", "key_file", "ca_file")


def read(entries: Iterable[Mapping[str, Any]]) -> tuple[FrontDoor, ...]:
    """Parses the front doors of data that the schema has accepted."""
    found = []
    for entry in entries:
        machines = entry.get("machines", {})
        exporters = entry["proxy"] == EXPORTERS
        more: dict[str, Any] = {"port": EXPORTERS_PORT} if exporters else {}
        more |= {key: entry[key] for key in _PLAIN if key in entry} | dict(entry.get("files", {}))
        if "block" in entry:
            more["block"] = tuple(entry["block"])
        if "cors" in entry:
            more["cors"] = tuple(entry["cors"])
        found.append(
            FrontDoor(
                host=entry["host"],
                proxy=entry["proxy"],
                name=entry.get("name", entry["host"]).lower(),
                routes=tuple(_route(entry["host"], route) for route in entry["routes"]),
                people=tuple(entry.get("people", {}).get("basic_auth", ())),
                sign_in=sign_in.read(entry.get("people", {}).get("oidc")),
                machines=tuple(machines.get("basic_auth", ())),
                client_cert=bool(machines.get("client_cert")),
                **more,
            )
        )
    return tuple(found)


def _route(host: str, route: Mapping[str, Any]) -> DoorRoute:
    where = route.get("host", "")
    return DoorRoute(
        to=route["to"],
        path=route.get("path", "/"),
        login=route.get("login", ""),
        host="" if where == host else where,
        address=route.get("address", ""),
    )


def dump(doors: Iterable[FrontDoor]) -> list[dict[str, Any]]:
    """Front doors in the form that `read` accepts, without default values."""
    found = []
    for door in doors:
        usual = FrontDoor(host="", proxy=door.proxy, name="", routes=())
        if door.serves_exporters:
            usual = replace(usual, port=EXPORTERS_PORT)
        entry: dict[str, Any] = {"host": door.host, "proxy": door.proxy}
        if not door.serves_exporters:
            entry["name"] = door.name
        if door.sign_in is not None:
            entry["people"] = {"oidc": sign_in.dump(door.sign_in)}
        elif door.people:
            entry["people"] = {"basic_auth": list(door.people)}
        machines: dict[str, Any] = {"basic_auth": list(door.machines)} if door.machines else {}
        if door.client_cert:
            machines["client_cert"] = True
        if machines:
            entry["machines"] = machines
        entry |= {key: value for key in _PLAIN if (value := getattr(door, key)) != getattr(usual, key)}
        if door.block != usual.block:
            entry["block"] = list(door.block)
        if door.cors:
            entry["cors"] = list(door.cors)
        if door.cert_file or door.ca_file:
            entry["files"] = {key: path for key in _FILES if (path := getattr(door, key))}
        entry["routes"] = [
            {"to": route.to}
            | ({} if door.serves_exporters else {"path": route.path})
            | {key: value for key in ("login", "host", "address") if (value := getattr(route, key))}
            for route in door.routes
        ]
        found.append(entry)
    return found


def check(stack: Stack, read: yamlfile.Read) -> None:
    """Checks front doors beyond the schema: undefined names, and settings that contradict each other.

    Raises:
        StackError: the first error.
    """
    seen: set[tuple[str, str, int]] = set()
    for index, door in enumerate(stack.front_doors):
        where = read.where(("front_doors", index))
        if door.host not in {host.name for host in stack.hosts}:
            raise StackError(
                f"there is no host '{door.host}'",
                where=where,
                todo=f"Known hosts: {', '.join(host.name for host in stack.hosts)}",
            )
        if not stack.host(door.host).is_real:
            raise StackError(
                f"a front door needs a host with systemd, and {door.host} has connect: {stack.host(door.host).connect}",
                where=where,
                todo="Use a host with connect: local, ssh or incus",
            )
        place = door.host, door.name, door.port
        if place in seen:
            raise StackError(
                f"{door.name}:{door.port} on {door.host} is listed twice",
                where=where,
                todo="Put the routes of both into one entry",
            )
        seen.add(place)
        if door.serves_exporters:
            exporter_door.check(stack, door, where)
            continue
        sign_in.check(door, where)
        if door.cert_file.startswith("/etc/letsencrypt/") and door.cert_file.endswith("/cert.pem"):
            raise StackError(
                f"cert.pem of Let's Encrypt lacks its chain, and clients would not trust {door.name}",
                where=where,
                todo=f"Use cert_file: {door.cert_file.removesuffix('cert.pem')}fullchain.pem",
            )
        _check_users(stack, door, where)
        _check_certificate(door, where)
        for number in range(len(door.routes)):
            _check_route(stack, door, number, read.where(("front_doors", index, "routes", number)))


def _check_certificate(door: FrontDoor, where: str) -> None:
    if not door.site:
        if door.ca_file and not door.cert_file:
            raise StackError(
                f"files of the front door {door.name} names a CA and no certificate",
                where=where,
                todo="Add cert_file and key_file, or leave files out",
            )
        return
    if door.cert_file:
        raise StackError(
            f"{door.site} has a certificate of its own",
            where=where,
            todo="Leave cert_file and key_file out; ca_file says what the certificate is verified against",
        )
    from wizard.front_doors import proxy

    reverse_proxy = proxy(door.proxy)
    if door.client_cert and (reverse_proxy is None or not reverse_proxy.certificates_inside):
        raise StackError(
            f"{reverse_proxy.title if reverse_proxy else door.proxy} would reject clients with other certificates at the other paths of "
            f"{door.site}, too",
            where=where,
            todo="Use machines: {basic_auth: [USER]}, or leave site out and use a name of its own",
        )
    if door.hsts_days:
        raise StackError(
            f"hsts_days holds for a whole site, and {door.site} is not Firescreen's",
            where=where,
            todo="Leave hsts_days out",
        )
    if not all(route.prefix for route in door.routes):
        raise StackError(
            f"a route without a path would take the whole site {door.name}",
            where=where,
            todo="Add a path, such as /prometheus",
        )


def _check_users(stack: Stack, door: FrontDoor, where: str) -> None:
    asks = not all(route.has_own_login for route in door.routes)
    if asks and not door.users and not door.client_cert:
        raise StackError(
            f"nobody may pass the front door {door.name}",
            where=where,
            todo="Add people: {basic_auth: [USER]}, or machines: {client_cert: true}",
        )
    if door.client_cert and not door.users and any(route.has_own_login for route in door.routes):
        raise StackError(
            f"the front door {door.name} asks every client for a certificate, and people log in at Grafana itself",
            where=where,
            todo="Add people: {basic_auth: [USER]}, or give Grafana a front door with a name of its own",
        )
    names = [user.name for user in stack.users]
    for name in door.users:
        if name not in names:
            raise StackError(
                f"there is no user '{name}'",
                where=where,
                todo=f"Add it to users:, or use one of: {', '.join(names)}",
            )
    if door.client_cert and stack.certificates.issued_by != "ca":
        raise StackError(
            "client certificates at a front door need a CA",
            where=where,
            todo="Use certificates: {issued_by: ca}, or machines: {basic_auth: […]}",
        )


def _check_route(stack: Stack, door: FrontDoor, number: int, where: str) -> None:
    route, others = door.routes[number], door.routes[:number]
    if route.login and route.to != GRAFANA:
        raise StackError(
            f"{route.to} has no login of its own",
            where=where,
            todo=f"Leave login out: the front door asks for the login of {route.to}",
        )
    if route.to == GRAFANA and (route.host or route.address):
        raise StackError(
            f"a front door leads to the Grafana of its own host alone, and {door.name} is on {door.host}",
            where=where,
            todo="Leave host and address out",
        )
    below = [
        each for each in door.routes if each is not route and f"{each.prefix}/".startswith(f"{route.prefix}/")
    ]
    if route.has_own_login and below:
        raise StackError(
            f"people log in at Grafana itself below {route.prefix or '/'}, and {below[0].prefix} below that is for those who "
            "log in at the front door",
            where=where,
            todo="Give Grafana a path of its own, such as /grafana, or a front door with a name of its own",
        )
    if route.to != GRAFANA:
        _check_component(stack, door, route, where)
    if any(each.prefix == route.prefix or (each.to, each.host) == (route.to, route.host) for each in others):
        raise StackError(
            f"the front door {door.name} has two routes for {route.prefix or '/'} or for {route.to}",
            where=where,
            todo="Keep one of them",
        )
    if any((other, way) != (door, route) for other, way in stack.doors_to(door.host_of(route), route.to)):
        raise StackError(
            f"{route.to} on {door.host_of(route)} is behind two front doors, and can have only one path",
            where=where,
            todo="Keep one of them",
        )


def _check_component(stack: Stack, door: FrontDoor, route: DoorRoute, where: str) -> None:
    host = door.host_of(route)
    spec = next((each for each in stack.components if (each.host, each.name) == (host, route.to)), None)
    if spec is None:
        protect = "tls, client_cert" if route.host else ""
        raise StackError(
            f"there is no {route.to} on {host} in components",
            where=where,
            todo=f"Add {{host: {host}, name: {route.to}, protect: [{protect}]}} to components",
        )
    _check_protection(stack, door, route, spec, where)


def _check_protection(
    stack: Stack, door: FrontDoor, route: DoorRoute, spec: ComponentSpec, where: str
) -> None:
    """Checks that a component rejects clients which bypass the front door, and accepts the front door.

    Raises:
        StackError: its protection would leave it open, or reject the front door.
    """
    if not spec.protect and not route.host:
        if route.address:
            raise StackError(
                f"the front door {door.name} asks {spec.key} on the loopback address",
                where=where,
                todo="Leave address out, or use protect: [tls, client_cert] for it",
            )
        return
    if set(spec.protect) != {"tls", "client_cert"}:
        other = (
            f"{spec.key} is on another host than the front door, and has"
            if route.host
            else f"{spec.key} is behind a front door and has"
        )
        raise StackError(
            f"{other} protect: [{', '.join(spec.protect)}]",
            where=where,
            todo="Use protect: [tls, client_cert]: the front door then shows a client certificate, and others are rejected"
            if route.host
            else "Use protect: []: it then listens on the loopback address alone, and the front door protects it. Or use "
            "protect: [tls, client_cert]: the front door then shows a client certificate",
        )
    if spec.client_auth_type != "RequireAndVerifyClientCert":
        raise StackError(
            f"{spec.key} is behind a front door and accepts others without a client certificate "
            f"({spec.client_auth_type})",
            where=where,
            todo="Leave client_auth_type out",
        )
    if stack.certificates.issued_by != "ca":
        raise StackError(
            f"the front door {door.name} needs a client certificate for {spec.key}, and there is no CA",
            where=where,
            todo="Use certificates: {issued_by: ca}",
        )
