"""The workspace: the folder with the CA, passwords, the journals of runs, the practice stack, labs and reports.

Only its owner can read it. Files that matter to a stack are written by planned changes, so that an undo covers them too.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wizard.errors import HostError, LockedError, WorkspaceError

_LAST_BREATH = 3.0
"""Seconds to wait for the lock of a process that was killed: a child that it started may still hold the lock."""
_ROLLBACK = 60.0
"""Seconds to wait for the lock of a process that is rolling back its run."""
_ENDING = "rolling back"
_EXITING = 0x4
"""PF_EXITING of the kernel: the process is exiting and still has to release its resources."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The paths of a workspace.

    Args:
        root: absolute path of the folder, which is only created by `ensure`.
    """

    root: Path

    @staticmethod
    def default() -> Workspace:
        """The workspace in `FIRESCREEN_WORKSPACE`, or in the user's data folder."""
        named = os.environ.get("FIRESCREEN_WORKSPACE")
        if named:
            return Workspace.at(named)
        from platformdirs import user_data_path  # imported late: not needed if a workspace is given

        return Workspace(user_data_path("firescreen"))

    @staticmethod
    def at(folder: str | Path) -> Workspace:
        """The workspace in a given folder; `~` is expanded, except for an unknown user."""
        return Workspace(Path(os.path.expanduser(folder)).absolute())  # noqa: PTH111 - Path's own raises

    @property
    def is_usual(self) -> bool:
        """Whether it is the default workspace, which commands use without `--workspace`."""
        return self == Workspace.default()

    @property
    def authority(self) -> Path:
        """Key and certificate of the CA; the key never leaves this folder."""
        return self.root / "ca"

    @property
    def users(self) -> Path:
        """Passwords, one file per user, and curl config files with them."""
        return self.root / "users"

    @property
    def runs(self) -> Path:
        """One folder per run, with its journal and copies of files."""
        return self.root / "runs"

    @property
    def practice(self) -> Path:
        """The practice stack."""
        return self.root / "practice"

    @property
    def compose(self) -> Path:
        """The Compose project of the lab in containers."""
        return self.root / "compose"

    @property
    def outbox(self) -> Path:
        """Files for hosts that a person changes with manual commands, one folder per host."""
        return self.root / "outbox"

    @property
    def labs(self) -> Path:
        """The progress of each lab."""
        return self.root / "labs"

    @property
    def packs(self) -> Path:
        """Lab packs by other authors, as they were when the person added them."""
        return self.root / "packs"

    @property
    def reports(self) -> Path:
        """Reports of runs and labs."""
        return self.root / "reports"

    @property
    def upkeep(self) -> Path:
        """Data of the upkeep for each stack: the record of renewals, and the last verified state."""
        return self.root / "upkeep"

    @property
    def theme(self) -> Path:
        """The file with the name of the wizard's theme."""
        return self.root / "theme"

    @property
    def cache(self) -> Path:
        """The folder of downloaded programs, shared by all workspaces of a user."""
        named = os.environ.get("FIRESCREEN_CACHE")
        if named:
            return Path(named).expanduser().absolute()
        from platformdirs import user_cache_path

        return user_cache_path("firescreen")

    def ensure(self) -> Workspace:
        """Creates the folder and its subfolders with mode 0700.

        Raises:
            WorkspaceError: a folder cannot be created. HostError: everyone may write to the folder.
        """
        try:
            for folder in (self.root, self.runs, self.labs, self.reports):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            open_to_all = self.root.stat().st_mode & 0o002
        except OSError as error:
            raise self._unwritable(error) from error
        if open_to_all:
            raise HostError(
                "everyone may write into this folder, so it cannot hold keys",
                where=str(self.root),
                todo="Choose another one, or close it: chmod 700",
            )
        return self

    def identity(self) -> str:
        """An identifier of this workspace that is unique over all machines: 16 hexadecimal digits."""
        machine = b""
        with suppress(OSError):
            machine = Path("/etc/machine-id").read_bytes()
        own = f"{socket.gethostname()} {os.getuid()} {self.root}".encode("utf-8", "surrogateescape")
        return hashlib.sha256(machine + own).hexdigest()[:16]

    @contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Holds the lock of the workspace; the kernel releases it if the process dies.

        Args:
            purpose: shown to others who try to take the lock, e.g. 'an apply'.

        Raises:
            LockedError: another process holds the lock.
            WorkspaceError: the lock file cannot be written.
        """
        self.ensure()
        path = self.root / "lock"
        try:
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._take(number)
            try:
                os.truncate(number, 0)
                os.pwrite(number, f"{purpose} (process {os.getpid()})".encode(), 0)
            except OSError as error:
                raise self._unwritable(error) from error
            yield
        finally:
            # Closing releases the lock. The holder's name may stay in the file: it is only read while the lock is held.
            os.close(number)

    def note_rollback(self) -> None:
        """Writes into the lock file that this process is rolling back, so that others wait for it."""
        with suppress(OSError):
            (self.root / "lock").write_text(f"{_ENDING} (process {os.getpid()})", encoding="utf-8")

    def _take(self, number: int) -> None:
        """Locks the open file.

        Waits for a holder that is rolling back or was killed. A process that is killed while it starts a program leaves
        the lock to the child for the moment until that executes the program (which closes the file).

        Raises:
            LockedError: a running process holds the lock.
        """
        begin = time.monotonic()
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(number, 200, 0).decode("utf-8", "replace").strip() or "another process"
                if time.monotonic() - begin > _patience(holder):
                    raise LockedError(
                        f"this workspace is in use by {holder}",
                        where=str(self.root),
                        todo="Wait until it is done, or close it",
                    ) from None
                time.sleep(0.02)
            else:
                return

    def busy(self) -> bool:
        """Whether a process holds the lock now."""
        try:
            number = os.open(self.root / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(number)
        return False

    def _unwritable(self, error: OSError) -> WorkspaceError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else (error.strerror or str(error)).lower()
        return WorkspaceError(
            f"{what}; nothing was changed",
            where=str(self.root),
            todo=(
                "Make room there (df -h), or choose another folder with --workspace FOLDER"
                if full
                else "Choose a folder that you may write to, with --workspace FOLDER"
            ),
        )


def _patience(holder: str) -> float:
    """Seconds to wait for the holder that the lock file names."""
    if holder.startswith(_ENDING):
        return _ROLLBACK
    named = re.search(r"\(process ([0-9]{1,9})\)$", holder)
    return 0.0 if named is None or _lives(int(named[1])) else _LAST_BREATH


def _lives(process: int) -> bool:
    """Whether a process exists and is not exiting."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except ProcessLookupError:
        return False
    except OSError:  # a process of another user, or a machine without /proc
        return True
    return state[0] not in "ZX" and not int(state[6]) & _EXITING
