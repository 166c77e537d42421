"""Reads the journals of runs: the previous state, which changes were begun, and which are done.

Journals of earlier versions can be read too. A line that was truncated by a crash counts as not written.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wizard.errors import InputError, JournalError
from wizard.model import (
    Container,
    ContainerNetwork,
    FileState,
    FlagPlace,
    Forward,
    HostSpec,
    Mount,
    Probe,
    PublishedPort,
    RunRecord,
    Service,
    Supervision,
)

if TYPE_CHECKING:
    from wizard.workspace import Workspace

FORMAT = 1

STANDING = ("proven", "applied", "changed", "partly")
"""States of runs that can be undone."""
FINAL = (*STANDING, "undone", "rolled-back", "ended", "forgotten")


@dataclass(frozen=True, slots=True)
class Image:
    """The state of a file before or after a change: a keyed digest, mode and owner.

    `name` is the file in the run's folder with its content; '' if none is stored.
    """

    digest: str
    mode: int
    owner: str
    group: str
    name: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    """See `FileState.attributes`; older journals have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change in a journal."""

    number: int
    host: str
    kind: str
    path: str
    before: Image | None = None
    after: Image | None = None
    service: Service | None = None
    content: str = ""
    """The `ContentKind` of a file; '' in older journals."""
    turns: tuple[Probe, ...] = ()
    """For a reload: one target of each job that Prometheus scrapes by https from then on, as probes without passwords
    that query its state before and after the run; () in older journals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run, as read from its journal."""

    run: str
    folder: Path
    started: float
    title: str
    key: str
    hosts: tuple[HostSpec, ...]
    entries: tuple[Entry, ...]
    begun: frozenset[int] = frozenset()
    done: frozenset[int] = frozenset()
    state: str = "cut-off"
    owed: frozenset[str] = frozenset()
    """Hosts that could not be rolled back and were left out, while the run continued."""
    details: tuple[str, ...] = field(default=())

    def for_hosts(self, hosts: Collection[str]) -> Record:
        """The run with only the entries of these hosts."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry.host in hosts))

    @property
    def is_practice(self) -> bool:
        """Whether it only has hosts of the practice stack."""
        return all(host.connect == "practice" for host in self.hosts)

    def is_image(self, state: FileState | None, image: Image | None) -> bool:
        """Whether a file has the content of an image, whatever its mode and owner; None means no file."""
        if state is None or image is None:
            return state is None and image is None
        return hmac.compare_digest(digest(self.key, state.content), image.digest)

    def load(self, image: Image) -> FileState:
        """The file state of a `before` image, with its stored content.

        Raises:
            JournalError: the stored content is missing or was altered.
        """
        path = self.folder / "before" / image.name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise JournalError(
                "the copy of what was there before cannot be read",
                where=str(path),
                todo="Restore that file yourself",
            ) from error
        if not hmac.compare_digest(digest(self.key, content), image.digest):
            raise JournalError("the copy of what was there before was altered", where=str(path))
        return FileState(content, image.mode, image.owner, image.group, image.attributes)

    def written_content(self, image: Image) -> bytes | None:
        """The content that the run wrote; None if no copy is stored, or it was altered."""
        try:
            content = (self.folder / "after" / image.name).read_bytes() if image.name else None
        except OSError:
            return None
        is_intact = content is not None and hmac.compare_digest(digest(self.key, content), image.digest)
        return content if is_intact else None

    def summary(self) -> RunRecord:
        """The run's entry in the history."""
        return RunRecord(
            run=self.run,
            started=self.started,
            state=self.state,
            title=self.title,
            # A run that was planned anew without a failed host has entries for changes that were never begun.
            changes=tuple(
                dict.fromkeys(
                    f"{entry.host}: {entry.kind} {entry.path}"
                    for entry in self.entries
                    if entry.number in self.begun or self.state not in STANDING
                )
            ),
            folder=str(self.folder),
        )


def read(folder: Path) -> Record | None:
    """Reads the journal in a folder; None if the run was interrupted before it changed anything.

    Raises:
        JournalError: it cannot be read, or its first lines are damaged although changes were begun.
    """
    try:
        return _read(folder)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise JournalError(
            f"the journal cannot be read: {type(error).__name__}",
            where=str(folder),
            todo="The previous files are in its folder 'before'; restore them from there",
        ) from error


@dataclass
class _Course:
    """The state of a run, updated line by line from its journal."""

    entries: list[Entry] = field(default_factory=list)
    begun: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)
    state: str = ""
    ready: bool = False

    def take(self, line: Mapping[str, Any]) -> None:
        """Applies the next line."""
        match line.get("line"):
            case "run" | "more":
                self.entries += map(_read_entry, line["changes"])
            case "ready":
                self.ready = True
            case "begin":
                self.begun.add(int(line["n"]))
            case "done":
                self.done.add(int(line["n"]))
            case "back":
                rolled_back = {entry.number for entry in self.entries if entry.host == line["host"]}
                self.begun -= rolled_back
                self.done -= rolled_back
                self.owed.discard(str(line["host"]))
            case "owe":
                self.owed.add(str(line["host"]))
            case "state":
                self.state = str(line["state"])


