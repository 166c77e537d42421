"""Files in a student's folder of labs, which may belong to another user: links are never followed.

That holds even if a file is replaced by a link meanwhile. An instructor who reads a shared machine as root must not be
led to other files by a student's link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LARGEST = 1_000_000
"""Maximum size in bytes of a file that is read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file: `changed` in nanoseconds, `size` in bytes."""

    name: str
    changed: int
    size: int


class OwnFolder:
    """An open folder; see `open_folder`."""

    def __init__(self, number: int) -> None:
        self._number = number

    def entries(self) -> tuple[Entry, ...]:
        """Returns its regular files, sorted by name."""
        found = []
        with os.scandir(self._number) as listed:
            for each in listed:
                with suppress(OSError):
                    info = each.stat(follow_symlinks=False)
                    if stat.S_ISREG(info.st_mode):
                        found.append(Entry(each.name, info.st_mtime_ns, info.st_size))
        return tuple(sorted(found, key=lambda entry: entry.name))

    def folders(self) -> tuple[str, ...]:
        """Returns the names of the folders in it."""
        with os.scandir(self._number) as listed:
            return tuple(sorted(each.name for each in listed if each.is_dir(follow_symlinks=False)))

    @contextmanager
    def inner(self, name: str) -> Iterator[OwnFolder]:
        """Opens a folder in it.

        Raises:
            OSError: there is none.
        """
        with open_folder(name, within=self._number) as folder:
            yield folder

    @contextmanager
    def subfolder(self, name: str) -> Iterator[OwnFolder]:
        """Opens a folder in it; if there is none, creates it for the owner of this one.

        Raises:
            OSError: it cannot be created, or is something else.
        """
        try:
            os.mkdir(name, 0o700, dir_fd=self._number)
        except FileExistsError:
            pass
        else:
            self._give(
                lambda user, group: os.chown(name, user, group, dir_fd=self._number, follow_symlinks=False)
            )
        with self.inner(name) as folder:
            yield folder

    def _give(self, change: Callable[[int, int], None]) -> None:
        """Makes the folder's owner the owner of something new, if root created it."""
        owner = os.fstat(self._number)
        if os.geteuid() == 0 and owner.st_uid != 0:
            change(owner.st_uid, owner.st_gid)

    def read(self, name: str) -> bytes:
        """Reads a regular file.

        Raises:
            OSError: there is none, it is too large, or it may not be read.
        """
        # O_NONBLOCK: opening a pipe in its place would block until a writer opens it.
        number = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._number
        )
        with os.fdopen(number, "rb") as file:
            info = os.fstat(number)
            if not stat.S_ISREG(info.st_mode) or info.st_size > LARGEST:
                raise OSError(f"not a regular file of at most {LARGEST} bytes")
            return file.read(LARGEST)

    def replace(self, name: str, content: bytes) -> None:
        """Writes a file in one step, 0600, for the folder's owner.

        Raises:
            OSError: it cannot be written; its former content is unchanged.
        """
        part = f".{name}.firescreen-{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=self._number)
        number = os.open(
            part,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
            dir_fd=self._number,
        )
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
                self._give(lambda user, group: os.fchown(number, user, group))
            os.replace(part, name, src_dir_fd=self._number, dst_dir_fd=self._number)
        except BaseException:
            with suppress(OSError):
                os.unlink(part, dir_fd=self._number)
            raise

    def remove(self, name: str) -> None:
        """Removes a file; nothing if there is none."""
        with suppress(OSError):
            os.unlink(name, dir_fd=self._number)


@contextmanager
def open_folder(path: str | Path, *, within: int | None = None) -> Iterator[OwnFolder]:
    """Opens a folder; its last part must not be a link.

    Args:
        path: of the folder.
        within: descriptor of the folder to which a relative path refers.

    Raises:
        OSError: there is no such folder, or it may not be read.
    """
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    try:
        yield OwnFolder(number)
    finally:
        os.close(number)
