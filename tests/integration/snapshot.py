"""Snapshots of a practice stack's files, compared byte by byte before and after a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

Snapshot: TypeAlias = dict[str, tuple[int, bytes]]

# Written by the running programs themselves, or kept on purpose by the journal.
_MOVING = ("/data/", "/log", "/state.json", "/control", "/lock", "/runs/", "/probes", "/.lock")


def snapshot(workspace: Path) -> Snapshot:
    """Returns path below the workspace -> mode and content, of every file and folder that a run may change."""
    found: Snapshot = {}
    for folder, names, files in os.walk(workspace):
        for name in [*names, *files]:
            path = Path(folder) / name
            relative = f"/{path.relative_to(workspace)}"
            if relative in ("/runs", "/labs", "/reports") or any(part in f"{relative}" for part in _MOVING):
                continue
            if path.is_symlink() or not path.exists():
                continue
            content = b"" if path.is_dir() else path.read_bytes()
            found[relative] = (path.stat().st_mode & 0o7777, content)
    return found


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Returns the paths that differ, and how; empty if none does."""
    lines = [f"new: {path}" for path in sorted(after.keys() - before.keys())]
    lines += [f"gone: {path}" for path in sorted(before.keys() - after.keys())]
    lines += [
        f"changed: {path}" for path in sorted(before.keys() & after.keys()) if before[path] != after[path]
    ]
    return lines
