"""A front door with what is known of it: its proxy, the components behind it, where each of its files goes. Pure."""

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
"""What the certificate of a person's own site is verified against, where no `ca_file` is named."""
HOOKS = ("/etc/letsencrypt/renewal-hooks", "/etc/letsencrypt/renewal-hooks/deploy")
"""The folder of what certbot runs after a renewal, and that above it."""
HEAD = b"# Written by Firescreen"
"""How every file of a front door begins that a person might take for one of their own."""


@dataclass(frozen=True, slots=True)
class Backend(Participant):
    """A component behind a front door."""

    role: ClassVar[Role] = Role.CLIENT
    door: FrontDoor
    route: DoorRoute
    server: Server

    @property
    def host(self) -> HostFacts:  # type: ignore[override]
        """Its host, which may be another than the front door's."""
        return self.server.host

    @property
    def service(self) -> Service:
        """It as a service."""
        return self.server.service

    @property
    def facts(self) -> Component:
        """Its component."""
        return find_component(self.server.spec.name)

    @property
    def component(self) -> str:
        """The name of its component."""
        return self.server.spec.name

    @property
    def instance(self) -> str:
        """The unit of a further instance on its host; '' for the usual one."""
        return self.server.spec.unit

    @property
    def over_tls(self) -> bool:
        """Whether the proxy asks it over TLS and shows a client certificate; if not, it listens on loopback alone."""
        return bool(self.server.spec.protect)

    @property
    def address(self) -> str:
        """host:port at which the proxy asks it."""
        if self.over_tls:
            return door_addresses.asked_at(self.door, self.route, self.server)
        return f"127.0.0.1:{self.server.port}"

    @property
    def verified_name(self) -> str:
        """The DNS name by which the proxy verifies its certificate."""
        return door_addresses.verified_name(self.door, self.route, self.server)

    @property
    def url(self) -> str:
        """Where it is served, without a slash at the end."""
        return self.door.url(self.route)

    @property
    def old_prefix(self) -> str:
        """The path below which it serves now, or ''."""
        return self.facts.prefix(self.service.flag)

    @property
    def moves(self) -> bool:
        """Whether its path changes."""
        return self.old_prefix != self.route.prefix

    @property
    def is_closed(self) -> bool:
        """Whether it listens on loopback addresses alone, as far as its sockets or its flags say."""
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
    """What it leads to besides components."""

    @property
    def component(self) -> str:
        """The name of the proxy."""
        return self.proxy.name

    @property
    def instance(self) -> str:
        """The name of the front door, with its port where that is not the usual one."""
        return self.door.instance

    @property
    def title(self) -> str:
        """As a person names it."""
        return f"{self.door.authority} in {self.proxy.title}"

    @property
    def site(self) -> str:
        """Its configuration, which may be a person's own."""
        return self.door.site or self.proxy.site.format(name=self.instance)

    @property
    def include(self) -> str:
        """What a person's own site includes."""
        return posixpath.join(self.proxy.home, f"{self.instance}.conf")

    @property
    def written(self) -> str:
        """The file that has its locations, and the hashes of its users where the proxy reads them in there."""
        return self.include if self.door.site and self.proxy.shared is None else self.site

    @property
    def outside(self) -> str:
        """What must stand outside of such a site, a file of its own; '' for none."""
        needed = self.door.site and self.proxy.render_outside is not None
        return self.proxy.site.format(name=self.instance) if needed else ""

    @property
    def passwords(self) -> str:
        """Its users and their hashes."""
        return posixpath.join(self.proxy.home, f"{self.instance}.htpasswd")

    @property
    def client_ca(self) -> str:
        """What it checks client certificates against."""
        return posixpath.join(self.proxy.home, f"{self.instance}-client-ca.crt")

    @property
    def client_pair(self) -> tuple[str, str]:
        """The certificate that it shows to components, and its key."""
        stem = posixpath.join(self.proxy.home, f"{self.instance}-client")
        return f"{stem}.crt", f"{stem}.key"

    @property
    def client_bundle(self) -> str:
        """The same in one file, for a proxy that wants that."""
        return posixpath.join(self.proxy.home, f"{self.instance}-client.pem")

    @property
    def client_names(self) -> tuple[str, ...]:
        """The names in that certificate: which proxy it is, and where. None is that of the front door."""
        return self.proxy.name, f"{self.proxy.name}.{self.door.host.replace('_', '-')}"

    @property
    def backend_ca(self) -> str:
        """What it verifies the certificates of components against."""
        return posixpath.join(self.proxy.home, f"{self.instance}-backend-ca.crt")

    @property
    def bundle(self) -> str:
        """Its certificate and key in one file, for a proxy that wants that; '' for the others."""
        return (
            posixpath.join(self.proxy.home, f"{self.instance}.pem")
            if self.proxy.wants_bundle(self.service.version) and not self.door.site
            else ""
        )

    @property
    def hook(self) -> str:
        """What certbot runs for a renewed certificate of Let's Encrypt that it shows; '' for another."""
        used = self.door.cert_file.startswith(f"{door_settings.LIVE}/")
        return f"{HOOKS[-1]}/firescreen-{self.instance}" if used else ""

    @property
    def hook_files(self) -> tuple[str, ...]:
        """The same as paths to read."""
        return (self.hook,) if self.hook else ()

    def owns(self, file: str, line: int) -> bool:
        """Whether a line of a configuration is of front doors."""
        if self.proxy.shared is None:
            return file == self.site
        return file == self.site and line in self.proxy.shared.own_lines(self.main)

    def holds(self, host: str, route: ProxyRoute) -> bool:
        """Whether a route in a configuration of that host is one of this front door."""
        return host == self.door.host and (route.file == self.include or self.owns(route.file, route.line))

    @property
    def main(self) -> str:
        """The text of the proxy's main configuration; '' where it is not there."""
        state = self.host.files.get(self.service.config_file)
        return state.content.decode("utf-8", "surrogateescape") if state is not None else ""

    @property
    def server(self) -> Server:
        """As a server with a certificate."""
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
        """Certificate and key that its configuration names, if Firescreen has made them; ('', '') for none."""
        state = self.host.files.get(self.site)
        text = state.content.decode("utf-8", "replace") if state is not None else ""
        server = self.server
        pairs = () if self.door.site else (server.pair, server.spare_pair)
        return next((pair for pair in pairs if pair[0] in text), ("", ""))

    @property
    def ipv6(self) -> bool:
        """Whether its host has an IPv6 address to listen on, besides those of its own links."""
        found = (endpoints.parse_address(name) for name in self.host.names)
        return any(each is not None and each.version == 6 and not each.is_link_local for each in found)

    def user(self, stack: Stack) -> UserSpec | None:
        """The user as whom the probes log in; None where there are no passwords."""
        mine = [user for user in stack.users if user.name in self.door.users]
        return mine[0] if mine else None


def doors(stack: Stack, facts: Facts) -> tuple[KnownDoor, ...]:
    """The front doors of a stack whose hosts could be read, also those of what they lead to; without `EXPORTERS`.

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
    there = facts.proxies.get(door.host)
    said = next(
        (each for each in (there.unread if there else ()) if each.startswith(f"{door.proxy} runs")), ""
    )
    if not service.active and said:
        raise InputError(
            f"the unit {known.unit} does not run on {door.host}, but {said}",
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
    """What a route leads to.

    Raises:
        InputError: it cannot be put behind a front door.
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
    """The addresses of a host by which others may reach it: none of the loopback, none of a link alone."""
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
    """How a probe resolves the name of a front door: it need not be in any name server yet."""
    address = endpoints.parse_address(spec.address) if spec.address else None
    if spec.connect == "local":
        place = "127.0.0.1"
    else:
        place = str(address) if address is not None else next(iter(addresses(spec, names)), "")
    return {"resolve": f"{door.name}:{door.port}:{place}"} if place else {}
