"""The write-ahead log of a run: the previous state, which changes were begun, and which are done.

One append-only file per run. A line is on the disk before the change that it announces is made, so a run that was
interrupted at any instant can be rolled back, and a finished one undone. The journal holds keyed digests, never
contents. Replaced contents are stored beside it (mode 0600 in a 0700 folder) and removed once they are back in place.
Written contents are stored there too, except keys and passwords: `upkeep` restores files from them that somebody has
changed later.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from wizard import ownfiles
from wizard.engine.parallel import run_parallel
from wizard.errors import JournalError
from wizard.journal_reader import FORMAT, Entry, Image, Record, digest
from wizard.model import Change, FileState, HostSpec, MakeFolder, Probe, RunService, Service, WriteFile


class Journal:
    """An open journal; every method except `done` returns after its line is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder.name
        self._key = ""
        self._next = 0
        self.touched = False
        """Whether a change was begun; until then, the journal can be deleted."""
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        self._written = self._synced = 0
        self._file = os.open(
            folder / "journal.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )

    @classmethod
    def reopen(cls, record: Record) -> Journal:
        """Opens the journal of an earlier run to append more changes."""
        journal = cls(record.folder)
        journal._key = record.key
        journal._next = max((entry.number for entry in record.entries), default=-1) + 1
        return journal

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
        """Creates the journal of a new run: first the previous contents, then the header, then the line `ready`.

        Args:
            runs: the folder of all runs.
            details: redacted lines (diffs) for the history.

        Raises:
            JournalError: the journal cannot be written, e.g. on a full disk; nothing else has been changed.
        """
        run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        folder = runs / run
        try:
            (folder / "before").mkdir(mode=0o700, parents=True)
            (folder / "after").mkdir(mode=0o700)
            folder.chmod(0o700)
            key = secrets.token_hex(16)
            entries = _entries(folder, key, 0, changes)
            ownfiles.create(folder / "details.txt", "\n".join(details), durable=True)
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
            ownfiles.sync_folder(folder / "before")
            ownfiles.sync_folder(folder)
            ownfiles.sync_folder(runs)
            journal._append({"line": "ready"})
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise JournalError(
                f"the journal cannot be written: {error.strerror or error}",
                where=str(folder),
                todo="Make room, or choose another folder with --workspace; nothing was changed",
            ) from error
        return journal

    def extend(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """Adds changes to the journal and returns their numbers.

        Raises:
            JournalError: the journal cannot be written. None of the changes may be made then.
        """
        first = self._next
        try:
            entries = _entries(self.folder, self._key, first, changes)
            ownfiles.sync_folder(self.folder / "before")
        except OSError as error:
            raise JournalError(
                f"the journal cannot be written: {error.strerror or error}", where=str(self.folder)
            ) from error
        self._next += len(entries)
        self._append({"line": "more", "changes": [asdict(entry) for entry in entries]})
        return tuple(range(first, self._next))

    def mark_rolled_back(self, host: str) -> None:
        """Records that every change made on a host until now is rolled back."""
        self._append({"line": "back", "host": host})

    def mark_rollback_pending(self, host: str) -> None:
        """Records that a host cannot be rolled back now: the run continues without it, and `recover` completes that."""
        self._append({"line": "owe", "host": host})

    def begin(self, *numbers: int) -> None:
        """Records that the changes with these numbers are about to be made, one after the other."""
        self.touched = True
        for number in numbers:
            self._append({"line": "begin", "n": number}, durable=number == numbers[-1])

    def done(self, number: int) -> None:
        """Records that a change is made.

        Does not wait for the disk: without this line, a change counts as begun, and a rollback compares the file first.
        """
        self._append({"line": "done", "n": number}, durable=False)

    def state(self, word: str) -> None:
        """Records the run's state as the journal format names it: `applied`, `changed`, `proven` (verified) and so on."""
        self._append({"line": "state", "state": word, "at": time.time()})

    def forget_images(self) -> None:
        """Removes the stored contents after they are back in place."""
        for name in ("before", "after"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def discard(self) -> None:
        """Deletes the journal of a run that has changed nothing."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: Mapping[str, Any], *, durable: bool = True) -> None:
        # The leading newline separates the line from a previous one that a full disk or a crash has truncated.
        data = ("\n" + json.dumps(line, ensure_ascii=True) + "\n").encode()
        try:
            with self._writing:
                written = os.write(self._file, data)
                if written != len(data):
                    raise JournalError(
                        "the journal is cut short", where=str(self.folder), todo="Make room on the disk"
                    )
                self._written += 1
                mine = self._written
            if durable:
                self._sync(mine)
        except OSError as error:
            raise JournalError(
                f"the journal cannot be written: {error.strerror or error}", where=str(self.folder)
            ) from error

    def _sync(self, mine: int) -> None:
        """Returns when write number `mine` is on the disk; one fsync covers the writes of all threads until then."""
        with self._syncing:
            if self._synced < mine:
                written = self._written
                os.fsync(self._file)
                self._synced = written


def _entries(folder: Path, key: str, first: int, changes: Sequence[Change]) -> list[Entry]:
    """Journal entries for the changes, numbered from `first`; stores the contents that they replace and write."""
    entries = [_entry(key, number, change) for number, change in enumerate(changes, start=first)]
    before: list[tuple[Path, bytes]] = []
    for entry, change in zip(entries, changes, strict=True):
        if isinstance(change, WriteFile) and change.before is not None and entry.before:
            before.append((folder / "before" / entry.before.name, change.before.content))
        if isinstance(change, WriteFile) and change.after is not None and entry.after and entry.after.name:
            # No rollback needs this copy, so it is written without fsync.
            ownfiles.create(folder / "after" / entry.after.name, change.after.content)
    # In parallel, many fsyncs take a disk no longer than one.
    run_parallel(lambda image: ownfiles.create(*image, durable=True), before)
    return entries


def _entry(key: str, number: int, change: Change) -> Entry:
    if isinstance(change, WriteFile):
        return Entry(
            number=number,
            host=change.host,
            kind=change.kind,
            path=change.path,
            before=_image(key, change.before, f"{number:04d}"),
            after=_image(key, change.after, "" if change.secret else f"{number:04d}"),
            content=change.content_kind,
        )
    if isinstance(change, MakeFolder):
        return Entry(number=number, host=change.host, kind=change.kind, path=change.path)
    assert isinstance(change, RunService)
    return Entry(
        number=number,
        host=change.host,
        kind=change.kind,
        path=change.path,
        service=_without_secrets(change.service),
        turns=tuple(_turns(change)),
    )


def _turns(change: RunService) -> Iterator[Probe]:
    """The probes of a reload's targets, one for each job: Prometheus switches the scheme of all of them at once."""
    seen = set()
    for probe in (*change.turns, *change.turned):
        key = probe.job, probe.url
        if key not in seen:
            seen.add(key)
            yield replace(probe, password=None)


def _without_secrets(service: Service) -> Service:
    """The service without fields that may hold a secret: flags, unit text, its container's command and health check."""
    box = service.container
    return replace(
        service,
        arguments=(),
        unit_text="",
        forward=None,
        container=replace(box, command=(), run_options=(), healthcheck=()) if box is not None else None,
    )


def _image(key: str, state: FileState | None, name: str) -> Image | None:
    if state is None:
        return None
    return Image(digest(key, state.content), state.mode, state.owner, state.group, name, state.attributes)
