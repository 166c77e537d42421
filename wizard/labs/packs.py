"""Lab packs: labs that somebody else wrote, read once, and then used as they were inspected.

Reading runs nothing, follows no link, opens only regular files and has size limits. The inspected files are the ones
that are shown, stored in the workspace, and played.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from wizard.errors import FirescreenError, InputError, LabError
from wizard.labs import pack_review, snapshot, state
from wizard.labs.catalogue import labs
from wizard.labs.content import Lab
from wizard.labs.lab_file import LARGEST_FILE, load
from wizard.redact import plain
from wizard.workspace import Workspace

MOST_LABS = 40
MOST_FILES = 100
"""Maximum number of files in one folder."""
_BESIDE = re.compile(r"(README|LICEN[CS]E|CHANGELOG)(\.(md|txt))?|\..*", re.IGNORECASE)
"""Files that may be beside the labs of a pack: they are neither read nor stored."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as it was read.

    Args:
        name: its name in a workspace.
        source: the folder it was read from.
        files: content by path in the pack, 'NNN-name/lab.yaml'.
        labs: the valid labs; all of them, if there are no problems.
        problems: each with file and line, and what to do.
    """

    name: str
    source: Path
    files: Mapping[str, bytes]
    labs: tuple[Lab, ...] = ()
    problems: tuple[LabError, ...] = ()
    shows: tuple[str, ...] = field(default=())
    """All commands that the pack runs and files that it places, as lines to agree to."""


def read(folder: Path, *, taken: Collection[str]) -> Pack:
    """Reads and inspects the pack in a folder: one lab, or a folder of labs. Runs nothing.

    Args:
        folder: of the pack.
        taken: ids that its labs cannot have.

    Raises:
        LabError: there is no such folder, or no lab in it.
    """
    source = _source(folder)
    name = _name(source)
    problems: list[LabError] = []
    files: dict[str, bytes] = {}
    rooms = _lab_folders(source, name, files, problems)
    if not rooms:
        raise LabError(
            "there is no lab in this folder",
            where=str(source / "lab.yaml"),
            todo="Name a folder with a lab.yaml, or a folder of such folders",
        )
    if len(rooms) > MOST_LABS:
        raise LabError(
            f"the pack has more than {MOST_LABS} labs", where=str(source), todo="Split it into two packs"
        )
    labs: list[Lab] = []
    shows: list[str] = []
    with _temporary_folder(files) as place:
        for room in sorted(rooms):
            mine = {
                path.partition("/")[2]: text for path, text in files.items() if path.startswith(f"{room}/")
            }
            ids_taken = {*taken, *(lab.id for lab in labs)}
            seen = pack_review.inspect(mine, folder=place / room, source=rooms[room], taken=ids_taken)
            problems += seen.problems
            labs += [seen.lab] if seen.lab else []
            shows += seen.shows
    problems += _unknown_former(labs, rooms, taken)
    return Pack(name, source, files, tuple(labs), tuple(problems), tuple(shows))


def _lab_folders(
    source: Path, name: str, files: dict[str, bytes], problems: list[LabError]
) -> dict[str, Path]:
    """Returns the folders of labs by their name in the pack; reads their files into `files`."""
    entries = _entries(source, problems)
    if "lab.yaml" in entries:
        ours = [each for each in entries if not _BESIDE.fullmatch(each)]
        files |= _lab_files(source, name, ours, problems)
        return {name: source}
    found = {}
    for entry in entries:
        path = source / entry
        if _BESIDE.fullmatch(entry):
            continue
        if not stat.S_ISDIR(path.lstat().st_mode):
            problems.append(_stray(path, "it belongs to no lab"))
        elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", entry):
            what = "this name cannot be used for the folder of a lab"
            problems.append(LabError(what, where=str(path), todo="Use a name like 010-name"))
        else:
            found[entry] = path
            files |= _lab_files(path, entry, _entries(path, problems), problems)
    return found


def _source(folder: Path) -> Path:
    return Path(os.path.expanduser(folder)).absolute()  # noqa: PTH111 - Path's own raises


def _name(source: Path) -> str:
    """Returns the name of a pack: its folder's name, in plain letters."""
    return re.sub(r"[^a-z0-9]+", "-", source.name.lower()).strip("-")[:40].strip("-") or "pack"


def _unknown_former(labs: list[Lab], rooms: Mapping[str, Path], taken: Collection[str]) -> list[LabError]:
    known = {*taken, *(lab.id for lab in labs)}
    return [
        LabError(
            f"the lab '{lab.id}' follows '{lab.follows}', which does not exist",
            where=str(next(iter(rooms.values())).parent if len(rooms) > 1 else next(iter(rooms.values()))),
            todo=f"Name one of: {', '.join(sorted(known - {lab.id}))}",
        )
        for lab in labs
        if lab.follows and (lab.follows not in known or lab.follows == lab.id)
    ]


def _stray(path: Path, why: str) -> LabError:
    return LabError(
        f"'{plain(path.name, 80)}' is not part of a lab: {why}",
        where=str(path),
        todo="Remove it, or name it in lab.yaml",
    )


