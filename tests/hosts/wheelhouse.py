"""Wheels of this checkout and its requirements for a version of Python, fetched once, for hosts without a network."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bases

from tests.processes import run_program

GLIBC = ("2_28", "2_17")
"""Oldest versions of glibc that wheels are built for."""


def wheels(version: str, *more: str) -> Path:
    """Returns a folder with the locked requirements and `more` as wheels for that version of Python, e.g. '3.14'."""
    lock = bases.PROJECT / "requirements.lock"
    place = bases.cache() / f"wheels-{version}-{bases.short(lock.read_text() + ' '.join(more))}"
    with bases.locked(place.name):
        if not place.exists():
            work = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=bases.cache()))
            try:
                _download(work, version, "--require-hashes", "--requirement", str(lock))
                if more:
                    _download(work, version, *more)
                work.rename(place)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return place


def own_wheel(folder: Path) -> Path:
    """Builds this checkout as a wheel in `folder`."""
    argv = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        str(folder),
        str(bases.PROJECT),
    ]
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    return next(folder.glob("firescreen-*.whl"))


def _download(folder: Path, version: str, *what: str) -> None:
    platforms = [f"--platform=manylinux_{each}_{platform.machine()}" for each in GLIBC]
    argv = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-q",
        "download",
        "--dest",
        str(folder),
    ]
    argv += ["--only-binary", ":all:", "--python-version", version, *platforms, *what]
    ended = run_program(argv, timeout=300)
    if ended.returncode:
        raise RuntimeError(f"the wheels for Python {version} could not be fetched:\n{ended.stderr[-2000:]}")
