"""Quadlets as a service manager: containers that systemd runs with Podman, each from a `.container` file.

Podman's generator makes a unit of the file whenever systemd reads its units. As for systemd and Docker, a restart ends
when the new container serves, and if it does not stay up, that is a `ServiceError` with its last lines.
"""

from __future__ import annotations

from wizard.components import component
from wizard.connections.base import Connection
from wizard.errors import ServiceError
from wizard.model import Container, Service
from wizard.redact import plain
from wizard.service_managers import docker, journald
from wizard.service_managers.base import Answers, Ask
from wizard.service_managers.process_list import Process

_TIMEOUT = 120.0
"""Seconds for systemd: the old program may need ten to end, and Podman as long for the rest."""


class Quadlets(docker.Containers):
    """See `base.ServiceManager`. `docker_discovery` finds them together with the containers of all engines."""

    name = "quadlet"
    has_units = False

    def discover(self, connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
        """None: the manager for Docker also finds Podman's containers."""
        return ()

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """Has systemd generate the unit from its file again and restarts it; returns when the new container serves.

        Raises:
            ServiceError: Podman's generator makes no unit from the file, or the container does not stay up.
        """
        box = _box(service)
        _systemctl(connection, service, "daemon-reload")
        loaded = _unit_property(connection, box, "LoadState")
        if loaded != "loaded":
            raise ServiceError(
                f"Podman makes no unit {box.unit} of {box.quadlet}",
                where=f"{connection.name}: {box.quadlet}",
                todo="Run /usr/libexec/podman/quadlet --dryrun, and correct what it names.",
            )
        _systemctl(connection, service, "restart", "--", box.unit)
        docker.await_up(connection, service, box, answers)

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """Restarts it if its file has changed or an old file is mounted, else sends the program a signal."""
        box = _box(service)
        changed = _unit_property(connection, box, "NeedDaemonReload") == "yes"
        if changed or not component(service.component).reload_by or docker.mounted_file(service):
            self.restart(connection, service)
        else:
            docker.signal(connection, service, box, ask)

    def is_active(self, connection: Connection, service: Service) -> bool:
        """Whether the unit is active."""
        return _unit_property(connection, _box(service), "ActiveState") in ("active", "reloading")

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """The last lines of the unit's journal: the container itself is removed when it ends."""
        return tuple(line.text for line in journald.lines(connection, _box(service).unit, lines))

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """The `systemctl` commands, or a signal for a reload."""
        box = _box(service)
        if action == "restart" or docker.mounted_file(service):
            return "systemctl daemon-reload", f"systemctl restart {box.unit}"
        return (f"podman kill --signal=HUP {box.name}",)


def _box(service: Service) -> Container:
    if service.container is None or not service.container.unit:
        raise ServiceError(f"{service.unit} is no container that systemd runs", where=service.host)
    return service.container


def _unit_property(connection: Connection, box: Container, name: str) -> str:
    """A property of the unit from systemd."""
    ended = connection.run(
        ["systemctl", "show", "--no-pager", "-p", name, "--value", "--", box.unit], timeout=20
    )
    return ended.stdout.strip()


def _systemctl(connection: Connection, service: Service, *words: str) -> None:
    ended = connection.run(["systemctl", *words], timeout=_TIMEOUT)
    if ended.code:
        box = _box(service)
        raise ServiceError(
            f"systemd did not {words[0]} {box.unit}: {plain(ended.stderr.strip(), 300)}",
            where=f"{connection.name}: {box.unit}",
            todo="Read its last lines, mend what they name, and try again.",
            log=tuple(line.text for line in journald.lines(connection, box.unit, 20)),
        )
