"""A front door with the facts about it: its proxy, the components behind it, and the path of each of its files. Pure."""

from __future__ import annotations

import ipaddress
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from wizard import endpoints
from wizard.components import Component
from wizard.components import component as find_component
from wizard.errors import InputError
from wizard.front_doors import Proxy, proxy
from wizard.model import (
    ComponentSpec,
    DoorRoute,
    Facts,
    FrontDoor,
    HostFacts,
    HostSpec,
    OwnFiles,
    ProxyRoute,
    Role,
    Service,
    Stack,
    UserSpec,
)
from wizard.planner.front_doors import door_addresses, door_grafana, door_settings
from wizard.planner.front_doors.door_grafana import DoorGrafana
from wizard.planner.participant import Participant
from wizard.planner.server_facts import Server

PUBLIC_CAS = "/etc/ssl/certs/ca-certificates.crt"
"""The CA bundle that verifies the certificate of a person's own site without `ca_file`."""
HOOKS = ("/etc/letsencrypt/renewal-hooks", "/etc/letsencrypt/renewal-hooks/deploy")
"""The folder for scripts that certbot runs after a renewal, and the folder above it."""
HEAD = b"# Written by Firescreen"
"""The first bytes of every front door's file that a person might take for one of their own."""


@dataclass(frozen=True, slots=True)
class Backend(Participant):
    """A component behind a front door."""

    role: ClassVar[Role] = Role.CLIENT
    door: FrontDoor
    route: DoorRoute
    server: Server

    @property
    def host(self) -> HostFacts:  # type: ignore[override]
        """The component's host, which may be another than the front door's."""
        return self.server.host

    @property
    def service(self) -> Service:
        """The component as a service."""
        return self.server.service

    @property
    def facts(self) -> Component:
        """The facts about the component's program."""
        return find_component(self.server.spec.name)

    @property
    def component(self) -> str:
        """The component's name."""
        return self.server.spec.name

    @property
    def instance(self) -> str:
        """The unit if this is not the usual instance on its host; '' otherwise."""
        return self.server.spec.unit

    @property
    def over_tls(self) -> bool:
        """Whether the proxy connects over TLS with a client certificate; else the component listens on loopback only."""
        return bool(self.server.spec.protect)

    @property
    def address(self) -> str:
        """host:port at which the proxy connects to the component."""
        if self.over_tls:
            return door_addresses.asked_at(self.door, self.route, self.server)
        return f"127.0.0.1:{self.server.port}"

    @property
    def verified_name(self) -> str:
        """The DNS name by which the proxy verifies the component's certificate."""
        return door_addresses.verified_name(self.door, self.route, self.server)

    @property
    def url(self) -> str:
        """The component's URL at the front door, without a slash at the end."""
        return self.door.url(self.route)

    @property
    def old_prefix(self) -> str:
        """The path below which the component serves now, or ''."""
        return self.facts.prefix(self.service.flag)

    @property
    def moves(self) -> bool:
        """Whether the component's path changes."""
        return self.old_prefix != self.route.prefix

    @property
    def is_closed(self) -> bool:
        """Whether the component listens on loopback addresses only, by its sockets or (without any) by its flag."""
        held = self.service.sockets or (self.service.flag("web.listen-address"),)
        return all(endpoints.is_loopback(endpoints.split(each)[0]) for each in held)


