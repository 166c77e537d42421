"""Connections and services by name: the only place that knows which kind of host needs which code."""

from __future__ import annotations

import posixpath
import shutil
import threading
from dataclasses import replace
from types import ModuleType

from wizard.account import account
from wizard.components import component as find_component
from wizard.engine import proving
from wizard.errors import HostError
from wizard.hosts.local import LocalConnection, host_names
from wizard.hosts.practice import PracticeConnection
from wizard.model import WORKSPACE, Connection, HostSpec, Service
from wizard.services import detect, process, systemd
from wizard.workspace import Workspace


class Hosts:
    """The connections of one run, opened at first use and closed together."""

    def __init__(self, workspace: Workspace, specs: tuple[HostSpec, ...]) -> None:
        self._workspace = workspace
        self._specs = {spec.name: spec for spec in specs}
        self._open: dict[str, LocalConnection] = {}
        self._locks: dict[str, threading.Lock] = {}

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def connection(self, name: str) -> LocalConnection:
        """The connection to a host, or to the workspace.

        Raises:
            HostError: this version cannot reach such a host.
        """
        with self._locks.setdefault(name, threading.Lock()):  # two threads must not open the same one twice
            if name not in self._open:
                self._open[name] = self._connect(name)
            return self._open[name]

    def _connect(self, name: str) -> LocalConnection:
        if name == WORKSPACE:
            return LocalConnection(WORKSPACE)
        spec = self._specs[name]
        if spec.connect == "practice":
            return PracticeConnection(name, self._workspace.practice / name, address=spec.address)
        if spec.connect == "manual":
            return LocalConnection(name)  # its files are laid out in the outbox, for a person to copy
        if spec.connect == "local":
            return LocalConnection(name, become=spec.become)
        raise HostError(
            f"this version cannot reach a host by {spec.connect}",
            where=name,
            todo="run Firescreen on that host with connect: local",
        )

    def names(self, name: str) -> tuple[str, ...]:
        """Names and addresses that a host answers to, best first."""
        spec = self._specs[name]
        if spec.connect == "manual":
            return (spec.address, name)
        connection = self.connection(name)
        return connection.host_names() if isinstance(connection, PracticeConnection) else host_names()

    def services(self, name: str, wanted: tuple[str, ...] = ()) -> tuple[Service, ...]:
        """What runs on a host; on a manual one, what the stack says (`wanted`)."""
        spec = self._specs[name]
        if spec.connect == "manual":
            return tuple(self._by_hand(spec, component) for component in wanted)
        connection = self.connection(name)
        if self._specs[name].connect == "practice":
            return process.discover(connection, str(self._workspace.practice / name))
        return detect.discover(connection, practice_folder=str(self._workspace.practice))

    def _by_hand(self, spec: HostSpec, component: str) -> Service:
        """A service that only its address tells of: whether it speaks TLS yet is asked on the wire."""
        known = find_component(component)
        user, group = account()
        home = str(self._workspace.outbox / spec.name / component)
        service = Service(
            host=spec.name,
            component=component,
            manager="manual",
            kind="windows" if spec.os == "windows" else "process",
            unit=component,
            listen=f"{_bracketed(spec.address)}:{known.default_port}",
            user=user,
            group=group,
            active=True,
            home=home,
        )
        turned = proving.exposure(service).tls
        return replace(service, web_config=posixpath.join(home, "web.yml") if turned else "")

    def with_unit_text(self, service: Service) -> Service:
        """The service with what a drop-in for it has to be made from."""
        if service.manager != "systemd" or service.flags.kind != "dropin":
            return service
        text = systemd.unit_text(self.connection(service.host), service)
        return replace(service, unit_text=text)

    def promtool(self, name: str, services: tuple[Service, ...]) -> str:
        """Where promtool is on a host: beside prometheus, in a usual folder, or '' for nowhere."""
        from wizard import binaries

        spec = self._specs[name]
        if spec.connect == "practice":
            from wizard.practice.record import load

            stack = load(self._workspace.practice)
            if stack is not None and stack.promtool:
                return stack.promtool  # of the same generation as what it checks for
        if spec.connect in ("practice", "manual"):
            found = binaries.available("promtool", cache=self._workspace.cache)
            if found is not None:
                return found.path
        beside = [
            posixpath.dirname(service.program) for service in services if service.component == "prometheus"
        ]
        for folder in (*beside, "/usr/bin", "/usr/local/bin", "/opt/prometheus"):
            path = posixpath.join(folder, "promtool")
            if folder and self.connection(name).info(path) is not None:
                return path
        return shutil.which("promtool") or "" if spec.connect in ("local", "practice") else ""


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def manager(service: Service) -> ModuleType | None:
    """The code that restarts a service; None where a person has to."""
    return {"systemd": systemd, "process": process}.get(service.manager)


def restart(connection: Connection, service: Service) -> None:
    """Restarts a service and waits until it serves.

    Raises:
        ServiceError: it did not come up; its own last lines are in `log`.
    """
    if service.manager == "systemd":
        if service.flags.kind == "dropin":
            systemd.daemon_reload(connection)
        systemd.restart(connection, service)
    elif service.manager == "process":
        process.restart(connection, service)


def reload(connection: Connection, service: Service) -> None:
    """Has a service read its configuration again; back when it says that it has.

    Raises:
        ServiceError: it refused the new configuration; it goes on with the old.
    """
    code = manager(service)
    if code is not None and find_component(service.component).reload_by:
        code.reload(connection, service)
