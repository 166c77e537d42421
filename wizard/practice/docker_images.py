"""Builds the images for a lab's containers from the practice stack's programs, without downloading from a registry.

An image contains programs and the libraries that they need. Like the official images, it has `sh`, `wget` and `grep`
from a busybox.
"""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from wizard import binaries
from wizard.binaries import Program
from wizard.binaries.apt import row_paths
from wizard.connections.subprocess_runner import run_bounded
from wizard.errors import ServiceError
from wizard.redact import plain

_APPLETS = ("sh", "wget", "grep", "cat", "ls")
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_TIMEOUT = 300.0
"""Seconds to import one image: two programs of 100 MB each."""


def make(docker: Sequence[str], name: str, programs: Sequence[Program]) -> None:
    """Creates an image whose entry point is the first of these programs, unless it exists.

    Args:
        docker: the docker command, e.g. ('docker',).
        name: name and tag of the image.
        programs: programs from `binaries.find_all`.

    Raises:
        ServiceError: Docker cannot import the image.
    """
    if run_bounded([*docker, "image", "inspect", name], timeout=60).code == 0:
        return
    with tempfile.TemporaryDirectory(prefix="firescreen-") as folder:
        packed = Path(folder) / "image.tar"
        with tarfile.open(packed, "w", dereference=True) as tree:
            for source, target in _files(programs):
                tree.add(source, arcname=target, filter=_owned_by_root)
            for link in _APPLETS if any(each.name == "busybox" for each in programs) else ():
                entry = tarfile.TarInfo(f"bin/{link}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tree.addfile(entry)
        change = f'ENTRYPOINT ["/bin/{programs[0].name}"]'
        words = [*docker, "import", "--change", change, "--change", "ENV PATH=/bin", str(packed), name]
        ended = run_bounded(words, timeout=_TIMEOUT)
    if ended.code:
        raise ServiceError(
            f"Docker did not take the image {name}: {plain(ended.stderr.decode('utf-8', 'replace').strip(), 300)}",
            todo="Free some space where Docker keeps its images, then start the lab again",
        )


def _files(programs: Sequence[Program]) -> Iterator[tuple[Path, str]]:
    """(file or folder on this machine, path in the image) of everything that goes into an image, without duplicates."""
    done: set[str] = set()
    for program in programs:
        row = binaries.load().row(program.name)
        real, root = _program_and_root(program)
        found = [(real, f"bin/{program.name}")]
        found += [(path, str(path).lstrip("/")) for path in _libraries(real)]
        if row.reads and (root / row.reads.lstrip("/")).is_dir():
            found.append((root / row.reads.lstrip("/"), row.reads.lstrip("/")))
        for source, target in found:
            if target not in done:
                done.add(target)
                yield source, target


def _program_and_root(program: Program) -> tuple[Path, Path]:
    """The real program behind a wrapper script of `wizard.binaries`, and the folder that serves as its root."""
    path = Path(program.path).resolve()
    if path.parent.name != "run":
        return path, Path("/")
    root = path.parent.parent
    inside = (root / each for each in row_paths(binaries.load().row(program.name)))
    return next((each for each in inside if each.is_file()), path), root


def _libraries(program: Path) -> tuple[Path, ...]:
    """The shared libraries that a program needs; () for a static one."""
    ended = run_bounded(["ldd", str(program)], timeout=30)
    return tuple(map(Path, _LIBRARY.findall(ended.stdout.decode("utf-8", "replace"))))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