@dataclass(frozen=True, slots=True)
class KnownDoor(Participant):
    """A front door that can be set up."""

    role: ClassVar[Role] = Role.CLIENT
    door: FrontDoor
    proxy: Proxy
    host: HostFacts
    service: Service
    backends: tuple[Backend, ...]
    grafana: DoorGrafana | None = None
    """The Grafana behind the front door."""

    @property
    def component(self) -> str:
        """The name of the proxy."""
        return self.proxy.name

    @property
    def instance(self) -> str:
        """The name of the front door, with its port unless that is the default one."""
        return self.door.instance

    @property
    def title(self) -> str:
        """The front door's name on the screen."""
        return f"{self.door.authority} in {self.proxy.title}"

    @property
    def site(self) -> str:
        """The file with the front door's configuration, which may be a person's own site."""
        return self.door.site or self.proxy.site.format(name=self.instance)

    @property
    def include(self) -> str:
        """The file that a person's own site includes."""
        return posixpath.join(self.proxy.home, f"{self.instance}.conf")

    @property
    def written(self) -> str:
        """The file with the front door's locations (and with its users' hashes, if the proxy reads them there)."""
        return self.include if self.door.site and self.proxy.shared is None else self.site

    @property
    def outside(self) -> str:
        """The file with the settings that must be outside of a person's own site; '' if none are needed."""
        needed = self.door.site and self.proxy.render_outside is not None
        return self.proxy.site.format(name=self.instance) if needed else ""

    @property
    def passwords(self) -> str:
        """The file with users and their hashes."""
        return posixpath.join(self.proxy.home, f"{self.instance}.htpasswd")

    @property
    def client_ca(self) -> str:
        """The CA bundle that verifies client certificates."""
        return posixpath.join(self.proxy.home, f"{self.instance}-client-ca.crt")

    @property
    def client_pair(self) -> tuple[str, str]:
        """The client certificate for connections to components, and its key."""
        stem = posixpath.join(self.proxy.home, f"{self.instance}-client")
        return f"{stem}.crt", f"{stem}.key"

    @property
    def client_bundle(self) -> str:
        """Client certificate and key in one file, for a proxy that requires that."""
        return posixpath.join(self.proxy.home, f"{self.instance}-client.pem")

    @property
    def client_names(self) -> tuple[str, ...]:
        """The names in the client certificate: proxy, and proxy with host; never the front door's own name."""
        return self.proxy.name, f"{self.proxy.name}.{self.door.host.replace('_', '-')}"

    @property
    def backend_ca(self) -> str:
        """The CA bundle that verifies the components' certificates."""
        return posixpath.join(self.proxy.home, f"{self.instance}-backend-ca.crt")

    @property
    def bundle(self) -> str:
        """Certificate and key in one file, for a proxy that requires that; '' for the others."""
        return (
            posixpath.join(self.proxy.home, f"{self.instance}.pem")
            if self.proxy.wants_bundle(self.service.version) and not self.door.site
            else ""
        )

    @property
    def hook(self) -> str:
        """The script that certbot runs after a renewal; '' if the front door's certificate is not from Let's Encrypt."""
        used = self.door.cert_file.startswith(f"{door_settings.LIVE}/")
        return f"{HOOKS[-1]}/firescreen-{self.instance}" if used else ""

    @property
    def hook_files(self) -> tuple[str, ...]:
        """`hook` as a tuple of paths to read."""
        return (self.hook,) if self.hook else ()

    def owns(self, file: str, line: int) -> bool:
        """Whether a line of a configuration belongs to front doors."""
        if self.proxy.shared is None:
            return file == self.site
        return file == self.site and line in self.proxy.shared.own_lines(self.main)

    def holds(self, host: str, route: ProxyRoute) -> bool:
        """Whether a route in a configuration of a host belongs to this front door."""
        return host == self.door.host and (route.file == self.include or self.owns(route.file, route.line))

    @property
    def main(self) -> str:
        """The text of the proxy's main configuration; '' if the file is missing."""
        state = self.host.files.get(self.service.config_file)
        return state.content.decode("utf-8", "surrogateescape") if state is not None else ""

    @property
    def server(self) -> Server:
        """The front door as a server with a certificate."""
        door = self.door
        spec = ComponentSpec(
            host=door.host,
            name=self.proxy.name,
            unit=self.instance,
            names=(door.name,),
            files=OwnFiles(cert_file=door.cert_file, key_file=door.key_file, ca_file=door.ca_file),
        )
        address = self.host.spec.address or "127.0.0.1"
        service = replace(self.service, listen=f"{address}:{door.port}", instance=self.instance)
        return Server(spec, self.host, service)

    @property
    def shown(self) -> tuple[str, str]:
        """Certificate and key that the configuration names, if Firescreen made them; ('', '') otherwise."""
        state = self.host.files.get(self.site)
        text = state.content.decode("utf-8", "replace") if state is not None else ""
        server = self.server
        pairs = () if self.door.site else (server.pair, server.spare_pair)
        return next((pair for pair in pairs if pair[0] in text), ("", ""))

    @property
    def ipv6(self) -> bool:
        """Whether the host has an IPv6 address other than link-local ones to listen on."""
        found = (endpoints.parse_address(name) for name in self.host.names)
        return any(each is not None and each.version == 6 and not each.is_link_local for each in found)

    def user(self, stack: Stack) -> UserSpec | None:
        """The user for the probes; None if there are no passwords."""
        users = [user for user in stack.users if user.name in self.door.users]
        return users[0] if users else None


def doors(stack: Stack, facts: Facts) -> tuple[KnownDoor, ...]:
    """The front doors (without `EXPORTERS`) whose host, and whose components' hosts, could be read.

    Raises:
        InputError: one of them cannot be set up.
    """
    found = []
    for door in stack.front_doors:
        away = [name for route in door.routes if (name := door.host_of(route)) in facts.away]
        known = proxy(door.proxy)
        if (
            door.serves_exporters
            or door.host in facts.away
            or (away and (known is None or known.shared is None))
        ):
            continue
        if away:
            raise InputError(
                f"{away[0]} is unreachable, and {door.name} leads to it: without it, the one configuration of "
                f"{door.proxy} on {door.host} would lose that front door",
                where=stack.source or door.key,
                todo=f"Start {away[0]}, or take its routes out of the front door",
            )
        found.append(_door(stack, facts, door))
    return tuple(found)


