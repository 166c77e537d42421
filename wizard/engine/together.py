"""Looks at several places of a host in one round trip where its connection can: over SSH each costs one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from wizard.model import Connection, FileState, PathInfo


@runtime_checkable
class _Together(Protocol):
    """A connection that can look at several places at once."""

    def read_many(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """As `Connection.read`, of several."""
        ...

    def info_many(self, paths: Iterable[str]) -> dict[str, PathInfo | None]:
        """As `Connection.info`, of several."""
        ...


def read_many(connection: Connection, paths: Iterable[str]) -> dict[str, FileState | None]:
    """`Connection.read` of each path."""
    if isinstance(connection, _Together):
        return connection.read_many(paths)
    return {path: connection.read(path) for path in paths}


def info_many(connection: Connection, paths: Iterable[str]) -> dict[str, PathInfo | None]:
    """`Connection.info` of each path."""
    if isinstance(connection, _Together):
        return connection.info_many(paths)
    return {path: connection.info(path) for path in paths}
