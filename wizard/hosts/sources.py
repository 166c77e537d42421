"""Where hosts can be chosen from without typing: the names in ~/.ssh/config, and the instances of this machine.

Looks only: nothing is resolved and nobody is connected to. What cannot be read offers nothing.
"""

from __future__ import annotations

import glob
import json
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wizard.errors import HostError
from wizard.hosts.process import run_bounded
from wizard.redact import plain

_DEEPEST = 16
"""Include within Include, as ssh has it."""
_LARGEST = 1_000_000
"""Bytes of one configuration file."""
_CLIENTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("incus",), ("/var/lib/incus/unix.socket", "/run/incus/unix.socket")),
    (("lxc", "/snap/bin/lxc"), ("/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket")),
)
"""Clients and the sockets of their daemons. Without a daemon none is run: Ubuntu's lxc would install one."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A container or virtual machine of this machine's incus or LXD."""

    name: str
    running: bool


def ssh_names(config: Path | None = None) -> tuple[str, ...]:
    """The hosts that an SSH configuration names, in its order; patterns and exceptions left out.

    Args:
        config: a file to read in place of ~/.ssh/config; a relative Include is looked for beside it.
    """
    path = config or Path("~/.ssh/config").expanduser()
    return tuple(dict.fromkeys(_names(path, path.parent, _DEEPEST)))


def _names(path: Path, home: Path, deepest: int) -> list[str]:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return []
    found: list[str] = []
    for line in text.splitlines():
        words = _words(line)
        keyword = words[0].lower() if words else ""
        if keyword == "host":
            found += [word for word in words[1:] if not set(word) & set("*?!")]
        elif keyword == "include" and deepest:
            for word in words[1:]:
                for each in sorted(glob.glob(str(home / Path(word).expanduser()))):
                    found += _names(Path(each), home, deepest - 1)
    return found


def _words(line: str) -> list[str]:
    """Keyword and arguments; `Keyword=argument` and quotes count as ssh reads them."""
    line = line.strip()
    if not line or line.startswith("#"):
        return []
    head = line.split("=", 1)
    if len(head) == 2 and not any(character.isspace() for character in head[0].strip()):
        line = f"{head[0]} {head[1]}"
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a quote that is never closed: ssh refuses that line, and so do we
        return []


def instances() -> tuple[tuple[Instance, ...], str]:
    """The instances of this machine, and why they cannot be listed ('' where they can, or no client is there).

    Takes at most some 20 seconds, where a daemon does not answer.
    """
    trouble = ""
    for clients, sockets in _CLIENTS:
        if not any(Path(socket).exists() for socket in sockets):
            continue
        found, said = _listed(clients)
        if found:
            return found, ""
        trouble = trouble or said
    return (), trouble


def _listed(clients: tuple[str, ...]) -> tuple[tuple[Instance, ...], str]:
    for client in clients:
        try:
            ended = run_bounded([client, "list", "--format", "json"], timeout=10)
        except HostError as error:
            return (), f"{client}: {error.what}"
        if ended.code == 127:
            continue
        if ended.code:
            said = plain(ended.stderr.decode("utf-8", "replace").strip().partition("\n")[0], 200)
            return (), f"{client}: {said or f'exit code {ended.code}'}"
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            return tuple(
                Instance(str(one["name"]), str(one.get("status", "")).lower() == "running")
                for one in json.loads(ended.stdout)
            ), ""
        return (), f"{client}: it lists its instances in a way that is not understood"
    return (), ""
