"""Practice services: programs that `supervisor.py` keeps running, each in its own folder.

A restart ends when the new process serves. If a program does not stay up, that is a `ServiceError` with its last lines.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from wizard import invocation
from wizard.account import account
from wizard.components import all_components
from wizard.connections.base import Connection
from wizard.errors import ServiceError
from wizard.model import FlagPlace, Service
from wizard.redact import plain, redact
from wizard.service_managers import program_facts, supervisor
from wizard.service_managers.base import Answers, Ask
from wizard.service_managers.flags import FlagFiles
from wizard.service_managers.process_list import Process

SUPERVISOR = Path(__file__).with_name("supervisor.py")

_TIMEOUT = 45.0
"""Seconds; longer than all waits of the supervisor itself."""


def start(connection: Connection, folder: str) -> None:
    """Starts the supervisor of a service folder and its program, unless they run.

    Raises:
        ServiceError: the program does not stay up.
    """
    _check_answer(_supervise(connection, "--start", folder), where=_place(connection, folder), doing="start")


def restart(connection: Connection, service: Service) -> None:
    """Restarts the program; returns when the new process listens.

    Raises:
        ServiceError: it does not stay up; the error has its last lines, and the supervisor does not try again.
    """
    folder = folder_of(service)
    answer = _request(connection, folder, "restart")
    _check_answer(answer, where=_place(connection, folder), doing="restart")


def reload(connection: Connection, service: Service) -> None:
    """Reloads the program's configuration; returns when the program reports that it has done so.

    Raises:
        ServiceError: it rejected the new configuration and keeps the old one, it does not run, or it cannot reload.
    """
    folder = folder_of(service)
    place = _place(connection, folder)
    # A reverse proxy is no component, so it is not in the list.
    known = next((each for each in all_components() if each.name == service.component), None)
    if known is None or not known.reload_by:
        raise ServiceError(
            f"{service.component} cannot reload its configuration while it runs",
            where=place,
            todo="Restart it.",
        )
    messages = {"done": [known.reload_done], "refused": [known.reload_refused]}
    _check_answer(_request(connection, folder, "reload", **messages), where=place, doing="reload")


def stop(connection: Connection, folder: str) -> None:
    """Ends program and supervisor, in any state.

    Raises:
        ServiceError: they do not end.
    """
    answer = _supervise(connection, "--tell", folder, "stop")
    _check_answer(answer, where=_place(connection, folder), doing="stop")


def is_active(connection: Connection, service: Service) -> bool:
    """Whether its process is running."""
    return status(connection, folder_of(service)).get("state") == "running"


def status(connection: Connection, folder: str) -> Mapping[str, Any]:
    """State, pid, started, restarts, last_exit and arguments of a program; 'stopped' if no supervisor runs."""
    return _request(connection, folder, "status")


def log(connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
    """The last lines of its log, oldest first, safe to show."""
    path = str(PurePosixPath(folder_of(service)) / "log")
    ended = connection.run(["tail", "-n", str(max(1, lines)), path], timeout=10)
    return _clean(ended.stdout.splitlines()) if ended.code == 0 else ()


def folder_of(service: Service) -> str:
    """The service's folder, which contains its file of arguments.

    Raises:
        ServiceError: it is not a practice service.
    """
    if service.flags.kind != "argfile" or not service.flags.path:
        raise ServiceError(f"{service.unit} is not a practice service", where=service.host)
    return str(PurePosixPath(service.flags.path).parent)


def discover(connection: Connection, folder: str) -> tuple[Service, ...]:
    """The services of one practice host.

    Args:
        connection: the host.
        folder: absolute path of its folder; each folder in `services` below it is a service.
    """
    services = str(PurePosixPath(folder) / "services")
    found = (_service(connection, f"{services}/{name}", name) for name in connection.names(services))
    return tuple(service for service in found if service is not None)


def _service(connection: Connection, folder: str, name: str) -> Service | None:
    spec = _json(connection, f"{folder}/service.json")
    if "program" not in spec:
        return None
    now = status(connection, folder)
    active = now.get("state") == "running"
    arguments = tuple(map(str, now.get("arguments", ()))) if active else _stored_flags(connection, folder)
    user, group = account()
    service = Service(
        host=connection.name,
        component=str(spec.get("component", name)),
        manager="process",
        unit=name,
        program=str(spec["program"]),
        version=str(spec.get("version", "")),
        arguments=arguments,
        user=user,
        group=group,
        active=active,
        flags=FlagPlace("argfile", f"{folder}/arguments"),
        home=str(spec.get("home", "")),
        pid=int(now.get("pid", 0)),
    )
    return replace(
        service,
        listen=program_facts.first_reachable(
            [service.flag("web.listen-address"), f":{spec.get('port', '')}"]
        ),
        config_file=service.flag("config.file"),
        web_config=service.flag("web.config.file") or service.flag("web.config"),
    )


def _stored_flags(connection: Connection, folder: str) -> tuple[str, ...]:
    """The flags with which it would start, parsed as the supervisor does."""
    state = connection.read(f"{folder}/arguments")
    text = state.content.decode("utf-8", "surrogateescape") if state else ""
    lines = (line.strip() for line in text.split("\n"))
    return tuple(line for line in lines if line and not line.startswith("#"))


def _request(connection: Connection, folder: str, word: str, **more: Any) -> Mapping[str, Any]:
    """Sends a request to the supervisor; if none listens, through the script, which handles that case."""
    request = {"do": word, **more}
    try:
        return _send(folder, request) or _supervise(connection, "--tell", folder, json.dumps(request))
    except (OSError, ValueError) as problem:
        return {
            "ok": False,
            "state": "unknown",
            "why": f"its supervisor does not answer: {problem}",
            "log": [],
        }


def _send(folder: str, request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Asks a running supervisor directly: labs do so several times a second, and starting Python takes 40 ms.

    Raises:
        OSError, ValueError: it accepted the request and gave no usable answer.
    """
    try:
        # Through the open folder, as the path of its socket may be too long for the kernel.
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        control = f"/proc/self/fd/{number}/control"
        return supervisor.ask(request, control) if os.access(control, os.W_OK) else None
    finally:
        os.close(number)


