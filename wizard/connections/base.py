"""The base class of connections to a host: their operations, with defaults for most of them.

Promises: a caller never asks which kind of connection it has. What one of them can do in a single round trip, the
others do one after the other.
"""

from __future__ import annotations

import re
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from wizard.account import account
from wizard.connections.errors import ForbiddenError
from wizard.errors import FileChangedError, HostError, PathError
from wizard.model import Completed, Examined, FileState, PathInfo

READ_LIMIT = 64 * 1024 * 1024
"""Bytes; a larger file is no configuration file."""

_TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Stream(Protocol):
    """Standard input and output of a program on a host, both outputs in one."""

    def send(self, data: memoryview) -> int:
        """Sends the beginning of `data`; the number of bytes, 0 where none can go now. HostError if it is gone."""
        ...

    def receive(self, seconds: float) -> bytes | None:
        """What came, None if nothing did in that time, b'' at the end. HostError if it is gone."""
        ...

    def close(self) -> None:
        """Ends it; safe to call twice, and from another thread."""
        ...


class Connection(ABC):
    """A reachable host. Every method may raise `errors.HostError`; each has a time limit.

    Args:
        name: what messages call the host.
    """

    is_local = False
    """Whether its services are reached at this machine's own loopback addresses."""

    def __init__(self, name: str) -> None:
        self.name = name

    # -- about the host ----------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where its services are reached from this machine; '' for this machine itself."""
        return ""

    @property
    def behind(self) -> bool:
        """Whether it is reached through other machines."""
        return False

    @abstractmethod
    def host_names(self) -> tuple[str, ...]:
        """Names and addresses that it answers to, best first; no name server is asked."""

    def identity(self) -> tuple[str, str, bool]:
        """User and primary group that operations are done as, and whether that is root."""
        user, group = account()
        return user, group, user == "root"

    def clock(self) -> float:
        """Its time now (seconds since 1970, UTC), give or take half the round trip."""
        return time.time()

    # -- reading -----------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, path: str) -> FileState | None:
        """The file at `path` (links followed), or None; HostError for anything but a regular file."""

    def read_many(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """`read` of several files."""
        return {path: self.read(path) for path in paths}

    @abstractmethod
    def stat(self, path: str) -> PathInfo | None:
        """What is at `path`, links followed, or None."""

    def stat_many(self, paths: Iterable[str]) -> dict[str, PathInfo | None]:
        """`stat` of several paths."""
        return {path: self.stat(path) for path in paths}

    def stat_known(self, paths: Collection[str]) -> dict[str, PathInfo | None]:
        """`stat_many`; None also for a path that cannot be looked at."""
        try:
            return self.stat_many(paths)
        except PathError:
            return {path: self._stat_known(path) for path in paths}

    def _stat_known(self, path: str) -> PathInfo | None:
        try:
            return self.stat(path)
        except PathError:
            return None

    @abstractmethod
    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; empty if there is no such folder."""

    @abstractmethod
    def examine(self, paths: Iterable[str]) -> dict[str, Examined]:
        """Whether each path can be written, and what a rename would drop of what is there; changes nothing."""

    # -- writing -----------------------------------------------------------------------------------------

    @abstractmethod
    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes `state` beside `path` under a temporary name that holds `tag`; returns that name.

        The temporary file has its final mode, owner, group and attributes (and none that its folder would give it)
        before its first byte, and is on the disk (fsync) when this returns. Links are followed where that is
        safe (`connections.safe_path`): the temporary name lies beside the real file, in a folder that is held.
        A leftover of that tag is replaced.
        """

    @abstractmethod
    def staged_name(self, path: str, *, tag: str) -> str:
        """The name that `stage` would use: recovery removes it if a run was interrupted.

        Raises:
            HostError: `tag` could leave the folder.
        """

    @abstractmethod
    def commit(self, staged: str, path: str) -> None:
        """Renames `staged` onto the real file behind `path` in one atomic step, and onto the disk."""

    def replace_if_unchanged(
        self,
        path: str,
        state: FileState,
        *,
        tag: str,
        before: FileState | None,
        check: Callable[[str], None] | None = None,
        look: bool = False,
    ) -> FileState | None:
        """Replaces a file if it still has the content and the mode of `before`.

        Args:
            path: the file.
            state: what it becomes.
            tag: as for `stage`.
            before: what is to be replaced; None for no file.
            check: examines the staged file by its name; what it raises ends this, and the file stays as it was.
            look: whether to return the file as it is afterwards.

        Returns:
            The file if `look`, else None.

        Raises:
            FileChangedError: the file was replaced meanwhile, which was left alone.
        """
        staged = self.stage(path, state, tag=tag)
        try:
            if check is not None:
                check(staged)
            now = self.read(path)  # as late as can be: the checks took their time
            if (now is None) != (before is None) or (
                now is not None
                and before is not None
                and (now.content, now.mode) != (before.content, before.mode)
            ):
                raise FileChangedError("the file was replaced meanwhile", where=f"{self.name}:{path}")
        except BaseException:
            self.remove(staged)
            raise
        self.commit(staged, path)
        return self.read(path) if look else None

    @abstractmethod
    def remove(self, path: str) -> None:
        """Removes a file (of a link: what it leads to); no error if it is already gone."""

    @abstractmethod
    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Makes one folder, never more open than `mode`; one that is there keeps its rights."""

    @abstractmethod
    def remove_folder(self, path: str) -> bool:
        """Removes a folder if it is empty; says whether it is gone."""

    @abstractmethod
    def set_folder_rights(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Gives a folder another owner and mode."""

    # -- running -----------------------------------------------------------------------------------------

    @abstractmethod
    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program, never through a shell; at a time-out it and what it started are ended.

        A program that is not there ends with code 127. At most 4 MB of each output are kept. A time-out is a
        HostError, a bad exit code is not.
        """

    def run_script(self, text: str, *arguments: str, timeout: float = 30.0) -> Completed:
        """Runs one of our own fixed scripts for sh that ends by itself; `$1` and so on are the arguments.

        A shell that stays open on a host runs it without a process of its own and without a bound of the host's.
        """
        return self.run(["sh", "-c", text, "sh", *arguments], timeout=timeout)

    def run_scripts(self, scripts: Sequence[Sequence[str]], *, timeout: float = 30.0) -> list[Completed]:
        """`run_script` of several, each a text with its arguments; one round trip where that can be.

        Args:
            scripts: none may depend on another's outcome.
            timeout: seconds for each of them.
        """
        return [self.run_script(*script, timeout=timeout) for script in scripts]

    def ask_ahead(self, scripts: Sequence[Sequence[str]]) -> None:  # noqa: B027
        """Has scripts run that `run_script` is about to be asked for, in one round trip where that saves any.

        Each outcome is given to the next `run_script` of the same text and arguments, if it comes soon; to as many as
        there are of that script here, which runs once.
        """

    def open_program(self, argv: Sequence[str]) -> Stream:
        """Starts a program that stays open, with both its outputs in one; the caller closes it."""
        raise HostError(
            f"{self.name} cannot hold an instance",
            where=self.name,
            todo="Name in `via` a host that is reached over SSH or is this machine.",
        )

    def open_tunnel(self, place: str, seconds: float) -> socket.socket:
        """A socket that leads to host:port as this host reaches it.

        Raises:
            OSError: it cannot be reached; `errors.ForbiddenError`, TimeoutError and ConnectionRefusedError say why.
        """
        raise ForbiddenError(f"no connection can be made from {self.name}")

    @abstractmethod
    def close(self) -> None:
        """Ends the connection; safe to call twice, and under an operation of another thread."""


def refuse_tag(tag: str, path: str) -> None:
    """HostError if a tag could lead a temporary name out of its folder."""
    if not _TAG.fullmatch(tag):
        raise HostError(f"the tag {tag!r} cannot be part of a file name", where=path)
