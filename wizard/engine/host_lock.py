"""Locks hosts while a run changes them: a lock file on the host says who holds the lock, from where and since when.

Two people may each use a workspace of their own, and the journal of one does not know the changes of the other. The
lock file is in a folder that is cleared when the host boots.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from wizard.account import account
from wizard.connections.errors import from_words
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import FirescreenError, LockedError
from wizard.redact import plain
from wizard.workspace import Workspace

# noclobber (set -C): the shell creates the file, or fails if it exists. If it could be created but not written (full
# disk), it is removed again: an empty file would look like somebody's lock.
_MARK = (
    'umask 022; set -C; exec 3> "$1" || exit; '
    # The shell's own printf needs no process; if it fails, cat reports the system's error, which some printf do not.
    'printf "%s\\n" "$2" >&3 || printf "%s\\n" "$2" | cat >&3 || { rm -f -- "$1"; exit 74; }'
)
_UNWRITTEN = 74
"""Exit code of the script if the file could be created but not written."""
_FREE = 'IFS= read -r mark < "$1" && [ "$mark" = "$2" ] && rm -f -- "$1"'


@contextmanager
def lock_hosts(hosts: Hosts, names: Sequence[str], workspace: Workspace) -> Iterator[None]:
    """Holds the locks of these hosts.

    A lock of the same workspace is taken over: the process that left it is dead, because the caller holds the
    workspace lock.

    Raises:
        LockedError: another workspace holds the lock of a host.
        HostError: a lock file cannot be written.
    """
    held: dict[str, str] = {}
    try:
        for error in run_parallel(lambda name: _claim(hosts, name, workspace, held), names):
            if error is not None:
                raise error
        yield
    finally:
        run_parallel(lambda name: _free(hosts, name, held[name]), list(held))


def _claim(hosts: Hosts, name: str, workspace: Workspace, held: dict[str, str]) -> FirescreenError | None:
    """Writes the lock file of a host and stores its line in `held`; returns the error if that is not possible."""
    path = hosts.lock_path(name)
    if not path:
        return None
    connection = hosts.connection(name)
    mine = {
        "who": f"{account()[0]}@{socket.gethostname()}",
        "workspace": workspace.identity(),
        "process": os.getpid(),
        "since": int(time.time()),
    }
    stderr, line = "", json.dumps(mine)
    for _ in range(2):
        ended = connection.run_script(_MARK, path, line)
        if ended.code == 0:
            held[name] = line
            return None
        if ended.code == _UNWRITTEN:
            return from_words(ended.stderr, doing="lock", path=f"{name}:{path}")
        stderr = ended.stderr
        lock_file = connection.read(path)
        if lock_file is None:
            continue  # it was released at this moment
        holder = _read(lock_file.content)
        if holder.get("workspace") != mine["workspace"]:
            return _refusal(name, path, holder)
        connection.remove(path)
    return from_words(stderr, doing="lock", path=f"{name}:{path}")


def _free(hosts: Hosts, name: str, line: str) -> None:
    with suppress(
        FirescreenError
    ):  # unreachable: its next boot clears the lock, and this workspace can take it over
        hosts.connection(name).run_script(_FREE, hosts.lock_path(name), line)


def _read(content: bytes) -> dict[str, object]:
    with suppress(ValueError):
        found = json.loads(content)
        if isinstance(found, dict):
            return found
    return {}


def _refusal(name: str, path: str, holder: dict[str, object]) -> LockedError:
    who = plain(str(holder.get("who", "somebody")), 80)
    since = holder.get("since")
    age = f" for {_age(time.time() - since)}" if isinstance(since, int) else ""
    return LockedError(
        f"{who} has been at work on {name}{age}",
        where=f"{name}:{path}",
        todo=(
            "Wait until that is done. If it was interrupted: firescreen recover --yes there; if that machine is gone, look "
            f"at {name} yourself and remove {path}"
        ),
    )


def _age(seconds: float) -> str:
    minutes = max(int(seconds), 0) // 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h"


def release(hosts: Hosts, names: Sequence[str], workspace: Workspace) -> None:
    """Removes lock files that a killed process of this workspace left on these hosts; ignores unreachable hosts."""

    def free(name: str) -> None:
        with suppress(
            FirescreenError
        ):  # unreachable: its next boot clears the lock, and this workspace can take it over
            path = hosts.lock_path(name)
            lock_file = hosts.connection(name).read(path) if path else None
            if lock_file is not None and _read(lock_file.content).get("workspace") == workspace.identity():
                hosts.connection(name).remove(path)

    run_parallel(free, names)
