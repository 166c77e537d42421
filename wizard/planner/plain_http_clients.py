"""Other users of a server's plain http: the server's own unit, other units, cron jobs and scripts.

A reload command of its own unit is replaced by a signal, which works with http and https. A command that would keep the
unit from starting is refused. All others are reported with file and line. Pure.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from wizard.components import component as find_component
from wizard.config_files import command_urls, systemd_unit
from wizard.config_files.unit_settings import Setting
from wizard.errors import InputError
from wizard.model import Caller, Change, Facts, FileState, Finding, PlannedStep, RunService, StepKind
from wizard.planner import paths
from wizard.planner.server_facts import Server
from wizard.service_managers import flags
from wizard.service_managers.registry import manager_of

KILL = "/bin/kill"
"""Small hosts lack this program, so its existence is checked."""
_FEW = 20
"""Callers of one server that are named; others are only counted."""
_EVERYWHERE = ("0.0.0.0", "::", "*", "")  # noqa: S104 - compared with, not bound to
_FOLLOWED_BY_FAILURE = re.compile(r"-[A-Za-z]*f[A-Za-z]*|--fail\S*")


def wanted_files(servers: Sequence[Server]) -> dict[str, tuple[str, ...]]:
    """The drop-ins that a plan may write, by host."""
    return paths.by_host((server.spec.host, (path,)) for server in servers if (path := _dropin(server)))


def wanted_folders(servers: Sequence[Server]) -> dict[str, tuple[str, ...]]:
    """The folders, and the program for the reload command, whose existence to check, by host."""
    return paths.by_host(
        (server.spec.host, (posixpath.dirname(path), KILL)) for server in servers if (path := _dropin(server))
    )


def reload_step(server: Server, *, restarts: bool) -> PlannedStep | None:
    """Plans the drop-in by which the unit reloads with a signal; None if the unit needs none.

    Args:
        restarts: whether this plan restarts the server; if not, a daemon-reload makes systemd read the drop-in.
    """
    path = _dropin(server)
    asking = _plain_http_settings(server, "ExecReload")
    if not path or not asking:
        return None
    place = f"{asking[0].path}:{asking[0].line}"
    why = f"{place} uses http: `systemctl reload` would succeed and reload nothing."
    changes: list[Change] = [*server.dropin(path, _reload_by_signal(server), why=why)]
    if not changes:
        return None
    if not restarts:
        changes.append(
            RunService(
                host=server.spec.host,
                service=server.service,
                action="reload",
                why="It takes effect with this.",
                by_hand=("systemctl daemon-reload", f"systemctl reload {server.service.unit}"),
            )
        )
    return server.step(
        StepKind.RELOAD_COMMAND,
        title=f"Reload {server.service.unit} with a signal",
        why=(
            f"ExecReload in {place} sends a request by http, which fails once {server.spec.name} serves https. A signal "
            "works with both. Undo removes the drop-in."
        ),
        changes=changes,
    )


def _reload_by_signal(server: Server) -> FileState:
    """The drop-in with another ExecReload."""
    component = find_component(server.spec.name)
    at_hand = server.host.folders.get(KILL) is not None
    send = (
        f"{KILL} -{component.reload_by} $MAINPID"
        if at_hand
        else f"/bin/sh -c 'kill -s {component.reload_by} $MAINPID'"
    )
    return FileState(f"[Service]\nExecReload=\nExecReload={send}\n".encode())


def refuse_failing_start(server: Server) -> None:
    """Refuses a unit with a command that would prevent its start once the server uses https.

    Raises:
        InputError: names file and line.
    """
    for setting in _plain_http_settings(server, "ExecStartPost"):
        if _fails(setting.value):
            raise InputError(
                f"ExecStartPost uses http: the unit {server.service.unit} would no longer start once "
                "{server.spec.name} serves https",
                where=f"{server.spec.host}:{setting.path}:{setting.line}",
                todo=f"Remove it, or test the port only: bash -c 'exec 3<>/dev/tcp/127.0.0.1/{server.port}'",
            )


def warnings(facts: Facts, servers: Sequence[Server]) -> tuple[Finding, ...]:
    """What will stop working when these servers use https, with file and line."""
    return tuple(finding for server in servers for finding in _plain_http_findings(facts, server))


def _plain_http_findings(facts: Facts, server: Server) -> Iterator[Finding]:
    own_unit = f"{server.service.unit}.service" if manager_of(server.service).has_units else ""
    found = [
        (f"{server.spec.host}:{setting.path}:{setting.line}", f"{setting.key}={setting.value}")
        for key in ("ExecStartPost", "ExecStop", "ExecStopPost", "ExecCondition", "ExecStartPre")
        for setting in _plain_http_settings(server, key)
    ]
    for name, host in facts.hosts.items():
        for caller in host.callers:
            same = name == server.spec.host
            if not (same and own_unit and caller.unit == own_unit) and _may_mean(caller, server, same=same):
                found.append((f"{name}:{caller.path}:{caller.line}", caller.text))
    for place, text in found[:_FEW]:
        yield Finding(
            id="asked-by-http",
            host=server.spec.host,
            component=server.spec.name,
            what=f"{place} uses http for {server.spec.name} and will stop working: {text}",
            why="The plan changes the components of the stack only, not their other clients.",
            remediation="Change it to https with the CA certificate"
            + (", and with user and password" if "basic_auth" in server.spec.protect else ""),
        )
    if len(found) > _FEW:
        yield Finding(
            id="asked-by-http",
            host=server.spec.host,
            component=server.spec.name,
            what=f"{len(found) - _FEW} more lines on the hosts use http for {server.spec.name} and will stop working",
        )


def _plain_http_settings(server: Server, key: str) -> list[Setting]:
    """The settings of a key in the server's own unit that use http to the server, directly or through a script."""
    if not manager_of(server.service).has_units:
        return []
    scripts = {
        caller.path
        for caller in server.host.callers
        if caller.kind == "script" and caller.port == server.port
    }
    return [
        setting
        for setting in systemd_unit.parse(server.service.unit_text).others
        if setting.key == key
        and (
            any(url.port == server.port for url in command_urls.plain(setting.value))
            or any(script in setting.value for script in scripts)
        )
    ]


