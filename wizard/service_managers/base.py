"""The protocol of a service manager, such as systemd; `registry` lists all of them.

A field of each service names its manager; code outside this folder does not depend on which one it is.
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
    """What a program reports about reloads: whether the last one succeeded, and when the last successful one was."""

    good: bool
    moment: str


Ask: TypeAlias = Callable[[], Loaded | None]
"""Asks the program for its last reload; None if it cannot be asked."""

Answers: TypeAlias = Callable[[float], bool]
"""Whether a service answers within this number of seconds."""


class ServiceManager(Protocol):
    """A kind of program that starts services, and can find and restart them.

    `discover` also finds out with which arguments a service runs.
    """

    name: str
    """As in `Service.manager` and in `--json`."""
    has_units: bool
    """Whether its services are systemd units, with unit files, drop-ins and credentials."""

    def discover(self, connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
        """The manager's services on a host, each with the place where its flags are set.

        Args:
            connection: the host.
            running: the processes of known components on the host.
        """
        ...

    def describe(self, connection: Connection, service: Service) -> Service:
        """Adds to the service what is needed to set its flags, if it is not known yet."""
        ...

    def set_flag(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> FileState:
        """The new state of the file `service.flags.path` with `--flag=value` for each of `wanted`.

        Args:
            wanted: unquoted values, by the flags' names without dashes; at least one.
            current: the file as it is, None if it does not exist.

        Raises:
            ConfigError: there is no safe way to edit the file.
        """
        ...

    def flag_commands(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> tuple[str, ...]:
        """Shell commands with the same result as `set_flag`."""
        ...

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """Restarts a service; returns when the new process serves.

        Args:
            answers: whether the process on its port answers; only given if the program does not answer before it has
                read its settings.

        Raises:
            ServiceError: it did not start; `log` has its last lines.
        """
        ...

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """Reloads a service's configuration; returns when the service reports that it has done so.

        Args:
            ask: asks the program itself for its last reload.

        Raises:
            ServiceError: it rejected the new configuration or has not reloaded; it keeps the old configuration.
        """
        ...

    def is_active(self, connection: Connection, service: Service) -> bool:
        """Whether the service is running."""
        ...

    def address(self, connection: Connection, service: Service) -> str:
        """The address:port at which its host reaches it now; `Service.listen`, unless a restart changes that."""
        ...

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """The last lines of its log, oldest first, safe to show; () if there is no log."""
        ...

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """The commands with which a user restarts or reloads it.

        Args:
            action: restart or reload.
            workspace: path of the workspace, '' for the user's default one.
        """
        ...
