"""Files and programs of this machine as root, by way of `sudo -n`, one call for each operation.

Promises: sudo never asks (it could not be answered here), content travels on standard input and never in
argv, and what runs as root is either the caller's own argv or one of the fixed scripts below, which get
their paths as arguments and put none of them into the script's text.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from wizard.errors import HostError
from wizard.hosts import failures
from wizard.hosts.process import LIMIT, Ended, run_bounded
from wizard.model import FileState, PathInfo

_READ_LIMIT = 64 * 1024 * 1024
_ABSENT = 44
"""Exit code of the scripts for 'there is no such file'."""
_NOT_REGULAR = 45
_OCCUPIED = 46

_READ = f"""
[ -e "$1" ] || exit {_ABSENT}
[ -f "$1" ] || exit {_NOT_REGULAR}
exec 3< "$1" || exit 1
stat -L -c '%a %U %u %G %g %s %F' /dev/fd/3 && cat <&3
"""
_INFO = f"""
[ -e "$1" ] || exit {_ABSENT}
exec stat -L -c '%a %U %u %G %g %s %F' -- "$1"
"""
_NAMES = f"""
[ -d "$1" ] || exit {_ABSENT}
exec find -H "$1" -mindepth 1 -maxdepth 1 -printf '%f\\0'
"""
# noclobber makes the shell open with O_EXCL; owner and mode are set on the open file, not on a name.
_STAGE = """
set -e
umask 077
rm -f -- "$1"
set -C
exec 3> "$1"
trap 'rm -f -- "$1"' EXIT
chown -- "$2" /dev/fd/3
chmod -- "$3" /dev/fd/3
cat >&3
exec 3>&-
sync -- "$1"
trap - EXIT
"""
_COMMIT = """
mv -fT -- "$1" "$2" && sync -- "$3"
"""
_REMOVE = """
rm -f -- "$1" && { [ ! -d "$2" ] || sync -- "$2"; }
"""
_MAKE_FOLDER = f"""
[ -d "$1" ] && exit 0
[ -e "$1" ] && exit {_OCCUPIED}
umask 077
mkdir -- "$1" || exit 1
chown -- "$2" "$1" && chmod -- "$3" "$1" && exit 0
rmdir -- "$1"
exit 1
"""
_REMOVE_FOLDER = f"""
[ -e "$1" ] || exit 0
[ -d "$1" ] || exit {_OCCUPIED}
[ -z "$(find -H "$1" -mindepth 1 -maxdepth 1 -print -quit)" ] || exit {_ABSENT}
exec rmdir -- "$1"
"""

_KINDS: dict[str, Literal["file", "folder"]] = {
    "regular file": "file",
    "regular empty file": "file",
    "directory": "folder",
}


class SudoFiles:
    """What `LocalConnection` does, through sudo. `host` is what messages call this machine."""

    def __init__(self, host: str) -> None:
        self._host = host

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """Runs `argv` as root; HostError when sudo refuses or the time is over."""
        # A user may not kill what root runs, so the bound is held by `timeout` on root's side.
        bound = ["timeout", "--kill-after=2", f"{timeout:g}"]
        ended = run_bounded(
            ["sudo", "-n", "--", *bound, *argv],
            stdin=stdin,
            timeout=timeout + 5,
            limit=limit,
            keep_terminal=True,
        )
        said = ended.stderr.decode("utf-8", "replace")
        if ended.code == 127 and said.startswith("sudo: not found"):
            raise HostError("sudo is not installed", where=self._host, todo="Run Firescreen as root.")
        if ended.code and (refusal := failures.from_sudo(said, host=self._host)):
            raise refusal
        if ended.code in (124, 137):
            raise HostError(
                f"{argv[0]} did not end in time and was stopped",
                where=self._host,
                todo="Look at what it waits for by running it in a terminal, then try again.",
            )
        return ended

    def _script(
        self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT
    ) -> tuple[int, bytes, str]:
        ended = self.run(["sh", "-c", script, "sh", *arguments], stdin=stdin, limit=limit)
        return ended.code, ended.stdout, ended.stderr.decode("utf-8", "replace")

    def real(self, path: str) -> str:
        """`path` with its links resolved as root sees them."""
        code, out, err = self._script('exec readlink -m -- "$1"', os.path.abspath(path))
        if code:
            raise failures.from_words(err, doing="look at", path=path)
        return os.fsdecode(out.removesuffix(b"\n"))

    def read(self, path: str) -> FileState | None:
        """See `model.Connection.read`."""
        code, out, err = self._script(_READ, os.path.abspath(path), limit=_READ_LIMIT)
        if code == _ABSENT:
            return None
        if code == _NOT_REGULAR:
            raise HostError("it is not a regular file", where=path, todo="Correct the path.")
        if code:
            raise failures.from_words(err, doing="read", path=path)
        head, _, content = out.partition(b"\n")
        if len(out) >= _READ_LIMIT:
            raise HostError("it is too large to be a configuration file", where=path)
        found = _info(head)
        return FileState(content, found.mode, found.owner, found.group)

    def info(self, path: str) -> PathInfo | None:
        """See `model.Connection.info`."""
        code, out, err = self._script(_INFO, os.path.abspath(path))
        if code == _ABSENT:
            return None
        if code:
            raise failures.from_words(err, doing="look at", path=path)
        return _info(out.strip())

    def names(self, folder: str) -> tuple[str, ...]:
        """See `model.Connection.names`."""
        code, out, err = self._script(_NAMES, os.path.abspath(folder))
        if code == _ABSENT:
            return ()
        if code:
            raise failures.from_words(err, doing="list", path=folder)
        return tuple(sorted(os.fsdecode(name) for name in out.split(b"\0") if name))

    def stage(self, staged: str, state: FileState, *, path: str) -> None:
        """Writes `state` to the temporary name `staged`; `path` is the file that messages name."""
        code, _, err = self._script(
            _STAGE, staged, f"{state.owner}:{state.group}", f"{state.mode:04o}", stdin=state.content
        )
        if code:
            raise _account(err, state.owner, state.group, path) or failures.from_words(
                err, doing="write", path=path
            )

    def commit(self, staged: str, real: str) -> None:
        """Renames onto the real file and brings its folder onto the disk."""
        code, _, err = self._script(_COMMIT, staged, real, os.path.dirname(real))
        if code:
            # mv words a folder in the way in its own manner.
            words = "Is a directory" if "cannot overwrite directory" in err else err
            raise failures.from_words(words, doing="replace", path=real)

    def remove(self, real: str) -> None:
        """Removes a file; no error if it is already gone."""
        code, _, err = self._script(_REMOVE, real, os.path.dirname(real))
        if code and "Not a directory" not in err:
            raise failures.from_words(err, doing="remove", path=real)

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """See `model.Connection.make_folder`."""
        code, _, err = self._script(_MAKE_FOLDER, os.path.abspath(path), f"{owner}:{group}", f"{mode:04o}")
        if code == _OCCUPIED:
            raise HostError(
                "a file stands where a folder is meant to be", where=path, todo="Move the file away."
            )
        if code:
            raise _account(err, owner, group, path) or failures.from_words(err, doing="make", path=path)

    def remove_folder(self, path: str) -> bool:
        """See `model.Connection.remove_folder`."""
        code, _, err = self._script(_REMOVE_FOLDER, os.path.abspath(path))
        if code == _OCCUPIED:
            raise HostError("it is a file, not a folder", where=path, todo="Correct the path.")
        if code and code != _ABSENT:
            raise failures.from_words(err, doing="remove", path=path)
        return code == 0


def _info(line: bytes) -> PathInfo:
    """From `stat -c '%a %U %u %G %g %s %F'`; who has no name is 'UNKNOWN' there."""
    mode, owner, uid, group, gid, size, kind = line.decode("utf-8", "replace").split(" ", 6)
    return PathInfo(
        _KINDS.get(kind, "other"),
        int(mode, 8),
        uid if owner == "UNKNOWN" else owner,
        gid if group == "UNKNOWN" else group,
        int(size),
    )


def _account(stderr: str, owner: str, group: str, path: str) -> HostError | None:
    """The error for an owner that does not exist, as chown words it."""
    if "invalid user" in stderr:
        return failures.no_such_account("user", owner, path=path)
    if "invalid group" in stderr:
        return failures.no_such_account("group", group, path=path)
    return None
