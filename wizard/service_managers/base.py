"""The protocol of a service manager, such as systemd; `registry` lists them.

A service names its manager by a field; nothing outside this folder asks which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from wizard.connections.base import Connection
from wizard.model import FileState, Service
from wizard.service_managers.process_list import Process


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a program says of itself: whether its last reload was good, and when the last good one was."""

    good: bool
    moment: str


Ask: TypeAlias = Callable[[], Loaded | None]
"""What a program says now; None where it cannot be asked."""

Answers: TypeAlias = Callable[[float], bool]
"""Whether a service says anything within these seconds."""


class ServiceManager(Protocol):
    """A kind of program that starts services, finds them again and restarts them.

    The arguments that a service runs with are part of what `discover` says of it.
    """

    name: str
    """As in `Service.manager` and in `--json`."""
    has_units: bool
    """Whether its services are systemd's units, with files, drop-ins and credentials."""

    def discover(self, connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
        """Its services on a host, each with where its flags are set.

        Args:
            connection: the host.
            running: the processes of known components there.
        """
        ...

    def describe(self, connection: Connection, service: Service) -> Service:
        """The service with what its flags have to be set from, where that is not known yet."""
        ...

    def set_flag(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> FileState:
        """The new state of the file `service.flags.path` with `--flag=value` for each of `wanted`.

        Args:
            wanted: values, unquoted, by the flags' names without dashes; at least one.
            current: the file as it is, or None if there is none yet.

        Raises:
            ConfigError: the file leaves no safe way.
        """
        ...

    def flag_commands(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> tuple[str, ...]:
        """Shell commands for what `set_flag` gives."""
        ...

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """Restarts a service; back when the new process serves.

        Args:
            answers: whether what holds its port says anything; only for a program that does so no sooner than it
                has read its settings.

        Raises:
            ServiceError: it did not come up; its own last lines are in `log`.
        """
        ...

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """Makes a service read its configuration; returns when the service says that it has.

        Args:
            ask: asks the program itself.

        Raises:
            ServiceError: it refused the new configuration, or has not read it; it goes on with the old.
        """
        ...

    def is_active(self, connection: Connection, service: Service) -> bool:
        """Whether it runs now."""
        ...

    def address(self, connection: Connection, service: Service) -> str:
        """address:port where its host reaches it now: as `Service.listen`, where that does not change with a restart."""
        ...

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """The last lines of its log, oldest first, harmless to show; () where nobody keeps them."""
        ...

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """What a person types to restart or reload it.

        Args:
            action: restart or reload.
            workspace: path of the workspace, '' for the user's own.
        """
        ...