def _entries(folder: Path, problems: list[LabError]) -> list[str]:
    """Returns the names in a folder, sorted.

    Raises:
        LabError: it cannot be read, or contains too many.
    """
    try:
        with os.scandir(folder) as listed:
            names = [entry.name for entry in islice(listed, MOST_FILES + 1)]
    except (OSError, ValueError) as error:
        raise LabError(
            f"the folder cannot be read: {getattr(error, 'strerror', error)}",
            where=str(folder),
            todo="Name the folder with the labs",
        ) from error
    if len(names) > MOST_FILES:
        raise LabError(
            f"there are more than {MOST_FILES} files in this folder",
            where=str(folder),
            todo="Name the folder of a pack",
        )
    visible = []
    for name in sorted(names):
        if plain(name, 255) != name or not name.isprintable():
            problems.append(
                LabError("a file's name has invisible characters", where=str(folder), todo="Rename it")
            )
        else:
            visible.append(name)
    return visible


def _lab_files(folder: Path, room: str, names: list[str], problems: list[LabError]) -> dict[str, bytes]:
    """Returns the files of a lab, by their path in the pack."""
    files: dict[str, bytes] = {}
    for name in names:
        try:
            files[f"{room}/{name}"] = _bytes(folder / name)
        except LabError as problem:
            problems.append(problem)
    return files


def _bytes(path: Path) -> bytes:
    """Reads a regular file of limited size; nothing else is opened for reading.

    Raises:
        LabError: it is something else.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        linked = error.errno in (errno.ELOOP, errno.EMLINK)
        what = "is a link" if linked else f"cannot be read: {error.strerror}"
        todo = "Replace it with the file itself" if linked else "Check its permissions"
        raise LabError(f"'{path.name}' {what}", where=str(path), todo=todo) from error
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise _stray(path, "it is not a regular file")
        with os.fdopen(number, "rb", closefd=False) as file:
            text = file.read(LARGEST_FILE + 1)
    finally:
        os.close(number)
    if len(text) > LARGEST_FILE:
        raise LabError(
            f"the file has {found.st_size} bytes; a lab's file has at most {LARGEST_FILE}",
            where=str(path),
            todo="Make it shorter",
        )
    return text


@contextmanager
def _temporary_folder(files: Mapping[str, bytes]) -> Iterator[Path]:
    """The files in a folder of our own for a while."""
    with tempfile.TemporaryDirectory(prefix="firescreen-pack-") as place:
        _write(files, Path(place))
        yield Path(place)


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(text)


@contextmanager
def stage_pack(pack: Pack) -> Iterator[Path]:
    """A folder of packs with this one alone in it, to be played.

    Raises:
        LabError: the pack has problems.
    """
    _sound(pack)
    with _temporary_folder({f"{pack.name}/{name}": text for name, text in pack.files.items()}) as place:
        yield place


def _sound(pack: Pack) -> None:
    if pack.problems:
        raise pack.problems[0]


# -- in a workspace ----------------------------------------------------------------------------------------


def others(workspace: Workspace, name: str) -> frozenset[str]:
    """Returns the ids that a pack of that name cannot use: Firescreen's own labs, and those of other packs."""
    mine = frozenset(_ids(workspace.packs / name))
    return frozenset(lab.id for lab in labs(workspace.packs)) - mine


def _ids(folder: Path) -> Iterator[str]:
    own = {lab.id for lab in labs()}
    for path in sorted(folder.glob("*/lab.yaml")):
        try:
            lab = load(path.parent)
        except LabError:
            continue
        if lab.id not in own:
            yield lab.id


def look(folder: Path, workspace: Workspace) -> Pack:
    """Reads the pack in a folder for this workspace; see `read`.

    Raises:
        LabError: there is no such folder, or no lab in it.
    """
    return read(folder, taken=others(workspace, _name(_source(folder))))


def add(pack: Pack, workspace: Workspace) -> None:
    """Stores a pack in the workspace, replacing an older one of its name.

    Raises:
        LabError: it has problems. FirescreenError: it cannot be written.
    """
    _sound(pack)
    folder = workspace.ensure().packs
    part = folder / f".{pack.name}.{os.getpid()}"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        _write(pack.files, part)
        if (folder / pack.name).exists():
            shutil.rmtree(folder / pack.name)
        part.rename(folder / pack.name)
    except OSError as error:
        raise FirescreenError(
            f"the pack cannot be saved: {error.strerror}",
            where=str(folder),
            todo="Free some space, or choose another folder with --workspace",
        ) from error


def names(workspace: Workspace) -> Mapping[str, tuple[str, ...]]:
    """Returns the packs of a workspace, each with the ids of its valid labs."""
    folders = sorted(path for path in workspace.packs.glob("[!.]*") if path.is_dir())
    return {path.name: tuple(_ids(path)) for path in folders}


def remove(name: str, workspace: Workspace) -> None:
    """Removes a pack and the progress of its labs from the workspace. The reports are kept.

    Raises:
        InputError: there is none of that name. FirescreenError: it cannot be removed.
    """
    packs = names(workspace)
    if name not in packs:
        raise InputError(
            f"there is no pack '{plain(name, 60)}'", todo=f"Packs: {', '.join(packs) or 'none was added'}"
        )
    try:
        for lab in packs[name]:
            (workspace.labs / f"{lab}.json").unlink(missing_ok=True)
            snapshot.delete(workspace.labs / f"{lab}.beginning")
            if state.current_lab(workspace.practice) == lab:
                state.set_current_lab(workspace.practice, "")
        shutil.rmtree(workspace.packs / name)
    except OSError as error:
        raise FirescreenError(
            f"the pack cannot be removed: {error.strerror}", where=str(workspace.packs / name)
        ) from error
