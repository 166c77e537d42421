"""The names, packages and upstream releases of all programs, from programs.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wizard import assets
from wizard.components import all_components
from wizard.errors import ProgramUnavailableError


@dataclass(frozen=True, slots=True)
class Program:
    """A program that can be run; `version` is '' if the program does not print one."""

    name: str
    path: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One program. Entries of `packages` list alternative names, as they differ between suites; '' means none."""

    name: str
    names: tuple[str, ...]
    packages: tuple[tuple[str, ...], ...]
    libraries: bool = False
    """Whether it needs the libraries unpacked beside it."""
    reads: str = ""
    """A folder of its package whose path is compiled into the program, and without which it does not run."""
    release: str = ""
    version: str = "--version"
    """The argument that makes it print its version."""

    @property
    def inside_packages(self) -> tuple[str, ...]:
        """Its paths in the unpacked packages; a program that needs more than itself has a start script in `run`."""
        if self.libraries or self.reads:
            return (f"run/{self.name}",)
        return tuple(f"{folder}/{name}" for folder in ("usr/bin", "usr/sbin", "bin") for name in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One upstream release; `sha256` maps a platform such as linux-amd64 to the SHA-256 of the archive."""

    name: str
    version: str
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All programs and releases; `archive` and `sums` are templates with base, name, version and platform."""

    rows: tuple[Row, ...]
    releases: Mapping[str, Release]
    base: str
    archive: str
    sums: str

    def row(self, name: str) -> Row:
        """The row of the program with this name.

        Raises:
            ProgramUnavailableError: the table has no such program.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise ProgramUnavailableError(
            f"{name} is not a program that Firescreen knows",
            todo=f"Take one of {', '.join(row.name for row in self.rows)}.",
        )


def load(path: Path | None = None) -> Table:
    """Reads the table, by default the project's own, and adds the components that name their own packages."""
    data = json.loads((path or assets.path("programs.json")).read_text(encoding="utf-8"))
    releases = {
        name: Release(name=name, version=entry["version"], sha256=entry.get("sha256", {}))
        for name, entry in data["releases"].items()
        if isinstance(entry, dict)
    }
    rows = tuple(
        Row(
            name=name,
            names=tuple(entry["names"]),
            packages=tuple(map(tuple, entry.get("packages", ()))),
            libraries=entry.get("libraries", False),
            reads=entry.get("reads", ""),
            release=entry.get("release", ""),
            version=entry.get("version", "--version"),
        )
        for name, entry in data["programs"].items()
    )
    known = {row.name for row in rows}
    rows += tuple(
        Row(name=component.name, names=tuple(reversed(component.programs)), packages=(component.packages,))
        for component in all_components()
        if component.packages and component.name not in known
    )
    texts = data["releases"]
    return Table(
        rows=rows, releases=releases, base=texts["base"], archive=texts["archive"], sums=texts["sums"]
    )
