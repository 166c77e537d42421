"""The write-ahead log of a run: what was there before, what was begun, what was done.

One append-only file a run, each line on the disk before the change it speaks of is made. With it, a run that was
interrupted at any instant can be rolled back, and a finished one undone. It holds keyed digests, never contents; the
contents that were replaced lie beside it, 0600 in a 0700 folder, and are removed once they are back in place. So do those
that were written, keys and passwords left out: what somebody changes later is restored from them.
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
    """An open journal; every method but `done` returns when its line is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder.name
        self._key = ""
        self._next = 0
        self.touched = False
        """Whether anything was begun: until then, the whole journal may go."""
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        self._written = self._synced = 0
        self._file = os.open(
            folder / "journal.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )

    @classmethod
    def reopen(cls, record: Record) -> Journal:
        """The journal of an earlier run, to which more changes can be written."""
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
        """Starts a run: before-images first, then the header, then the line `ready`.

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
        """Writes down more changes than the run began with; returns their numbers.

        Raises:
            JournalError: it cannot be written. None of them may be made then.
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
        """All that was done on that host until now is rolled back."""
        self._append({"line": "back", "host": host})

    def mark_rollback_pending(self, host: str) -> None:
        """That host cannot be rolled back now; the run goes on without it, and `recover` finishes the rollback."""
        self._append({"line": "owe", "host": host})

    def begin(self, *numbers: int) -> None:
        """The changes of these numbers are about to be made, one after the other."""
        self.touched = True
        for number in numbers:
            self._append({"line": "begin", "n": number}, durable=number == numbers[-1])

    def done(self, number: int) -> None:
        """The change of that number is made.

        Nothing waits for the disk: a change whose line is lost counts as begun, and is compared when it is rolled back.
        """
        self._append({"line": "done", "n": number}, durable=False)

    def state(self, word: str) -> None:
        """The run's state in the words of the journal's format: `applied`, `changed`, `proven` (verified), `partly` and so on."""
        self._append({"line": "state", "state": word, "at": time.time()})

    def forget_images(self) -> None:
        """Removes the images once everything is back in place."""
        for name in ("before", "after"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def discard(self) -> None:
        """Removes the journal of a run that touched nothing."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Ends the writing; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: Mapping[str, Any], *, durable: bool = True) -> None:
        # The leading line end sets it apart from one that a full disk or a crash cut short.
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
        """Returns when the write of that number is on the disk; one call takes all that wait for the disk by then."""
        with self._syncing:
            if self._synced < mine:
                written = self._written
                os.fsync(self._file)
                self._synced = written


def _entries(folder: Path, key: str, first: int, changes: Sequence[Change]) -> list[Entry]:
    """The changes as entries of the journal, numbered from `first`; what they replace is kept on the disk."""
    entries = [_entry(key, number, change) for number, change in enumerate(changes, start=first)]
    before: list[tuple[Path, bytes]] = []
    for entry, change in zip(entries, changes, strict=True):
        if isinstance(change, WriteFile) and change.before is not None and entry.before:
            before.append((folder / "before" / entry.before.name, change.before.content))
        if isinstance(change, WriteFile) and change.after is not None and entry.after and entry.after.name:
            # No rollback needs it, so nothing waits for the disk.
            ownfiles.create(folder / "after" / entry.after.name, change.after.content)
    # A disk takes many files that are to be safe at once in the time of one.
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
    """One target of each job is enough: Prometheus carries a scheme over to all of them at once."""
    seen = set()
    for probe in (*change.turns, *change.turned):
        way = probe.job, probe.url
        if way not in seen:
            seen.add(way)
            yield replace(probe, password=None)


def _without_secrets(service: Service) -> Service:
    """A service without what may hold a secret: its flags, its unit, its container's command and health check."""
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