def _read(folder: Path) -> Record | None:
    header: dict[str, Any] | None = None
    course = _Course()
    for line in _lines(folder / "journal.jsonl"):
        if line.get("line") == "run":
            header = line
        course.take(line)
    if header is None or not course.ready:
        if course.begun or course.done or course.state:
            raise ValueError("the first lines are damaged")
        return None
    if header["format"] != FORMAT:
        raise ValueError("another format")
    details = folder / "details.txt"
    return Record(
        run=str(header["run"]),
        folder=folder,
        started=float(header["started"]),
        title=str(header["title"]),
        key=str(header["key"]),
        hosts=tuple(HostSpec(**host) for host in header["hosts"]),
        entries=tuple(course.entries),
        begun=frozenset(course.begun),
        done=frozenset(course.done),
        state=course.state if course.state in FINAL else "cut-off",
        owed=frozenset(course.owed) if course.state in STANDING else frozenset(),
        details=tuple(details.read_text(encoding="utf-8").splitlines()) if details.exists() else (),
    )


def records(runs: Path) -> tuple[Record, ...]:
    """All runs that have changed anything, the newest first. Damaged journals are skipped and not removed."""
    found = []
    for folder in _folders(runs):
        with suppress(JournalError):
            record = read(folder)
            if record is not None:
                found.append(record)
    return tuple(sorted(found, key=lambda record: (record.started, record.run), reverse=True))


def history(workspace: Workspace) -> tuple[RunRecord, ...]:
    """The runs of a workspace, the newest first, including one in progress."""
    found = (record.summary() for record in records(workspace.runs))
    if not workspace.busy():
        return tuple(found)
    return tuple(replace(run, state="running") if run.state == "cut-off" else run for run in found)


def undoable_runs(runs: Path) -> tuple[Record, ...]:
    """The runs that can be undone, the newest first."""
    return tuple(record for record in records(runs) if record.state in STANDING)


def unfinished_runs(runs: Path) -> tuple[Record, ...]:
    """The interrupted runs and those with hosts that need recovery, the newest first."""
    return tuple(record for record in records(runs) if record.state == "cut-off" or record.owed)


def find(runs: Path, run: str) -> Record:
    """The run with a name.

    Raises:
        InputError: there is no such run.
    """
    for record in records(runs):
        if record.run == run:
            return record
    raise InputError("there is no such run", where=run, todo="See: firescreen history")


def sweep(runs: Path) -> None:
    """Removes the folders of runs that were interrupted before they changed anything."""
    for folder in _folders(runs):
        with suppress(JournalError):  # damaged: it may have the only copy of previous contents
            if read(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)


def _folders(runs: Path) -> tuple[Path, ...]:
    try:
        return tuple(sorted(path for path in runs.iterdir() if path.is_dir()))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise JournalError(
            f"the runs cannot be read: {error.strerror}",
            where=str(runs),
            todo="Use a workspace of your own: --workspace",
        ) from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of a journal; truncated ones are skipped."""
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def digest(key: str, content: bytes) -> str:
    """The digest of a content in a journal: HMAC-SHA-256, hexadecimal."""
    # Keyed, so that the digest alone cannot be used to check a guessed password.
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest()


def _read_entry(data: Mapping[str, Any]) -> Entry:
    service = data.get("service")
    return Entry(
        number=int(data["number"]),
        host=str(data["host"]),
        kind=str(data["kind"]),
        path=str(data["path"]),
        before=_read_image(data.get("before")),
        after=_read_image(data.get("after")),
        service=_read_service(service) if service else None,
        content=str(data.get("content", "")),
        turns=tuple(map(_read_probe, data.get("turns", ()))),
    )


def _read_probe(data: Mapping[str, Any]) -> Probe:
    known = {entry.name for entry in fields(Probe)}
    values = {key: value for key, value in data.items() if key in known}
    if forward := values.get("forward"):
        values["forward"] = Forward(HostSpec(**forward["host"]), str(forward["place"]))
    return Probe(**values)


def _read_image(data: Mapping[str, Any] | None) -> Image | None:
    if not data:
        return None
    attributes = tuple((str(name), str(value)) for name, value in data.get("attributes", ()))
    return Image(**{**data, "attributes": attributes})


def _read_service(data: Mapping[str, Any]) -> Service:
    known = {entry.name for entry in fields(Service)}
    values = {key: value for key, value in data.items() if key in known}
    for key in ("arguments", "hidden", "bound", "sockets", "shared_with"):
        values[key] = tuple(values.get(key, ()))
    if stored := values.get("supervision"):
        supervision: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()
        }
        values["supervision"] = Supervision(**supervision)
    if box := values.get("container"):
        values["container"] = _read_container(box)
    values["flags"] = FlagPlace(**values["flags"])
    return Service(**values)


def _read_container(data: Mapping[str, Any]) -> Container:
    known = {entry.name for entry in fields(Container)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known
    }
    values["mounts"] = tuple(Mount(**each) for each in values.get("mounts", ()))
    values["published"] = tuple(PublishedPort(**each) for each in values.get("published", ()))
    values["networks"] = tuple(
        ContainerNetwork(**{**each, "aliases": tuple(each["aliases"])}) for each in values.get("networks", ())
    )
    values["extra_hosts"] = tuple((str(name), str(to)) for name, to in values.get("extra_hosts", ()))
    return Container(**values)
