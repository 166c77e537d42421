"""One Firescreen at a time on a host: while it changes one, a lock file there names who, from where and since when.

Two people may each run a wizard of their own; the journal of one knows nothing of the other's changes. The lock lies
where a boot of the host clears it.
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

# noclobber: the shell makes the file, or fails if it is there. A file that could not be filled, on a full disk, goes
# again: empty it would look like a lock of somebody. cat says why it cannot write, printf of some shells does not.
_MARK = (
    'umask 022; set -C; exec 3> "$1" || exit; '
    # By the shell itself, without a process; if it cannot, cat has the system's words for why.
    'printf "%s\\n" "$2" >&3 || printf "%s\\n" "$2" | cat >&3 || { rm -f -- "$1"; exit 74; }'
)
_UNWRITTEN = 74
"""What the script ends with where the file could be made and not written."""
_FREE = 'IFS= read -r mark < "$1" && [ "$mark" = "$2" ] && rm -f -- "$1"'


@contextmanager
def lock_hosts(hosts: Hosts, names: Sequence[str], workspace: Workspace) -> Iterator[None]:
    """Holds these hosts.

    What a process of the same workspace left behind is taken over: it is dead, for whoever comes here holds the
    workspace's lock.

    Raises:
        LockedError: somebody else is at work on one of them.
        HostError: one cannot be marked.
    """
    held: dict[str, str] = {}
    try:
        for each in run_parallel(lambda name: _claim(hosts, name, workspace, held), names):
            if each is not None:
                raise each
        yield
    finally:
        run_parallel(lambda name: _free(hosts, name, held[name]), list(held))


def _claim(hosts: Hosts, name: str, workspace: Workspace, held: dict[str, str]) -> FirescreenError | None:
    """Marks a host, and notes in `held` with which line."""
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
    said, line = "", json.dumps(mine)
    for _ in range(2):
        ended = connection.run_script(_MARK, path, line)
        if ended.code == 0:
            held[name] = line
            return None
        if ended.code == _UNWRITTEN:
            return from_words(ended.stderr, doing="lock", path=f"{name}:{path}")
        said = ended.stderr
        there = connection.read(path)
        if there is None:
            continue  # let go of in this moment
        holder = _read(there.content)
        if holder.get("workspace") != mine["workspace"]:
            return _refusal(name, path, holder)
        connection.remove(path)
    return from_words(said, doing="lock", path=f"{name}:{path}")


def _free(hosts: Hosts, name: str, line: str) -> None:
    with suppress(FirescreenError):  # gone: its next boot clears it, and this workspace may take it over
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
    """Takes away the marks of this workspace that a process which was killed left on these hosts, as far as it can."""

    def free(name: str) -> None:
        with suppress(FirescreenError):  # gone: its next boot clears it, and this workspace may take it over
            path = hosts.lock_path(name)
            there = hosts.connection(name).read(path) if path else None
            if there is not None and _read(there.content).get("workspace") == workspace.identity():
                hosts.connection(name).remove(path)

    run_parallel(free, names)
