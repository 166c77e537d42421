"""The known_hosts files of OpenSSH: which keys are known for a host, and how to add an accepted key.

A host with a known key never counts as unknown, whatever kind of key it presents now. A file is replaced in one step,
with mode 0600; all its other bytes are kept.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from wizard import ownfiles
from wizard.connections import errors
from wizard.errors import HostError

Verdict: TypeAlias = Literal["known", "unknown", "changed", "revoked"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `marker` is '', '@revoked' or '@cert-authority'; `blob` is the public key in SSH's encoding."""

    marker: str
    patterns: tuple[str, ...]
    kind: str
    blob: bytes

    def matches(self, name: str) -> bool:
        """Whether the line is about `name` (host, or [host]:port)."""
        found = False
        for pattern in self.patterns:
            if pattern.startswith("!") and fnmatch.fnmatchcase(name, _literal(pattern[1:])):
                return False
            if pattern.startswith("|1|"):
                found = found or _hash(name, pattern.split("|")[2]) == pattern
            else:
                found = found or fnmatch.fnmatchcase(name, _literal(pattern.lower()))
        return found


def _literal(pattern: str) -> str:
    """Escapes brackets: for OpenSSH only * and ? are special, and [host]:port is literal."""
    return pattern.replace("[", "[[]")


def _hash(name: str, salt: str) -> str:
    try:
        digest = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
    except binascii.Error:
        return ""
    return f"|1|{salt}|{base64.b64encode(digest).decode()}"


def name_of(host: str, port: int) -> str:
    """The name of a host in known_hosts: the host alone for port 22, else [host]:port."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def load(paths: Iterable[Path]) -> tuple[Entry, ...]:
    """All entries of the files that exist; invalid lines are skipped, as ssh does.

    Raises:
        HostError: a file exists and cannot be read.
    """
    found: list[Entry] = []
    for path in paths:
        try:
            text = path.read_text("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as problem:
            raise errors.from_errno(problem, doing="read", path=str(path)) from None
        for line in text.splitlines():
            words = line.split()
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) < 3 or words[0].startswith("#"):
                continue
            with suppress(binascii.Error, ValueError):
                blob = base64.b64decode(words[2], validate=True)
                found.append(Entry(marker, tuple(words[0].split(",")), words[1], blob))
    return tuple(found)


def kinds(entries: Iterable[Entry], name: str) -> tuple[str, ...]:
    """Kinds of the host's known keys, e.g. ssh-ed25519: the server is asked for a key of one of these kinds."""
    return tuple(dict.fromkeys(entry.kind for entry in entries if not entry.marker and entry.matches(name)))


def judge(entries: Iterable[Entry], name: str, blob: bytes, *, usable: Iterable[str]) -> Verdict:
    """Compares a key that a host presented with the known keys.

    Args:
        entries: from `load`.
        name: from `name_of`.
        blob: the host's public key.
        usable: kinds of key that this side can check. A known key of another kind does not count, since the host
            could not have presented it.
    """
    matching = [entry for entry in entries if entry.matches(name)]
    if any(entry.marker == "@revoked" and entry.blob == blob for entry in matching):
        return "revoked"
    plain = [entry for entry in matching if not entry.marker]
    if any(entry.blob == blob for entry in plain):
        return "known"
    wanted = set(usable)
    return "changed" if any(entry.kind in wanted for entry in plain) else "unknown"


def append(path: Path, name: str, kind: str, blob: bytes, *, hashed: bool) -> None:
    """Adds a line for an accepted key; the caller holds `Access.writing`.

    Raises:
        HostError: the file cannot be written.
    """
    written_name = _hash(name, base64.b64encode(os.urandom(20)).decode()) if hashed else name
    line = f"{written_name} {kind} {base64.b64encode(blob).decode()}\n".encode()
    real = Path(os.path.realpath(path))
    if real.exists() and not real.is_file():
        return  # UserKnownHostsFile /dev/null: the user wants no keys to be stored
    try:
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        old = real.read_bytes() if real.exists() else b""
        gap = b"\n" if old and not old.endswith(b"\n") else b""
        ownfiles.replace(real, old + gap + line, durable=True)
    except OSError as problem:
        raise errors.from_errno(problem, doing="write", path=str(path)) from None


def changed_key_error(
    host: str, address: str, name: str, kind: str, fingerprint: str, file: Path
) -> HostError:
    """The error for a host that presents another key than the known one; the user cannot accept it."""
    return HostError(
        f"its SSH host key has changed: it is {kind} {fingerprint} now. Either the host was reinstalled, or "
        "somebody intercepts the connection",
        where=f"{host} ({address})",
        todo=f"On the host's own console compare it with what `{_shows(kind)}` says. Only if it is the same: "
        f"ssh-keygen -f {file} -R '{name}', then try again",
    )


def where_shown(kind: str) -> str:
    """Says how to compare a fingerprint before accepting it."""
    return f"Compare it with what `{_shows(kind)}` says on the host's own console, then accept it."


def _shows(kind: str) -> str:
    algorithm = kind.removeprefix("ssh-").removeprefix("ecdsa-sha2-")
    return (
        f"ssh-keygen -lf /etc/ssh/ssh_host_{'ecdsa' if algorithm.startswith('nistp') else algorithm}_key.pub"
    )
