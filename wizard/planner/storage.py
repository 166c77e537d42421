"""Refuses a plan whose files cannot be written at their path: mounted, read-only, immutable, or full."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from wizard.errors import InputError
from wizard.model import Facts, MakeFolder, PlannedStep, Storage, WriteFile

_BLOCK = 4096


def refuse(facts: Facts, steps: Sequence[PlannedStep]) -> None:
    """Checks each file and folder that the steps write.

    Raises:
        InputError: one of them cannot be written. Nothing has been changed.
    """
    needed: dict[tuple[str, str], int] = {}
    for change in _writes(steps):
        storage = _storage(facts, change)
        if storage is None:
            continue
        where = f"{change.host}:{change.path}"
        _refuse_one(storage, change, where)
        key = (change.host, storage.mount)
        needed[key] = needed.get(key, 0) + _size(change)
        if storage.free is not None and storage.free < needed[key]:
            raise InputError(
                f"the disk below {storage.mount} is full: {storage.free} bytes are free, "
                f"and at least {needed[key]} are needed",
                where=where,
                todo=f"Free some space there, e.g. look at `df {storage.mount}` and `du -x {storage.mount}`",
            )


def _refuse_one(storage: Storage, change: WriteFile | MakeFolder, where: str) -> None:
    if storage.read_only:
        raise InputError(
            f"the file system is read-only (mounted at {storage.mount})",
            where=where,
            todo=f"Make it writable (`mount -o remount,rw {storage.mount}`), or change the image that it comes from",
        )
    if storage.immutable:
        raise InputError(
            f"{storage.path} is marked as immutable or append-only",
            where=where,
            todo=f"Take the mark away (`chattr -i -a {storage.path}`), if it is yours to take",
        )
    if isinstance(change, WriteFile) and change.before is not None and storage.path == storage.mount:
        raise InputError(
            "the file is a mount of its own, as containers and orchestration make them, so it cannot be replaced",
            where=where,
            todo="Mount its folder in place of the file, or change the file where it is mounted from",
        )


def _writes(steps: Sequence[PlannedStep]) -> Iterator[WriteFile | MakeFolder]:
    for step in steps:
        for change in step.changes:
            if isinstance(change, WriteFile | MakeFolder):
                yield change


def _storage(facts: Facts, change: WriteFile | MakeFolder) -> Storage | None:
    host = facts.hosts.get(change.host)
    if host is None:
        return None
    path = change.path
    while path not in host.storage and path not in ("/", ""):
        path = posixpath.dirname(path)
    return host.storage.get(path)


def _size(change: WriteFile | MakeFolder) -> int:
    """The bytes that a change needs: a new file exists beside the old one until it is renamed over it."""
    content = change.after.content if isinstance(change, WriteFile) and change.after is not None else b""
    return (len(content) // _BLOCK + 1) * _BLOCK
