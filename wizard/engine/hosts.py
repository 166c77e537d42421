"""Connections and services by host name: the only place that knows which kind of host needs which code."""

from __future__ import annotations

import posixpath
import shutil
import socket
import threading
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from wizard.account import account
from wizard.components import component as find_component
from wizard.connections.base import Connection
from wizard.connections.credentials import Access
from wizard.connections.local import LocalConnection
from wizard.connections.practice import PracticeConnection
from wizard.connections.sudo import open_local
from wizard.engine.exposure import exposure
from wizard.engine.parallel import run_parallel
from wizard.engine.reachability import Way, bracket_ipv6, seen_from_here
from wizard.errors import FirescreenError, UnreachableError
from wizard.model import MANUAL, WORKSPACE, Caller, Forward, HostSpec, Service, Stack
from wizard.service_managers import (
    discovery,
    proxy_services,
    supervised,
)
from wizard.service_managers import (
    plain_http_clients as callers,
)
from wizard.service_managers.registry import manager_of
from wizard.workspace import Workspace

DiscoveredServices: TypeAlias = MutableMapping[HostSpec, tuple[float, tuple[Service, ...]]]
"""When (`time.monotonic`) and which services `service_managers.discovery.discover` found, by host."""

_FRESH = 10.0
"""Seconds for which such a result may be used."""