def _supervise(connection: Connection, *arguments: str) -> Mapping[str, Any]:
    argv = [sys.executable, "-I", "-S", str(SUPERVISOR), *arguments]
    ended = connection.run(argv, timeout=_TIMEOUT)
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    words = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.code}"]
    return {"ok": False, "state": "unknown", "why": f"the supervisor cannot be used: {words[0]}", "log": []}


def _check_answer(answer: Mapping[str, Any], *, where: str, doing: str) -> None:
    if answer.get("ok"):
        return
    log_lines = _clean(answer.get("log", ()))
    why = plain(redact(str(answer.get("why", "no reason given"))), 400)
    raise ServiceError(
        f"it did not {doing}: {why}",
        where=where,
        todo="Read its last lines, mend what they name, and try again." if log_lines else "Look at its log.",
        log=log_lines[-20:],
    )


def _clean(lines: Any) -> tuple[str, ...]:
    return tuple(plain(redact(str(line))) for line in lines)


def _place(connection: Connection, folder: str) -> str:
    return f"{connection.name}/{PurePosixPath(folder).name}"


def _json(connection: Connection, path: str) -> Mapping[str, Any]:
    state = connection.read(path)
    try:
        found = json.loads(state.content) if state else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


class Supervised(FlagFiles):
    """The practice stack's own supervisor; see `base.ServiceManager`."""

    name = "process"
    has_units = False

    def discover(self, connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
        """None: only practice hosts have such services, in their own folders; see the function `discover`."""
        return ()

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """See the function `restart`."""
        restart(connection, service)

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """See the function `reload`."""
        reload(connection, service)

    def is_active(self, connection: Connection, service: Service) -> bool:
        """See the function `is_active`."""
        return is_active(connection, service)

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """See the function `log`."""
        return log(connection, service, lines)

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """Firescreen's own command."""
        named = f"--workspace {shlex.quote(workspace)} " if workspace else ""
        return (f"{invocation.program()} {named}practice {action} {shlex.quote(service.unit)}",)
