"""Brings the practice stack back to the beginning of a lab: by undoing what the lab did, or by making it anew.

Only files of the practice stack are forced; what a run left in the workspace goes by the engine's own undo.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from wizard import journal, practice
from wizard.engine import Engine
from wizard.engine.hosts import Hosts
from wizard.errors import FirescreenError
from wizard.journal import Record
from wizard.model import WORKSPACE, Event
from wizard.redact import fingerprint

Emit = Callable[[Event], None]


def beginning(root: Path) -> dict[str, str]:
    """Fingerprint and mode of every file that a lab may touch on the practice hosts."""
    found = {}
    for pattern in ("*/etc/**/*", "*/services/*/arguments"):
        for path in sorted(root.glob(pattern)):
            if path.is_file():
                mode = stat.S_IMODE(path.stat().st_mode)
                found[str(path.relative_to(root))] = f"{fingerprint(path.read_bytes())} {mode:04o}"
    return found


def undo_runs(engine: Engine, runs: tuple[str, ...], emit: Emit) -> bool:
    """Undoes the lab's runs, the newest first; False if one could not be."""
    standing = {
        record.run: record
        for record in journal.records(engine.workspace.runs)
        if record.state in ("proven", "applied")
    }
    for run in reversed(runs):
        record = standing.get(run)
        if record is None:
            continue
        _clear_the_way(engine, record)
        if engine.undo(run, emit).error is not None:
            return False
    return True


def _clear_the_way(engine: Engine, record: Record) -> None:
    """Puts back files that the student changed after a run: its undo would rightly leave them alone."""
    practised = {spec.name for spec in record.hosts if spec.connect == "practice"}
    with Hosts(engine.workspace, record.hosts) as hosts:
        for entry in record.entries:
            if entry.host == WORKSPACE or entry.host not in practised or entry.service is not None:
                continue
            if entry.kind == "folder" or entry.number not in record.begun:
                continue
            connection = hosts.connection(entry.host)
            now = connection.read(entry.path)
            if record.is_image(now, entry.before) or record.is_image(now, entry.after):
                continue
            if entry.before is None:
                connection.remove(entry.path)
            else:
                staged = connection.stage(entry.path, record.load(entry.before), tag=f"reset-{entry.number}")
                connection.commit(staged, entry.path)


def make_anew(engine: Engine, progress: Callable[[str], None]) -> None:
    """Ends the practice stack, removes its files, and brings up a fresh one.

    Raises:
        FirescreenError: a program does not end, or does not come up.
    """
    root = engine.workspace.root
    known = practice.status(root)
    practice.down(root, remove=True)
    try:
        whole = known is not None and known.components == practice.WHOLE
        engine.practice(progress, suite=known.suite if known else "", whole=whole)
    except FirescreenError as error:
        error.todo = error.todo or "run: firescreen practice up"
        raise
