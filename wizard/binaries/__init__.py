"""The real programs (prometheus, node_exporter, promtool …): found on this machine, or downloaded without root.

Nothing is installed or started, and a program is unpacked completely or not at all. A signature or checksum of each
download is checked before anything of it runs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from wizard.binaries import apt, releases
from wizard.binaries.table import Program, Row, Table, load
from wizard.binaries.versions import version_of
from wizard.errors import ProgramUnavailableError

__all__ = ["Program", "Table", "available", "find", "find_all", "load", "version_of"]

# Debian's exporters are in /usr/bin; other packages use folders that the PATH of ordinary users lacks.
_MORE_FOLDERS = ("/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")


class _MissingError(ProgramUnavailableError):
    """A program that can be neither found nor downloaded; `tried` lists the attempts."""

    def __init__(self, what: str, *, todo: str, tried: Sequence[str]) -> None:
        super().__init__(what, todo=todo)
        self.tried = tried


def find(
    name: str,
    *,
    cache: Path,
    fetch: bool = True,
    suite: str = "",
    base: str = "",
    table: Table | None = None,
    progress: Callable[[str], None] | None = None,
) -> Program:
    """Finds one program, ready to run, and downloads it if necessary.

    It tries in this order: programs installed on this machine; programs unpacked into `cache` earlier; the
    distribution's packages (unpacked as an ordinary user, signatures checked by apt); upstream's release archive
    (https, SHA-256 checked).

    Args:
        name: prometheus, promtool, node_exporter, alertmanager, amtool, pushgateway, blackbox_exporter, htpasswd or
            busybox.
        cache: folder for downloads; created if it is missing.
        fetch: False to use only what is on this machine already.
        suite: another suite of this machine's own package mirror, e.g. 'trixie'; installed programs and upstream's
            archives are not used then.
        base: address to download releases from in place of upstream's; also the environment variable
            FIRESCREEN_DOWNLOADS. Checksums are verified all the same.
        table: names, packages and releases; by default the project's own.
        progress: is called with a short text about each action.

    Raises:
        ProgramUnavailableError: it can be neither found nor downloaded; the error lists the attempts and what to do.
    """
    table = table or load()
    row = table.row(name)
    found = _here(row, cache=cache, suite=suite, table=table)
    if found:
        return found
    tried = [] if suite else [f"{' or '.join(row.names)} is not installed on this machine"]
    if fetch:
        say = progress or (lambda _: None)
        base = (base or os.environ.get("FIRESCREEN_DOWNLOADS", "") or table.base).rstrip("/")
        for way in _ways(row, cache=cache, suite=suite, base=base, table=table, say=say):
            try:
                way()
            except ProgramUnavailableError as problem:
                tried.append(str(problem))
                continue
            found = _here(row, cache=cache, suite=suite, table=table)
            if found:
                return found
            tried.append("what was fetched does not hold it")
    else:
        tried.append("nothing was fetched, as asked")
    raise _MissingError(
        f"{name} cannot be found or fetched: {'; '.join(tried)}",
        tried=tried,
        todo=f"Install {' or '.join(row.names)}, or connect this machine to its package mirror, "
        "or put the program on PATH, then try again.",
    )


def find_all(
    names: Sequence[str], *, cache: Path, suite: str = "", progress: Callable[[str], None] | None = None
) -> dict[str, Program]:
    """Finds several programs by name, see `find`.

    Raises:
        ProgramUnavailableError: one of them can be neither found nor downloaded; the error lists all missing
            ones and how to install them.
    """
    table = load()
    found: dict[str, Program] = {}
    for name in names:
        try:
            found[name] = find(name, cache=cache, suite=suite, table=table, progress=progress)
        except _MissingError as error:
            rows = [
                row for row in map(table.row, names) if not _here(row, cache=cache, suite=suite, table=table)
            ]
            packages = dict.fromkeys(row.packages[0][0] for row in rows)
            raise ProgramUnavailableError(
                f"these programs are needed and not here: {', '.join(row.name for row in rows)}. "
                f"{name} cannot be fetched: {'; '.join(error.tried[1:])}",
                todo=f"Install them (Debian, Ubuntu: apt install {' '.join(packages)}), put them on PATH, or connect this "
                "machine to its package mirror, then try again. Without a network, copy the folder "
                f"{cache} from a machine of the same kind where `firescreen practice up` has run.",
            ) from error
    return found


def available(name: str, cache: Path) -> Program | None:
    """The program if it is installed or unpacked already; checks a few paths and downloads nothing."""
    table = load()
    return _here(table.row(name), cache=cache, suite="", table=table)


def _here(row: Row, *, cache: Path, suite: str, table: Table) -> Program | None:
    candidates: list[Path] = []
    if not suite:
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_MORE_FOLDERS])
        candidates += [Path(found) for name in row.names if (found := shutil.which(name, path=path))]
    unpacked = apt.folder(cache, suite, row)
    candidates += [unpacked / relative for relative in row.inside_packages]
    if not suite and row.release:
        candidates.append(releases.folder(cache, table.releases[row.release]) / row.name)
    for place in candidates:
        if place.is_file() and os.access(place, os.X_OK):
            return Program(row.name, str(place.absolute()), version_of(place, word=row.version))
    return None


def _ways(
    row: Row, *, cache: Path, suite: str, base: str, table: Table, say: Callable[[str], None]
) -> list[Callable[[], None]]:
    ways: list[Callable[[], None]] = [lambda: apt.unpack(row, cache=cache, suite=suite, say=say)]
    if row.release and not suite:
        release = table.releases[row.release]
        members = tuple(other.name for other in table.rows if other.release == row.release)
        ways.append(lambda: releases.fetch(release, members, cache=cache, base=base, table=table, say=say))
    return ways
