"""The new content of the file that has a service's flags, for every kind of such file.

A second edit with the same flags changes nothing, and `shell_commands` give the same bytes.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace

from wizard.config_files import env_file, systemd_unit
from wizard.config_files.shell_syntax import with_flag
from wizard.connections.base import Connection
from wizard.errors import ConfigError
from wizard.model import FileState, Service
from wizard.service_managers.process_list import Process

_LONGEST_NAME = 255
"""Bytes; the maximum length of a file name."""


class FlagFiles:
    """The common part of service managers whose flags are in the file that `Service.flags` names."""

    def discover(self, connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
        """None: only the managers of systemd units, processes and containers find components."""
        return ()

    def describe(self, connection: Connection, service: Service) -> Service:
        """See `base.ServiceManager.describe`; returns it unchanged."""
        return service

    def address(self, connection: Connection, service: Service) -> str:
        """See `base.ServiceManager.address`; returns the discovered address, since a restart does not change it."""
        return service.listen

    def set_flag(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> FileState:
        """See `plan_flags`."""
        return plan_flags(service, wanted=wanted, current=current, unit_text=service.unit_text)

    def flag_commands(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> tuple[str, ...]:
        """See `shell_commands`."""
        return shell_commands(service, wanted=wanted, current=current, unit_text=service.unit_text)


def plan_flags(
    service: Service, *, wanted: Mapping[str, str], current: FileState | None, unit_text: str = ""
) -> FileState:
    """The new state of the file `service.flags.path` with `--flag=value` for each of `wanted`, in one edit.

    Args:
        service: the service as discovered.
        wanted: unquoted values, by the flags' names without dashes; at least one.
        current: the file as it is, None if it does not exist.
        unit_text: the result of `systemd.unit_text`; needed for a drop-in that does not exist yet.

    Raises:
        ConfigError: the file cannot hold a value, Firescreen must not edit the file, or its quoting leaves no safe way.
    """
    flag_place = service.flags
    text = _text(current, flag_place.path)
    for flag, value in wanted.items():
        text = _set(service, text, flag, value, unit_text)
    content = text.encode("utf-8", "surrogateescape")
    return FileState(content) if current is None else replace(current, content=content)


def plan_flag(
    service: Service, *, flag: str, value: str, current: FileState | None, unit_text: str = ""
) -> FileState:
    """`plan_flags` for one flag."""
    return plan_flags(service, wanted={flag: value}, current=current, unit_text=unit_text)


def _set(service: Service, text: str, flag: str, value: str, unit_text: str) -> str:
    place = service.flags
    if place.kind == "envfile":
        return _edit_naming_file(
            place.path, lambda: env_file.set_flag(text, place.variable, flag, value, reader=place.reader)
        )
    if place.kind == "dropin":
        return _edit_naming_file(place.path, lambda: _dropin(service, text, flag, value, unit_text))
    if place.kind == "argfile":
        return set_argument(text, flag, value)
    raise ConfigError(
        f"the flags of {service.unit} are not in a file that can be edited",
        where=service.host,
        todo=f"Start it with --{flag}={value} yourself.",
    )


def dropin_path(unit_id: str, wins: str, *, stem: str = "firescreen") -> str:
    """The path for a drop-in of ours that takes precedence; '' if no file name sorts after the one that wins now.

    systemd reads the drop-ins of a unit in the order of their names alone, whatever their folder (`x.service.d`,
    `x-.service.d` for units with that prefix, `service.d` for all, each below /etc, /run and /usr).

    Args:
        unit_id: with `.service`.
        wins: the file that has the last word on the setting now.
        stem: a part of the name of our file.
    """
    folder = f"/etc/systemd/system/{unit_id}.d"
    last = posixpath.basename(wins) if wins.endswith(".conf") else ""
    if wins == posixpath.join(folder, last) and last.endswith(f"{stem}.conf"):
        return wins
    # `systemctl edit` writes override.conf, which sorts after the first name; a full stop sorts after a hyphen.
    names = (f"50-{stem}.conf", f"zz-{stem}.conf", f"{last.removesuffix('.conf')}.{stem}.conf")
    fitting = (
        name for name in names if name.encode() > last.encode() and len(name.encode()) <= _LONGEST_NAME
    )
    name = next(fitting, "")
    return posixpath.join(folder, name) if name else ""


def needs_daemon_reload(service: Service) -> bool:
    """Whether `systemctl daemon-reload` is needed after the file has changed."""
    return service.flags.kind == "dropin"


def shell_commands(
    service: Service, *, wanted: Mapping[str, str], current: FileState | None, unit_text: str = ""
) -> tuple[str, ...]:
    """Shell commands with the same result as `plan_flags`: root can run them with `sh` as printed, any number of times.

    They ask no questions. () if there is no file to edit, or nothing to change.
    """
    if service.flags.kind == "manual":
        return ()
    after = plan_flags(service, wanted=wanted, current=current, unit_text=unit_text)
    if current is not None and after.content == current.content:
        return ()
    path = service.flags.path
    old, new = _text(current, path), after.content.decode("utf-8", "surrogateescape")
    commands = [f"mkdir -p {shlex.quote(path.rsplit('/', 1)[0])}"] if current is None else []
    line = _one_line(path, service.flags.variable, old, new) if service.flags.kind == "envfile" else ""
    commands.append(line or here_document(path, new))
    if needs_daemon_reload(service):
        commands.append("systemctl daemon-reload")
    return tuple(commands)


def here_document(path: str, text: str) -> str:
    """A command that writes exactly `text` to `path`."""
    mark = "END"
    while mark in text.splitlines():
        mark += "_"
    if not text.endswith("\n"):
        return f"printf '%s' {shlex.quote(text)} > {shlex.quote(path)}"
    return f"cat > {shlex.quote(path)} <<'{mark}'\n{text}{mark}"


def set_argument(text: str, flag: str, value: str) -> str:
    """A file with one argument per line and `#` comments, with `--flag=value` replaced or added."""
    if "\n" in value or "\r" in value:
        raise ConfigError(f"the value of --{flag} holds a line break", todo="Choose another path.")
    lines = text.splitlines(keepends=True)
    argument_lines = [
        index for index, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")
    ]
    old = [lines[index].strip() for index in argument_lines]
    wanted = with_flag(old, flag=flag, value=value)
    if wanted == old:
        return text
    argument = f"--{flag}={value}\n"
    if len(wanted) > len(old):
        gap = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{gap}{argument}"
    at = next(index for index, line in enumerate(wanted) if index >= len(old) or line != old[index])
    lines[argument_lines[at]] = argument
    for index in argument_lines[at + 1 : at + 1 + len(old) - len(wanted)]:
        lines[index] = ""
    return "".join(lines)


def _dropin(service: Service, text: str, flag: str, value: str, unit_text: str) -> str:
    if re.search(r"(?m)^\s*ExecStart\s*=\s*\S", text):
        return systemd_unit.edit_dropin(text, flag, value)
    command = systemd_unit.parse(unit_text).command
    if command is None:
        raise ConfigError(
            f"{service.unit} does not start exactly one program",
            where=service.host,
            todo=f"Add --{flag}={value} to its ExecStart yourself (systemctl edit --full {service.unit}).",
        )
    gap = "" if not text or text.endswith("\n") else "\n"
    return text + gap + systemd_unit.dropin(command.raw, flag, value)


def _one_line(path: str, variable: str, old: str, new: str) -> str:
    """The change of one assignment as a grep or sed command; '' if it is not that simple."""
    quoted_path = shlex.quote(path)
    was, becomes = env_file.line_of(old, variable), env_file.line_of(new, variable)
    if becomes is None or not becomes[1]:
        return ""
    line = shlex.quote(becomes[0])
    if was is None:
        if old and not old.endswith("\n"):
            return ""
        return f"grep -qxF -e {line} {quoted_path} 2>/dev/null || printf '%s\\n' {line} >> {quoted_path}"
    if not was[1] or "\r" in old:
        return ""
    escaped = re.sub(r"([\\&|])", r"\\\1", becomes[0])
    return f"sed -i {shlex.quote(f's|^{variable}=.*|{escaped}|')} {quoted_path}"


def _text(current: FileState | None, path: str) -> str:
    if current is None:
        return ""
    if b"\0" in current.content:
        raise ConfigError("it is not a text file", where=path)
    return current.content.decode("utf-8", "surrogateescape")


def _edit_naming_file(path: str, edit: Callable[[], str]) -> str:
    """Calls `edit`; adds the file's path to the location in its errors."""
    try:
        return edit()
    except ConfigError as problem:
        where = ", ".join(part for part in (path, problem.where) if part)
        raise ConfigError(problem.what, where=where, todo=problem.todo) from None
