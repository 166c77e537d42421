"""The file operations of `model.Connection` by fixed scripts for sh, one call for each operation.

For every way to a machine that can run a program and feed it, and nothing more (sudo, a container's exec).

Promises: content travels on standard input and never in argv, a path is an argument of a script and never a part
of its text, and what is written is at no instant more open than its final mode.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from wizard.errors import HostError
from wizard.hosts import failures
from wizard.hosts.process import LIMIT, Ended
from wizard.model import FileState, PathInfo

_READ_LIMIT = 64 * 1024 * 1024
ABSENT = 44
"""Exit code of the scripts for 'there is no such file'."""
_NOT_REGULAR = 45
_OCCUPIED = 46

_READ = f"""
[ -e "$1" ] || exit {ABSENT}
[ -f "$1" ] || exit {_NOT_REGULAR}
exec 3< "$1" || exit 1
stat -L -c '%a %U %u %G %g %s %F' /dev/fd/3 && exec cat <&3
"""
_INFO = f"""
[ -e "$1" ] || exit {ABSENT}
exec stat -L -c '%a %U %u %G %g %s %F' -- "$1"
"""
_NAMES = f"""
[ -d "$1" ] || exit {ABSENT}
exec find -H "$1" -mindepth 1 -maxdepth 1 -printf '%f\\0'
"""
# noclobber makes the shell open with O_EXCL; owner and mode are set on the open file, not on a name. In a shell that
# stays open the script is a function, whose arguments are gone when the trap comes.
_STAGE = """
set -e
umask 077
staged=$1
rm -f -- "$1"
set -C
exec 3> "$1"
trap 'rm -f -- "$staged"' EXIT
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
[ -z "$(find -H "$1" -mindepth 1 -maxdepth 1 -print -quit)" ] || exit {ABSENT}
exec rmdir -- "$1"
"""

_KINDS: dict[str, Literal["file", "folder"]] = {
    "regular file": "file",
    "regular empty file": "file",
    "directory": "folder",
}


class ShellFiles(ABC):
    """Files of a machine, by what its `run` can do. `host` is what messages call the machine."""

    def __init__(self, host: str) -> None:
        self._host = host

    @abstractmethod
    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """Runs `argv` there; HostError when it cannot be asked to, or when the time is over."""

    def bounded(self, argv: Sequence[str], timeout: float) -> list[str]:
        """`argv` with its bound held there: from here, what has other rights or runs elsewhere cannot be ended."""
        return ["timeout", "--kill-after=2", f"{timeout:g}", *argv]

    def refuse_late(self, argv: Sequence[str], code: int) -> None:
        """HostError if `code` says that the bound of `bounded` was met."""
        if code in (124, 137):
            raise HostError(
                f"{argv[0]} did not end in time and was stopped",
                where=self._host,
                todo="Look at what it waits for by running it in a terminal, then try again.",
            )

    def script(
        self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT
    ) -> tuple[int, bytes, str]:
        """Exit code, standard output and standard error of a script for sh with its arguments."""
        ended = self.run(["sh", "-c", script, "sh", *arguments], stdin=stdin, limit=limit)
        return ended.code, ended.stdout, ended.stderr.decode("utf-8", "replace")

    def real(self, path: str) -> str:
        """`path` with its links resolved as root sees them."""
        code, out, err = self.script('exec readlink -m -- "$1"', os.path.abspath(path))
        if code:
            raise failures.from_words(err, doing="look at", path=path)
        return os.fsdecode(out.removesuffix(b"\n"))

    def read(self, path: str) -> FileState | None:
        """See `model.Connection.read`."""
        code, out, err = self.script(_READ, os.path.abspath(path), limit=_READ_LIMIT)
        if code == ABSENT:
            return None
        if code == _NOT_REGULAR:
            raise HostError("it is not a regular file", where=path, todo="Correct the path.")
        if code:
            raise failures.from_words(err, doing="read", path=path)
        head, _, content = out.partition(b"\n")
        if len(out) >= _READ_LIMIT:
            raise HostError("it is too large to be a configuration file", where=path)
        found = _info(head, path)
        # Kernel files say that they are empty.
        if found.size and found.size != len(content):
            raise _garbled(path)
        return FileState(content, found.mode, found.owner, found.group)

    def info(self, path: str) -> PathInfo | None:
        """See `model.Connection.info`."""
        code, out, err = self.script(_INFO, os.path.abspath(path))
        if code == ABSENT:
            return None
        if code:
            raise failures.from_words(err, doing="look at", path=path)
        return _info(out.strip(), path)

    def names(self, folder: str) -> tuple[str, ...]:
        """See `model.Connection.names`."""
        code, out, err = self.script(_NAMES, os.path.abspath(folder))
        if code == ABSENT:
            return ()
        if code:
            raise failures.from_words(err, doing="list", path=folder)
        return tuple(sorted(os.fsdecode(name) for name in out.split(b"\0") if name))

    def stage(self, staged: str, state: FileState, *, path: str) -> None:
        """Writes `state` to the temporary name `staged`; `path` is the file that messages name."""
        code, _, err = self.script(
            _STAGE, staged, f"{state.owner}:{state.group}", f"{state.mode:04o}", stdin=state.content
        )
        if code:
            raise _account(err, state.owner, state.group, path) or failures.from_words(
                err, doing="write", path=path
            )

    def commit(self, staged: str, real: str) -> None:
        """Renames onto the real file and brings its folder onto the disk."""
        code, _, err = self.script(_COMMIT, staged, real, os.path.dirname(real))
        if code:
            # mv words a folder in the way in its own manner.
            words = "Is a directory" if "cannot overwrite directory" in err else err
            raise failures.from_words(words, doing="replace", path=real)

    def remove(self, real: str) -> None:
        """Removes a file; no error if it is already gone."""
        code, _, err = self.script(_REMOVE, real, os.path.dirname(real))
        if code and "Not a directory" not in err:
            raise failures.from_words(err, doing="remove", path=real)

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """See `model.Connection.make_folder`."""
        code, _, err = self.script(_MAKE_FOLDER, os.path.abspath(path), f"{owner}:{group}", f"{mode:04o}")
        if code == _OCCUPIED:
            raise HostError(
                "a file stands where a folder is meant to be", where=path, todo="Move the file away."
            )
        if code:
            raise _account(err, owner, group, path) or failures.from_words(err, doing="make", path=path)

    def remove_folder(self, path: str) -> bool:
        """See `model.Connection.remove_folder`."""
        code, _, err = self.script(_REMOVE_FOLDER, os.path.abspath(path))
        if code == _OCCUPIED:
            raise HostError("it is a file, not a folder", where=path, todo="Correct the path.")
        if code and code != ABSENT:
            raise failures.from_words(err, doing="remove", path=path)
        return code == 0


def _garbled(path: str) -> HostError:
    return HostError(
        "what came of it is not what it holds",
        where=path,
        todo="Look whether it is being written, or whether the login's start-up files leave something running that "
        "prints.",
    )


def _info(line: bytes, path: str) -> PathInfo:
    """From `stat -c '%a %U %u %G %g %s %F'`; who has no name is 'UNKNOWN' there."""
    words = line.decode("utf-8", "replace").split(" ", 6)
    if len(words) != 7 or not (words[0] + words[5]).isdigit():
        raise _garbled(path)
    mode, owner, uid, group, gid, size, kind = words
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
