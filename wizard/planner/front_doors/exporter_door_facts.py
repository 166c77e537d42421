"""exporter_exporter as the one open port of a host: its server, its modules, and the exporters behind it. Pure.

As a server it is planned like any protected component: the plan also edits the jobs that scrape it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from wizard import endpoints
from wizard.config_files import web_config
from wizard.config_files.prometheus.module_jobs import PROXY_PATH
from wizard.config_files.proxies import exporter_exporter
from wizard.errors import InputError
from wizard.model import EXPORTERS, ComponentSpec, Facts, FrontDoor, OwnFiles, Service, Stack
from wizard.planner.client_facts import Client
from wizard.planner.front_doors.door_facts import Backend, backend
from wizard.planner.server_facts import Server


@dataclass(frozen=True, slots=True)
class ExporterDoor:
    """The exporter_exporter of a host, and the exporters that it will serve."""

    door: FrontDoor
    server: Server
    backends: tuple[Backend, ...]

    @property
    def main(self) -> bytes:
        """The content of its configuration.

        Raises:
            InputError: the file is missing.
        """
        state = self.server.host.files.get(self.server.service.config_file)
        if state is None:
            raise InputError(
                f"{EXPORTERS} runs with a configuration that is not there",
                where=f"{self.door.host}:{self.server.service.config_file}",
                todo="Restore it, then plan again",
            )
        return state.content

    def module(self, each: Backend, path: str) -> exporter_exporter.Module | None:
        """The module that fetches a path from an exporter; None if there is none."""
        return next(
            (
                module
                for module in exporter_exporter.modules(self.main, self.server.service.config_file)
                if isinstance(module, exporter_exporter.Module)
                and (module.scheme, module.path) == ("http", path)
                and endpoints.split(module.upstream)[1] == each.server.port
                and endpoints.is_loopback(endpoints.split(module.upstream)[0])
            ),
            None,
        )

    def new_module(self, each: Backend, path: str, taken: set[str]) -> exporter_exporter.Module:
        """A new module for an exporter's path, under a free name."""
        names = (each.component, *(f"{each.component}-{number}" for number in range(2, 1000)))
        name = next(name for name in names if name not in taken)
        return exporter_exporter.Module(name, each.address, "http", path)


def metrics_path(each: Backend) -> str:
    """The path of an exporter's metrics."""
    return each.facts.metrics_path(each.service.flag)


def wide(each: Backend) -> Server:
    """An exporter as a server that listens on every address, so that each address in a client matches it."""
    return replace(each.server, service=replace(each.service, sockets=(f"*:{each.server.port}",)))


def asks(client: Client, address: str, each: Backend) -> bool:
    """Whether a client's address leads to an exporter now, but no longer once that listens on loopback only."""
    near = client.host.spec.name == each.host.spec.name
    stays = near and endpoints.is_loopback(endpoints.split(address)[0])
    return not stays and client.means(address, wide(each))


def wanted_flags(backend: Backend) -> dict[str, str]:
    """The listen flag for an exporter that listens on more than loopback; {} otherwise."""
    name = "web.listen-address"
    return {} if backend.service.flag(name) == backend.address else {name: backend.address}


def servers(stack: Stack, facts: Facts) -> Iterator[Server]:
    """Yields each exporter_exporter that is a front door of the stack, as a server.

    Raises:
        InputError: one of them cannot be set up.
    """
    for door in stack.front_doors:
        if door.serves_exporters and door.host not in facts.away:
            yield _server(stack, facts, door)


def doors(stack: Stack, facts: Facts) -> tuple[ExporterDoor, ...]:
    """The same front doors, each with its exporters.

    Raises:
        InputError: one of them cannot be set up.
    """
    found = []
    for door in stack.front_doors:
        if door.serves_exporters and door.host not in facts.away:
            host = facts.hosts[door.host]
            behind = tuple(backend(stack, host, door, route) for route in door.routes)
            found.append(ExporterDoor(door, _server(stack, facts, door), behind))
    return tuple(found)


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The paths to read beyond those of every server, by host: modules, and the exporters' flags."""
    return {
        door.door.host: (
            door.server.service.config_file,
            *(each.service.flags.path for each in door.backends if each.service.flags.path),
        )
        for door in doors(stack, facts)
    }


