"""Runs the commands of a lab exactly as printed, and prepares a terminal for them.

A file to source adds `firescreen`, htpasswd and promtool to PATH. No password is in an argument or in the environment:
the commands keep passwords in files.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wizard import binaries, ownfiles, practice
from wizard.connections.subprocess_runner import run_bounded
from wizard.engine.hosts import Hosts
from wizard.errors import FirescreenError, HostError, ProgramUnavailableError
from wizard.labs.content import LabStep
from wizard.redact import plain, redact
from wizard.workspace import Workspace

_TIMEOUT = 120.0
"""Seconds for all the commands of a step."""
_MARK = "\x1e"
"""Separates the output of two commands; no program of a lab prints it."""
_TOOLS = ("htpasswd", "promtool")


@dataclass(frozen=True, slots=True)
class Typed:
    """One command and its output (both streams, harmless); `code` is 0 except for a last command that failed."""

    command: str
    output: str
    code: int = 0


def shell_file(workspace: Workspace) -> Path:
    """Returns the file that a terminal sources before the first command of a lab."""
    return workspace.labs / "shell"


def is_ready(workspace: Workspace) -> bool:
    """Returns whether `prepare` was done."""
    return shell_file(workspace).is_file()


def prepare(workspace: Workspace, progress: Callable[[str], None], *, strict: bool = False) -> Path:
    """Creates the folder of tools and the file to source; returns the file.

    Args:
        progress: gets lines about downloads.
        strict: whether an unavailable tool is an error; otherwise the lab goes on without it.

    Raises:
        ProgramUnavailableError: see `strict`. FirescreenError: the files cannot be written.
    """
    folder = workspace.labs / "bin"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ownfiles.replace(folder / "firescreen", _launcher(), mode=0o700)
        practice_stack = practice.status(workspace.root)
        # promtool of the stack's own suite; an htpasswd of another suite may not run here.
        suites = {"promtool": practice_stack.suite if practice_stack else ""}
        for name in _TOOLS:
            try:
                program = binaries.find(
                    name, cache=workspace.cache, suite=suites.get(name, ""), progress=progress
                )
            except ProgramUnavailableError as error:
                if strict:
                    raise
                progress(f"{name} is missing; some steps need it ({plain(error.what, 200)})")
                continue
            # A script, no link: some programs are wrappers that look for files beside themselves.
            ownfiles.replace(folder / name, f'#!/bin/sh\nexec {shlex.quote(program.path)} "$@"\n', mode=0o700)
        for host in practice_stack.hosts if practice_stack else ():
            if host.name in practice.BESIDE:
                started = f"HOME={shlex.quote(f'{host.folder}/data')} exec {shlex.quote(host.program)}"
                ownfiles.replace(folder / host.component, f'#!/bin/sh\n{started} "$@"\n', mode=0o700)
        ownfiles.replace(shell_file(workspace), _environment(workspace, folder), mode=0o600)
    except OSError as error:
        raise FirescreenError(
            f"the tools for the lab cannot be installed: {error.strerror}",
            where=str(workspace.labs),
            todo="Free some space, or choose another folder with --workspace",
        ) from error
    return shell_file(workspace)


def _launcher() -> str:
    """Returns a `firescreen` script for a terminal that does not have it on PATH."""
    room = shlex.quote(str(Path(__file__).resolve().parents[2]))
    return (
        "#!/bin/sh\n"
        f'PYTHONPATH={room}${{PYTHONPATH:+:$PYTHONPATH}} exec {shlex.quote(sys.executable)} -m wizard.cli "$@"\n'
    )


def _environment(workspace: Workspace, folder: Path) -> str:
    practice_stack = practice.status(workspace.root)
    addresses = ",".join(host.address for host in practice_stack.hosts) if practice_stack else "127.0.0.1"
    lines = [
        "# For the terminal in which you do a Firescreen lab: . this file",
        f'export PATH={shlex.quote(str(folder))}:"$PATH"',
        f"export FIRESCREEN_WORKSPACE={shlex.quote(str(workspace.root))}",
        f"export FIRESCREEN_CACHE={shlex.quote(str(workspace.cache))}",
        "# The practice hosts are on this machine: no proxy stands between.",
        f"export no_proxy={addresses} NO_PROXY={addresses}",
    ]
    return "\n".join(lines) + "\n"


def run(step: LabStep, workspace: Workspace, *, folder: str = "") -> Iterator[Typed]:
    """Runs a step's commands as printed, in one bash that stops at the first failure; yields each command.

    Args:
        step: the step.
        folder: the initial folder; '' for that of the step's practice host.

    Raises:
        FirescreenError: there is no bash, or the commands do not end.
    """
    practice_stack = practice.status(workspace.root)
    folders = {host.name: host.folder for host in practice_stack.hosts} if practice_stack else {}
    begin = [
        "exec 2>&1",
        f". {shlex.quote(str(shell_file(workspace)))}",
        f"cd {shlex.quote(folder or folders.get(step.host, str(workspace.root)))}",
    ]
    script = "\n".join([*begin, *(f"printf '\\036'\n{command}" for command in step.typed)])
    try:
        ended = run_bounded(["bash", "-euc", script], timeout=_TIMEOUT)
    except HostError as error:
        raise FirescreenError(
            f"the commands of the step '{step.title}' do not end", where=step.host, todo=error.todo
        ) from error
    if ended.code == 127 and not ended.stdout:
        raise FirescreenError("there is no bash on this machine", todo="Play the lab without --by-hand")
    parts = ended.stdout.decode("utf-8", "replace").split(_MARK)[1:]
    for index, output in enumerate(parts):
        last = index == len(parts) - 1
        yield Typed(step.typed[index], redact(plain(output.strip("\n"), 4000)), ended.code if last else 0)


HERE = "here"
"""The place of a command that is typed on this machine."""


def run_there(step: LabStep, hosts: Hosts, ready: Mapping[tuple[str, str], str]) -> Iterator[Typed]:
    """Runs a step's commands as printed, each on the host where it is to be typed; yields each command.

    Consecutive commands on one host run in one bash, which stops at the first failure.

    Args:
        step: the step.
        hosts: their connections.
        ready: for a command (place and text) the `address/port` to wait for before the next one: a person types more
            slowly than a program starts.

    Raises:
        FirescreenError: a host cannot be reached, has no bash, or the commands do not end.
    """
    for place, commands in step.stretches:
        lines = ["exec 2>&1"]
        for command in commands:
            lines += ["printf '\\036'", command, *filter(None, [_until(ready.get((place, command), ""))])]
        argv = ["bash", "-euc", "\n".join(lines)]
        if place == HERE:
            here = run_bounded(argv, timeout=_TIMEOUT)
            code, output = here.code, here.stdout.decode("utf-8", "replace")
        else:
            there = hosts.connection(place).run(argv, timeout=_TIMEOUT)
            code, output = there.code, there.stdout
        if code == 127 and not output:
            raise FirescreenError("there is no bash on this host", where=place, todo="Install it there")
        parts = output.split(_MARK)[1:]
        for index, part in enumerate(parts):
            ended = code if index == len(parts) - 1 else 0
            yield Typed(commands[index], redact(plain(part.strip("\n"), 4000)), ended)
        if code:
            return


def _until(socket: str) -> str:
    """Returns shell code that waits until something listens there, for at most ten seconds; '' for no wait."""
    if not socket:
        return ""
    return f"for _ in {{1..100}}; do (: < /dev/tcp/{socket}) 2>/dev/null && break; sleep 0.1; done"
