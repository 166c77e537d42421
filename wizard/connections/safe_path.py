"""Opens a path on this machine as root without following links of other users; each folder is kept open.

From a folder that an unprivileged user can change, no step leads to anything that belongs to another user; systemd
calls such a step an unsafe path transition. Following a link is such a step, too. Links that root created in root's
folders are followed. Nobody can exchange an open folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass

from wizard.account import group_name, user_name
from wizard.errors import PathError, UnsafePathError

_PATH = getattr(os, "O_PATH", os.O_RDONLY)
_FOLDER = _PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(slots=True)
class OpenedPath:
    """A path whose folder is kept open: nobody can exchange the folder meanwhile. It must be closed.

    Attributes:
        folder: the descriptor of the folder.
        name: the name in the folder; '.' for the folder itself.
        folder_path: the path of the folder, without links.
        folder_stat: the `stat` of the folder.
        guarded: whether an unprivileged user can change the folder.
        entry: the `stat` of the file with that name, None if there is none.
    """

    folder: int
    name: str
    folder_path: str
    folder_stat: os.stat_result
    guarded: bool
    entry: os.stat_result | None

    def __enter__(self) -> OpenedPath:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the folder; can be called twice."""
        if self.folder >= 0:
            os.close(self.folder)
            self.folder = -1

    def current_stat(self, name: str = "") -> os.stat_result | None:
        """The current `stat` of a name in the folder (by default its own), without following a link."""
        try:
            return os.stat(name or self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def refuse_special_file(self, path: str) -> None:
        """Refuses to replace anything but a file or a folder in a folder that others can change.

        Raises:
            PathError: somebody put a pipe or the like in place of the file.
        """
        mode = self.entry.st_mode if self.entry is not None else stat.S_IFREG
        if self.guarded and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise PathError("it is not a regular file", where=path, todo="Correct the path.")

    def sync(self) -> None:
        """Syncs the folder's names to the disk."""
        number = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.folder)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def moved_error(self, path: str) -> UnsafePathError:
        """The error if something was exchanged during the operation."""
        return self.refusal("moved", path)

    def refusal(self, kind: str, path: str) -> UnsafePathError:
        """The error for a path through this folder; see the function `refusal`."""
        return _refusal(kind, self.folder_stat, self.folder_path, path)

    def open_file(self, path: str) -> int:
        """Opens the regular file of that name for reading; returns its descriptor.

        Raises:
            PathError: it is something else, or a hard link to a file of another user. OSError: it cannot be opened.
        """
        # Non-blocking: otherwise opening a named pipe would wait for a writer.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            number = os.open(self.name, flags, dir_fd=self.folder)
        except OSError as problem:
            if problem.errno == errno.ELOOP:
                raise self.moved_error(path) from None
            raise
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            os.close(number)
            raise PathError("it is not a regular file", where=path, todo="Correct the path.")
        if self.guarded and _is_foreign_link(self.folder_stat, found):
            os.close(number)
            raise _refusal("hardlink", self.folder_stat, self.folder_path, path)
        return number

    def open_folder(self, path: str) -> int:
        """Opens the folder of that name for reading; returns its descriptor.

        Raises:
            PathError: it belongs to another user. OSError: it is not a folder, or cannot be opened.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        number = os.open(self.name, flags, dir_fd=self.folder)
        if self.guarded and _is_foreign_folder(self.folder_stat, os.fstat(number)):
            os.close(number)
            raise _refusal("folder", self.folder_stat, self.folder_path, path)
        return number


def open_path(path: str, *, careful: bool, trusted: Collection[int] = ()) -> OpenedPath:
    """Opens the folder of `path`; all links are resolved, also the last one.

    Args:
        careful: whether the user is root, who must not follow links of other users; other users may follow them.
        trusted: user ids whose folders count as root's.

    Raises:
        UnsafePathError: an unprivileged user could lead root to another file.
        OSError: a folder does not exist or is not a folder, or the links lead in a circle.
    """
    if careful:
        return _Walk(path, trusted).open_path()
    real = os.path.realpath(path)
    folder_path, name = os.path.split(real)
    folder = os.open(folder_path, _PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    opened = OpenedPath(folder, name or ".", folder_path, os.fstat(folder), False, None)
    try:
        opened.entry = opened.current_stat()
    except OSError:
        opened.close()
        raise
    return opened


class _Walk:
    """Resolves a path, component by component."""

    def __init__(self, path: str, trusted: Collection[int]) -> None:
        self._path = path
        self._trusted = frozenset(trusted)
        self._left = _parts(os.path.join(os.getcwd(), path))
        self._at: list[str] = []
        self._links = 0
        self._folder = os.open("/", _FOLDER)
        self._rights = os.fstat(self._folder)

    def open_path(self) -> OpenedPath:
        """Opens the folder of the path; the caller closes it."""
        try:
            return self._go()
        except BaseException:
            os.close(self._folder)
            raise

    def _go(self) -> OpenedPath:
        while self._left:
            name = self._left.pop()
            if name == "..":
                self._enter(name)
                del self._at[-1:]
                continue
            try:
                found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            except FileNotFoundError:
                if self._left:
                    raise
                return self._finish(name, None)
            if stat.S_ISLNK(found.st_mode):
                self._follow(name, found)
            elif not self._left:
                return self._finish(name, found)
            else:
                self._enter(name)
                self._at.append(name)
        return self._finish(".", self._rights)

    def _finish(self, name: str, found: os.stat_result | None) -> OpenedPath:
        guarded = self._is_guarded()
        is_file = found is not None and stat.S_ISREG(found.st_mode)
        if guarded and found is not None and is_file and _is_foreign_link(self._rights, found):
            raise self._refusal_error("hardlink")
        return OpenedPath(self._folder, name, "/" + "/".join(self._at), self._rights, guarded, found)

    def _is_guarded(self) -> bool:
        """Whether an unprivileged user can change the folder."""
        is_root = self._rights.st_uid == 0 or self._rights.st_uid in self._trusted
        # An ACL that lets others write shows in the group bits of the mode: they are the mask of the ACL.
        return not is_root or bool(self._rights.st_mode & _OTHERS)

    def _enter(self, name: str) -> None:
        folder = os.open(name, _FOLDER, dir_fd=self._folder)
        rights = os.fstat(folder)
        if self._is_guarded() and _is_foreign_folder(self._rights, rights):
            os.close(folder)
            raise self._refusal_error("folder")
        self._stand_in(folder, rights)

    def _follow(self, name: str, found: os.stat_result) -> None:
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        guarded = self._is_guarded()
        # A link that root owns in a folder that others can change too may have been moved there by another user.
        if guarded and (found.st_uid != self._rights.st_uid or found.st_uid == 0):
            raise self._refusal_error("link")
        try:
            target = os.readlink(name, dir_fd=self._folder)
        except OSError as problem:
            if guarded and problem.errno in (errno.EINVAL, errno.ENOENT):
                raise self._refusal_error("moved") from None
            raise
        if target.startswith("/"):
            if guarded:
                raise self._refusal_error("link")
            folder = os.open("/", _FOLDER)
            self._at = []
            self._stand_in(folder, os.fstat(folder))
        self._left += _parts(target)

    def _stand_in(self, folder: int, rights: os.stat_result) -> None:
        os.close(self._folder)
        self._folder, self._rights = folder, rights

    def _refusal_error(self, kind: str) -> UnsafePathError:
        return _refusal(kind, self._rights, "/" + "/".join(self._at), self._path)


def _parts(path: str) -> list[str]:
    """The components of a path, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _is_foreign_folder(folder: os.stat_result, found: os.stat_result) -> bool:
    """Whether another user may have put this folder into the other one.

    In a folder of root's with the sticky bit, such as /tmp, nobody can exchange what belongs to others.
    """
    sticky = folder.st_uid == 0 and folder.st_mode & stat.S_ISVTX
    return found.st_uid != folder.st_uid and not sticky