def wanted_folders(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The folders to check, by host."""
    return {
        door.door.host: tuple(folder for each in door.backends for folder in each.server.flag_folders)
        for door in doors(stack, facts)
    }


def settings(service: Service) -> web_config.WebConfig:
    """The TLS settings in its flags as a web configuration."""
    if not service.flag("web.tls.listen-address"):
        return web_config.WebConfig()
    verifies = has_switch(service, "web.tls.verify")
    return web_config.WebConfig(
        cert_file=service.flag("web.tls.cert"),
        key_file=service.flag("web.tls.key"),
        client_auth_type="RequireAndVerifyClientCert" if verifies else "",
        client_ca_file=service.flag("web.tls.ca") if verifies else "",
    )


def has_switch(service: Service, name: str) -> bool:
    """Whether a boolean flag is on."""
    on = (name, f"{name}=true", f"{name}=1", f"{name}=t", f"{name}=T", f"{name}=TRUE", f"{name}=True")
    return any(each.lstrip("-") in on for each in service.arguments if each.startswith("-"))


def is_closed(service: Service) -> bool:
    """Whether its plain-http port is closed, which an empty address does."""
    flags = [
        each.lstrip("-") for each in service.arguments if each.lstrip("-").startswith("web.listen-address=")
    ]
    return bool(flags) and flags[-1] == "web.listen-address="


def _server(stack: Stack, facts: Facts, door: FrontDoor) -> Server:
    host, where = facts.hosts[door.host], stack.source or door.key
    service = next((each for each in host.proxies if each.component == EXPORTERS), None)
    if service is None or not service.active:
        raise InputError(
            f"{EXPORTERS} is not there on {door.host}, or does not run as the unit prometheus-exporter-exporter",
            where=where,
            todo="Install prometheus-exporter-exporter there and start it: systemctl enable --now prometheus-exporter-exporter",
        )
    if not host.root:
        raise InputError(
            f"{EXPORTERS} is set up as root, and {door.host} is used as {host.user}",
            where=where,
            todo="Log in as root, or set become: sudo for this host",
        )
    if service.flags.kind not in ("envfile", "dropin"):
        raise InputError(
            f"the flags of {EXPORTERS} on {door.host} cannot be set from here",
            where=where,
            todo="Run it as a systemd unit that starts the program itself",
        )
    _refuse_flags(service, door, where)
    wanted = str(door.port)
    address = service.listen.rpartition(":")[0] or "127.0.0.1"
    # With a plain port too, its sockets are known by that one; the TLS port is not among them.
    places = (*service.sockets, service.listen, service.flag("web.tls.listen-address"))
    ports = {port for each in places if (port := each.rpartition(":")[2])}
    if wanted not in ports:
        raise InputError(
            f"{EXPORTERS} on {door.host} listens on port {', '.join(sorted(ports))}, and the front door has port {wanted}",
            where=where,
            todo=f"Use port: {min(ports)}, or start it with -web.listen-address=:{wanted}",
        )
    spec = ComponentSpec(
        host=door.host,
        name=EXPORTERS,
        protect=("tls", "client_cert"),
        files=OwnFiles(cert_file=door.cert_file, key_file=door.key_file, ca_file=door.ca_file),
    )
    return Server(spec, host, replace(service, listen=f"{address}:{wanted}", sockets=(f"*:{wanted}",)))


def _refuse_flags(service: Service, door: FrontDoor, where: str) -> None:
    """Refuses flags that require more than a client certificate, or serve the modules at another path.

    Raises:
        InputError: one of these flags is set.
    """
    for flag in ("web.bearer.token", "web.bearer.token-file"):
        if service.flag(flag):
            raise InputError(
                f"{EXPORTERS} on {door.host} asks for a token too (-{flag}), which the jobs would have to send",
                where=where,
                todo=f"Take -{flag} out of its flags: the client certificate takes its place",
            )
    moved = service.flag("web.proxy-path")
    if moved not in ("", PROXY_PATH):
        raise InputError(
            f"{EXPORTERS} on {door.host} serves its modules at {moved}",
            where=where,
            todo=f"Take -web.proxy-path out of its flags, so that they are at {PROXY_PATH}",
        )
