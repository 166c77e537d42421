"""This machine as a host: its files and programs, as the user who runs Firescreen.

A new file is never more permissive than its final mode, is on the disk before it replaces the old file in one atomic
step, and a link stays a link.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from wizard.account import group_name, user_name
from wizard.connections import attributes, errors, examination
from wizard.connections.base import READ_LIMIT, Connection, refuse_tag
from wizard.connections.host_names import host_names
from wizard.connections.safe_path import OpenedPath, open_path
from wizard.connections.subprocess_runner import OpenProgram, as_completed, run_bounded
from wizard.errors import HostError
from wizard.model import Completed, Examined, FileState, PathInfo


class _Staged(NamedTuple):
    """A temporary file that is not yet renamed: its open folder, and the file's device and inode."""

    opened: OpenedPath
    identity: tuple[int, int]


class LocalConnection(Connection):
    """This machine.

    Args:
        name: the host's name in messages.
        own: whether the files belong to the user who runs Firescreen: a user who became root with sudo may own
            their folders.
    """

    is_local = True

    def __init__(self, name: str, *, own: bool = False) -> None:
        super().__init__(name)
        before_sudo = os.environ.get("SUDO_UID", "")
        self._trusted = (int(before_sudo),) if own and before_sudo.isdecimal() else ()
        self._staged: dict[str, _Staged] = {}

    def host_names(self) -> tuple[str, ...]:
        """See `host_names.host_names`."""
        return host_names()

    # -- reading -----------------------------------------------------------------------------------------

    def read(self, path: str) -> FileState | None:
        """See `Connection.read`."""
        try:
            with self._open_path(path) as opened:
                number = opened.open_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise errors.from_errno(problem, doing="read", path=path) from None
        found = os.fstat(number)
        with open(number, "rb") as file:
            if found.st_size > READ_LIMIT:
                raise HostError("it is too large to be a configuration file", where=path)
            try:
                content = file.read(READ_LIMIT + 1)
                more = attributes.read(number)
            except OSError as problem:
                raise errors.from_errno(problem, doing="read", path=path) from None
        return FileState(content, stat.S_IMODE(found.st_mode), *_names(found), more)

    def stat(self, path: str) -> PathInfo | None:
        """See `Connection.stat`."""
        try:
            with self._open_path(path) as opened:
                found = opened.entry
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise errors.from_errno(problem, doing="look at", path=path) from None
        if found is None:
            return None
        owner, group = _names(found)
        return PathInfo(_kind(found), stat.S_IMODE(found.st_mode), owner, group, found.st_size)

    def names(self, folder: str) -> tuple[str, ...]:
        """The names in a folder, sorted; empty if there is no such folder."""
        try:
            with self._open_path(folder) as opened:
                number = opened.open_folder(folder)
            try:
                return tuple(sorted(os.listdir(number)))
            finally:
                os.close(number)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as problem:
            raise errors.from_errno(problem, doing="list", path=folder) from None

    def examine(self, paths: Iterable[str]) -> dict[str, Examined]:
        """See `Connection.examine`."""
        wanted = tuple(dict.fromkeys(paths))
        return {path: self._examine(path) for path in wanted}

    def _examine(self, path: str) -> Examined:
        try:
            with self._open_path(path) as opened:
                _refuse_immutable(opened, path)
                if opened.entry is None or not stat.S_ISREG(opened.entry.st_mode):
                    return Examined(guarded=opened.guarded)
                number = opened.open_file(path)
                try:
                    attributes.refuse_immutable(number, path)
                    return Examined(attributes=attributes.read(number), guarded=opened.guarded)
                finally:
                    os.close(number)
        except FileNotFoundError:
            return self._examined_absent(path)
        except (NotADirectoryError, PermissionError):
            return Examined()  # reading the file gives the reason
        except OSError as problem:
            return examination.refusal(errors.from_errno(problem, doing="look at", path=path))
        except HostError as problem:
            return examination.refusal(problem)

    def _examined_absent(self, path: str) -> Examined:
        """Refuses a path whose missing folder would have to be created where others could exchange it."""
        for parent in Path(os.path.abspath(path)).parents:
            with suppress(OSError), self._open_path(str(parent)) as opened:
                refused = opened.entry is None and opened.guarded
                return examination.refusal(opened.refusal("absent", path)) if refused else Examined()
        return Examined()

    # -- writing -----------------------------------------------------------------------------------------

    def staged_name(self, path: str, *, tag: str) -> str:
        """`.{name}.firescreen-{tag}` beside the real file; HostError if `tag` could leave the folder."""
        refuse_tag(tag, path)
        try:
            with self._open_path(path) as opened:
                return os.path.join(opened.folder_path, _staged_name(opened.name, tag))
        except OSError as problem:
            raise errors.from_errno(problem, doing="look at", path=path) from None

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes `state` to a temporary file beside `path`; see `Connection.stage`."""
        refuse_tag(tag, path)
        uid, gid = _ids(state.owner, state.group, path)
        try:
            opened = self._open_path(path)
        except OSError as problem:
            raise errors.from_errno(problem, doing="write", path=path) from None
        name = _staged_name(opened.name, tag)
        staged = os.path.join(opened.folder_path, name)
        try:
            opened.refuse_special_file(path)
            identity = _write(opened, name, state, (uid, gid), path)
        except BaseException as problem:
            opened.close()
            if isinstance(problem, OSError):
                raise errors.from_errno(problem, doing="write", path=path) from None
            raise
        self._forget(staged)
        self._staged[staged] = _Staged(opened, identity)
        return staged

    def commit(self, staged: str, path: str) -> None:
        """Renames `staged` onto the real file behind `path` in one atomic step, and syncs that to the disk.

        The rename happens in the folder that has been open since `stage`.
        """
        kept = self._staged.pop(staged, None)
        try:
            opened = kept.opened if kept else self._open_path(path)
            with opened:
                name, staged_stat = os.path.basename(staged), None
                if kept is not None:
                    staged_stat = opened.current_stat(name)
                    if staged_stat is None or _identity(staged_stat) != kept.identity:
                        raise opened.moved_error(path)
                os.rename(name, opened.name, src_dir_fd=opened.folder, dst_dir_fd=opened.folder)
                placed = opened.current_stat()
                if staged_stat is not None and (
                    placed is None or _identity(placed) != _identity(staged_stat)
                ):
                    raise opened.moved_error(path)
                opened.sync()
        except OSError as problem:
            raise errors.from_errno(problem, doing="replace", path=path) from None
        if not opened.guarded and os.path.exists("/sys/fs/selinux/enforce"):
            # A renamed file keeps the label of its temporary name, which the service may not be allowed to read. If
            # restorecon is missing or fails, the folder's default label stays, which is usually right.
            self.run(["restorecon", "--", os.path.realpath(path)], timeout=10)

    def remove(self, path: str) -> None:
        """Removes a file (for a link: the file that it leads to); no error if it is gone already."""
        self._forget(path)
        try:
            with self._open_path(path) as opened:
                os.unlink(opened.name, dir_fd=opened.folder)
                opened.sync()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as problem:
            raise errors.from_errno(problem, doing="remove", path=path) from None

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Creates one folder, never more permissive than `mode`; an existing folder keeps its mode and owner."""
        rights = FileState(b"", mode, owner, group)
        uid, gid = _ids(owner, group, path)
        try:
            with self._open_path(path) as opened:
                if _is_folder(opened.entry):
                    return
                _make_folder(opened, rights, (uid, gid), path)
        except FileExistsError:
            raise HostError(
                "there is a file where a folder is needed", where=path, todo="Move the file away."
            ) from None
        except OSError as problem:
            raise errors.from_errno(problem, doing="make", path=path) from None

    def remove_folder(self, path: str) -> bool:
        """Removes a folder if it is empty; returns whether it is gone."""
        try:
            with self._open_path(path) as opened:
                os.rmdir(opened.name, dir_fd=opened.folder)
        except FileNotFoundError:
            return True
        except OSError as problem:
            if problem.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise errors.from_errno(problem, doing="remove", path=path) from None
        return True

    def set_folder_rights(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """See `Connection.set_folder_rights`."""
        uid, gid = _ids(owner, group, path)
        try:
            with self._open_path(path) as opened:
                number = opened.open_folder(path)
            try:
                _give(number, uid, gid, FileState(b"", mode, owner, group), path)
                os.fchmod(number, mode)
            finally:
                os.close(number)
        except OSError as problem:
            raise errors.from_errno(problem, doing="change", path=path) from None

    def _open_path(self, path: str) -> OpenedPath:
        return open_path(path, careful=os.geteuid() == 0, trusted=self._trusted)

    def _forget(self, staged: str) -> None:
        kept = self._staged.pop(staged, None)
        if kept is not None:
            kept.opened.close()

    # -- running -----------------------------------------------------------------------------------------

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program; on a time-out, kills its whole process group.

        If there is no such program, the exit code is 127. At most 4 MB of each output are kept.
        """
        return as_completed(argv, run_bounded(argv, stdin=stdin, timeout=timeout))

    def open_program(self, argv: Sequence[str]) -> OpenProgram:
        """See `Connection.open_program`."""
        return OpenProgram(self.name, list(argv))

    def open_tunnel(self, place: str, seconds: float) -> socket.socket:
        """See `Connection.open_tunnel`."""
        return connect(place, seconds)

    def close(self) -> None:
        """Closes the folders of files that were staged and never committed."""
        for staged in tuple(self._staged):
            self._forget(staged)


def connect(place: str, seconds: float) -> socket.socket:
    """Opens a TCP connection from this machine to host:port."""
    host, _, port = place.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=seconds)


def _names(found: os.stat_result) -> tuple[str, str]:
    """Owner and group by name, or by number if they have no name."""
    return user_name(found.st_uid), group_name(found.st_gid)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _refuse_immutable(opened: OpenedPath, path: str) -> None:
    """Raises an error if the folder is immutable, as far as this user may see that."""
    with suppress(PermissionError):
        number = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=opened.folder)
        try:
            attributes.refuse_immutable(number, os.path.dirname(path))
        finally:
            os.close(number)


def _is_folder(found: os.stat_result | None) -> bool:
    return found is not None and stat.S_ISDIR(found.st_mode)


def _staged_name(name: str, tag: str) -> str:
    return f".{name}.firescreen-{tag}"


def _write(
    opened: OpenedPath, name: str, state: FileState, ids: tuple[int, int], path: str
) -> tuple[int, int]:
    """Creates a file in an open folder; returns its device and inode."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=opened.folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    number = os.open(name, flags, 0o600, dir_fd=opened.folder)
    try:
        with open(number, "wb") as file:
            attributes.drop_inherited(number)
            _give(number, *ids, state, path)
            attributes.write(number, state.attributes)
            os.fchmod(number, state.mode)
            file.write(state.content)
            file.flush()
            os.fsync(number)
            return _identity(os.fstat(number))
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=opened.folder)
        raise


