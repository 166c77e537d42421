"""Docker as a service manager: finds, recreates and reloads services of Compose projects.

Compose recreates a container from the project's own files, one service at a time; nothing is guessed. A restart ends
when the new container serves. If it does not stay up, or if its own health check fails, that is a `ServiceError` with
its last lines.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Mapping
from typing import Any

from wizard.components import component
from wizard.connections.base import Connection
from wizard.errors import ConfigError, HostError, ServiceError
from wizard.model import Completed, Container, FileState, Service
from wizard.redact import plain, redact
from wizard.service_managers import docker_discovery
from wizard.service_managers.base import Answers, Ask
from wizard.service_managers.compose_state import compose_state, compose_words
from wizard.service_managers.process_list import Process

_UP_TIMEOUT = 180.0
"""Seconds for Compose: the old program may need ten to end, and on a slow disk the rest takes as long."""
_PATIENCE = 60.0
"""Seconds until a new container must serve."""
_RELOAD_TIMEOUT = 60.0
_DAEMON_TIMEOUT = 30.0
"""Seconds to wait for a daemon that does not answer: an upgrade of its package restarts it."""
_SETTLED = 1.5
"""Seconds after which a program that rejects its flags or files has ended."""
_STEP = 0.1


class Containers:
    """The common part of the container managers; see `base.ServiceManager`."""

    def describe(self, connection: Connection, service: Service) -> Service:
        """Returns it unchanged: `discover` finds out everything."""
        return service

    def set_flag(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> FileState:
        """Raises an error: the planner edits a container's flags, mounts and healthcheck together."""
        raise ConfigError(
            f"the flags of {service.unit} are set with its mounts",
            where=service.flags.path or service.key,
            todo=f"Take {service.key} out of the stack, or say `service: manual` for it there",
        )

    def flag_commands(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> tuple[str, ...]:
        """None: a container's description is edited as a file."""
        return ()

    def address(self, connection: Connection, service: Service) -> str:
        """See the function `address`."""
        return address(connection, service)


class Docker(Containers):
    """See `base.ServiceManager`."""

    name = "docker"
    has_units = False

    def discover(self, connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
        """The components in containers of the host's engines."""
        return docker_discovery.discover(connection, running)

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """Recreates the container if its Compose file has changed, else restarts it; waits until it serves."""
        box = _box(service)
        before = state(connection, box)
        _up(connection, service, box)
        now = state(connection, box)
        ran = before.get("State", {}).get("Running")
        if ran and now.get("Id") == before.get("Id"):
            _restart(connection, service, box)
        await_up(connection, service, box, answers)

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """Recreates it if its Compose file has changed, restarts it if it has an old file mounted, else sends a signal.

        A file that is mounted by itself stays the one that existed when the container started: a file that has replaced
        it becomes visible only after a restart.
        """
        box, known = _box(service), component(service.component)
        before = state(connection, box)
        # Compose 2.26 recreates some containers for no reason, so it only runs if there is one.
        if not _is_up_to_date(connection, box):
            _up(connection, service, box)
        now = state(connection, box)
        if now.get("Id") != before.get("Id"):
            await_up(connection, service, box, None)
        elif not known.reload_by or mounted_file(service):
            _restart(connection, service, box)
            await_up(connection, service, box, None)
        else:
            signal(connection, service, box, ask)

    def is_active(self, connection: Connection, service: Service) -> bool:
        """Whether the container runs and is not being restarted."""
        now = state(connection, _box(service)).get("State", {})
        return bool(now.get("Running")) and not now.get("Restarting")

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """The last lines of the container's output."""
        return log(connection, _box(service), lines)

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """The Compose command, and a restart or signal in case that makes no new container."""
        box = _box(service)
        up = f"cd {shlex.quote(box.folder or '/')} && {shlex.join(up_command(box))}"
        if action == "restart":
            return (up,)
        if mounted_file(service):
            return up, f"{box.engine} restart {shlex.quote(box.name)}"
        return up, f"{box.engine} kill --signal=HUP {shlex.quote(box.name)}"


def _restart(connection: Connection, service: Service, box: Container) -> None:
    words = [*box.command_words, "restart", box.name]
    _run(connection, service, words, timeout=_UP_TIMEOUT, doing="restart")


def address(connection: Connection, service: Service) -> str:
    """For a container without published port: its own address, which Docker may change with each new container."""
    box = service.container
    if box is None or box.is_reachable:
        return service.listen
    networks = state(connection, box).get("NetworkSettings", {}).get("Networks") or {}
    found = next((str(network["IPAddress"]) for network in networks.values() if network.get("IPAddress")), "")
    return f"{found}:{box.inside_port}" if found else service.listen


def mounted_file(service: Service) -> bool:
    """Whether its configuration is mounted as a single file, and not with its folder."""
    box = service.container
    return box is not None and any(each.source == service.config_file for each in box.mounts)


def up_command(box: Container) -> list[str]:
    """The Compose command that recreates one service, and no other, if its files have changed."""
    return [*compose_words(box), "up", "-d", "--no-deps", box.service]


def _box(service: Service) -> Container:
    if service.container is None:
        raise ServiceError(f"{service.unit} is no container that is known", where=service.host)
    return service.container


def _up(connection: Connection, service: Service, box: Container) -> None:
    """Runs Compose to bring one service up to date."""
    try:
        _compose_up(connection, service, box)
    except ServiceError:
        # Compose needs the image even if nothing has to be recreated: a missing image must not prevent a roll-back.
        if not _is_up_to_date(connection, box):
            raise


def _compose_up(connection: Connection, service: Service, box: Container) -> None:
    """Runs `up`; runs it again if a container that Compose had listed was gone a moment later."""
    try:
        _run(connection, service, up_command(box), timeout=_UP_TIMEOUT, doing="recreate", folder=box.folder)
    except ServiceError as error:
        if "No such container" not in error.what:
            raise
        _run(connection, service, up_command(box), timeout=_UP_TIMEOUT, doing="recreate", folder=box.folder)


def _is_up_to_date(connection: Connection, box: Container) -> bool:
    """Whether the container runs and matches its Compose files."""
    found = compose_state(connection, box)
    return found.is_running and not found.difference


def _run(
    connection: Connection,
    service: Service,
    argv: list[str],
    *,
    timeout: float,
    doing: str,
    folder: str = "",
) -> Completed:
    ended = (
        # Compose reads the .env of the folder in which it runs.
        connection.run(["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", folder, *argv], timeout=timeout)
        if folder
        else connection.run(argv, timeout=timeout)
    )
    if ended.code:
        lines = [line for line in (ended.stderr or ended.stdout).strip().splitlines() if line.strip()]
        message = plain(redact(" ".join(lines[-3:])), 400)
        raise ServiceError(
            f"{_box(service).engine_title} did not {doing} {service.unit}: {message or f'exit code {ended.code}'}",
            where=f"{connection.name}: {service.unit}",
            todo="Mend what it names, and try again.",
            log=log(connection, _box(service), 20),
        )
    return ended


def state(connection: Connection, box: Container) -> dict[str, Any]:
    """The daemon's description of a container; {} if there is none of that name. Waits while the daemon restarts."""
    deadline = time.monotonic() + _DAEMON_TIMEOUT
    while True:
        ended = connection.run([*box.command_words, "inspect", "--type", "container", box.name], timeout=20)
        if not ended.code or "connect" not in ended.stderr.lower() or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if ended.code:
        if "no such" in ended.stderr.lower():
            return {}
        raise HostError(
            f"the Docker daemon does not answer: {plain(ended.stderr.strip(), 200)}",
            where=connection.name,
            todo="Start it (systemctl start docker), and try again.",
        )
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    return found[0]


def await_up(connection: Connection, service: Service, box: Container, answers: Answers | None) -> None:
    """Returns when the container serves: its health check succeeds, its port answers, or it has stayed up.

    Raises:
        ServiceError: it ended, restarts again and again, or its health check fails.
    """
    start = time.monotonic()
    first = state(connection, box).get("RestartCount", 0)
    while True:
        inspected = state(connection, box)
        now = inspected.get("State", {})
        health = (now.get("Health") or {}).get("Status", "")
        up_for = time.monotonic() - start
        if now.get("Restarting") or inspected.get("RestartCount", 0) > first or not now.get("Running"):
            raise _stopped_error(connection, service, box, now)
        if health == "unhealthy":
            checks = (now.get("Health") or {}).get("Log") or [{}]
            message = plain(redact(str(checks[-1].get("Output", ""))), 300)
            raise ServiceError(
                f"{service.unit} runs, and its own health check fails: {message or 'it says nothing'}",
                where=f"{connection.name}: {service.unit}",
                todo="Mend the healthcheck of its Compose file, then try again.",
                log=log(connection, box, 20),
            )
        # The first health check may take half a minute; the port answers sooner.
        if health == "healthy" or (answers(0.5) if answers is not None else up_for > _SETTLED):
            return
        if up_for > _PATIENCE:
            return  # it runs; if something is wrong, the probes show it
        time.sleep(_STEP)


def _stopped_error(
    connection: Connection, service: Service, box: Container, ended: Mapping[str, Any]
) -> ServiceError:
    code = ended.get("ExitCode", "")
    return ServiceError(
        f"{service.unit} did not stay up: its program ended with exit code {code}",
        where=f"{connection.name}: {service.unit}",
        todo="Read its last lines, mend what they name, and try again.",
        log=log(connection, box, 20),
    )


def signal(connection: Connection, service: Service, box: Container, ask: Ask | None) -> None:
    """Sends the reload signal and waits until the program reports the result.

    Raises:
        ServiceError: it rejected the new configuration.
    """
    known = component(service.component)
    since = _now(connection)
    before = ask() if ask else None
    _run(
        connection,
        service,
        [*box.command_words, "kill", f"--signal={known.reload_by}", box.name],
        timeout=20,
        doing="signal",
    )
    deadline = time.monotonic() + _RELOAD_TIMEOUT
    while known.reload_done and time.monotonic() < deadline:
        text = "\n".join(log(connection, box, 400, since=since))
        if known.reload_refused and known.reload_refused in text:
            raise ServiceError(
                f"{service.unit} keeps its old configuration",
                where=f"{connection.name}: {service.unit}",
                todo="Correct the configuration, then try again.",
                log=log(connection, box, 20),
            )
        if known.reload_done in text:
            return
        now = ask() if ask else None
        if before and now and now.good and now.moment != before.moment:
            return
        time.sleep(_STEP)


def _now(connection: Connection) -> str:
    """The host's time in the format of `docker logs --since`."""
    output = connection.run(["date", "-u", "+%Y-%m-%dT%H:%M:%S.%NZ"], timeout=10).stdout.strip()
    return output if re.fullmatch(r"[0-9T:.Z-]+", output) else "0"


def log(connection: Connection, box: Container, lines: int, *, since: str = "") -> tuple[str, ...]:
    """The last lines of a container's output, safe to show."""
    more = ["--since", since] if since else []
    ended = connection.run(
        [*box.command_words, "logs", "--tail", str(max(1, lines)), *more, box.name], timeout=20
    )
    if ended.code:
        return ()
    return tuple(plain(redact(line)) for line in (ended.stdout + ended.stderr).splitlines() if line.strip())