def _is_foreign_link(folder: os.stat_result, found: os.stat_result) -> bool:
    """Whether a file has another name (hard link) and may belong to another user than the folder."""
    return found.st_nlink > 1 and (found.st_uid != folder.st_uid or found.st_uid == 0)


def _refusal(kind: str, rights: os.stat_result, folder: str, path: str) -> UnsafePathError:
    return refusal(
        kind,
        folder=folder,
        mode=stat.S_IMODE(rights.st_mode),
        owner=user_name(rights.st_uid),
        group=group_name(rights.st_gid),
        path=path,
        root=rights.st_uid == 0,
    )


_WHY = {
    "link": "it leads through a link in {folder}, a folder that {who} can change",
    "folder": "it leads through {folder}, a folder that {who} can change, into one of another owner",
    "hardlink": "it has a second name (hard link), and {who} can change its folder {folder}",
    "absent": "a folder would have to be made in {folder}, which {who} can change",
    "moved": "{who} replaced something in {folder} while Firescreen worked there",
}
_TODO = {
    "link": "Put a plain file in place of the link, or give the folder to root: {mend}",
    "folder": "Give the folder to root: {mend}",
    "hardlink": "Put a copy in place of the file (cp -p, then mv), or give the folder to root: {mend}",
    "absent": "Name a folder of root's, or give this one to root: {mend}",
    "moved": "Look at what writes there, then try again; or give the folder to root: {mend}",
}


def refusal(
    kind: str, *, folder: str, mode: int, owner: str, group: str, path: str, root: bool
) -> UnsafePathError:
    """The error for a path that an unprivileged user could lead elsewhere.

    Args:
        kind: link, folder (of another owner), hardlink, absent or moved.
        folder: the folder that others can change, with its `mode`, `owner` and `group`.
        root: whether it belongs to root, but others can write to it.
    """
    if not root:
        who, mend = owner, f"chown root:{group} {folder} && chmod g=rx,o-w {folder}"
    else:
        who = "everybody" if mode & stat.S_IWOTH else f"the group {group}"
        mend = f"chmod go-w {folder}"
    words = {"folder": folder, "who": who, "mend": mend}
    kind = kind if kind in _WHY else "moved"
    return UnsafePathError(_WHY[kind].format(**words), where=path, todo=_TODO[kind].format(**words))
