"""Reloads a service and waits until the program confirms that it has read its configuration.

`systemctl reload` succeeds as soon as the command of ExecReload does: curl that uses http where the server expects
https changes nothing and exits 0. So the program's log is read, or its API if the log says nothing.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from wizard.components import Component, component
from wizard.config_files import command_urls
from wizard.connections.base import Connection
from wizard.errors import HostError, ServiceError
from wizard.model import Service
from wizard.service_managers import journald, systemd_properties, systemd_restart
from wizard.service_managers.base import Ask, Loaded

_STEP = 0.02
_SHOWN = "MainPID,CanReload,NeedDaemonReload,ExecReload"
_LOADING = 60.0
"""Seconds for a program that reports that it has begun to load: many rules and targets take long."""
_BEGUN = "Loading configuration file"
_ASK_EACH = 0.5


def reload(
    connection: Connection, service: Service, *, timeout: float = 15.0, ask: Ask | None = None
) -> None:
    """Reloads the program's configuration; returns when the program reports that it has done so.

    Args:
        connection: the host; needs the right to reload.
        service: the service as discovered.
        timeout: seconds for each of the two methods (ExecReload, then the signal) until the program reports something.
        ask: asks the program itself for its last reload.

    Raises:
        ServiceError: it rejected the new configuration (and keeps the old one), reports nothing although its log would
            show a reload, or is not running.
    """
    known = component(service.component)
    waiting = _Waiting(connection, service, known, journald.cursor(connection, service.unit), ask)
    properties = _unit_properties(connection, service.unit)
    if properties.get("NeedDaemonReload") == "yes":
        systemd_restart.daemon_reload(connection)
        properties = _unit_properties(connection, service.unit)
    by_signal = bool(known.reload_by) and properties.get("MainPID", "0") != "0"
    if by_signal and (
        properties.get("CanReload") == "no" or command_urls.plain(properties.get("ExecReload", ""))
    ):
        # ExecReload may use http although the server expects https by now, or the other way round; the signal always
        # works.
        _signal(connection, service, known, properties["MainPID"])
        if waiting.done(timeout):
            return
    else:
        try:
            systemd_restart.systemctl(connection, "reload", unit=service.unit)
        except ServiceError:
            # A unit with PrivateTmp cannot start its ExecReload once a cleaner has deleted its folder in /tmp.
            if not by_signal:
                raise
        else:
            if waiting.done(timeout):
                return
        if by_signal:
            _signal(connection, service, known, properties["MainPID"])
            if waiting.done(timeout):
                return
    if waiting.would_show_reload(properties.get("MainPID", "0")):
        raise ServiceError(
            f"{service.unit} was told to reload and has not: it goes on with its old configuration",
            where=f"{connection.name}: {service.unit}",
            todo=f"Look at ExecReload in `systemctl cat {service.unit}` and at `journalctl -u {service.unit}`.",
            log=systemd_restart.log(connection, service),
        )


def _unit_properties(connection: Connection, unit: str) -> dict[str, str]:
    ended = connection.run(["systemctl", "show", "--no-pager", "-p", _SHOWN, "--", unit], timeout=10)
    return next(iter(systemd_properties.blocks(ended.stdout)), {})


def _signal(connection: Connection, service: Service, known: Component, pid: str) -> None:
    # The `kill` of the shell: small hosts have no other.
    ended = connection.run(["sh", "-c", 'kill -s "$1" "$2"', "sh", known.reload_by, pid], timeout=10)
    if ended.code:
        raise HostError(
            f"{service.unit} cannot be sent the signal to reload",
            where=connection.name,
            todo="Run Firescreen as root, or set `become: sudo` for this host.",
        )


@dataclass(slots=True)
class _Waiting:
    """Waits for the program to report the result of a reload that begins after this object was made."""

    connection: Connection
    service: Service
    known: Component
    since: str
    ask: Ask | None
    before: Loaded | None = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.ask() if self.ask else None

    def done(self, timeout: float) -> bool:
        """Whether the program reports within that time that it has read its configuration.

        Raises:
            ServiceError: it rejected the configuration.
        """
        if not self.known.reload_done or not (self.since or self.before):
            return False
        start = time.monotonic()
        deadline, next_ask = start + timeout, start + _ASK_EACH
        while time.monotonic() < deadline:
            for line in (
                journald.lines(self.connection, self.service.unit, 200, since=self.since)
                if self.since
                else ()
            ):
                if self.known.reload_refused in line.text:
                    raise self._reload_error(journald.message(line.text))
                if self.known.reload_done in line.text:
                    return True
                if _BEGUN in line.text:
                    deadline = max(deadline, start + _LOADING)
            if self.ask and self.before and time.monotonic() >= next_ask:
                next_ask = time.monotonic() + _ASK_EACH
                now = self.ask()
                if now and not now.good and self.before.good:
                    raise self._reload_error("its last reload was not successful, as it says itself")
                if now and now.good and now.moment != self.before.moment:
                    return True
            time.sleep(_STEP)
        return False

    def would_show_reload(self, pid: str) -> bool:
        """Whether silence means that nothing was read: the log would show it, or the program can be asked."""
        if not self.known.reload_done:
            return False
        if self.before:
            return True
        if not self.since or pid == "0":
            return False
        script = 'tr "\\0" "\\n" < "/proc/$1/cmdline"'
        command_line = self.connection.run(["sh", "-c", script, "sh", pid], timeout=10).stdout.split("\n")
        quiet = re.search(r"(?m)^--log\.level(?:=|\n)(?:warn|error)", "\n".join(command_line))
        has_log_lines = any(
            line.own and line.pid == pid for line in journald.lines(self.connection, self.service.unit, 200)
        )
        return has_log_lines and not quiet

    def _reload_error(self, why: str) -> ServiceError:
        return ServiceError(
            f"{self.service.unit} keeps its old configuration: {why}",
            where=f"{self.connection.name}: {self.service.unit}",
            todo="Correct the configuration, then try again.",
            log=systemd_restart.log(self.connection, self.service),
        )
