"""The write-ahead log of a run: what was there before, what was begun, what was done.

One append-only file a run, each line on the disk before the deed it speaks of. With it, a run that was cut off
at any instant can be put back, and a finished one undone. It holds fingerprints, never contents; the contents
that were replaced lie beside it, 0600 in a 0700 folder, and are removed once they are back in place.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from wizard.errors import JournalError
from wizard.model import (
    Change,
    FileState,
    FlagPlace,
    HostSpec,
    MakeFolder,
    RunRecord,
    RunService,
    Service,
    Supervision,
    WriteFile,
)

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Image:
    """A file as it was or will be: a keyed digest and its rights; `name` is the before-image's file."""

    digest: str
    mode: int
    owner: str
    group: str
    name: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    """See `FileState.attributes`; older journals have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change as the journal knows it."""

    number: int
    host: str
    kind: str
    path: str
    before: Image | None = None
    after: Image | None = None
    service: Service | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run as its journal tells it."""

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
    """Hosts that were out of reach when they were to be put back, while the run went on without them."""
    details: tuple[str, ...] = field(default=())

    def of(self, hosts: Collection[str]) -> Record:
        """The same run as far as these hosts go."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry.host in hosts))

    def is_image(self, state: FileState | None, image: Image | None) -> bool:
        """Whether a file's content is the one that the image stands for (rights aside)."""
        if state is None or image is None:
            return state is None and image is None
        return hmac.compare_digest(_digest(self.key, state.content), image.digest)

    def load(self, image: Image) -> FileState:
        """The file that a before-image holds.

        Raises:
            JournalError: it is gone or was altered.
        """
        path = self.folder / "before" / image.name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise JournalError(
                "the copy of what was there before cannot be read", where=str(path), todo="restore it by hand"
            ) from error
        if not hmac.compare_digest(_digest(self.key, content), image.digest):
            raise JournalError("the copy of what was there before was altered", where=str(path))
        return FileState(content, image.mode, image.owner, image.group, image.attributes)

    def summary(self) -> RunRecord:
        """What the history shows."""
        return RunRecord(
            run=self.run,
            started=self.started,
            state=self.state,
            title=self.title,
            # A run that went another way than was planned wrote down more than was done.
            changes=tuple(
                dict.fromkeys(
                    f"{entry.host}: {entry.kind} {entry.path}"
                    for entry in self.entries
                    if entry.number in self.begun or self.state not in STANDING
                )
            ),
            folder=str(self.folder),
        )


