"""Reads the file systems of a plan's paths: separate mounts, read-only or full file systems, immutable files.

Whatever would keep a file from being replaced is then reported with the plan, before anything is changed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

from wizard.connections.base import Connection
from wizard.model import FileState, PathInfo, Storage

# Prints the longest existing part of each path with links resolved; then the output of lsattr and of stat, a line per
# path, and the mounts. Each tool runs once for all paths, because a process costs a millisecond and shell words nothing.
_LOOK = r"""
LC_ALL=C
count=$#
for path; do
  # A dangling link is resolved as far as possible.
  if [ -L "$path" ] && [ ! -e "$path" ]; then path=$(readlink -f -- "$path" 2>/dev/null) || :; fi
  while [ -n "$path" ] && [ ! -e "$path" ]; do path=${path%/*}; done
  set -- "$@" "${path:-/}"
done
shift "$count"
real=$(readlink -f -- "$@" 2>/dev/null) || real=$(printf '%s\n' "$@")
set -f
IFS='
'
set -- $real
printf '%s\n' "$@"
printf '\036\n'
lsattr -d -- "$@" 2>/dev/null
printf '\036\n'
stat -f -c '%f %a %S %n' -- "$@" 2>/dev/null
printf '\036\n'
cat /proc/self/mountinfo
"""
_OCTAL = re.compile(r"\\([0-7]{3})")


def looked_at(files: Mapping[str, FileState | None], folders: Mapping[str, PathInfo | None]) -> list[str]:
    """The paths to look up: existing files, the parent folders of missing files, and the folders to create."""
    found = [path if state is not None else posixpath.dirname(path) for path, state in files.items()]
    return list(dict.fromkeys([*found, *folders]))


def storage(connection: Connection, paths: Sequence[str], *, root: bool) -> dict[str, Storage]:
    """The file system of each path; {} if the host cannot provide it.

    Args:
        connection: the host.
        paths: the result of `looked_at`.
        root: whether files are written as root, who may also use the reserved blocks.
    """
    ended = connection.run_script(_LOOK, *paths, timeout=20)
    near, flags, free, mounts = [*ended.stdout.split("\x1e\n"), "", "", "", ""][:4]
    places = near.splitlines()
    if not mounts or len(places) != len(paths):
        return {}
    # lsattr prints no line for files on file systems without attributes.
    attributes = {
        place: letters for letters, _, place in (line.partition(" ") for line in flags.splitlines())
    }
    counts = {words[3]: words[:3] for line in free.splitlines() if len(words := line.split(" ", 3)) == 4}
    mounted = _mounts(mounts)
    return {
        path: _storage(
            place, attributes.get(place, ""), " ".join(counts.get(place, ())), mounts=mounted, root=root
        )
        for path, place in zip(paths, places, strict=True)
    }


def _storage(near: str, flags: str, free: str, *, mounts: Mapping[str, bool], root: bool) -> Storage:
    mount = max((each for each in mounts if _within(near, each)), key=len, default="/")
    counts = free.split()
    left = int(counts[0 if root else 1]) * int(counts[2]) if len(counts) == 3 else None
    attributes = flags if re.fullmatch(r"[A-Za-z-]+", flags) else ""
    return Storage(
        path=near,
        mount=mount,
        read_only=mounts.get(mount, False),
        immutable="i" in attributes or "a" in attributes,
        free=left,
    )


def _within(path: str, mount: str) -> bool:
    return mount == "/" or f"{path}/".startswith(f"{mount}/")


def _mounts(text: str) -> dict[str, bool]:
    """Whether each mount point is read-only, from /proc/self/mountinfo (proc_pid_mountinfo(5)).

    If a path is mounted over, the last line counts.
    """
    found = {}
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        columns, more = fields.split(" "), rest.split(" ")
        if len(columns) > 5 and len(more) > 2:
            point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), columns[4])
            found[point] = "ro" in columns[5].split(",") or "ro" in more[2].split(",")
    return found
