"""Decides from a run's journal how the run is rolled back: what, in which order, and to which state.

Every step is idempotent: a file that already has its previous content is left alone. A rollback that was interrupted
is therefore simply repeated.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import FileChangedError, FirescreenError, RollbackError, ServiceError
from wizard.journal_reader import Entry, Record
from wizard.model import ContentKind, FileState, RunService, Service, WriteFile
from wizard.service_managers import manual, proxy_services


@dataclass(frozen=True, slots=True)
class Reversal:
    """One file, folder or service that is restored to its state before a run."""

    entries: tuple[Entry, ...]
    """The run's changes to it, the last first; always one for a folder or a service."""

    @property
    def host(self) -> str:
        """The host's name."""
        return self.entries[0].host

    @property
    def path(self) -> str:
        """The path of the file or folder, or the unit of the service."""
        return self.entries[0].path

    @property
    def kind(self) -> Literal["file", "folder", "service"]:
        """Whether it is a file, a folder or a service."""
        if self.entries[0].service is not None:
            return "service"
        return "folder" if self.entries[0].kind == "folder" else "file"

    @property
    def restarts(self) -> bool:
        """Whether it is a service that is restarted (and not reloaded)."""
        return self.entries[0].kind == "restart"


Lane = tuple[Reversal, ...]
"""Reversals that are made one after the other."""


def phases(record: Record) -> tuple[tuple[Lane, ...], ...]:
    """The reversals of a run as phases that run one after the other; the lanes of a phase run in parallel.

    The order is: restore files that existed before; reload clients; remove files that the run created; reload reverse
    proxies; restart servers. Clients come first because they must stop using https before a server loses its
    certificate. A Prometheus that sends samples to a server that no longer answers delays a reload, and its own
    shutdown, by a minute.
    """
    begun = sorted(
        (entry for entry in record.entries if entry.number in record.begun),
        key=lambda entry: entry.number,
        reverse=True,
    )
    made = _created_paths(begun)
    places = [entry for entry in begun if entry.service is None]
    services = [entry for entry in reversed(begun) if entry.service is not None]
    found = (
        _by_host([entry for entry in places if (entry.host, entry.path) not in made]),
        *_turns([entry for entry in services if not _turns_last(entry)]),
        _by_host([entry for entry in places if (entry.host, entry.path) in made]),
        # A reverse proxy reads whole folders, so it is reloaded after the files that the run created are removed, and
        # before the servers restart: it then sends nobody to a server that is about to change its address.
        *_turns([entry for entry in services if _turns_last(entry) and entry.kind != "restart"]),
        *_turns([entry for entry in services if entry.kind == "restart"]),
    )
    return tuple(phase for phase in found if phase)


def _turns_last(entry: Entry) -> bool:
    """Whether a service is reloaded or restarted only after the files that the run created are removed."""
    is_proxy = entry.service is not None and entry.service.manager == proxy_services.NAME
    return is_proxy or entry.kind == "restart"


def _created_paths(begun: Sequence[Entry]) -> frozenset[tuple[str, str]]:
    """(host, path) of the folders and files that did not exist before the run."""
    first = {(entry.host, entry.path): entry for entry in begun if entry.service is None}
    return frozenset(
        place for place, entry in first.items() if entry.kind == "folder" or entry.before is None
    )


def _by_host(places: Sequence[Entry]) -> tuple[Lane, ...]:
    """The reversals of files and folders, the last change first: one lane per host."""
    lanes: dict[str, list[Reversal]] = {}
    seen = set()
    for entry in places:
        lane = lanes.setdefault(entry.host, [])
        if entry.kind == "folder":
            lane.append(Reversal((entry,)))
        elif (entry.host, entry.path) not in seen:
            # A run may write a file twice: it is restored once, to its content before the first write.
            seen.add((entry.host, entry.path))
            lane.append(
                Reversal(tuple(each for each in places if (each.host, each.path) == (entry.host, entry.path)))
            )
    return tuple(tuple(lane) for lane in lanes.values())


def _turns(services: Sequence[Entry]) -> list[tuple[Lane, ...]]:
    """The reversals of services, one per service, in the order of the run; restarts run in parallel where possible."""
    turns: list[list[Lane]] = []
    seen = set()
    for entry in services:
        key = entry.host, entry.path
        if key in seen:
            continue
        seen.add(key)
        lane = (Reversal((entry,)),)
        last = [other[0].entries[0] for other in turns[-1]] if turns else []
        if last and all(_restart_at_once(entry, other) for other in last):
            turns[-1].append(lane)
        else:
            turns.append([lane])
    return [tuple(turn) for turn in turns]


def _restart_at_once(one: Entry, other: Entry) -> bool:
    """Whether two services may restart at the same time; on one host, the rule is the same as for applying a plan."""
    if one.host != other.host:
        return one.kind == "restart"
    return all(
        each.kind == "restart" and each.service is not None and may_restart_beside_others(each.service)
        for each in (one, other)
    )


