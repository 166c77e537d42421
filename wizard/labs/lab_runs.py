"""Undoes the engine's runs that did steps of a lab."""

from __future__ import annotations

from wizard import journal_reader
from wizard.engine import Engine
from wizard.journal_reader import Record
from wizard.labs.environment import Emit
from wizard.model import WORKSPACE


def undo_runs(
    engine: Engine, runs: tuple[str, ...], emit: Emit, *, forced: frozenset[str] = frozenset()
) -> bool:
    """Undoes the lab's runs, the newest first; returns False if one could not be undone.

    Args:
        engine: made the runs.
        runs: the oldest first.
        emit: gets the events.
        forced: real hosts of the lab: there, files that the student changed after a run are restored too.
    """
    standing = {
        record.run: record
        for record in journal_reader.records(engine.workspace.runs)
        if record.state in ("proven", "applied")
    }
    for run in reversed(runs):
        record = standing.get(run)
        if record is None:
            continue
        _restore_changed_files(engine, record, forced)
        if engine.undo(run, emit).error is not None:
            return False
    return True


def _restore_changed_files(engine: Engine, record: Record, forced: frozenset[str]) -> None:
    """Restores files that the student changed after a run, because an undo alone leaves them."""
    resettable = {spec.name for spec in record.hosts if spec.connect == "practice" or spec.name in forced}
    with engine.connections(record.hosts) as hosts:
        for entry in record.entries:
            if entry.host == WORKSPACE or entry.host not in resettable or entry.service is not None:
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