class Journal:
    """An open journal; every method returns when its line is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder.name
        self._key = ""
        self._next = 0
        self.touched = False
        """Whether anything was begun: until then, the whole journal may go."""
        self._file = os.open(
            folder / "journal.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )

    @classmethod
    def create(
        cls,
        runs: Path,
        *,
        title: str,
        hosts: Sequence[HostSpec],
        changes: Sequence[Change],
        details: Sequence[str],
    ) -> Journal:
        """Starts a run: before-images first, then the header, then the word that all is ready.

        Args:
            runs: the folder of all runs.
            details: redacted lines (diffs) for the history.

        Raises:
            JournalError: it cannot be written (a full disk, say); nothing else has been touched.
        """
        run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        folder = runs / run
        try:
            (folder / "before").mkdir(mode=0o700, parents=True)
            folder.chmod(0o700)
            key = secrets.token_hex(16)
            entries = _entries(folder, key, 0, changes)
            _write_private(folder / "details.txt", "\n".join(details).encode())
            journal = cls(folder)
            journal._key, journal._next = key, len(entries)
            journal._append(
                {
                    "line": "run",
                    "format": FORMAT,
                    "run": run,
                    "started": time.time(),
                    "title": title,
                    "key": key,
                    "hosts": [asdict(host) for host in hosts],
                    "changes": [asdict(entry) for entry in entries],
                }
            )
            _sync_folder(folder / "before")
            _sync_folder(folder)
            _sync_folder(runs)
            journal._append({"line": "ready"})
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise JournalError(
                f"the journal cannot be written: {error.strerror or error}",
                where=str(folder),
                todo="make room, or choose another folder with --workspace; nothing was changed",
            ) from error
        return journal

    def extend(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """Writes down more changes than the run began with; returns their numbers.

        Raises:
            JournalError: it cannot be written. None of them may be made then.
        """
        first = self._next
        try:
            entries = _entries(self.folder, self._key, first, changes)
            _sync_folder(self.folder / "before")
        except OSError as error:
            raise JournalError(
                f"the journal cannot be written: {error.strerror or error}", where=str(self.folder)
            ) from error
        self._next += len(entries)
        self._append({"line": "more", "changes": [asdict(entry) for entry in entries]})
        return tuple(range(first, self._next))

    def back(self, host: str) -> None:
        """All that was done on that host until now is put back."""
        self._append({"line": "back", "host": host})

    def owe(self, host: str) -> None:
        """That host cannot be put back now; the run goes on without it, and `recover` comes back to it."""
        self._append({"line": "owe", "host": host})

    def begin(self, number: int) -> None:
        """The change of that number is about to be made."""
        self.touched = True
        self._append({"line": "begin", "n": number})

    def done(self, number: int) -> None:
        """The change of that number is made."""
        self._append({"line": "done", "n": number})

    def state(self, word: str) -> None:
        """The run's state: applied, changed, proven, partly, rolling-back, undoing, rolled-back, undone, forgotten."""
        self._append({"line": "state", "state": word, "at": time.time()})

    def forget_images(self) -> None:
        """Removes the before-images once everything is back in place."""
        shutil.rmtree(self.folder / "before", ignore_errors=True)

    def discard(self) -> None:
        """Removes the journal of a run that touched nothing."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Ends the writing; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: Mapping[str, Any]) -> None:
        # The leading line end sets it apart from one that a full disk or a crash cut short.
        data = ("\n" + json.dumps(line, ensure_ascii=True) + "\n").encode()
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise JournalError(
                    "the journal is cut short", where=str(self.folder), todo="make room on the disk"
                )
            os.fsync(self._file)
        except OSError as error:
            raise JournalError(
                f"the journal cannot be written: {error.strerror or error}", where=str(self.folder)
            ) from error


STANDING = ("proven", "applied", "changed", "partly")
"""What can be undone."""
FINAL = (*STANDING, "undone", "rolled-back", "ended", "forgotten")


def read(folder: Path) -> Record | None:
    """The run that a folder's journal tells of; None if it was cut off before anything was touched.

    Raises:
        JournalError: it cannot be read, or its first lines are damaged though something was done.
    """
    try:
        return _read(folder)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise JournalError(
            f"the journal cannot be read: {type(error).__name__}",
            where=str(folder),
            todo="the files as they were lie in its folder 'before'; put them back by hand",
        ) from error


@dataclass
class _Course:
    """What the lines after a journal's header tell, line by line."""

    entries: list[Entry] = field(default_factory=list)
    begun: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)
    state: str = ""
    ready: bool = False

    def take(self, line: Mapping[str, Any]) -> None:
        """One more line."""
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
                mine = {entry.number for entry in self.entries if entry.host == line["host"]}
                self.begun -= mine
                self.done -= mine
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
    """All runs that touched anything, the newest first. A damaged journal is left where it is and not counted."""
    found = []
    for folder in _folders(runs):
        with suppress(JournalError):
            record = read(folder)
            if record is not None:
                found.append(record)
    return tuple(sorted(found, key=lambda record: (record.started, record.run), reverse=True))


def sweep(runs: Path) -> None:
    """Removes what is left of runs that were cut off before they touched anything."""
    for folder in _folders(runs):
        with suppress(JournalError):  # damaged: it may hold the only copy of what was there
            if read(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)


def _folders(runs: Path) -> tuple[Path, ...]:
    try:
        return tuple(sorted(path for path in runs.iterdir() if path.is_dir()))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise JournalError(
            f"the runs cannot be looked at: {error.strerror}",
            where=str(runs),
            todo="use a workspace of your own: --workspace",
        ) from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines that were written whole: one that a crash cut short counts as not written."""
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def _digest(key: str, content: bytes) -> str:
    # Keyed, so that the journal alone tells nobody whether a guessed password is right.
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest()


def _entries(folder: Path, key: str, first: int, changes: Sequence[Change]) -> list[Entry]:
    """The changes as the journal knows them, numbered from `first`; what they replace is kept on the disk."""
    entries = [_entry(key, number, change) for number, change in enumerate(changes, start=first)]
    for entry, change in zip(entries, changes, strict=True):
        if isinstance(change, WriteFile) and change.before is not None and entry.before:
            _write_private(folder / "before" / entry.before.name, change.before.content)
    return entries


def _entry(key: str, number: int, change: Change) -> Entry:
    if isinstance(change, WriteFile):
        return Entry(
            number=number,
            host=change.host,
            kind=change.kind,
            path=change.path,
            before=_image(key, change.before, f"{number:04d}"),
            after=_image(key, change.after, ""),
        )
    if isinstance(change, MakeFolder):
        return Entry(number=number, host=change.host, kind=change.kind, path=change.path)
    assert isinstance(change, RunService)
    return Entry(
        number=number,
        host=change.host,
        kind=change.kind,
        path=change.path,
        service=replace(change.service, arguments=(), unit_text="", forward=None),
    )


def _image(key: str, state: FileState | None, name: str) -> Image | None:
    if state is None:
        return None
    return Image(_digest(key, state.content), state.mode, state.owner, state.group, name, state.attributes)


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
    )


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
    if held := values.get("supervision"):
        told: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in held.items()
        }
        values["supervision"] = Supervision(**told)
    values["flags"] = FlagPlace(**values["flags"])
    return Service(**values)


def _write_private(path: Path, content: bytes) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
