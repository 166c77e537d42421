"""This machine as a host: its files and programs, as the user who runs this.

Promises: a new file is at no instant more open than its final mode, is on the disk before it takes its
place in one atomic step, and a link stays a link.
"""

from __future__ import annotations

import errno
import grp
import json
import os
import pwd
import re
import shutil
import socket
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from wizard.account import group_name, user_name
from wizard.connections import attributes, errors, examination
from wizard.connections.base import Connection
from wizard.connections.safe_path import Held, hold
from wizard.connections.subprocess_runner import OpenProgram, run_bounded
from wizard.errors import HostError
from wizard.model import Completed, Examined, FileState, PathInfo

READ_LIMIT = 64 * 1024 * 1024
"""Bytes; a larger file is no configuration file."""

_TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")


class _Staged(NamedTuple):
    """A file that waits to take its place: its folder, and the file's device and number."""

    held: Held
    identity: tuple[int, int]


class LocalConnection(Connection):
    """This machine.

    Args:
        name: what messages call the host.
        own: whether its files are those of the person who runs this: who came to be root by sudo may own their
            folders.
    """

    is_local = True

    def __init__(self, name: str, *, own: bool = False) -> None:
        super().__init__(name)
        before_sudo = os.environ.get("SUDO_UID", "")
        self._trusted = (int(before_sudo),) if own and before_sudo.isdecimal() else ()
        self._staged: dict[str, _Staged] = {}

    def host_names(self) -> tuple[str, ...]:
        """See the function `host_names`."""
        return host_names()

    # -- reading -----------------------------------------------------------------------------------------

    def read(self, path: str) -> FileState | None:
        """The file at `path` (links followed), or None; HostError for anything but a regular file."""
        try:
            with self._hold(path) as held:
                number = held.open_file(path)
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
            with self._hold(path) as held:
                found = held.found
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise errors.from_errno(problem, doing="look at", path=path) from None
        if found is None:
            return None
        owner, group = _names(found)
        return PathInfo(_kind(found), stat.S_IMODE(found.st_mode), owner, group, found.st_size)

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; empty if there is no such folder."""
        try:
            with self._hold(folder) as held:
                number = held.open_folder(folder)
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
        return {path: self._examined(path) for path in wanted}

    def _examined(self, path: str) -> Examined:
        try:
            with self._hold(path) as held:
                _refuse_immutable(held, path)
                if held.found is None or not stat.S_ISREG(held.found.st_mode):
                    return Examined(guarded=held.guarded)
                number = held.open_file(path)
                try:
                    attributes.refuse_immutable(number, path)
                    return Examined(attributes=attributes.read(number), guarded=held.guarded)
                finally:
                    os.close(number)
        except FileNotFoundError:
            return self._examined_absent(path)
        except (NotADirectoryError, PermissionError):
            return Examined()  # reading it says why
        except OSError as problem:
            return examination.refused(errors.from_errno(problem, doing="look at", path=path))
        except HostError as problem:
            return examination.refused(problem)

    def _examined_absent(self, path: str) -> Examined:
        """Whether the folder of a path would have to be made where somebody else could exchange it."""
        for parent in Path(os.path.abspath(path)).parents:
            with suppress(OSError), self._hold(str(parent)) as held:
                refused = held.found is None and held.guarded
                return examination.refused(held.refused("absent", path)) if refused else Examined()
        return Examined()

    # -- writing -----------------------------------------------------------------------------------------

    def staged_name(self, path: str, *, tag: str) -> str:
        """`.{name}.firescreen-{tag}` beside the real file; HostError if `tag` could leave the folder."""
        _refuse_tag(tag, path)
        try:
            with self._hold(path) as held:
                return os.path.join(held.at, _staged(held.name, tag))
        except OSError as problem:
            raise errors.from_errno(problem, doing="look at", path=path) from None

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes `state` beside `path`; see `Connection.stage`. A leftover of that tag is replaced."""
        _refuse_tag(tag, path)
        uid, gid = _ids(state.owner, state.group, path)
        try:
            held = self._hold(path)
        except OSError as problem:
            raise errors.from_errno(problem, doing="write", path=path) from None
        name = _staged(held.name, tag)
        staged = os.path.join(held.at, name)
        try:
            held.refuse_odd(path)
            identity = _write(held, name, state, (uid, gid), path)
        except BaseException as problem:
            held.close()
            if isinstance(problem, OSError):
                raise errors.from_errno(problem, doing="write", path=path) from None
            raise
        self._forget(staged)
        self._staged[staged] = _Staged(held, identity)
        return staged

    def commit(self, staged: str, path: str) -> None:
        """Renames `staged` onto the real file behind `path` in one atomic step, and onto the disk."""
        labels = os.path.exists("/sys/fs/selinux/enforce")
        if self._put(staged, path) and labels:
            # A renamed file keeps the label of its temporary name, which the service may not read. A
            # restorecon that is missing or fails leaves the folder's default, which is right as a rule.
            self.run(["restorecon", "--", os.path.realpath(path)], timeout=10)

    def _put(self, staged: str, path: str) -> bool:
        """Puts it where the folder is that was held when it was staged; says whether only root can change that."""
        known = self._staged.pop(staged, None)
        try:
            held = known.held if known else self._hold(path)
            with held:
                name, there = os.path.basename(staged), None
                if known is not None:
                    there = held.look(name)
                    if there is None or _identity(there) != known.identity:
                        raise held.moved(path)
                os.rename(name, held.name, src_dir_fd=held.folder, dst_dir_fd=held.folder)
                placed = held.look()
                if there is not None and (placed is None or _identity(placed) != _identity(there)):
                    raise held.moved(path)
                held.sync()
                return not held.guarded
        except OSError as problem:
            raise errors.from_errno(problem, doing="replace", path=path) from None

    def remove(self, path: str) -> None:
        """Removes a file (of a link: what it leads to); no error if it is already gone."""
        self._forget(path)
        try:
            with self._hold(path) as held:
                os.unlink(held.name, dir_fd=held.folder)
                held.sync()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as problem:
            raise errors.from_errno(problem, doing="remove", path=path) from None

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Makes one folder, never more open than `mode`; one that is there keeps its rights."""
        rights = FileState(b"", mode, owner, group)
        uid, gid = _ids(owner, group, path)
        try:
            with self._hold(path) as held:
                if _is_folder(held.found):
                    return
                _make_folder(held, rights, (uid, gid), path)
        except FileExistsError:
            raise HostError(
                "a file stands where a folder is meant to be", where=path, todo="Move the file away."
            ) from None
        except OSError as problem:
            raise errors.from_errno(problem, doing="make", path=path) from None

    def remove_folder(self, path: str) -> bool:
        """Removes a folder if it is empty; says whether it is gone."""
        try:
            with self._hold(path) as held:
                os.rmdir(held.name, dir_fd=held.folder)
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
            with self._hold(path) as held:
                number = held.open_folder(path)
            try:
                _give(number, uid, gid, FileState(b"", mode, owner, group), path)
                os.fchmod(number, mode)
            finally:
                os.close(number)
        except OSError as problem:
            raise errors.from_errno(problem, doing="change", path=path) from None

    def _hold(self, path: str) -> Held:
        return hold(path, careful=os.geteuid() == 0, trusted=self._trusted)

    def _forget(self, staged: str) -> None:
        known = self._staged.pop(staged, None)
        if known is not None:
            known.held.close()

    # -- running -----------------------------------------------------------------------------------------

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program; at a time-out its whole process group is ended.

        A program that is not there ends with code 127. At most 4 MB of each output are kept.
        """
        ended = run_bounded(argv, stdin=stdin, timeout=timeout)
        return Completed(
            tuple(argv),
            ended.code,
            ended.stdout.decode("utf-8", "replace"),
            ended.stderr.decode("utf-8", "replace"),
        )

    def open_program(self, argv: Sequence[str]) -> OpenProgram:
        """See `Connection.open_program`."""
        return OpenProgram(self.name, list(argv))

    def open_tunnel(self, place: str, seconds: float) -> socket.socket:
        """See `Connection.open_tunnel`."""
        return connect(place, seconds)

    def close(self) -> None:
        """Lets go of the folders of what was staged and never put in place."""
        for staged in tuple(self._staged):
            self._forget(staged)


