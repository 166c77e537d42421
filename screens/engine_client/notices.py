"""Reads the notices above the pages: an interrupted run, whether practice runs, and the state of the journals."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from screens.state import Notices

if TYPE_CHECKING:
    from pathlib import Path

    from wizard.engine import Engine


def read(engine: Engine, known: Notices) -> Notices:
    """Returns the present notices, with the journals' state from `known` while the workspace is in use."""
    from wizard import practice

    workspace = engine.workspace
    stack = practice.status(workspace.root)
    running = stack is not None and any(host.active for host in stack.hosts)
    labs = _finished_labs(engine)
    if workspace.busy():
        return replace(known, practice=running, labs=labs)
    runs = _journals(workspace.runs)
    interrupted = known.interrupted if runs == known.runs else engine.interrupted_run()
    return Notices(interrupted=interrupted, practice=running, runs=runs, labs=labs)


def _finished_labs(engine: Engine) -> tuple[int, int]:
    """Returns how many labs were finished, and of how many; zeros, without reading the labs, if none was."""
    from wizard.labs import finished_labs

    ended = finished_labs.load(engine.workspace.labs)
    if not ended:
        return (0, 0)
    from wizard.labs import labs

    lab_ids = [lab.id for lab in labs(engine.workspace.packs)]
    return (sum(name in ended for name in lab_ids), len(lab_ids))


def _journals(folder: Path) -> tuple[tuple[str, int, int], ...]:
    found = []
    with suppress(OSError), os.scandir(folder) as runs:
        for run in runs:
            with suppress(OSError):
                state = (folder / run.name / "journal.jsonl").stat()
                found.append((run.name, state.st_mtime_ns, state.st_size))
    return tuple(sorted(found))
