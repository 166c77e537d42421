"""Opens a path of this machine as root without following another user's links: each folder is held open.

Promises: no step from a folder that an unprivileged user can change to anything that is not that same user's (systemd
calls it an unsafe path transition), and links count as such steps. Links that root made in root's folders are
followed. What is held cannot be exchanged by anybody.
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
class Held:
    """A folder that is held open, and a name in it; `close` it.

    folder: its descriptor. at: its path, without links. found: what stands at the name, None for nothing.
    guarded: whether an unprivileged user can change the folder.
    """

    folder: int
    name: str
    at: str
    rights: os.stat_result
    guarded: bool
    found: os.stat_result | None

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the folder; safe to call twice."""
        if self.folder >= 0:
            os.close(self.folder)
            self.folder = -1

    def look(self, name: str = "") -> os.stat_result | None:
        """What stands at a name of the folder now (by default its own), no link followed."""
        try:
            return os.stat(name or self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def refuse_odd(self, path: str) -> None:
        """Looks whether a file may take the place of what stands at the name.

        Raises:
            PathError: somebody put a pipe or the like where a file was.
        """
        mode = self.found.st_mode if self.found is not None else stat.S_IFREG
        if self.guarded and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise PathError("it is not a regular file", where=path, todo="Correct the path.")

    def sync(self) -> None:
        """Brings the folder's names onto the disk."""
        number = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.folder)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def moved_error(self, path: str) -> UnsafePathError:
        """The error for an exchange under our hands."""
        return self.refusal("moved", path)

    def refusal(self, kind: str, path: str) -> UnsafePathError:
        """The error for a path that goes by this folder; see `refusal`."""
        return _refusal(kind, self.rights, self.at, path)

    def open_file(self, path: str) -> int:
        """The regular file of that name, open for reading.

        Raises:
            PathError: it is something else, or a hard link to somebody else's file. OSError: it cannot be opened.
        """
        # Non-blocking: opening a named pipe would otherwise wait for a writer.
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
        if self.guarded and _is_foreign_link(self.rights, found):
            os.close(number)
            raise _refusal("hardlink", self.rights, self.at, path)
        return number

    def open_folder(self, path: str) -> int:
        """The folder of that name, open for reading.

        Raises:
            PathError: it is somebody else's. OSError: it is none, or cannot be opened.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        number = os.open(self.name, flags, dir_fd=self.folder)
        if self.guarded and _is_foreign_folder(self.rights, os.fstat(number)):
            os.close(number)
            raise _refusal("folder", self.rights, self.at, path)
        return number


def hold(path: str, *, careful: bool, trusted: Collection[int] = ()) -> Held:
    """Goes to the folder of `path`, links resolved, the last one too.

    Args:
        careful: whether this is root, who must follow no link of another user; other users may.
        trusted: users whose folders count as root's.

    Raises:
        UnsafePathError: an unprivileged user could lead root elsewhere. OSError: a folder is not there, is none, or
            the links lead in a circle.
    """
    if careful:
        return _Walk(path, trusted).hold()
    real = os.path.realpath(path)
    at, name = os.path.split(real)
    folder = os.open(at, _PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    held = Held(folder, name or ".", at, os.fstat(folder), False, None)
    try:
        held.found = held.look()
    except OSError:
        held.close()
        raise
    return held


class _Walk:
    """The way to a path, component by component."""

    def __init__(self, path: str, trusted: Collection[int]) -> None:
        self._path = path
        self._trusted = frozenset(trusted)
        self._left = _parts(os.path.join(os.getcwd(), path))
        self._at: list[str] = []
        self._links = 0
        self._folder = os.open("/", _FOLDER)
        self._rights = os.fstat(self._folder)

    def hold(self) -> Held:
        """The folder and the name in it."""
        try:
            return self._go()
        except BaseException:
            os.close(self._folder)
            raise

    def _go(self) -> Held:
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

    def _finish(self, name: str, found: os.stat_result | None) -> Held:
        guarded = self._is_guarded()
        is_file = found is not None and stat.S_ISREG(found.st_mode)
        if guarded and found is not None and is_file and _is_foreign_link(self._rights, found):
            raise self._refusal_error("hardlink")
        return Held(self._folder, name, "/" + "/".join(self._at), self._rights, guarded, found)

    def _is_guarded(self) -> bool:
        """Whether an unprivileged user can change the folder."""
        own = self._rights.st_uid == 0 or self._rights.st_uid in self._trusted
        # An access control list that lets others write shows in the group's bits: they are its mask.
        return not own or bool(self._rights.st_mode & _OTHERS)

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
        # A link of root's in a folder that root shares may have been brought there by somebody else.
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
    """Whether a folder in another one may have been put there by a user whose it is not.

    In root's with the sticky bit, as /tmp, nobody can exchange what is somebody else's.
    """
    sticky = folder.st_uid == 0 and folder.st_mode & stat.S_ISVTX
    return found.st_uid != folder.st_uid and not sticky


def _is_foreign_link(folder: os.stat_result, found: os.stat_result) -> bool:
    """Whether a file has another name somewhere and may be somebody else's than the folder's."""
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
        kind: link, folder (of another owner), hardlink or moved.
        folder: the one that can be changed, with its `mode`, `owner` and `group`.
        root: whether it is root's all the same, with others who may write in it.
    """
    if not root:
        who, mend = owner, f"chown root:{group} {folder} && chmod g=rx,o-w {folder}"
    else:
        who = "everybody" if mode & stat.S_IWOTH else f"the group {group}"
        mend = f"chmod go-w {folder}"
    words = {"folder": folder, "who": who, "mend": mend}
    kind = kind if kind in _WHY else "moved"
    return UnsafePathError(_WHY[kind].format(**words), where=path, todo=_TODO[kind].format(**words))
