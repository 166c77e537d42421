"""The file operations of `model.Connection` by fixed scripts for sh, one call for each operation.

For every way to a machine that can run a program and feed it, and nothing more (sudo, a container's exec).

Promises: content travels on standard input and never in argv, a path is an argument of a script and never a part
of its text, and what is written is at no instant more open than its final mode.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from wizard.connections import errors, examination
from wizard.connections.attributes import ACL, acl_text
from wizard.connections.file_scripts import (
    FOLDER_RIGHTS,
    INFO,
    MAKE_FOLDER,
    NAMES,
    NO_TOOL,
    OCCUPIED,
    READ,
    REMOVE,
    REMOVE_FOLDER,
    SHORT,
    STAGE,
    STAGED_NAME,
    SWAP,
)
from wizard.connections.path_script import ABSENT, FUNCTIONS, refuse
from wizard.connections.subprocess_runner import LIMIT, Ended
from wizard.errors import HostError
from wizard.model import Examined, FileState, PathInfo

_READ_LIMIT = 64 * 1024 * 1024

_KINDS: dict[str, Literal["file", "folder"]] = {
    "regular file": "file",
    "regular empty file": "file",
    "directory": "folder",
}


class ShellFiles(ABC):
    """Files of a machine, by what its `run` can do. `host` is what messages call the machine."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._identities: dict[str, str] = {}

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
        """Exit code, standard output and standard error of a script for sh with its arguments; it is root's."""
        text = f"careful=1 bound=1\n{FUNCTIONS}{script}"
        ended = self.run(["sh", "-c", text, "sh", *arguments], stdin=stdin, limit=limit)
        return ended.code, ended.stdout, ended.stderr.decode("utf-8", "replace")

    def read(self, path: str) -> FileState | None:
        """See `model.Connection.read`."""
        code, out, err = self.script(READ, os.path.abspath(path), limit=_READ_LIMIT)
        if code == ABSENT:
            return None
        refuse(code, err, path)
        if code:
            raise errors.from_words(err, doing="read", path=path)
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
        code, out, err = self.script(INFO, os.path.abspath(path))
        if code == ABSENT:
            return None
        refuse(code, err, path)
        if code:
            raise errors.from_words(err, doing="look at", path=path)
        return _info(out.strip(), path)

    def names(self, folder: str) -> tuple[str, ...]:
        """See `model.Connection.names`."""
        code, out, err = self.script(NAMES, os.path.abspath(folder))
        if code == ABSENT:
            return ()
        refuse(code, err, folder)
        if code:
            raise errors.from_words(err, doing="list", path=folder)
        return tuple(sorted(os.fsdecode(name) for name in out.split(b"\0") if name))

    def examine(self, paths: Iterable[str]) -> dict[str, Examined]:
        """See `model.Connection.examine`."""
        return examination.examine(self, tuple(dict.fromkeys(paths)))

    def scripts(self, script: str, paths: Sequence[str]) -> Iterator[tuple[int, bytes, str]]:
        """The answers of a script about each of several paths; elsewhere that is one round trip."""
        return (self.script(script, os.path.abspath(path)) for path in paths)

    def staged_name(self, path: str, *, tag: str) -> str:
        """See `model.Connection.staged_name`."""
        code, out, err = self.script(STAGED_NAME, os.path.abspath(path), tag)
        refuse(code, err, path)
        if code:
            raise errors.from_words(err, doing="look at", path=path)
        return os.fsdecode(out.removesuffix(b"\n"))

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """See `model.Connection.stage`."""
        words = stage_words(path, state, tag)
        code, out, err = self.script(STAGE, *words, "", "", carried(state), stdin=state.content)
        refuse_write(code, err, state, path)
        return self.keep_identity(out)

    def keep_identity(self, said: bytes) -> str:
        """Takes what `STAGE` says: the temporary name, and by what its file is known again where that is needed."""
        staged, _, identity = os.fsdecode(said.removesuffix(b"\n")).rpartition("\n")
        self._identities[staged] = identity
        return staged

    def taken_identity(self, staged: str) -> str:
        """By what a staged file is known again: its device and number, or ''."""
        return self._identities.pop(staged, "")

    def commit(self, staged: str, path: str, *, labels: bool = False) -> None:
        """Renames onto the real file behind `path` and brings its folder onto the disk."""
        words = (
            staged,
            os.path.abspath(path),
            self.taken_identity(staged),
            "1",
            "1" if labels else "",
            "",
            "",
            "",
        )
        code, _, err = self.script(SWAP, *words)
        refuse(code, err, path)
        if code:
            raise errors.from_words(replace_words(err), doing="replace", path=path)

    def remove(self, path: str) -> None:
        """Removes a file (of a link: what it leads to); no error if it is already gone."""
        code, _, err = self.script(REMOVE, os.path.abspath(path))
        refuse(code, err, path)
        if code and "Not a directory" not in err:
            raise errors.from_words(err, doing="remove", path=path)

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """See `model.Connection.make_folder`."""
        code, _, err = self.script(MAKE_FOLDER, os.path.abspath(path), f"{owner}:{group}", f"{mode:04o}")
        refuse(code, err, path)
        if code == OCCUPIED:
            raise HostError(
                "a file stands where a folder is meant to be", where=path, todo="Move the file away."
            )
        if code:
            raise _account(err, owner, group, path) or errors.from_words(err, doing="make", path=path)

    def remove_folder(self, path: str) -> bool:
        """See `model.Connection.remove_folder`."""
        code, _, err = self.script(REMOVE_FOLDER, os.path.abspath(path))
        refuse(code, err, path)
        if code == OCCUPIED:
            raise HostError("it is a file, not a folder", where=path, todo="Correct the path.")
        if code and code != ABSENT:
            raise errors.from_words(err, doing="remove", path=path)
        return code == 0

    def set_folder_rights(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """See `model.Connection.set_folder_rights`."""
        words = (os.path.abspath(path), f"{owner}:{group}", f"{mode:04o}")
        code, _, err = self.script(FOLDER_RIGHTS, *words)
        refuse(code, err, path)
        if code:
            raise _account(err, owner, group, path) or errors.from_words(err, doing="change", path=path)


def stage_words(path: str, state: FileState, tag: str) -> tuple[str, str, str, str, str]:
    """The first arguments of `STAGE` and `PUT`."""
    size = str(len(state.content))
    return os.path.abspath(path), tag, f"{state.owner}:{state.group}", f"{state.mode:04o}", size


def carried(state: FileState) -> str:
    """The attributes as `STAGE` and `PUT` take them, a line each."""
    return "\n".join(
        f"acl {acl_text(value)}" if name == ACL else f"{name} 0x{value}" for name, value in state.attributes
    )


def refuse_write(code: int, stderr: str, state: FileState, path: str) -> None:
    """Raises what a failed `STAGE` means.

    Raises:
        HostError: see there.
    """
    refuse(code, stderr, path)
    if code == SHORT:
        raise HostError("it arrived there cut short", where=path, todo="Look for room on that disk (df -h).")
    if code == NO_TOOL:
        raise examination.no_tool(path)
    if code:
        raise _owner(stderr, state.owner, state.group, path) or errors.from_words(
            stderr, doing="write", path=path
        )


def replace_words(stderr: str) -> str:
    """What mv says, with a folder in the way as the system words it."""
    return "Is a directory" if "cannot overwrite directory" in stderr else stderr


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
        return errors.no_such_account("user", owner, path=path)
    if "invalid group" in stderr:
        return errors.no_such_account("group", group, path=path)
    return None


def _owner(stderr: str, owner: str, group: str, path: str) -> HostError | None:
    if "changing ownership" in stderr:
        return errors.cannot_give(owner, group, path=path)
    return _account(stderr, owner, group, path)
