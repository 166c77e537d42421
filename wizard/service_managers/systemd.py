"""systemd as a service manager: finds units, sets their flags, restarts and reloads them."""

from __future__ import annotations

from dataclasses import replace

from wizard.connections.base import Connection
from wizard.model import Service
from wizard.service_managers import reloads, systemd_discovery, systemd_restart
from wizard.service_managers.base import Answers, Ask
from wizard.service_managers.flags import FlagFiles
from wizard.service_managers.process_list import Process


class Systemd(FlagFiles):
    """See `base.ServiceManager`."""

    name = "systemd"
    has_units = True

    def discover(self, connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
        """The components that are units on the host, running or not; none without systemd."""
        return systemd_discovery.discover(connection, running)

    def describe(self, connection: Connection, service: Service) -> Service:
        """Adds the text of the unit, which is needed to make a drop-in for it."""
        if service.flags.kind != "dropin" or service.unit_text:
            return service
        return replace(service, unit_text=systemd_discovery.unit_text(connection, service))

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """See `systemd_restart.restart`; makes systemd read a new drop-in first."""
        if service.flags.kind == "dropin":
            systemd_restart.daemon_reload(connection)
            systemd_restart.check_start(connection, service)
        systemd_restart.restart(connection, service, answers=answers)

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """See `reloads.reload`."""
        reloads.reload(connection, service, ask=ask)

    def is_active(self, connection: Connection, service: Service) -> bool:
        """Whether the unit is active and has a process."""
        return systemd_restart.is_active(connection, service)

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """The last lines of the unit's journal."""
        return systemd_restart.log(connection, service, lines)

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """`systemctl`, and `daemon-reload` before a restart with a drop-in."""
        command = f"systemctl {action} {service.unit}"
        if action == "restart" and service.flags.kind == "dropin":
            return "systemctl daemon-reload", command
        return (command,)
