"""This machine as a host: its files and programs, as one is or as root by way of `sudo -n`.

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
from typing import Literal

from wizard.errors import HostError
from wizard.hosts import failures
from wizard.hosts.process import Ended, run_bounded
from wizard.hosts.program import OpenProgram
from wizard.hosts.sudo import SudoFiles
from wizard.model import Completed, FileState, PathInfo

READ_LIMIT = 64 * 1024 * 1024
"""Bytes; a larger file is no configuration file."""

_TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")


class LocalConnection:
    """This machine; implements `model.Connection`.

    Args:
        name: what messages call the host.
        become: '' for direct calls as the user one is, 'sudo' for every operation through `sudo -n`.
    """

    def __init__(self, name: str, *, become: str = "") -> None:
        if become not in ("", "sudo"):
            raise HostError(
                f"become can be 'sudo' or empty, not {become!r}", where=name, todo="Correct the stack file."
            )
        self.name = name
        # Root has no use for sudo, which is not even installed on many servers.
        self._sudo = SudoFiles(name) if become and os.geteuid() != 0 else None

    # -- looking -----------------------------------------------------------------------------------------

    def read(self, path: str) -> FileState | None:
        """The file at `path` (links followed), or None; HostError for anything but a regular file."""
        if self._sudo:
            return self._sudo.read(path)
        try:
            # Non-blocking: opening a named pipe would otherwise wait for a writer.
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise failures.from_errno(problem, doing="read", path=path) from None
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            os.close(number)
            raise HostError("it is not a regular file", where=path, todo="Correct the path.")
        with open(number, "rb") as file:
            if found.st_size > READ_LIMIT:
                raise HostError("it is too large to be a configuration file", where=path)
            try:
                content = file.read(READ_LIMIT + 1)
            except OSError as problem:
                raise failures.from_errno(problem, doing="read", path=path) from None
        return FileState(content, stat.S_IMODE(found.st_mode), *_names(found))

    def info(self, path: str) -> PathInfo | None:
        """What stands at `path`, links followed, or None."""
        if self._sudo:
            return self._sudo.info(path)
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise failures.from_errno(problem, doing="look at", path=path) from None
        owner, group = _names(found)
        return PathInfo(_kind(found), stat.S_IMODE(found.st_mode), owner, group, found.st_size)

    def read_many(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """`read` of several files; elsewhere that is one round trip."""
        return {path: self.read(path) for path in paths}

    def info_many(self, paths: Iterable[str]) -> dict[str, PathInfo | None]:
        """`info` of several paths; elsewhere that is one round trip."""
        return {path: self.info(path) for path in paths}

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; empty if there is no such folder."""
        if self._sudo:
            return self._sudo.names(folder)
        try:
            return tuple(sorted(os.listdir(folder)))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as problem:
            raise failures.from_errno(problem, doing="list", path=folder) from None

    # -- writing -----------------------------------------------------------------------------------------

    def staged_name(self, path: str, *, tag: str) -> str:
        """`.{name}.firescreen-{tag}` beside the real file; HostError if `tag` could leave the folder."""
        if not _TAG.fullmatch(tag):
            raise HostError(f"the tag {tag!r} cannot be part of a file name", where=path)
        folder, base = os.path.split(self._real(path))
        return os.path.join(folder, f".{base}.firescreen-{tag}")

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes `state` beside `path`; see `model.Connection.stage`. A leftover of that tag is replaced."""
        staged = self.staged_name(path, tag=tag)
        if self._sudo:
            self._sudo.stage(staged, state, path=path)
            return staged
        uid, gid = _ids(state.owner, state.group, path)
        try:
            with suppress(FileNotFoundError):
                os.unlink(staged)
            number = os.open(
                staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError as problem:
            raise failures.from_errno(problem, doing="write", path=path) from None
        try:
            with open(number, "wb") as file:
                _give(number, uid, gid, state, path)
                os.fchmod(number, state.mode)
                file.write(state.content)
                file.flush()
                os.fsync(number)
        except BaseException as problem:
            with suppress(OSError):
                os.unlink(staged)
            if isinstance(problem, OSError):
                raise failures.from_errno(problem, doing="write", path=path) from None
            raise
        return staged

    def commit(self, staged: str, path: str) -> None:
        """Renames `staged` onto the real file behind `path` in one atomic step, and onto the disk."""
        real = self._real(path)
        if self._sudo:
            self._sudo.commit(staged, real)
        else:
            try:
                os.replace(staged, real)
                _sync_folder(os.path.dirname(real))
            except OSError as problem:
                raise failures.from_errno(problem, doing="replace", path=path) from None
        if os.path.exists("/sys/fs/selinux/enforce"):
            # A renamed file keeps the label of its temporary name, which the service may not read. A
            # restorecon that is missing or fails leaves the folder's default, which is right as a rule.
            self.run(["restorecon", "--", real], timeout=10)

    def remove(self, path: str) -> None:
        """Removes a file (of a link: what it leads to); no error if it is already gone."""
        real = self._real(path)
        if self._sudo:
            self._sudo.remove(real)
            return
        try:
            os.unlink(real)
            _sync_folder(os.path.dirname(real))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as problem:
            raise failures.from_errno(problem, doing="remove", path=path) from None

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Makes one folder, never more open than `mode`; one that is there keeps its rights."""
        if self._sudo:
            self._sudo.make_folder(path, mode=mode, owner=owner, group=group)
            return
        uid, gid = _ids(owner, group, path)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if os.path.isdir(path):
                return
            raise HostError(
                "a file stands where a folder is meant to be", where=path, todo="Move the file away."
            ) from None
        except OSError as problem:
            raise failures.from_errno(problem, doing="make", path=path) from None
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _give(number, uid, gid, FileState(b"", mode, owner, group), path)
            os.fchmod(number, mode)
            _sync_folder(os.path.dirname(os.path.abspath(path)))
        except OSError as problem:
            raise failures.from_errno(problem, doing="make", path=path) from None
        except HostError:
            os.rmdir(path)
            raise
        finally:
            os.close(number)

    def remove_folder(self, path: str) -> bool:
        """Removes a folder if it is empty; says whether it is gone."""
        if self._sudo:
            return self._sudo.remove_folder(path)
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError as problem:
            if problem.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise failures.from_errno(problem, doing="remove", path=path) from None
        return True

    # -- running -----------------------------------------------------------------------------------------

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program (as root with become='sudo'); at a time-out its whole process group is ended.

        A program that is not there ends with code 127. At most 4 MB of each output are kept.
        """
        ended: Ended
        if self._sudo:
            ended = self._sudo.run(argv, stdin=stdin, timeout=timeout)
        else:
            ended = run_bounded(argv, stdin=stdin, timeout=timeout)
        return Completed(
            tuple(argv),
            ended.code,
            ended.stdout.decode("utf-8", "replace"),
            ended.stderr.decode("utf-8", "replace"),
        )

    def program(self, argv: Sequence[str]) -> OpenProgram:
        """Starts a program that stays open (as root with become='sudo'); the caller closes it."""
        words = ["sudo", "-n", "--", *argv] if self._sudo else list(argv)
        return OpenProgram(self.name, words, keep_terminal=bool(self._sudo))

    def close(self) -> None:
        """Nothing to end."""

    def _real(self, path: str) -> str:
        return self._sudo.real(path) if self._sudo else os.path.realpath(path)


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
    for link in _json_list(links):
        for each in link.get("addr_info", ()):
            text, scope = str(each.get("local", "")), each.get("scope")
            if scope == "global":
                found.append(text)
            elif text == "::1":
                loopback.append(text)
    return tuple(dict.fromkeys(filter(None, [*found, *loopback])))


def _json_list(text: bytes) -> list[dict[str, list[dict[str, str]]]]:
    try:
        found = json.loads(text or b"[]")
    except ValueError:
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _names(found: os.stat_result) -> tuple[str, str]:
    """Owner and group by name, or by number where they have none."""
    try:
        owner = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        owner = str(found.st_uid)
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return owner, group


def _ids(owner: str, group: str, path: str) -> tuple[int, int]:
    try:
        uid = int(owner) if owner.isdecimal() else pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise failures.no_such_account("user", owner, path=path) from None
    try:
        gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise failures.no_such_account("group", group, path=path) from None
    return uid, gid


def _give(number: int, uid: int, gid: int, state: FileState, path: str) -> None:
    """Changes the owner only where it differs: an ordinary user may keep, but not give away."""
    found = os.fstat(number)
    if (found.st_uid, found.st_gid) == (uid, gid):
        return
    try:
        os.fchown(number, uid, gid)
    except PermissionError:
        raise failures.cannot_give(state.owner, state.group, path=path) from None


def _kind(found: os.stat_result) -> Literal["file", "folder", "other"]:
    if stat.S_ISREG(found.st_mode):
        return "file"
    return "folder" if stat.S_ISDIR(found.st_mode) else "other"


def _sync_folder(folder: str) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