def _make_folder(opened: OpenedPath, rights: FileState, ids: tuple[int, int], path: str) -> None:
    """Creates a folder in an open one; sets owner and mode on its descriptor."""
    os.mkdir(opened.name, 0o700, dir_fd=opened.folder)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        number = os.open(opened.name, flags, dir_fd=opened.folder)
    except OSError:
        if opened.guarded:
            raise opened.moved_error(path) from None
        raise
    try:
        found = os.fstat(number)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise opened.moved_error(path)
        attributes.drop_inherited(number)
        _give(number, *ids, rights, path)
        os.fchmod(number, rights.mode)
        opened.sync()
    except BaseException:
        with suppress(OSError):
            os.rmdir(opened.name, dir_fd=opened.folder)
        raise
    finally:
        os.close(number)


def _ids(owner: str, group: str, path: str) -> tuple[int, int]:
    try:
        uid = int(owner) if owner.isdecimal() else pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise errors.no_such_account("user", owner, path=path) from None
    try:
        gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise errors.no_such_account("group", group, path=path) from None
    return uid, gid


def _give(number: int, uid: int, gid: int, state: FileState, path: str) -> None:
    """Changes the owner only if it differs: ordinary users can keep a file's owner, but not give the file away."""
    found = os.fstat(number)
    if (found.st_uid, found.st_gid) == (uid, gid):
        return
    try:
        os.fchown(number, uid, gid)
    except PermissionError:
        raise errors.cannot_give(state.owner, state.group, path=path) from None


def _kind(found: os.stat_result) -> Literal["file", "folder", "other"]:
    if stat.S_ISREG(found.st_mode):
        return "file"
    return "folder" if stat.S_ISDIR(found.st_mode) else "other"