def _door(stack: Stack, facts: Facts, door: FrontDoor) -> KnownDoor:
    known, host = proxy(door.proxy), facts.hosts[door.host]
    service = next((each for each in host.proxies if each.component == door.proxy), None)
    if known is None or service is None:
        raise InputError(
            f"there is no {door.proxy} on {door.host} that systemd runs",
            where=stack.source or door.key,
            todo=f"Install {door.proxy} there and start it, then plan again",
        )
    scan = facts.proxies.get(door.host)
    other_process = next(
        (each for each in (scan.unread if scan else ()) if each.startswith(f"{door.proxy} runs")), ""
    )
    if not service.active and other_process:
        raise InputError(
            f"the unit {known.unit} does not run on {door.host}, but {other_process}",
            where=stack.source or door.key,
            todo=f"Run {known.title} by the unit {known.unit}, with {known.main}, or use another proxy",
        )
    if not service.active:
        raise InputError(
            f"{known.title} is installed on {door.host} and does not run",
            where=stack.source or door.key,
            todo=f"Start it: systemctl enable --now {known.unit}",
        )
    if not host.root:
        raise InputError(
            f"a front door in {known.title} is set up as root, and {door.host} is used as {host.user}",
            where=stack.source or door.key,
            todo="Log in as root, or set become: sudo for this host",
        )
    backends = tuple(
        backend(stack, facts.hosts[door.host_of(route)], door, route) for route in door.component_routes
    )
    return KnownDoor(
        door, known, host, service, backends, door_grafana.grafana_behind_door(stack, host, door)
    )


def backend(stack: Stack, host: HostFacts, door: FrontDoor, route: DoorRoute) -> Backend:
    """The component of a route.

    Raises:
        InputError: the component cannot be put behind a front door.
    """
    spec = next(each for each in stack.components if (each.host, each.name) == (host.spec.name, route.to))
    service = host.service(spec.name, spec.unit)
    if service is None or not service.active:
        raise InputError(
            f"{spec.name} does not run on {spec.host}",
            where=stack.source or spec.key,
            todo=f"Install and start it, or take its route out of the front door {door.name}",
        )
    if service.is_manual or service.container is not None or service.flags.kind not in ("envfile", "dropin"):
        raise InputError(
            f"the flags of {spec.name} on {spec.host} cannot be set from here, so it cannot be put behind a front door",
            where=spec.key,
            todo="Run it as a systemd unit that starts the program itself",
        )
    if service.web_config and not spec.protect:
        raise InputError(
            f"{spec.name} on {spec.host} serves by its web configuration {service.web_config}, and the front door "
            "asks it by plain http on the loopback address",
            where=spec.key,
            todo="Take --web.config.file out of its flags first (firescreen undo, if Firescreen added it), or use protect: "
            "[tls, client_cert] for it",
        )
    listens = [each for each in service.arguments if each.partition("=")[0].endswith("web.listen-address")]
    if len(listens) > 1:
        raise InputError(
            f"{spec.name} on {spec.host} is started with several --web.listen-address",
            where=spec.key,
            todo="Keep one of them",
        )
    found = Backend(door, route, Server(spec, host, service))
    if route.host and found.is_closed:
        raise InputError(
            f"{spec.name} on {spec.host} listens on the loopback address alone, and the front door {door.name} asks it "
            f"from {door.host}",
            where=spec.key,
            todo=f"Start it with --web.listen-address=:{found.server.port}",
        )
    return found


def addresses(spec: HostSpec, names: Sequence[str]) -> tuple[str, ...]:
    """The addresses at which other hosts may reach a host: neither loopback nor link-local ones."""
    found: dict[str, None] = {}
    for name in (spec.address, *names):
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            continue
        if not (address.is_loopback or address.is_link_local):
            found[str(address)] = None
    return tuple(found)


def probe_resolution(spec: HostSpec, names: Sequence[str], door: FrontDoor) -> dict[str, Any]:
    """The options by which a probe resolves a front door's name, which may not be in DNS yet."""
    address = endpoints.parse_address(spec.address) if spec.address else None
    if spec.connect == "local":
        place = "127.0.0.1"
    else:
        place = str(address) if address is not None else next(iter(addresses(spec, names)), "")
    return {"resolve": f"{door.name}:{door.port}:{place}"} if place else {}
