"""Puts back what a run changed, from its journal alone: after a failed proof, on request, or after a crash.

Every part may be done twice: a file that is already as it was is left alone. So an undo that was itself cut
off is simply done again.
"""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from wizard.connections.base import Connection
from wizard.engine import hosts as services
from wizard.engine.hosts import Hosts
from wizard.engine.journal import Entry, Record
from wizard.engine.parallel import side_by_side
from wizard.errors import AwayError, ChangedError, FirescreenError, HostError, RestoreError, ServiceError
from wizard.model import Event, FileState, Service
from wizard.service_managers import manual
from wizard.service_managers.registry import manager_of

Emit = Callable[[Event], None]


def check(record: Record, hosts: Hosts) -> None:
    """Whether an undo can be carried through, before anything is touched.

    Raises:
        ChangedError: somebody changed a file since the run. JournalError: a copy of what was there is gone.
    """
    files: dict[str, dict[str, list[Entry]]] = {}
    for entry in record.entries:
        if entry.number in record.done and entry.service is None and entry.kind != "folder":
            files.setdefault(entry.host, {}).setdefault(entry.path, []).append(entry)

    def differing(host: str) -> list[str]:
        now = hosts.connection(host).read_many(files[host])
        return [
            f"{host}:{path}"
            for path, entries in files[host].items()
            if not _known(record, entries, now[path])
        ]

    changed = [place for places in side_by_side(differing, files) for place in places]
    if changed:
        raise ChangedError(
            "somebody changed it since that run; nothing was undone",
            where=", ".join(changed),
            todo="put it back by hand with the run's diff from the history",
        )
    for written in files.values():
        for entries in written.values():
            if entries[0].before is not None:
                record.load(entries[0].before)


def put_back(record: Record, hosts: Hosts, emit: Emit) -> None:
    """Restores what the run changed, has clients read it, removes what the run made, and restarts services.

    A client has to leave a server before that loses its certificate: a Prometheus that sends its measurements to one
    that no longer answers holds a reload, and its own end, back for a minute.

    Hosts do not wait for each other while their files are restored; services turn in the order of the run.

    Raises:
        FirescreenError: something could not be put back; its `hosts` say where. All the rest is, and the message says
            what is left.
    """
    entries = [entry for entry in reversed(record.entries) if entry.number in record.begun]
    undoing = _PutBack(record, hosts, emit, entries)
    in_order = sorted(entries, key=lambda entry: entry.number)
    made = _made(entries)
    undoing.restore([entry for entry in entries if (entry.host, entry.path) not in made])
    undoing.turn([entry for entry in in_order if entry.kind != "restart"])
    undoing.restore([entry for entry in entries if (entry.host, entry.path) in made])
    undoing.turn([entry for entry in in_order if entry.kind == "restart"])
    if troubles := undoing.troubles:
        together = _together([error for _, error in troubles])
        together.hosts = tuple(dict.fromkeys(host for host, _ in troubles))
        raise together


def _made(entries: Sequence[Entry]) -> frozenset[tuple[str, str]]:
    """Host and path of what was not there before the run: folders, and files that its first change of them made."""
    first: dict[tuple[str, str], Entry] = {}
    for entry in sorted(entries, key=lambda each: each.number):
        if entry.service is None:
            first.setdefault((entry.host, entry.path), entry)
    return frozenset(
        place for place, entry in first.items() if entry.kind == "folder" or entry.before is None
    )


class _PutBack:
    """Restores files and turns services back, and collects what could not be."""

    def __init__(self, record: Record, hosts: Hosts, emit: Emit, entries: Sequence[Entry]) -> None:
        self._record, self._hosts, self._emit = record, hosts, emit
        self._told = _Told(record.run, len(entries), emit)
        self.troubles: list[tuple[str, FirescreenError]] = []
        # What is restarted afterwards reads its configuration then: a reload of it that fails decides nothing.
        self._restarted = {(entry.host, entry.path) for entry in entries if entry.kind == "restart"}

    def restore(self, entries: Sequence[Entry]) -> None:
        """Files and folders; a host that went out of reach is not waited for again."""
        lost = {host for host, error in self.troubles if isinstance(error, AwayError)}
        by_host: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.host not in lost:
                by_host.setdefault(entry.host, []).append(entry)
        restored = side_by_side(
            lambda mine: _restore(self._record, mine, self._hosts, self._told), by_host.values()
        )
        for host, found in zip(by_host, restored, strict=True):
            self.troubles += [(host, error) for error in found]

    def turn(self, entries: Sequence[Entry]) -> None:
        """Services, in the order of the run."""
        for turn in _turns(entries):
            turned = side_by_side(
                lambda entry: _turned_back(self._record, entry, self._hosts, self._emit), turn
            )
            for entry, found in zip(turn, turned, strict=True):
                if entry.kind == "restart" or (entry.host, entry.path) not in self._restarted:
                    self.troubles += [(entry.host, error) for error in found]


