"""Compares hosts with the journal of an unfinished run: what differs from the state before the run.

With this, a person can end a recovery that cannot succeed: if the hosts are as they were before, the run can be
forgotten even if `recover` fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from wizard.engine.hosts import Hosts
from wizard.engine.journal import Journal
from wizard.engine.outcome import Outcome
from wizard.engine.parallel import run_parallel
from wizard.errors import FirescreenError, HostError, JournalError, RollbackError
from wizard.journal_reader import Entry, Image, Record
from wizard.model import WORKSPACE, FileState, Service
from wizard.service_managers.registry import manager_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A file, service or host that differs from its state before a run."""

    host: str
    path: str
    """The path of a file, a systemd unit, or '' for the host itself."""
    what: str
    copy: str = ""
    """Path of the copy of the previous file on this machine; '' if the file did not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """The differences that a run which was not rolled back has left on its hosts."""

    run: str
    title: str
    started: float
    hosts: tuple[str, ...]
    """The hosts on which the run has begun changes."""
    differences: tuple[Difference, ...]


def compare(record: Record, hosts: Hosts) -> Remains:
    """Compares every file and service that a run has begun to change with its previous state."""
    entries: dict[str, list[Entry]] = {}
    for entry in record.entries:
        if entry.number in record.begun:
            entries.setdefault(entry.host, []).append(entry)
    found = run_parallel(lambda name: _on_host(record, name, entries[name], hosts), entries)
    return Remains(
        run=record.run,
        title=record.title,
        started=record.started,
        hosts=tuple(name for name in entries if name != WORKSPACE),
        differences=tuple(each for differences in found for each in differences),
    )


def forget(record: Record, left: Remains, *, as_it_is: bool) -> Outcome:
    """Records in the journal that a run needs no rollback any more; refuses if something differs.

    Args:
        as_it_is: also if something differs; the copies of the previous files are then kept.
    """
    if left.differences and not as_it_is:
        places = dict.fromkeys(":".join(filter(None, (each.host, each.path))) for each in left.differences)
        error = RollbackError(
            f"{len(places)} of what it touched is not as it was before, so the run is not forgotten",
            where=", ".join(places),
            todo=(
                f"Restore it yourself (the copies are in {record.folder / 'before'}), "
                f"or keep it as is: firescreen recover --forget {record.run} --as-it-is --yes"
            ),
        )
        return Outcome(run=record.run, state="failed", error=error)
    log = Journal(record.folder)
    try:
        for host in sorted(record.owed):
            log.mark_rolled_back(host)
        if not record.owed:
            if not left.differences:
                log.forget_images()
            log.state("forgotten")
    except JournalError as error:
        return Outcome(run=record.run, state="failed", error=error)
    finally:
        log.close()
    summary = (
        "Every file is as it was before that run, and the services run."
        if not left.differences
        else f"What differs stays as it is. The previous files are in {record.folder / 'before'}."
    )
    return Outcome(run=record.run, state="forgotten", summary=(summary,))


def _on_host(record: Record, name: str, entries: Sequence[Entry], hosts: Hosts) -> list[Difference]:
    first: dict[str, Entry] = {}
    last: dict[str, Entry] = {}
    running: dict[str, Service] = {}
    for entry in entries:
        if entry.service is not None:
            running.setdefault(entry.service.unit, entry.service)
        elif entry.kind != "folder":
            first.setdefault(entry.path, entry)
            last[entry.path] = entry
    try:
        now = hosts.connection(name).read_many(list(first))
        differing = [
            Difference(host=name, path=path, what=text, copy=_copy(record, entry.before))
            for path, entry in first.items()
            # New files in the workspace (a CA, a password) are no difference: the next run uses them.
            if (name != WORKSPACE or entry.before is not None)
            and (text := _difference_text(record, entry.before, last[path].after, now[path]))
        ]
        return differing + [
            Difference(host=name, path=unit, what="it ran before, and does not run now")
            for unit, service in running.items()
            if service.active and not _runs(service, hosts)
        ]
    except FirescreenError as error:
        return [Difference(host=name, path="", what=f"it cannot be read: {error.what}")]


def _difference_text(record: Record, before: Image | None, after: Image | None, now: FileState | None) -> str:
    """How a file differs from its state before the run; '' if it does not."""
    if record.is_image(now, before):
        if now is None or before is None:
            return ""
        was, becomes = (before.mode, before.owner, before.group), (now.mode, now.owner, now.group)
        if was == becomes:
            return ""
        return f"mode and owner were {_rights(*was)}, and are {_rights(*becomes)}"
    if now is None:
        return "it is gone"
    if record.is_image(now, after):
        return "it is as the run left it" if before is not None else "the run made it, and it is still there"
    return "somebody has changed it since the run"


def _rights(mode: int, owner: str, group: str) -> str:
    return f"{mode:04o} {owner}:{group}"


def _copy(record: Record, before: Image | None) -> str:
    return str(record.folder / "before" / before.name) if before is not None and before.name else ""


def _runs(service: Service, hosts: Hosts) -> bool:
    with suppress(HostError):
        return manager_of(service).is_active(hosts.connection(service.host), service)
    return False