def file_change(record: Record, reversal: Reversal, now: FileState | None) -> WriteFile | None:
    """The change that restores a file to its state before the run; None if it needs no change.

    Args:
        now: the current state of the file; None if it does not exist.

    Raises:
        FileChangedError: somebody else has changed the file since. JournalError: the copy of the previous content is
            missing.
    """
    image = reversal.entries[-1].before
    if record.is_image(now, image):
        if image is None or now is None or now.mode == image.mode:
            return None
    elif not _is_known(record, reversal.entries, now):
        if not any(entry.number in record.done for entry in reversal.entries):
            return None  # somebody had changed it before this run could write it, so it is left alone
        raise FileChangedError(
            "somebody changed it since the run, so it was left as it is",
            where=f"{reversal.host}:{reversal.path}",
            todo="Compare it with the run's diff in the history",
        )
    return WriteFile(
        host=reversal.host,
        path=reversal.path,
        before=now,
        after=record.load(image) if image is not None else None,
        why="as it was before the run",
        content_kind=ContentKind.BACKUP,
    )


def service_change(reversal: Reversal) -> RunService:
    """The change that makes a service load its previous configuration."""
    entry = reversal.entries[0]
    service = entry.service
    assert service is not None
    return RunService(
        host=entry.host,
        service=service,
        action="reload" if entry.kind == "reload" and not service.is_manual else "restart",
        why="as it was before the run",
        by_hand=tuple(manual.back(service)) if service.is_manual else (),
    )


def is_down_as_before(reversal: Reversal, error: FirescreenError) -> bool:
    """Whether the error is that a service does not start which did not run before either: then nothing is left to do."""
    service = reversal.entries[0].service
    return isinstance(error, ServiceError) and service is not None and not service.active


def check(record: Record, hosts: Hosts) -> None:
    """Refuses an undo that cannot be completed, before anything is changed.

    Raises:
        FileChangedError: somebody has changed a file since the run. JournalError: a copy of a previous content is missing.
    """
    files: dict[str, dict[str, list[Entry]]] = {}
    for entry in record.entries:
        if entry.number in record.done and entry.service is None and entry.kind != "folder":
            files.setdefault(entry.host, {}).setdefault(entry.path, []).append(entry)

    def changed_files(host: str) -> list[str]:
        now = hosts.connection(host).read_many(files[host])
        return [
            f"{host}:{path}"
            for path, entries in files[host].items()
            if not _is_known(record, entries, now[path])
        ]

    changed = [place for places in run_parallel(changed_files, files) for place in places]
    if changed:
        raise FileChangedError(
            "it was changed after that run, so nothing was undone",
            where=", ".join(changed),
            todo="Undo that change first, or restore the file yourself from the run's diff: firescreen history",
        )
    for written in files.values():
        for entries in written.values():
            if entries[0].before is not None:
                record.load(entries[0].before)
    for entry in record.entries:
        if entry.number in record.done and entry.service is not None:
            _refuse_another_configuration(hosts, entry.service)


def _refuse_another_configuration(hosts: Hosts, service: Service) -> None:
    """Refuses if a reverse proxy got another configuration (e.g. by its API) since the run: the reload would drop it."""
    if service.manager != proxy_services.NAME:
        return
    found = proxy_services.other_configuration(
        hosts.connection(service.host), service.component, service.program
    )
    if found:
        raise FileChangedError(
            f"{service.component} was given another configuration since that run, by its API, or has not read its files "
            "since they changed; nothing was undone",
            where=f"{service.host}:{found}",
            todo=f"Write into its files what is to be served, `systemctl reload {service.unit}`, then undo again",
        )


def _is_known(record: Record, entries: Sequence[Entry], now: FileState | None) -> bool:
    """Whether a file has a state that this run found or wrote at any point."""
    return any(record.is_image(now, image) for entry in entries for image in (entry.before, entry.after))


def combine_errors(troubles: Sequence[tuple[str, FirescreenError]]) -> FirescreenError:
    """Combines the errors of a rollback, given as (host, error), into one; its `hosts` are all hosts concerned."""
    errors = [error for _, error in troubles]
    found = first = errors[0]
    if len(errors) > 1:
        places = ", ".join(dict.fromkeys(posixpath.basename(error.where) for error in errors if error.where))
        kind = ServiceError if all(isinstance(error, ServiceError) for error in errors) else RollbackError
        found = kind(
            f"{len(errors)} things could not be rolled back: {first.what}", where=places, todo=first.todo
        )
    found.hosts = tuple(dict.fromkeys(host for host, _ in troubles))
    return found


def may_restart_beside_others(service: Service) -> bool:
    """Whether a service may restart while others on its host do: not if a person restarts it, or if it scrapes others."""
    is_proxy = service.manager == proxy_services.NAME
    return not service.is_manual and not is_proxy and service.component != "prometheus"
