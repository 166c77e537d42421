"""Reconstructs the stack that describes the hosts as they are now, from a scan and the stacks of earlier runs.

A scan only sees levels. The issuer of certificates, front doors, client logins and other settings of a component come
from the stack of the run, which is stored beside its journal. It holds no secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wizard import journal_reader, ownfiles
from wizard.errors import JournalError, StackError
from wizard.model import ClientLogin, ComponentSpec, HostSpec, Protection, Stack

if TYPE_CHECKING:
    from wizard.engine.outcome import Exposure, Scan

_FILE = "stack.yaml"


def keep(folder: Path, stack: Stack) -> None:
    """Writes the stack of a run beside its journal.

    Raises:
        JournalError: it cannot be written.
    """
    from wizard.inventory import stack_file

    try:
        ownfiles.create(folder / _FILE, stack_file.dump(stack))
    except OSError as error:
        raise JournalError(
            f"the stack of the run cannot be written down: {error.strerror or error}",
            where=str(folder),
            todo="Make room on the disk, then apply again",
        ) from error


def present_stack(found: Scan, runs: Path) -> Stack:
    """The scanned stack with the present settings; unprotected components keep the level that the scan proposes.

    Args:
        found: a scan of the stack's hosts.
        runs: the workspace's folder of runs.
    """
    scanned = found.stack
    known = tuple(_stacks_of_runs(runs, scanned))
    here = {host.name for host in scanned.hosts}
    doors = {door.key: door for kept in reversed(known) for door in kept.front_doors}
    stack = replace(
        known[0] if known else scanned,
        hosts=scanned.hosts,
        front_doors=tuple(
            door
            for door in doors.values()
            if {door.host, *(door.host_of(route) for route in door.routes)} <= here
        ),
        client_logins=(),
        source=scanned.source,
    )
    settings = {
        component.key: component
        for kept in reversed(known)
        for component in kept.components
        # The settings of a component behind a front door come from the run that created the front door.
        if kept.doors_to(component.host, component.name) or not stack.doors_to(component.host, component.name)
    }
    stack = replace(stack, components=tuple(settings.get(each.key, each) for each in scanned.components))
    seen = {exposure.key: exposure for exposure in found.exposures}
    parts = (
        _with_present_level(
            stack, wanted, proposed.protect, seen.get(proposed.key), known=proposed.key in settings
        )
        for wanted, proposed in zip(stack.components, scanned.components, strict=True)
    )
    stack = replace(stack, components=tuple(parts))
    return replace(stack, client_logins=_logins(stack, known, found))


def _with_present_level(
    stack: Stack,
    wanted: ComponentSpec,
    proposed: tuple[Protection, ...],
    seen: Exposure | None,
    *,
    known: bool,
) -> ComponentSpec:
    if stack.doors_to(wanted.host, wanted.name):
        return wanted
    if seen is not None and (seen.state == "secured" or (known and seen.tls)):
        return replace(wanted, protect=seen.level(wanted.protect))
    return replace(wanted, protect=proposed)


def _logins(stack: Stack, known: tuple[Stack, ...], found: Scan) -> tuple[ClientLogin, ...]:
    """The client logins that runs have set, as they are in the configuration files now."""
    from wizard.planner.client_login_questions import candidates

    made = [login for kept in known for login in kept.client_logins]
    places = candidates(stack, found.facts) if made else ()
    return tuple(each.present for each in places if each.present is not None and any(map(each.has, made)))


def _stacks_of_runs(runs: Path, stack: Stack) -> Iterator[Stack]:
    """The stacks of runs that are not undone and share a host with `stack`, the newest first."""
    from wizard.inventory import stack_file

    hosts = {_place(host) for host in stack.hosts}
    for record in journal_reader.undoable_runs(runs):
        file = record.folder / _FILE
        # Skip runs without a stack file (made by an older version), and files that cannot be read.
        with suppress(StackError):
            if file.is_file() and hosts & {_place(host) for host in record.hosts}:
                kept = stack_file.load(file)
                if kept.components:
                    yield kept


def _place(host: HostSpec) -> tuple[str, ...]:
    """What identifies a host; the way to become root does not matter."""
    return (host.name, host.connect, host.address, host.instance)