class _Told:
    """Counts what is put back, and says so."""

    def __init__(self, run: str, total: int, emit: Emit) -> None:
        self._run, self._total, self._emit = run, total, emit
        self._done = 0
        self._counting = threading.Lock()

    def __call__(self, host: str, text: str) -> None:
        with self._counting:
            self._done += 1
            done = self._done
        self._emit(
            Event(
                run=self._run,
                kind="rollback",
                host=host,
                state="undone",
                done=done,
                total=self._total,
                text=text,
            )
        )


def _restore(record: Record, entries: Sequence[Entry], hosts: Hosts, told: _Told) -> list[FirescreenError]:
    """The files and folders of one host, the last change first; gives what could not be put back."""
    troubles: list[FirescreenError] = []
    for entry in entries:
        # A run may write a file twice: it is put back once, to what stood there before the first time.
        same = [other for other in entries if other.path == entry.path]
        text = ""
        try:
            if entry.service is not None:
                pass
            elif entry.kind == "folder":
                hosts.connection(entry.host).remove_folder(entry.path)
            elif entry is same[0]:
                text = f"put back {entry.path}"
                _put_back_file(record, same, hosts)
        except FirescreenError as error:
            troubles.append(error)
            if isinstance(error, AwayError):
                return troubles  # each further file would wait for it again
        told(entry.host, text)
    return troubles


def _turns(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The services to turn back, once each, in order; restarts that follow each other are made at once."""
    turns: list[list[Entry]] = []
    seen = set()
    for entry in entries:
        key = entry.host, entry.path, entry.kind
        if entry.service is None or key in seen:
            continue
        seen.add(key)
        beside = entry.kind == "restart" and turns and turns[-1][-1].kind == "restart"
        if beside and all(entry.host != other.host for other in turns[-1]):
            turns[-1].append(entry)
        else:
            turns.append([entry])
    return turns


def _turned_back(record: Record, entry: Entry, hosts: Hosts, emit: Emit) -> list[FirescreenError]:
    try:
        _turn_back(record, entry, hosts, emit)
    except FirescreenError as error:
        return [error]
    return []


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
        if entry.number in record.done:
            continue  # what was staged for it took its place
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
    if service.is_manual:
        emit(
            Event(
                run=record.run,
                kind="waiting",
                host=entry.host,
                state=f"restart {service.unit}",
                text="\n".join(manual.back(service)),
            )
        )
    elif entry.kind == "restart":
        services.restart(connection, service)
    elif _runs(connection, service):
        services.reload(connection, service, dial=hosts.dial)


def _runs(connection: Connection, service: Service) -> bool:
    """Whether it runs: what does not reads its configuration when it starts, and need not be told."""
    return service.active or manager_of(service).is_active(connection, service)


def revive(record: Record, hosts: Hosts) -> None:
    """Starts again what a crash in the middle of a restart may have left down.

    Raises:
        ServiceError: it does not come up.
    """
    found: dict[tuple[str, str], Service] = {}
    for entry in record.entries:
        if entry.service is not None:
            found.setdefault((entry.host, entry.service.unit), entry.service)

    def revived(place: tuple[str, str]) -> None:
        service = found[place]
        connection = hosts.connection(place[0])
        if service.active and not manager_of(service).is_active(connection, service):
            services.restart(connection, service)

    side_by_side(revived, found)


def _together(troubles: list[FirescreenError]) -> FirescreenError:
    first = troubles[0]
    if len(troubles) == 1:
        return first
    places = ", ".join(dict.fromkeys(posixpath.basename(error.where) for error in troubles if error.where))
    kind = ServiceError if all(isinstance(error, ServiceError) for error in troubles) else RestoreError
    return kind(
        f"{len(troubles)} things could not be put back: {first.what}",
        where=places,
        todo=first.todo or "run: firescreen recover --yes",
    )