class Hosts:
    """The connections of one run, opened at first use and closed together.

    Args:
        kept: SSH connections that outlive the run, by host; new ones are added. They reconnect by themselves.
        discovered: services that were discovered while these connections were opened; each entry is used once.
    """

    def __init__(
        self,
        workspace: Workspace,
        specs: tuple[HostSpec, ...],
        access: Access | None = None,
        kept: dict[HostSpec, Connection] | None = None,
        *,
        discovered: DiscoveredServices | None = None,
    ) -> None:
        self._workspace = workspace
        self._specs = {spec.name: spec for spec in specs}
        self._access = access or Access()
        self._kept = kept if kept is not None else {}
        self._discovered = discovered if discovered is not None else {}
        self._open: dict[str, Connection] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._early: dict[str, tuple[Service, ...]] = {}
        self._found: dict[str, tuple[Service, ...]] = {}

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        kept = set(map(id, self._kept.values()))
        for connection in self._open.values():
            if id(connection) not in kept:
                connection.close()
        self._open.clear()

    def spec(self, name: str) -> HostSpec:
        """The settings of a host, e.g. how to connect to it."""
        return self._specs[name]

    def lock_path(self, name: str) -> str:
        """The path of a host's lock file; '' for a host that a person changes with manual commands."""
        spec = self._specs[name]
        if spec.connect == "manual":
            return ""
        if spec.connect == "practice":
            return str(self._workspace.practice / name / "firescreen.lock")
        user, _, root = self.connection(name).identity()
        # Safe in /tmp: it is only a lock without data, and a file that another user creates first only causes a refusal.
        return "/run/firescreen.lock" if root else f"/tmp/firescreen-{user}.lock"  # noqa: S108

    def connection(self, name: str) -> Connection:
        """The connection to a host, or to the workspace."""
        with self._locks.setdefault(name, threading.Lock()):  # two threads must not open the same one twice
            if name not in self._open:
                self._open[name] = self._connect(name)
            return self._open[name]

    def _connect(self, name: str) -> Connection:
        if name == WORKSPACE:
            return LocalConnection(WORKSPACE, own=True)
        spec = self._specs[name]
        match spec.connect:
            case "practice":
                return PracticeConnection(name, self._workspace.practice / name, address=spec.address)
            case "local":
                return open_local(name, become=spec.become)
            case "ssh":
                from wizard.connections.ssh.connection import SshConnection

                if spec not in self._kept:
                    self._kept[spec] = SshConnection(spec, self._access)
                return self._kept[spec]
            case "incus":
                from wizard.connections.incus import IncusConnection

                return IncusConnection(spec, via=self.connection(spec.via) if spec.via else None)
        return LocalConnection(name)  # manual: its files are laid out in the outbox, for a person to copy

    def reach_all(self) -> None:
        """Connects to all hosts.

        Raises:
            CredentialNeededError: a password or the confirmation of a host key is missing.
            HostError: a host cannot be reached. One unreachable host among several may be left out: discovery, which comes
                next, decides that, and does not wait for the same time-out again.
        """
        for name, error in zip(self._specs, run_parallel(self.reach, self._specs), strict=True):
            if error is None:
                continue
            if len(self._specs) == 1 or not isinstance(error, UnreachableError):
                raise error
            self.connection(name).fail_next(error)

    def reach(self, name: str) -> FirescreenError | None:
        """Connects to a host; returns the error if it cannot be reached."""
        try:
            self.connection(name).identity()
        except FirescreenError as error:
            return error
        return None

    def names(self, name: str) -> tuple[str, ...]:
        """Names and addresses by which a host is reached, best first."""
        spec = self._specs[name]
        if spec.connect == "manual":
            return (spec.address, name)
        connection = self.connection(name)
        if connection.is_local:
            return connection.host_names()
        own = (connection.address, *connection.host_names())
        return tuple(dict.fromkeys(each for each in own if each and each not in ("127.0.0.1", "::1")))

    def services(self, name: str, wanted: tuple[str, ...] = ()) -> tuple[Service, ...]:
        """The services on a host.

        Args:
            wanted: the components that the stack names there; a manual host has no other services.
        """
        if name in self._found:
            return self._found.pop(name)
        spec = self._specs[name]
        if spec.connect == "manual":
            return tuple(self._by_hand(spec, component) for component in wanted)
        connection = self.connection(name)
        if self._specs[name].connect == "practice":
            return supervised.discover(connection, str(self._workspace.practice / name))
        found = self._early.pop(name, None)
        if found is None:
            found = discovery.discover(connection, practice_folder=str(self._workspace.practice))
        way = self._way(spec)
        if not way.address:
            return found
        return tuple(run_parallel(lambda service: seen_from_here(service, way, self.dial), found))

    def ask_ahead(self, name: str, stack: Stack) -> None:
        """Fetches everything that the discovery of a host reads in one round trip.

        Does nothing if its services were discovered while the connection was opened, a moment ago.
        """
        connection = self.connection(name)
        connection.identity()  # waits for a connection that is still being opened, and fills `discovered`
        discovered = self._discovered.pop(self._specs[name], None)
        if discovered is not None and time.monotonic() - discovered[0] < _FRESH:
            self._early[name] = discovered[1]
        else:
            connection.ask_ahead(discovery.requests(stack))

    def proxies(self, name: str) -> tuple[Service, ...]:
        """The reverse proxies of a host that can be front doors, with addresses as this machine reaches them."""
        found = proxy_services.discover(self.connection(name))
        way = self._way(self._specs[name])
        return tuple(
            seen_from_here(each, way, self.dial) if each.listen and way.address else each for each in found
        )

    def remember_services(self, specs: Sequence[HostSpec], services: tuple[Service, ...]) -> None:
        """Keeps the services of the first host, which is then not discovered again; ignores ()."""
        if services:
            self._found[specs[0].name] = services

    def _way(self, spec: HostSpec) -> Way:
        holder = self._specs.get(spec.via) if spec.connect == "incus" else spec
        if holder is None or holder.connect != "ssh":
            holder = None
        return Way(
            address=self.connection(spec.name).address,
            holder=holder,
            inside=spec.connect == "incus",
            behind=holder is not None and self.connection(holder.name).behind,
        )

    def dial(self, forward: Forward, seconds: float) -> socket.socket:
        """Opens a socket to the destination of a forward, through its host.

        Args:
            seconds: time limit.

        Raises:
            OSError: no connection, e.g. `connections.errors.ForbiddenError`, TimeoutError or ConnectionRefusedError.
        """
        try:
            return self.connection(forward.host.name).open_tunnel(forward.place, seconds)
        except FirescreenError as error:
            raise OSError(f"{forward.host.name}: {error.what}") from error

    def _by_hand(self, spec: HostSpec, component: str) -> Service:
        """A service on a manual host: only its address is known, so a probe finds out whether it uses TLS."""
        known = find_component(component)
        user, group = account()
        home = str(self._workspace.outbox / spec.name / component)
        service = Service(
            host=spec.name,
            component=component,
            manager=MANUAL,
            kind="windows" if spec.os == "windows" else "process",
            unit=component,
            listen=f"{bracket_ipv6(spec.address)}:{known.default_port}",
            user=user,
            group=group,
            active=True,
            home=home,
        )
        has_tls = exposure(service).tls
        return replace(service, web_config=posixpath.join(home, "web.yml") if has_tls else "")

    def with_flag_sources(self, service: Service) -> Service:
        """The service with the file or unit in which its command-line flags are set."""
        return manager_of(service).describe(self.connection(service.host), service)

    def callers(self, name: str, services: tuple[Service, ...]) -> tuple[Caller, ...]:
        """Lines in cron jobs, scripts and other files on a host that request a component by plain http.

        Args:
            services: services whose ports are looked for besides the default ports of all components.
        """
        if not self._specs[name].is_real:
            return ()
        ports = discovery.usual_ports()
        ports |= {int(port) for one in services if (port := one.listen.rpartition(":")[2]).isdecimal()}
        return callers.find(self.connection(name), ports)

    def promtool(self, name: str, services: tuple[Service, ...]) -> str:
        """The path of promtool on a host: beside prometheus or in a usual folder; '' if there is none."""
        spec = self._specs[name]
        if spec.connect == "practice":
            from wizard.practice.record import load

            stack = load(self._workspace.practice)
            if stack is not None and stack.promtool:
                return stack.promtool  # of the same version as the practice Prometheus
        if not spec.is_real:
            from wizard import binaries

            found = binaries.available("promtool", cache=self._workspace.cache)
            if found is not None:
                return found.path
        beside = [
            posixpath.dirname(service.program) for service in services if service.component == "prometheus"
        ]
        folders = (*beside, "/usr/bin", "/usr/local/bin", "/opt/prometheus")
        paths = [posixpath.join(folder, "promtool") for folder in folders if folder]
        there = self.connection(name).stat_many(paths)
        for path in paths:
            if there[path] is not None:
                return path
        return shutil.which("promtool") or "" if spec.connect in ("local", "practice") else ""
