"""Looks at what the paths of a plan lie on: a mount of its own, a read-only or full file system, an immutable file.

What keeps a file from being replaced is known before anything is touched, so it is told with the plan.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

from wizard.connections.base import Connection
from wizard.model import FileState, PathInfo, Storage

# For each path: what exists of it with links resolved, its attributes, the blocks that are free for root and for
# others with their size; then the mounts. What a host's tools do not know is left out.
_LOOK = r"""
for path; do
  real=$(readlink -f -- "$path" 2>/dev/null) || real=$path
  near=$real
  while [ -n "$near" ] && [ ! -e "$near" ]; do near=${near%/*}; done
  [ -n "$near" ] || near=/
  flags=$(lsattr -d -- "$near" 2>/dev/null) || flags=
  free=$(stat -f -c '%f %a %S' -- "$near" 2>/dev/null) || free=
  printf '%s\n%s\n%s\n' "$near" "${flags%% *}" "$free"
done
printf '\036\n'
cat /proc/self/mountinfo
"""
_OCTAL = re.compile(r"\\([0-7]{3})")


def looked_at(files: Mapping[str, FileState | None], folders: Mapping[str, PathInfo | None]) -> list[str]:
    """The paths to ask about: files that are there, the folders of the others, and folders that are to be made."""
    found = [path if state is not None else posixpath.dirname(path) for path, state in files.items()]
    return list(dict.fromkeys([*found, *folders]))


def storage(connection: Connection, paths: Sequence[str], *, root: bool) -> dict[str, Storage]:
    """What each path lies on; nothing where the host cannot say.

    Args:
        connection: the host.
        paths: as `looked_at` gives them.
        root: whether files are written as root, who may use the blocks that are kept back for it.
    """
    ended = connection.run_script(_LOOK, *paths, timeout=20)
    said, sign, mounts = ended.stdout.partition("\x1e\n")
    lines = said.splitlines()
    if not sign or len(lines) != 3 * len(paths):
        return {}
    known = _mounts(mounts)
    return {
        path: _storage(*lines[3 * at : 3 * at + 3], mounts=known, root=root) for at, path in enumerate(paths)
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
    """Each mount point of /proc/self/mountinfo (proc_pid_mountinfo(5)), and whether it is read-only; the last counts."""
    found = {}
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        columns, more = fields.split(" "), rest.split(" ")
        if len(columns) > 5 and len(more) > 2:
            point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), columns[4])
            found[point] = "ro" in columns[5].split(",") or "ro" in more[2].split(",")
    return found