def connect(place: str, seconds: float) -> socket.socket:
    """A TCP connection from this machine to host:port."""
    host, _, port = place.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=seconds)


def host_names() -> tuple[str, ...]:
    """Names and addresses that this machine answers to, best first; asks no name server.

    The host's own name, its longer names from /etc/hosts, localhost, the addresses of its interfaces
    (link-local ones left out), 127.0.0.1 and, where the loopback has it, ::1.
    """
    hosts, links = "", b""
    with suppress(OSError), open("/etc/hosts", encoding="utf-8", errors="replace") as file:
        hosts = file.read()
    if shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        links = run_bounded(["ip", "-j", "addr", "show", "up"], timeout=5).stdout
    return names_from(socket.gethostname(), hosts=hosts, links=links)


def names_from(short: str, *, hosts: str, links: bytes, address: str = "") -> tuple[str, ...]:
    """What `host_names` gives, for any machine.

    Args:
        short: its own name.
        hosts: its /etc/hosts.
        links: what `ip -j addr show up` says there; may be empty.
        address: what it is reached by from here, if that is not itself.
    """
    longer = [
        word
        for words in (line.partition("#")[0].split()[1:] for line in hosts.splitlines())
        if short in words
        for word in words
        if "." in word and not word.startswith("localhost")
    ]
    found = [short, *longer, address, "localhost"]
    loopback = ["127.0.0.1"]
    for link in _interfaces(links):
        for each in link.get("addr_info", ()):
            text, scope = str(each.get("local", "")), each.get("scope")
            if scope == "global":
                found.append(text)
            elif text == "::1":
                loopback.append(text)
    return tuple(dict.fromkeys(filter(None, [*found, *loopback])))


