"""Finds other supervisors (supervisord, runit, s6, PM2, monit): the name and command of the service they run.

They run more than the one program, so they are never restarted; the user is told how to restart only that program.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import shlex
from collections.abc import Iterator

from wizard.connections.base import Connection
from wizard.errors import HostError
from wizard.model import Supervision
from wizard.service_managers.process_list import Parent, Process

_LARGEST = 1_000_000
_STATUS = re.compile(r"(?m)^(\S+)\s+RUNNING\s+pid (\d+),")
_PROGRAM = re.compile(r"\[program:([^\]\s]+)\]")


def find(connection: Connection, process: Process) -> Supervision | None:
    """The supervisor of a process, if it is another program than systemd."""
    for parent in process.parents:
        found = _by_parent(connection, process, parent)
        if found is not None:
            return found
    if process.unit == "monit.service":
        # Processes that monit starts are not its children.
        return Supervision(
            "monit", process.component, "/etc/monit/monitrc", "start program =", (), ("monit reload",)
        )
    if process.unit:
        return Supervision("unit", process.unit.removesuffix(".service"))
    return None


def wrapper(unit: str, file: str) -> Supervision:
    """A unit that starts its only program through a shell: it can be restarted, but the user has to set its flags.

    Args:
        unit: with `.service`. file: the unit's own file.
    """
    name = unit.removesuffix(".service")
    return Supervision("shell", name, file, "ExecStart=", (f"systemctl restart {name}",))


def _by_parent(connection: Connection, process: Process, parent: Parent) -> Supervision | None:
    words = [posixpath.basename(word) for word in parent.arguments[:3]]
    first = words[0] if words else ""
    if "supervisord" in words:
        return _supervisord(connection, process, parent)
    if first in ("runsv", "supervise", "s6-supervise") and len(words) > 1:
        return _by_folder(connection, parent, first)
    if re.match(r"PM2\b.*God Daemon", " ".join(parent.arguments)):
        return _pm2(process)
    if first.startswith("tmux"):
        return Supervision("tmux", process.component, "", "", ("tmux attach",))
    if first.upper() == "SCREEN":
        return Supervision("screen", process.component, "", "", ("screen -r",))
    return None


def _by_folder(connection: Connection, parent: Parent, program: str) -> Supervision:
    """runit, daemontools, s6: a service is a folder with a file `run`, and the supervisor's working directory."""
    folder = connection.run(["readlink", f"/proc/{parent.pid}/cwd"], timeout=5).stdout.strip()
    folder = folder or parent.arguments[1]
    kind = {"runsv": "runit", "supervise": "daemontools"}.get(program, "s6")
    name = posixpath.basename(parent.arguments[1]) or posixpath.basename(folder)
    place = shlex.quote(folder)
    restart = {"runit": f"sv restart {place}", "daemontools": f"svc -t {place}", "s6": f"s6-svc -r {place}"}
    return Supervision(kind, name, posixpath.join(folder, "run"), "exec", (restart[kind],))


def _pm2(process: Process) -> Supervision:
    name = posixpath.basename(process.program)
    word = shlex.quote(name)
    return Supervision("pm2", name, "", "", (f"pm2 restart {word}",), (f"pm2 delete {word}",))


def _supervisord(connection: Connection, process: Process, parent: Parent) -> Supervision:
    """supervisorctl reports which program has that process; without the right to use it, the configuration does."""
    config = _config(connection, parent)
    sections = dict(_sections(connection, config))
    pids = {process.pid, *(each.pid for each in process.parents if each.pid != parent.pid)}
    ended = connection.run(["supervisorctl", *(("-c", config) if config else ()), "status"], timeout=10)
    named = [name for name, pid in _STATUS.findall(ended.stdout) if int(pid) in pids]
    ctl = f"supervisorctl -c {shlex.quote(config)}" if config not in ("", *_USUAL) else "supervisorctl"
    if not named:
        named = [
            name for name, (_, command) in sections.items() if posixpath.basename(process.program) in command
        ]
    # GROUP:NAME, or NAME:NAME_00 for one of several processes of a program.
    full_name = named[0] if named else process.component
    group, _, name = full_name.rpartition(":")
    section = next((each for each in (name, group) if each in sections), "")
    unit = group or name
    return Supervision(
        "supervisord",
        full_name,
        sections[section][0] if section else config,
        f"[program:{section or full_name}] command=",
        (f"{ctl} restart {shlex.quote(full_name)}",),
        (f"{ctl} reread", f"{ctl} update {shlex.quote(unit)}"),
    )


_USUAL = ("/etc/supervisord.conf", "/etc/supervisor/supervisord.conf", "/etc/supervisor.conf")


def _config(connection: Connection, parent: Parent) -> str:
    """The configuration file of a supervisord: the one it was started with, or the first of the usual ones."""
    words = parent.arguments
    for index, word in enumerate(words):
        if word in ("-c", "--configuration"):
            return words[index + 1] if index + 1 < len(words) else ""
        if word.startswith("--configuration="):
            return word.partition("=")[2]
    return next((path for path in _USUAL if connection.stat(path) is not None), "")


def _sections(connection: Connection, path: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """(program, (file, command)) for a supervisord's configuration and the files that it includes."""
    text = _text(connection, path)
    yield from _programs(path, text)
    for found in re.finditer(r"(?ms)^\[include\][^\[]*?^\s*files\s*=\s*(.*?)(?=^\S|\Z)", text):
        for pattern in found[1].split():
            folder, name = posixpath.split(posixpath.join(posixpath.dirname(path), pattern))
            for each in fnmatch.filter(connection.names(folder), name):
                included = posixpath.join(folder, each)
                yield from _programs(included, _text(connection, included))


def _programs(path: str, text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for part in re.split(r"(?m)^(?=\[)", text):
        head = _PROGRAM.match(part)
        command = re.search(r"(?m)^\s*command\s*=\s*(.*)$", part)
        if head is not None:
            yield head[1], (path, command[1].strip() if command else "")


def _text(connection: Connection, path: str) -> str:
    try:
        state = connection.read(path) if path else None
    except HostError:
        return ""  # not readable without root; other sources have to suffice
    return state.content[:_LARGEST].decode("utf-8", "replace") if state is not None else ""
