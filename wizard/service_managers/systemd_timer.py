"""systemd's timers as a service manager: the timers of the upkeep are started, stopped and undone like any service."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.connections.base import Connection
from wizard.errors import ServiceError
from wizard.model import Service
from wizard.redact import plain
from wizard.service_managers import journald
from wizard.service_managers.base import Answers, Ask
from wizard.service_managers.flags import FlagFiles

NAME = "systemd-timer"
USER = "user"
"""`Service.kind` of a timer of the user's own systemd."""


class SystemdTimer(FlagFiles):
    """See `base.ServiceManager`. It discovers nothing: a timer is no component."""

    name = NAME
    has_units = False

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """Makes systemd read the unit's files; starts the timer, or stops it if its file is gone.

        Raises:
            ServiceError: systemd rejects it.
        """
        self._systemctl(connection, service, "daemon-reload")
        loaded = connection.run(
            [*systemctl(service), "show", "-p", "LoadState", "--value", "--", service.unit]
        )
        if loaded.stdout.strip() == "loaded":
            self._systemctl(connection, service, "restart", "--", service.unit)
        elif self.is_active(connection, service):
            self._systemctl(connection, service, "stop", "--", service.unit)

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """See `restart`."""
        self.restart(connection, service)

    def is_active(self, connection: Connection, service: Service) -> bool:
        """Whether the timer is active."""
        ended = connection.run([*systemctl(service), "is-active", "--quiet", "--", service.unit])
        return ended.code == 0

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """The last lines of the unit's journal."""
        return tuple(line.text for line in journald.lines(connection, service.unit, lines))

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """The `systemctl` commands."""
        command = " ".join(systemctl(service))
        return f"{command} daemon-reload", f"{command} restart {service.unit}"

    def _systemctl(self, connection: Connection, service: Service, *words: str) -> None:
        ended = connection.run([*systemctl(service), *words], timeout=60)
        if ended.code:
            message = plain(ended.stderr.strip() or ended.stdout.strip(), 300)
            raise ServiceError(
                f"systemd refused: {message}",
                where=f"{connection.name}: {service.unit}",
                todo="Look at: systemd-analyze verify " + service.unit,
            )


def systemctl(service: Service) -> Sequence[str]:
    """The `systemctl` command for the systemd of a timer: the system's or the user's."""
    return ("systemctl", "--user") if service.kind == USER else ("systemctl",)