def _interfaces(text: bytes) -> list[dict[str, list[dict[str, str]]]]:
    """What `ip -j addr` says, or the addresses of `hostname -I` in the same form."""
    try:
        found = json.loads(text or b"[]")
    except ValueError:
        words = re.findall(r"(?<!\S)[0-9a-fA-F.:]+(?!\S)", text.decode("ascii", "replace"))
        return [{"addr_info": [{"local": word, "scope": "global"} for word in words]}]
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _names(found: os.stat_result) -> tuple[str, str]:
    """Owner and group by name, or by number where they have none."""
    return user_name(found.st_uid), group_name(found.st_gid)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _refuse_immutable(held: Held, path: str) -> None:
    """Looks at a folder, as far as we may."""
    with suppress(PermissionError):
        number = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=held.folder)
        try:
            attributes.refuse_immutable(number, os.path.dirname(path))
        finally:
            os.close(number)


def _is_folder(found: os.stat_result | None) -> bool:
    return found is not None and stat.S_ISDIR(found.st_mode)


def _staged(name: str, tag: str) -> str:
    return f".{name}.firescreen-{tag}"


def _refuse_tag(tag: str, path: str) -> None:
    if not _TAG.fullmatch(tag):
        raise HostError(f"the tag {tag!r} cannot be part of a file name", where=path)


def _write(held: Held, name: str, state: FileState, ids: tuple[int, int], path: str) -> tuple[int, int]:
    """Makes a file in a held folder; gives its device and number."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=held.folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    number = os.open(name, flags, 0o600, dir_fd=held.folder)
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
            os.unlink(name, dir_fd=held.folder)
        raise


def _make_folder(held: Held, rights: FileState, ids: tuple[int, int], path: str) -> None:
    """Makes a folder in a held one; its owner and mode are set on the open folder."""
    os.mkdir(held.name, 0o700, dir_fd=held.folder)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        number = os.open(held.name, flags, dir_fd=held.folder)
    except OSError:
        if held.guarded:
            raise held.moved(path) from None
        raise
    try:
        found = os.fstat(number)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise held.moved(path)
        attributes.drop_inherited(number)
        _give(number, *ids, rights, path)
        os.fchmod(number, rights.mode)
        held.sync()
    except BaseException:
        with suppress(OSError):
            os.rmdir(held.name, dir_fd=held.folder)
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
    """Changes the owner only where it differs: an ordinary user may keep, but not give away."""
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
