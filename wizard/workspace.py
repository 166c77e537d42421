"""Where Firescreen keeps its own things: the CA, passwords, the journal of runs, practice, labs and reports.

One folder, open to nobody but its owner. Everything in it that matters to a stack is written by changes like
any other file, so that an undo takes it back too.
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
"""Seconds for which what a killed process leaves behind may still hold its lock."""
_ROLLBACK = 60.0
"""Seconds that a holder is waited for which rolls back what it did and then lets go."""
_ENDING = "rolling back"
_EXITING = 0x4
"""PF_EXITING of the kernel: a process that still frees what it held."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths below one folder.

    Args:
        root: absolute path of the folder; made by `ensure`, not before.
    """

    root: Path

    @staticmethod
    def default() -> Workspace:
        """`FIRESCREEN_WORKSPACE`, or the user's data folder."""
        named = os.environ.get("FIRESCREEN_WORKSPACE")
        if named:
            return Workspace.at(named)
        from platformdirs import user_data_path  # not needed where a workspace is named

        return Workspace(user_data_path("firescreen"))

    @staticmethod
    def at(folder: str | Path) -> Workspace:
        """The workspace in a folder that a person named; `~` is the home, of an unknown user a plain name."""
        return Workspace(Path(os.path.expanduser(folder)).absolute())  # noqa: PTH111 - Path's own raises

    @property
    def is_usual(self) -> bool:
        """Whether a command finds it without being told: the user's own, or the one that the environment names."""
        return self == Workspace.default()

    @property
    def authority(self) -> Path:
        """Key and certificate of one's own CA; the key never leaves this folder."""
        return self.root / "ca"

    @property
    def users(self) -> Path:
        """Passwords, one file a user, and the curl configs that hold them."""
        return self.root / "users"

    @property
    def runs(self) -> Path:
        """One folder a run: journal and before-images."""
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
        """Files for hosts that a person changes with manual commands: one folder a host."""
        return self.root / "outbox"

    @property
    def labs(self) -> Path:
        """How far each lab is."""
        return self.root / "labs"

    @property
    def packs(self) -> Path:
        """Labs that others wrote, as they were when the person took them."""
        return self.root / "packs"

    @property
    def reports(self) -> Path:
        """What was done, to keep or to hand in."""
        return self.root / "reports"

    @property
    def upkeep(self) -> Path:
        """What the upkeep remembers of each stack: its renewals, and how it was when it was last verified."""
        return self.root / "upkeep"

    @property
    def theme(self) -> Path:
        """The name of the wizard's theme that was chosen last."""
        return self.root / "theme"

    @property
    def cache(self) -> Path:
        """Where unpacked programs lie; shared by all workspaces of a user."""
        named = os.environ.get("FIRESCREEN_CACHE")
        if named:
            return Path(named).expanduser().absolute()
        from platformdirs import user_cache_path

        return user_cache_path("firescreen")

    def ensure(self) -> Workspace:
        """Makes the folder and its parts, 0700 each.

        Raises:
            WorkspaceError: it cannot be made or written.
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
        """What tells this workspace from all others, on any machine: 16 hexadecimal digits."""
        machine = b""
        with suppress(OSError):
            machine = Path("/etc/machine-id").read_bytes()
        own = f"{socket.gethostname()} {os.getuid()} {self.root}".encode("utf-8", "surrogateescape")
        return hashlib.sha256(machine + own).hexdigest()[:16]

    @contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Holds the workspace for one writer; the kernel lets go of it if the process dies.

        Raises:
            LockedError: somebody else holds it.
            WorkspaceError: it cannot be written.
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
            # Closing it lets go of the lock; the name of the last holder may stand, it is only read under a lock.
            os.close(number)

    def note_rollback(self) -> None:
        """Writes for whoever waits that the lock's holder, this process, rolls back and then lets go of it."""
        with suppress(OSError):
            (self.root / "lock").write_text(f"{_ENDING} (process {os.getpid()})", encoding="utf-8")

    def _take(self, number: int) -> None:
        """Locks the open file.

        A holder that is ending is waited for: one that rolls back what it did, or one that was killed. If that was
        while it started a program, it leaves the lock to the program for the moment until it runs.

        Raises:
            LockedError: somebody who lives holds it.
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
        """Whether somebody holds the lock now."""
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
    """Seconds to wait for the process that the lock names, which may be none."""
    if holder.startswith(_ENDING):
        return _ROLLBACK
    named = re.search(r"\(process ([0-9]{1,9})\)$", holder)
    return 0.0 if named is None or _lives(int(named[1])) else _LAST_BREATH


def _lives(process: int) -> bool:
    """Whether a process is there, and not about to be gone."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except ProcessLookupError:
        return False
    except OSError:  # another user's, or a machine without /proc
        return True
    return state[0] not in "ZX" and not int(state[6]) & _EXITING
