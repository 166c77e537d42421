"""Images for the containers of a lab, made of the practice stack's own programs: no registry is asked for anything.

An image holds programs and the libraries that they name. A busybox gives it `sh`, `wget` and `grep`, as the official
images have them.
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
    """Makes an image whose entry point is the first of these programs, unless it is there already.

    Args:
        docker: the words that ask Docker, e.g. ('docker',).
        name: its name and tag.
        programs: as `binaries.find_all` gives them.

    Raises:
        ServiceError: Docker does not take it.
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
    """What goes into an image: each file or folder of this machine, and its place there; once."""
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
    """The program behind a script of `wizard.binaries`, and the folder that stands for its root."""
    path = Path(program.path).resolve()
    if path.parent.name != "run":
        return path, Path("/")
    root = path.parent.parent
    inside = (root / each for each in row_paths(binaries.load().row(program.name)))
    return next((each for each in inside if each.is_file()), path), root


def _libraries(program: Path) -> tuple[Path, ...]:
    """The libraries that a program names; () for one that needs none."""
    ended = run_bounded(["ldd", str(program)], timeout=30)
    return tuple(map(Path, _LIBRARY.findall(ended.stdout.decode("utf-8", "replace"))))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
