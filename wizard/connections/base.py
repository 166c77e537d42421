"""The base class of connections to a host: their operations, with defaults for most of them.

Callers need not know which kind of connection they have. Operations that one kind does in a single round trip, the
others do one by one.
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
from wizard.errors import FileChangedError, FirescreenError, HostError, PathError
from wizard.model import Completed, Examined, FileState, PathInfo

READ_LIMIT = 64 * 1024 * 1024
"""Bytes; a larger file cannot be a configuration file."""

_TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Stream(Protocol):
    """Standard input and output of a program on a host; stdout and stderr are combined."""

    def send(self, data: memoryview) -> int:
        """Sends the beginning of `data`; returns the number of bytes, 0 if nothing can be sent now.

        Raises:
            HostError: the connection is lost.
        """
        ...

    def receive(self, seconds: float) -> bytes | None:
        """Returns received bytes, None if none came within that time, b'' at the end.

        Raises:
            HostError: the connection is lost.
        """
        ...

    def close(self) -> None:
        """Closes the stream and ends the program; can be called twice, and from another thread."""
        ...


class Connection(ABC):
    """A reachable host. Every method can raise `errors.HostError`; each has a time limit.

    Args:
        name: the host's name in messages.
    """

    is_local = False
    """Whether this machine's own loopback addresses reach its services."""

    def __init__(self, name: str) -> None:
        self.name = name

    # -- about the host ----------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The address at which this machine reaches the host's services; '' for this machine itself."""
        return ""

    @property
    def behind(self) -> bool:
        """Whether the host is reached through other machines."""
        return False

    @abstractmethod
    def host_names(self) -> tuple[str, ...]:
        """The host's names and addresses, best first; queries no name server."""

    def identity(self) -> tuple[str, str, bool]:
        """User and primary group of the operations on the host, and whether that user is root."""
        user, group = account()
        return user, group, user == "root"

    def clock(self) -> float:
        """The host's current time (seconds since 1970, UTC), accurate to half a round trip."""
        return time.time()

    # -- reading -----------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, path: str) -> FileState | None:
        """Reads the file at `path` (links followed); None if there is none; HostError if it is no regular file."""

    def read_many(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """Reads several files, as `read`."""
        return {path: self.read(path) for path in paths}

    @abstractmethod
    def stat(self, path: str) -> PathInfo | None:
        """Describes what is at `path`, links followed; None if there is nothing."""

    def stat_many(self, paths: Iterable[str]) -> dict[str, PathInfo | None]:
        """As `stat`, for several paths."""
        return {path: self.stat(path) for path in paths}

    def stat_known(self, paths: Collection[str]) -> dict[str, PathInfo | None]:
        """As `stat_many`, with None also for a path that cannot be accessed."""
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
        """The names in a folder, sorted; empty if there is no such folder."""

    @abstractmethod
    def examine(self, paths: Iterable[str]) -> dict[str, Examined]:
        """Finds out whether each path can be written, and which attributes a rename would lose; changes nothing."""

    # -- writing -----------------------------------------------------------------------------------------

    @abstractmethod
    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes `state` to a temporary file beside `path`, whose name contains `tag`; returns its path.

        The temporary file has its final mode, owner, group and attributes (and none inherited from its folder) before
        its first byte is written, and is on the disk (fsync) when this returns. Links are followed where that is safe
        (`connections.safe_path`): the temporary file is beside the real file, in a folder that is kept open. A leftover
        with the same tag is replaced.
        """

    @abstractmethod
    def staged_name(self, path: str, *, tag: str) -> str:
        """The path that `stage` would use: recovery removes that file if a run was interrupted.

        Raises:
            HostError: `tag` could lead out of the folder.
        """

    @abstractmethod
    def commit(self, staged: str, path: str) -> None:
        """Renames `staged` onto the real file behind `path` in one atomic step, and syncs that to the disk."""

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
            state: the new state of the file.
            tag: as for `stage`.
            before: the expected state of the file; None for no file.
            check: is called with the path of the staged file; if it raises an error, the file stays as it was.
            look: whether to read the file again afterwards.

        Returns:
            The file if `look`, else None.

        Raises:
            FileChangedError: the file was changed meanwhile; it stays as it is.
        """
        staged = self.stage(path, state, tag=tag)
        try:
            if check is not None:
                check(staged)
            current = self.read(path)  # as late as possible: the checks may have taken long
            if (current is None) != (before is None) or (
                current is not None
                and before is not None
                and (current.content, current.mode) != (before.content, before.mode)
            ):
                raise FileChangedError("the file was replaced meanwhile", where=f"{self.name}:{path}")
        except BaseException:
            self.remove(staged)
            raise
        self.commit(staged, path)
        return self.read(path) if look else None

    @abstractmethod
    def remove(self, path: str) -> None:
        """Removes a file (for a link: the file that it leads to); no error if it is gone already."""

    @abstractmethod
    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Creates one folder, never more permissive than `mode`; an existing folder keeps its mode and owner."""

    @abstractmethod
    def remove_folder(self, path: str) -> bool:
        """Removes a folder if it is empty; returns whether it is gone."""

    @abstractmethod
    def set_folder_rights(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Changes owner, group and mode of a folder."""

    # -- running -----------------------------------------------------------------------------------------

    @abstractmethod
    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program, never through a shell; on a time-out, kills it and its child processes.

        If there is no such program, the exit code is 127. At most 4 MB of each output are kept. A time-out is a
        HostError, a non-zero exit code is not.
        """

    def run_script(self, text: str, *arguments: str, timeout: float = 30.0) -> Completed:
        """Runs one of our own fixed sh scripts that ends by itself; its arguments become `$1` and so on.

        A connection with a shell that stays open runs the script in that shell: without a new process, and without a
        time limit on the host.
        """
        return self.run(["sh", "-c", text, "sh", *arguments], timeout=timeout)

    def run_scripts(self, scripts: Sequence[Sequence[str]], *, timeout: float = 30.0) -> list[Completed]:
        """Runs several scripts, each a text with its arguments, as `run_script`; in one round trip if possible.

        Args:
            scripts: must not depend on one another's outcome.
            timeout: seconds for each script.
        """
        return [self.run_script(*script, timeout=timeout) for script in scripts]

    def ask_ahead(self, scripts: Sequence[Sequence[str]]) -> None:  # noqa: B027
        """Runs scripts in one round trip, if that saves any, before `run_script` is called for them.

        The next `run_script` with the same text and arguments returns the outcome kept here, if it is called soon. A
        script that is listed several times runs once, and as many calls get its outcome.
        """

    def fail_next(self, error: FirescreenError) -> None:  # noqa: B027
        """Lets the next operation fail with an error that is known already, if it follows within seconds."""

    def open_program(self, argv: Sequence[str]) -> Stream:
        """Starts a program that stays open, with stdout and stderr combined; the caller closes the stream."""
        raise HostError(
            f"{self.name} cannot hold an instance",
            where=self.name,
            todo="Name in `via` a host that is reached over SSH or is this machine.",
        )

    def open_tunnel(self, place: str, seconds: float) -> socket.socket:
        """Opens a socket to host:port, as this host reaches it.

        Raises:
            OSError: it is unreachable; `errors.ForbiddenError`, TimeoutError and ConnectionRefusedError say why.
        """
        raise ForbiddenError(f"no connection can be made from {self.name}")

    @abstractmethod
    def close(self) -> None:
        """Closes the connection; can be called twice, and during an operation of another thread."""


def refuse_tag(tag: str, path: str) -> None:
    """Raises a HostError if a tag could lead a temporary file out of its folder."""
    if not _TAG.fullmatch(tag):
        raise HostError(f"the tag {tag!r} cannot be part of a file name", where=path)
