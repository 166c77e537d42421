"""Stores copies of a stack's files from its last verified state, from which a restoration restores them.

They are in the workspace beside the reference and readable by their owner only. Files that only contain a key or a
password are not copied: a renewal creates new ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wizard import ownfiles
from wizard.config_files import unit_settings
from wizard.errors import HostError
from wizard.model import Facts, Stack
from wizard.upkeep.record import folder
from wizard.workspace import Workspace

_LARGEST = 1_000_000
"""Maximum size in bytes of a file that is copied."""


def is_opaque(path: str, content: bytes) -> bool:
    """Whether a file only contains a secret."""
    return b"PRIVATE KEY" in content or path.endswith((".password", ".curl", ".key"))


def keep(workspace: Workspace, stack: Stack, facts: Facts) -> None:
    """Stores the contents read from the hosts, and removes older copies.

    Raises:
        HostError: the copies cannot be written.
    """
    place = _place(workspace, stack)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = set()
        for host, path, content in _contents(facts):
            name = _name(host, path)
            names.add(name)
            if not (place / name).exists() or (place / name).read_bytes() != content:
                ownfiles.replace(place / name, content)
        for old in place.iterdir():
            if old.name not in names:
                old.unlink()
    except OSError as error:
        raise HostError(f"the verified files cannot be kept: {error.strerror}", where=str(place)) from error


def load(workspace: Workspace, stack: Stack, host: str, path: str) -> bytes | None:
    """The stored content of a file; None if there is none."""
    with suppress(OSError):
        return (_place(workspace, stack) / _name(host, path)).read_bytes()
    return None


def _contents(facts: Facts) -> Iterator[tuple[str, str, bytes]]:
    """(host, path, content) of all files to store, including unit files."""
    for name, host in facts.hosts.items():
        found = {path: state.content for path, state in host.files.items() if state is not None}
        for service in host.services:
            for path, text in unit_settings.split_files(service.unit_text):
                if path:
                    found.setdefault(path, text.encode("utf-8", "surrogateescape"))
        for path, content in found.items():
            if len(content) <= _LARGEST and not is_opaque(path, content):
                yield name, path, content


def _place(workspace: Workspace, stack: Stack) -> Path:
    return folder(workspace, stack) / "verified"


def _name(host: str, path: str) -> str:
    return hashlib.sha256(f"{host}\0{path}".encode()).hexdigest()[:32]
