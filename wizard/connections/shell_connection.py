"""Connections that can run a program with input on a machine: all file operations are fixed sh scripts.

Contents are sent on standard input, never in argv. A path is an argument of a script, never a part of its text. A new
file is never more permissive than its final mode.
"""

from __future__ import annotations

import os
import posixpath
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

from wizard.connections import errors, examination
from wizard.connections.attributes import ACL, acl_text
from wizard.connections.base import READ_LIMIT, Connection, refuse_tag
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
from wizard.connections.subprocess_runner import LIMIT, Ended, as_completed
from wizard.errors import HostError
from wizard.model import Completed, Examined, FileState, PathInfo

Answer: TypeAlias = tuple[int, bytes, str]
"""Exit code, standard output and standard error of a script."""

_KINDS: dict[str, Literal["file", "folder"]] = {
    "regular file": "file",
    "regular empty file": "file",
    "directory": "folder",
}


class ShellConnection(Connection):
    """A machine whose files are read and written by programs that `run_bytes` runs there."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._identities: dict[str, str] = {}

    @abstractmethod
    def run_bytes(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """As `run`, with the outputs as bytes, of which at most `limit` are kept."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """See `Connection.run`; on another machine, at most 64 KB of standard error are kept."""
        return as_completed(argv, self.run_bytes(argv, stdin=stdin, timeout=timeout))

    def refuse_late(self, argv: Sequence[str], code: int) -> None:
        """Raises a HostError if the exit code says that the time limit on the machine was exceeded."""
        if code in (124, 137):
            raise HostError(
                f"{argv[0]} did not end in time and was stopped",
                where=self.name,
                todo="Look at what it waits for by running it in a terminal, then try again.",
            )

    def script(self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT) -> Answer:
        """Runs a script of `file_scripts` as root."""
        text = f"careful=1 bound=1\n{FUNCTIONS}{script}"
        return answer(self.run_bytes(["sh", "-c", text, "sh", *arguments], stdin=stdin, limit=limit))

    def scripts(
        self, script: str, paths: Sequence[str], *, limit: int = LIMIT, only_present: bool = False
    ) -> Iterator[Answer]:
        """Runs a script once for each path; in one round trip if possible.

        Args:
            only_present: whether a path that does not exist may be answered by `ABSENT` without running the script.
        """
        return (self.script(script, posixpath.normpath(path), limit=limit) for path in paths)

    def read(self, path: str) -> FileState | None:
        """See `Connection.read`."""
        return _file(self.script(READ, posixpath.normpath(path), limit=READ_LIMIT), path)

    def read_many(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """See `Connection.read_many`."""
        wanted = tuple(dict.fromkeys(paths))
        found = self.scripts(READ, wanted, limit=READ_LIMIT, only_present=True)
        return {path: _file(answer, path) for path, answer in zip(wanted, found, strict=True)}

    def stat(self, path: str) -> PathInfo | None:
        """See `Connection.stat`."""
        return _path_info(self.script(INFO, posixpath.normpath(path)), path)

    def stat_many(self, paths: Iterable[str]) -> dict[str, PathInfo | None]:
        """See `Connection.stat_many`."""
        wanted = tuple(dict.fromkeys(paths))
        found = self.scripts(INFO, wanted, only_present=True)
        return {path: _path_info(answer, path) for path, answer in zip(wanted, found, strict=True)}

    def names(self, folder: str) -> tuple[str, ...]:
        """See `Connection.names`."""
        ((code, out, err),) = self.scripts(NAMES, [folder], only_present=True)
        if code == ABSENT:
            return ()
        refuse(code, err, folder)
        if code:
            raise errors.from_words(err, doing="list", path=folder)
        return tuple(sorted(os.fsdecode(name) for name in out.split(b"\0") if name))

    def examine(self, paths: Iterable[str]) -> dict[str, Examined]:
        """See `Connection.examine`."""
        return examination.examine(self, tuple(dict.fromkeys(paths)))

    def staged_name(self, path: str, *, tag: str) -> str:
        """See `Connection.staged_name`."""
        refuse_tag(tag, path)
        code, out, err = self.script(STAGED_NAME, posixpath.normpath(path), tag)
        refuse(code, err, path)
        if code:
            raise errors.from_words(err, doing="look at", path=path)
        return os.fsdecode(out.removesuffix(b"\n"))

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """See `Connection.stage`."""
        refuse_tag(tag, path)
        arguments = stage_words(path, state, tag)
        code, out, err = self.script(STAGE, *arguments, "", "", attribute_lines(state), stdin=state.content)
        refuse_write(code, err, state, path)
        return self.keep_identity(out)

    def keep_identity(self, output: bytes) -> str:
        """Parses the output of `STAGE`; returns the temporary path, and keeps the file's identity for `commit`."""
        staged, _, identity = os.fsdecode(output.removesuffix(b"\n")).rpartition("\n")
        self._identities[staged] = identity
        return staged

    def taken_identity(self, staged: str) -> str:
        """The stored identity of a staged file, device:inode, or ''; forgets it."""
        return self._identities.pop(staged, "")

    def commit(self, staged: str, path: str) -> None:
        """See `Connection.commit`."""
        labels = "1" if self.has_labels() else ""
        arguments = (staged, posixpath.normpath(path), self.taken_identity(staged), "1", labels, "", "", "")
        code, _, err = self.script(SWAP, *arguments)
        refuse(code, err, path)
        if code:
            raise errors.from_words(replace_words(err), doing="replace", path=path)

    @abstractmethod
    def has_labels(self) -> bool:
        """Whether files there have SELinux labels that would be wrong after a rename."""

    def remove(self, path: str) -> None:
        """Removes a file (for a link: the file that it leads to); no error if it is gone already."""
        code, _, err = self.script(REMOVE, posixpath.normpath(path))
        refuse(code, err, path)
        if code and "Not a directory" not in err:
            raise errors.from_words(err, doing="remove", path=path)

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """See `Connection.make_folder`."""
        code, _, err = self.script(MAKE_FOLDER, posixpath.normpath(path), f"{owner}:{group}", f"{mode:04o}")
        refuse(code, err, path)
        if code == OCCUPIED:
            raise HostError(
                "there is a file where a folder is needed", where=path, todo="Move the file away."
            )
        if code:
            raise _account(err, owner, group, path) or errors.from_words(err, doing="make", path=path)

    def remove_folder(self, path: str) -> bool:
        """See `Connection.remove_folder`."""
        code, _, err = self.script(REMOVE_FOLDER, posixpath.normpath(path))
        refuse(code, err, path)
        if code == OCCUPIED:
            raise HostError("it is a file, not a folder", where=path, todo="Correct the path.")
        if code and code != ABSENT:
            raise errors.from_words(err, doing="remove", path=path)
        return code == 0

    def set_folder_rights(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """See `Connection.set_folder_rights`."""
        arguments = (posixpath.normpath(path), f"{owner}:{group}", f"{mode:04o}")
        code, _, err = self.script(FOLDER_RIGHTS, *arguments)
        refuse(code, err, path)
        if code:
            raise _account(err, owner, group, path) or errors.from_words(err, doing="change", path=path)


def answer(ended: Ended) -> Answer:
    """The outcome of a script, with its standard error as text."""
    return ended.code, ended.stdout, ended.stderr.decode("utf-8", "replace")


def file_read(ended: Ended, path: str) -> FileState | None:
    """The file in the answer of a script that ends like `READ`."""
    return _file(answer(ended), path)


def _file(answer: Answer, path: str) -> FileState | None:
    code, out, err = answer
    if code == ABSENT:
        return None
    refuse(code, err, path)
    if code:
        raise errors.from_words(err, doing="read", path=path)
    head, _, content = out.partition(b"\n")
    if len(out) >= READ_LIMIT:
        raise HostError("it is too large to be a configuration file", where=path)
    found = _info(head, path)
    # Files of the kernel report a size of 0.
    if found.size and found.size != len(content):
        raise _mismatch_error(path)
    return FileState(content, found.mode, found.owner, found.group)


def _path_info(answer: Answer, path: str) -> PathInfo | None:
    code, out, err = answer
    if code == ABSENT:
        return None
    refuse(code, err, path)
    if code:
        raise errors.from_words(err, doing="look at", path=path)
    return _info(out.strip(), path)


def stage_words(path: str, state: FileState, tag: str) -> tuple[str, str, str, str, str]:
    """The first arguments of `STAGE` and `PUT`: path, tag, owner:group, mode and size."""
    size = str(len(state.content))
    return posixpath.normpath(path), tag, f"{state.owner}:{state.group}", f"{state.mode:04o}", size


def attribute_lines(state: FileState) -> str:
    """The attributes as an argument of `STAGE` and `PUT`, one per line."""
    return "\n".join(
        f"acl {acl_text(value)}" if name == ACL else f"{name} 0x{value}" for name, value in state.attributes
    )


def refuse_write(code: int, stderr: str, state: FileState, path: str) -> None:
    """Raises the error for a failed `STAGE`.

    Raises:
        HostError: what failed.
    """
    refuse(code, stderr, path)
    if code == SHORT:
        raise HostError(
            "only a part of the file arrived", where=path, todo="Look for room on that disk (df -h)."
        )
    if code == NO_TOOL:
        raise examination.no_tool(path)
    if code:
        raise _owner(stderr, state.owner, state.group, path) or errors.from_words(
            stderr, doing="write", path=path
        )


def replace_words(stderr: str) -> str:
    """The message of mv; if a folder is in the way, in the words of the operating system."""
    return "Is a directory" if "cannot overwrite directory" in stderr else stderr


def _mismatch_error(path: str) -> HostError:
    return HostError(
        "what was read does not match the file's checksum",
        where=path,
        todo="Look whether it is being written, or whether the login's start-up files leave something running that "
        "prints.",
    )


def _info(line: bytes, path: str) -> PathInfo:
    """Parses the output of `stat -c '%a %U %u %G %g %s %F'`; an account without a name is 'UNKNOWN' there."""
    words = line.decode("utf-8", "replace").split(" ", 6)
    if len(words) != 7 or not (words[0] + words[5]).isdigit():
        raise _mismatch_error(path)
    mode, owner, uid, group, gid, size, kind = words
    return PathInfo(
        _KINDS.get(kind, "other"),
        int(mode, 8),
        uid if owner == "UNKNOWN" else owner,
        gid if group == "UNKNOWN" else group,
        int(size),
    )


def _account(stderr: str, owner: str, group: str, path: str) -> HostError | None:
    """The error if chown reports that the owner does not exist."""
    if "invalid user" in stderr:
        return errors.no_such_account("user", owner, path=path)
    if "invalid group" in stderr:
        return errors.no_such_account("group", group, path=path)
    return None


def _owner(stderr: str, owner: str, group: str, path: str) -> HostError | None:
    if "changing ownership" in stderr:
        return errors.cannot_give(owner, group, path=path)
    return _account(stderr, owner, group, path)