def _dropin(server: Server) -> str:
    """The path of the drop-in for the reload command, written or not; '' if none is needed."""
    service = server.service
    if not manager_of(service).has_units or not find_component(service.component).reload_by:
        return ""
    asking = _plain_http_settings(server, "ExecReload")
    return (
        flags.dropin_path(f"{service.unit}.service", asking[-1].path, stem="firescreen-reload")
        if asking
        else ""
    )


def _fails(value: str) -> bool:
    """Whether a command that uses http may make the unit's start fail, or never end."""
    command = systemd_unit.parse_command(value)
    texts = [word.text for word in command.words]
    if any(re.search(r"\b(?:until|while|for)\b", text) for text in texts):
        return True
    if "-" in command.prefix:
        return False
    # curl exits with 0 at a 400 unless it has -f; nothing is assumed about other programs.
    direct = command.program.rsplit("/", 1)[-1] == "curl"
    return not direct or any(_FOLLOWED_BY_FAILURE.fullmatch(text) for text in texts)


def _may_mean(caller: Caller, server: Server, *, same: bool) -> bool:
    """Whether a line in a unit or script refers to that server, as far as its text shows; a variable may be any host."""
    if caller.port != server.port:
        return False
    host = caller.host.lower().rstrip(".")
    if same and (host.startswith(("127.", "$")) or host in (*paths.LOOPBACK, *_EVERYWHERE)):
        return True
    names = (
        server.spec.host,
        server.host.spec.address,
        server.service.listen.rpartition(":")[0],
        *server.host.names,
    )
    return host in {name.lower().strip("[]").rstrip(".") for name in names if name not in paths.LOOPBACK}
