"""Puts back what a run changed, from its journal alone: after a failed proof, on request, or after a crash.

Every part may be done twice: a file that is already as it was is left alone. So an undo that was itself cut
off is simply done again.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from contextlib import suppress

from wizard.engine import hosts as services
from wizard.engine.hosts import Hosts
from wizard.errors import ChangedError, FirescreenError, HostError, JournalError, ServiceError
from wizard.journal import Entry, Journal, Record
from wizard.model import Event, FileState

Emit = Callable[[Event], None]


def check(record: Record, hosts: Hosts) -> None:
    """Whether an undo can be carried through, before anything is touched.

    Raises:
        ChangedError: somebody changed a file since the run. JournalError: a copy of what was there is gone.
    """
    files: dict[tuple[str, str], list[Entry]] = {}
    for entry in record.entries:
        if entry.number in record.done and entry.service is None and entry.kind != "folder":
            files.setdefault((entry.host, entry.path), []).append(entry)
    changed = [
        f"{host}:{path}"
        for (host, path), entries in files.items()
        if not _known(record, entries, hosts.connection(host).read(path))
    ]
    if changed:
        raise ChangedError(
            "somebody changed it since that run; nothing was undone",
            where=", ".join(changed),
            todo="put it back by hand with the run's diff from the history",
        )
    for entries in files.values():
        if entries[0].before is not None:
            record.load(entries[0].before)


def put_back(record: Record, hosts: Hosts, journal: Journal, emit: Emit) -> None:
    """Restores every file that the run wrote, then restarts and reloads what it had restarted and reloaded.

    Raises:
        FirescreenError: something could not be put back. All the rest is, and the message says what is left.
    """
    troubles: list[FirescreenError] = []
    entries = [entry for entry in reversed(record.entries) if entry.number in record.begun]
    for count, entry in enumerate(entries):
        # A run may write a file twice: it is put back once, to what stood there before the first time.
        same = [other for other in entries if (other.host, other.path) == (entry.host, entry.path)]
        try:
            if entry.service is not None:
                pass
            elif entry.kind == "folder":
                hosts.connection(entry.host).remove_folder(entry.path)
            elif entry is same[0]:
                _put_back_file(record, same, hosts)
        except FirescreenError as error:
            troubles.append(error)
        emit(
            Event(
                run=record.run,
                kind="rollback",
                host=entry.host,
                state="undone",
                done=count + 1,
                total=len(entries),
                text=f"put back {entry.path}" if entry.service is None and entry is same[0] else "",
            )
        )
    for entry in sorted(entries, key=lambda entry: entry.number):
        if entry.service is None:
            continue
        try:
            _turn_back(record, entry, hosts, emit)
        except FirescreenError as error:
            troubles.append(error)
    if troubles:
        raise _together(troubles)
    journal.forget_images()


def _put_back_file(record: Record, entries: Sequence[Entry], hosts: Hosts) -> None:
    """One file as it was before the run.

    Args:
        entries: all that the run did to it, the last first.

    Raises:
        ChangedError: somebody else changed it since. HostError: it cannot be written.
    """
    first, last = entries[-1], entries[0]
    connection = hosts.connection(first.host)
    for entry in entries:
        with suppress(HostError):  # its folder may be gone, and with it what was staged there
            connection.remove(connection.staged_name(entry.path, tag=_tag(record, entry)))
    now = connection.read(first.path)
    if record.is_image(now, first.before):
        if first.before is None or now is None or now.mode == first.before.mode:
            return
    elif not _known(record, entries, now):
        if not any(entry.number in record.done for entry in entries):
            return  # it was found changed and never written: it is its owner's
        raise ChangedError(
            "somebody changed it since the run, so it was left as it is",
            where=f"{first.host}:{first.path}",
            todo="compare it with the run's diff in the history",
        )
    if first.before is None:
        connection.remove(first.path)
        return
    staged = connection.stage(first.path, record.load(first.before), tag=_tag(record, last))
    connection.commit(staged, first.path)


def _known(record: Record, entries: Sequence[Entry], now: FileState | None) -> bool:
    """Whether a file is as this run found it, left it, or had it in between."""
    return any(record.is_image(now, image) for entry in entries for image in (entry.before, entry.after))


def _tag(record: Record, entry: Entry) -> str:
    return f"{record.run}-{entry.number}"


def _turn_back(record: Record, entry: Entry, hosts: Hosts, emit: Emit) -> None:
    service = entry.service
    assert service is not None
    connection = hosts.connection(entry.host)
    emit(Event(run=record.run, kind="log", host=entry.host, text=f"{entry.kind} {service.unit}"))
    if service.manager == "manual":
        emit(
            Event(
                run=record.run,
                kind="waiting",
                host=entry.host,
                state=f"restart {service.unit}",
                text=f"{service.unit} was started by hand: start it again as it was before",
            )
        )
    elif entry.kind == "restart":
        services.restart(connection, service)
    else:
        services.reload(connection, service)


def revive(record: Record, hosts: Hosts) -> None:
    """Starts again what a crash in the middle of a restart may have left down.

    Raises:
        ServiceError: it does not come up.
    """
    seen = set()
    for entry in record.entries:
        service = entry.service
        if service is None or (entry.host, service.unit) in seen:
            continue
        seen.add((entry.host, service.unit))
        code = services.manager(service)
        connection = hosts.connection(entry.host)
        if service.active and code is not None and not code.is_active(connection, service):
            services.restart(connection, service)


def _together(troubles: list[FirescreenError]) -> FirescreenError:
    first = troubles[0]
    if len(troubles) == 1:
        return first
    places = ", ".join(dict.fromkeys(posixpath.basename(error.where) for error in troubles if error.where))
    kind = ServiceError if all(isinstance(error, ServiceError) for error in troubles) else JournalError
    return kind(
        f"{len(troubles)} things could not be put back: {first.what}",
        where=places,
        todo=first.todo or "run: firescreen recover --yes",
    )
