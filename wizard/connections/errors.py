"""Turns operating system errors into what happened, where, and what to do.

One table serves both forms of error: an errno, and a command's message on standard error.
"""

from __future__ import annotations

import errno
import os

from wizard.errors import HostError, UnreachableError
from wizard.redact import plain


class ForbiddenError(OSError):
    """The SSH server forwards no connections, or not this one."""


_WORDS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "Make room on that file system (df -h), then try again."),
    errno.EDQUOT: ("the disk quota is used up", "Make room or raise the quota, then try again."),
    errno.EFBIG: ("the file may not grow that large here", "Raise the limit on file sizes (ulimit -f)."),
    errno.EROFS: (
        "the file system is read-only",
        "Remount it read-write, or choose another folder for the files.",
    ),
    errno.EACCES: ("permission denied", "Run Firescreen as root, or set `become: sudo` for this host."),
    errno.EPERM: (
        "the system does not permit it",
        "Run Firescreen as root, or set `become: sudo` for this host.",
    ),
    errno.ENOENT: ("the folder is not there", "Make the folder first, or correct the path."),
    errno.EISDIR: (
        "a folder stands where a file is meant to be",
        "Move the folder away, or correct the path.",
    ),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Correct the path."),
    errno.ELOOP: ("the links lead in a circle", "Mend the symbolic links."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter path."),
    errno.EBUSY: (
        "the file is mounted on, as containers do with single files",
        "Change the file outside the container that it is mounted from.",
    ),
    errno.EIO: ("the disk reported an error", "Look at the kernel's log (dmesg)."),
}

_SUDO: tuple[tuple[str, str, str], ...] = (
    (
        "a password is required",
        "sudo asks for a password and nobody can type one here",
        "Run `sudo -v` in this terminal first, or allow it without a password (NOPASSWD).",
    ),
    (
        "a terminal is required",
        "sudo asks for a password and has no terminal",
        "Run `sudo -v` in this terminal first, or allow it without a password (NOPASSWD).",
    ),
    (
        "not in the sudoers file",
        "this user may not use sudo",
        "Run Firescreen as a user that may, or as root.",
    ),
    (
        "is not allowed to execute",
        "sudo does not allow this user to run what is needed",
        "Allow it in sudoers, or run Firescreen as root.",
    ),
    (
        "may not run sudo",
        "this user may not use sudo on this host",
        "Run Firescreen as a user that may, or as root.",
    ),
    (
        "must have a tty",
        "sudo requires a terminal (requiretty)",
        "Remove `requiretty` for this user in sudoers, or run Firescreen as root.",
    ),
    (
        "no new privileges",
        "sudo cannot gain rights here (no_new_privileges is set)",
        "Run Firescreen as root, outside this container.",
    ),
)


def from_errno(problem: OSError, *, doing: str, path: str) -> HostError:
    """The error for an OSError; `doing` is a verb, e.g. 'write', and `path` the file as the user knows it."""
    words, todo = _WORDS.get(problem.errno or 0, (problem.strerror or str(problem), ""))
    return HostError(f"cannot {doing} it: {words}", where=path, todo=todo)


def from_words(stderr: str, *, doing: str, path: str) -> HostError:
    """The error for a command's message on standard error, in the C locale."""
    # dash has its own text for a missing folder.
    stderr = stderr.replace("Directory nonexistent", os.strerror(errno.ENOENT))
    for number, (words, todo) in _WORDS.items():
        if os.strerror(number) in stderr:
            return HostError(f"cannot {doing} it: {words}", where=path, todo=todo)
    message = plain(stderr.strip(), 300) or "it gave no reason"
    return HostError(f"cannot {doing} it: {message}", where=path)


def from_sudo(stderr: str, *, host: str) -> HostError | None:
    """The error if sudo itself refused to run the command, else None."""
    for line in stderr.splitlines():
        for mark, what, todo in _SUDO:
            if mark in line and ("sudo" in line or line.startswith("Sorry, user")):
                return HostError(what, where=host, todo=todo)
    return None


def exception_text(problem: BaseException) -> str:
    """The message of a library's exception, safe to show."""
    return plain(str(problem).strip(), 200) or type(problem).__name__


def no_such_account(kind: str, name: str, *, path: str) -> HostError:
    """The error if the intended owner of a file does not exist; `kind` is user or group."""
    return HostError(
        f"there is no {kind} {name!r} to own the file",
        where=path,
        todo=f"Check the {kind} that the service runs as, or create it.",
    )


def cannot_give(owner: str, group: str, *, path: str) -> HostError:
    """The error if the file's owner or group cannot be changed."""
    return HostError(
        f"only root can give the file to {owner}:{group}",
        where=path,
        todo="Run Firescreen as root, or set `become: sudo` for this host.",
    )


def connection_lost_error(host: str) -> UnreachableError:
    """The error for a connection that was lost during its use."""
    return UnreachableError(
        "the connection to it was lost",
        where=host,
        todo="Check that the host is up and reachable, then try again.",
    )
