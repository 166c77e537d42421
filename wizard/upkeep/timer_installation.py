"""Determines the settings of a stack's timer on this machine, and plans its installation."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from wizard.account import account
from wizard.engine import Engine
from wizard.errors import InputError
from wizard.model import FileState, HostSpec, PathInfo, Plan, Stack
from wizard.upkeep import record, timer
from wizard.upkeep.timer import HERE, Timer

_TEXTFILES = Path("/var/lib/prometheus/node-exporter")
"""The folder of node_exporter's textfile collector on Debian."""


def plan_of(machine: Engine, found: Timer) -> Plan:
    """Plans the installation of a timer; no steps if it is already installed like this.

    Raises:
        FirescreenError: the present files cannot be read.
    """
    files, folders = present_files(machine, found)
    return timer.installation(found, files, folders, account())


def bare_stack(stack: str) -> Stack:
    """A stack of which only the name is known."""
    return Stack(hosts=(), components=(), source="" if stack == "practice" else str(Path(stack).absolute()))


def timer_of(
    machine: Engine,
    stack: Stack,
    *,
    own: bool,
    metrics: Path | None = None,
    passphrase_file: Path | None = None,
    password_days: int | None = None,
    look: bool = True,
    calendar: str = "",
    delay: str = "",
) -> Timer:
    """The settings of the timer for a stack on this machine.

    Args:
        own: use the user's systemd even as root.
        metrics: path of the metrics file; by default in Debian's folder of the textfile collector, if that is writable.
        look: whether the hosts are read to find the folders to which a renewal writes.

    Raises:
        InputError: there is no systemd, and the user may not write root's crontab.
    """
    root = os.geteuid() == 0
    systemd = Path("/run/systemd/system").is_dir()
    found = timer.Timer(
        kind="cron" if not systemd else "user" if own or not root else "system",
        stack=record.stack_name(stack),
        workspace=str(machine.workspace.root),
        program=_program(),
        user=account()[0],
        home=str(Path.home()),
        metrics=str(metrics.absolute()) if metrics else _metrics(stack) if root or systemd else "",
        passphrase_file=str(passphrase_file.absolute()) if passphrase_file else "",
        password_days=password_days or 0,
        calendar=calendar or timer.CALENDAR,
        delay=delay or timer.DELAY,
        writable=timer.writable_folders(stack, machine.inspect(stack)) if look else (),
        sudo=not root and any(spec.connect == "local" and spec.become for spec in stack.hosts),
    )
    if found.kind == "cron" and not root:
        line = " && ".join(shlex.join(each) for each in (found.renewal, found.measuring) if each)
        raise InputError(
            "there is no systemd here, and only root can write /etc/cron.d",
            where=found.folder,
            todo=f"Add this line with crontab -e: 17 */6 * * * {line}",
        )
    return found


def _metrics(stack: Stack) -> str:
    if not os.access(_TEXTFILES, os.W_OK):
        return ""
    return str(_TEXTFILES / f"firescreen-{Path(record.stack_name(stack)).stem}.prom")


def _program() -> tuple[str, ...]:
    """The command that starts Firescreen."""
    named = shutil.which(sys.argv[0]) if sys.argv[0] else None
    if named and Path(named).name == "firescreen":
        return (str(Path(named).absolute()),)
    return (sys.executable, "-m", "screens")


def present_files(
    machine: Engine, found: Timer
) -> tuple[dict[str, FileState | None], dict[str, PathInfo | None]]:
    """Reads the timer's present files and the folders above them."""
    names = list(found.files())
    above = list(dict.fromkeys(str(folder) for name in names for folder in Path(name).parents))
    with machine.connections((HostSpec(name=HERE, connect="local"),)) as hosts:
        connection = hosts.connection(HERE)
        return dict(connection.read_many(names)), dict(connection.stat_many(above))
