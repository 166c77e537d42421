"""Unpacks programs from the distribution's own packages into a folder: no root, no installation, no service.

The machine's package lists are used if possible. If they are missing or outdated, or if another suite is wanted, lists
are downloaded from the machine's own mirror into the cache, and the machine's lists stay as they are.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from wizard.binaries import sources, store
from wizard.binaries.table import Row
from wizard.errors import ProgramUnavailableError

_TIMEOUT = 600.0
_SUITE = re.compile(r"[a-z][a-z0-9-]{1,40}")
_CANDIDATE = re.compile(r"^ +Candidate: (?!\(none\))(\S+)$", re.MULTILINE)


def folder(cache: Path, suite: str, row: Row) -> Path:
    """The folder for the unpacked packages of a program; each suite and architecture has its own."""
    place = f"{suite or sources.codename() or 'own'}-{platform.machine()}"
    return cache / "packages" / place / "+".join(names[0] for names in row.packages)


def unpack(row: Row, *, cache: Path, suite: str, say: Callable[[str], None]) -> None:
    """Downloads and unpacks the packages of a program into `folder(...)`.

    Raises:
        ProgramUnavailableError: this machine has no apt, or apt could not download them; nothing is left behind.
    """
    if suite and not _SUITE.fullmatch(suite):
        raise ProgramUnavailableError(
            f"{suite!r} is not the name of a suite", todo="Take a name such as trixie or sid."
        )
    missing = [tool for tool in ("apt-get", "apt-cache", "apt-config", "dpkg") if not shutil.which(tool)]
    if missing:
        raise ProgramUnavailableError(f"this machine has no {missing[0]} to fetch packages with")

    def fill(part: Path) -> None:
        with tempfile.TemporaryDirectory(prefix=".apt-", dir=part.parent) as work:
            for package in _download(row, Path(work), cache=cache, suite=suite, say=say):
                _run(["dpkg", "-x", str(package), str(part)])
        if row.libraries:
            _wrap(row, part)

    place = folder(cache, suite, row)
    store.publish(place, fill)
    if row.reads:
        # Not in `fill`: several programs share a folder, which may have been made for another one of them.
        with store.exclusive_lock(place.parent / f".{place.name}.lock"):
            _relocate(row, place)


def _download(row: Row, work: Path, *, cache: Path, suite: str, say: Callable[[str], None]) -> Sequence[Path]:
    packages = "+".join(names[0] for names in row.packages)
    say(f"Fetching the package {packages}{f' of {suite}' if suite else ''}")
    problem: ProgramUnavailableError | None = None
    if not suite:
        try:
            return _fetch(row, work, [])
        except ProgramUnavailableError as stale:
            problem = stale
    say("Reading the package lists of this machine's mirror")
    home = cache / "lists" / f"{suite or 'own'}-{platform.machine()}"
    home.mkdir(parents=True, exist_ok=True)
    with store.exclusive_lock(home / "lock"):
        config = sources.private_config(home, suite=suite)
        # The update fails if any extra source is unreachable, too; the download shows whether that mattered.
        updated = _try(["apt-get", "-c", str(config), "-q", "update"])
        try:
            return _fetch(row, work, ["-c", str(config)])
        except ProgramUnavailableError as error:
            reasons = dict.fromkeys(filter(None, (error.what, _reason(updated))))
            raise ProgramUnavailableError("; ".join(reasons)) from problem


def _fetch(row: Row, work: Path, options: Sequence[str]) -> Sequence[Path]:
    chosen = []
    for names in row.packages:
        for name in filter(None, names):
            policy = _try(["apt-cache", *options, "policy", name]).stdout
            if _CANDIDATE.search(policy):
                chosen.append(name)
                break
        else:
            # Debian's promtool was part of the package prometheus before it got its own.
            if "" not in names:
                raise ProgramUnavailableError(f"the package lists know no {' or '.join(names)}")
    sandbox_options = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    _run(["apt-get", *options, *sandbox_options, "-q", "download", *chosen], cwd=work)
    found = sorted(work.glob("*.deb"))
    if len(found) != len(chosen):
        raise ProgramUnavailableError("apt fetched fewer packages than it was asked for")
    return found


def _wrap(row: Row, part: Path) -> None:
    """Writes a script in `run` that starts the program with the libraries unpacked beside it."""
    folders = sorted({str(found.parent.relative_to(part)) for found in part.glob("usr/lib/**/*.so.*")})
    program = next((path for path in row_paths(row) if (part / path).is_file()), "")
    if not program:
        raise ProgramUnavailableError(f"the packages hold no {row.name}")
    libraries = ":".join(f"$here/{folder}" for folder in folders)
    script = part / "run" / row.name
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\nhere=$(cd "$(dirname "$0")/.." && pwd)\n'
        f'LD_LIBRARY_PATH="{libraries}" exec "$here/{program}" "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)


def _relocate(row: Row, place: Path) -> None:
    """Makes a copy of the program that reads its folder where it was unpacked, and a script in `run` that starts it.

    Without root, the folder cannot be placed where the program expects it. So the copy has another path of the same
    length in place of the folder's: that of a descriptor, which the script opens for the unpacked folder.
    """
    script = place / "run" / row.name
    if script.exists():
        return
    program = next((path for path in row_paths(row) if (place / path).is_file()), "")
    if not program:
        raise ProgramUnavailableError(f"the packages hold no {row.name}")
    content, old = (place / program).read_bytes(), row.reads.encode()
    new = b"/proc/self/fd/9".ljust(len(old), b"/")
    if old in content:
        copy = place / "moved" / row.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(content.replace(old, new))
        copy.chmod(0o755)
        program = f"moved/{row.name}"
    script.parent.mkdir(exist_ok=True)
    part = script.with_name(f".{script.name}.part")
    part.write_text(
        f'#!/bin/sh\nhere=$(cd "$(dirname "$0")/.." && pwd)\n'
        f'exec 9< "$here{row.reads}"\nexec "$here/{program}" "$@"\n',
        encoding="utf-8",
    )
    part.chmod(0o755)
    part.replace(script)


def row_paths(row: Row) -> tuple[str, ...]:
    """The paths of the program itself in its package."""
    return tuple(f"usr/{place}/{name}" for place in ("bin", "sbin") for name in row.names)


def _try(argv: Sequence[str], *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(
            list(argv),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProgramUnavailableError(f"{argv[0]} did not end within {_TIMEOUT:.0f} seconds") from None
    except OSError as problem:
        raise ProgramUnavailableError(f"{argv[0]} cannot be run: {problem.strerror}") from None


def _run(argv: Sequence[str], *, cwd: Path | None = None) -> None:
    ended = _try(argv, cwd=cwd)
    if ended.returncode != 0:
        raise ProgramUnavailableError(_reason(ended) or f"{argv[0]} ended with code {ended.returncode}")


def _reason(ended: subprocess.CompletedProcess[str]) -> str:
    """The first line of apt's output that says what is wrong."""
    lines = ended.stderr.splitlines()
    for sign in ("E: ", "W: ", "dpkg"):
        for line in lines:
            if line.startswith(sign) and "unsandboxed" not in line:
                return f"apt says: {line.removeprefix(sign).strip()[:300]}"
    return ""
