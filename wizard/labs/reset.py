"""Brings the practice stack back to the beginning of a lab: by undoing what the lab did, or by making it anew.

Only files of the hosts that a lab is done on are forced; what a run left in the workspace goes by the engine's own undo.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from wizard import practice
from wizard.engine import Engine, journal_reader
from wizard.engine.journal_reader import Record
from wizard.errors import FirescreenError
from wizard.model import WORKSPACE, Event
from wizard.practice import PracticeHost
from wizard.redact import fingerprint
from wizard.service_managers import supervised

Emit = Callable[[Event], None]


def beginning(root: Path) -> dict[str, str]:
    """Fingerprint and mode of every file that a lab may touch on the practice hosts."""
    return _prints(root, {path.relative_to(root) for path in _touchable(root)})


def _prints(root: Path, names: Iterable[Path]) -> dict[str, str]:
    return {
        str(name): (
            f"{fingerprint((root / name).read_bytes())} {stat.S_IMODE((root / name).stat().st_mode):04o}"
        )
        for name in names
    }


def _runs(host: PracticeHost) -> bool:
    return supervised.status(host.connection(), host.service_folder).get("state") == "running"


def undo_runs(
    engine: Engine, runs: tuple[str, ...], emit: Emit, *, forced: frozenset[str] = frozenset()
) -> bool:
    """Undoes the lab's runs, the newest first; False if one could not be.

    Args:
        forced: real hosts that the lab is done on: what a student changed there after a run is put back, too.
    """
    standing = {
        record.run: record
        for record in journal_reader.records(engine.workspace.runs)
        if record.state in ("proven", "applied")
    }
    for run in reversed(runs):
        record = standing.get(run)
        if record is None:
            continue
        _clear_the_way(engine, record, forced)
        if engine.undo(run, emit).error is not None:
            return False
    return True


def _clear_the_way(engine: Engine, record: Record, forced: frozenset[str]) -> None:
    """Puts back files that the student changed after a run: its undo would rightly leave them alone."""
    practised = {spec.name for spec in record.hosts if spec.connect == "practice" or spec.name in forced}
    with engine.connections(record.hosts) as hosts:
        for entry in record.entries:
            if entry.host == WORKSPACE or entry.host not in practised or entry.service is not None:
                continue
            if entry.kind == "folder" or entry.number not in record.begun:
                continue
            connection = hosts.connection(entry.host)
            now = connection.read(entry.path)
            if record.is_image(now, entry.before) or record.is_image(now, entry.after):
                continue
            if entry.before is None:
                connection.remove(entry.path)
            else:
                staged = connection.stage(entry.path, record.load(entry.before), tag=f"reset-{entry.number}")
                connection.commit(staged, entry.path)


def make_anew(
    engine: Engine,
    progress: Callable[[str], None],
    *,
    suite: str = "",
    components: Sequence[str] = (),
    hosts: Sequence[str] = (),
) -> None:
    """Ends the practice stack, removes its files, and brings up a fresh one with what a lab needs.

    Raises:
        FirescreenError: a program does not end, or does not come up.
    """
    root = engine.workspace.root
    known = practice.status(root)
    if known is not None:
        engine.practice_down()
    try:
        practice.up(
            root,
            engine.workspace.cache,
            suite=suite or (known.suite if known else ""),
            components=components,
            hosts=hosts,
            progress=progress,
        )
    except FirescreenError as error:
        error.todo = error.todo or "run: firescreen practice up"
        raise


def is_pristine(root: Path) -> bool:
    """Whether nothing was secured or added on the practice hosts since they were made."""
    known = {"prometheus.yml", "rules.yml", "alertmanager.yml", "blackbox.yml"}
    files = (path for path in root.glob("*/etc/**/*") if path.is_file())
    arguments = root.glob("*/services/*/arguments")
    return all(path.name in known for path in files) and not any(
        "web.config" in path.read_text(encoding="utf-8", errors="replace") for path in arguments
    )


# -- whose it is -------------------------------------------------------------------------------------------


def holder(root: Path) -> str:
    """The id of the lab that the practice stack is in, or ''. It goes with the stack."""
    try:
        return (root / "lab").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def hold(root: Path, lab_id: str) -> None:
    """Remembers which lab the practice stack is in.

    Raises:
        FirescreenError: it cannot be written.
    """
    try:
        (root / "notes").mkdir(mode=0o700, exist_ok=True)
        (root / "lab").write_text(lab_id + "\n", encoding="utf-8")
    except OSError as error:
        raise FirescreenError(
            f"the practice stack's folder cannot be written: {error.strerror}", where=str(root)
        ) from error


def forget(root: Path) -> None:
    """The practice stack is in no lab any more."""
    (root / "lab").unlink(missing_ok=True)


# -- a copy to go back to ----------------------------------------------------------------------------------


def keep(root: Path, copy: Path) -> None:
    """Keeps the files of the practice hosts as they are, 0700, in place of an older copy.

    Raises:
        FirescreenError: there is no room for it.
    """
    try:
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(mode=0o700, parents=True)
        for path in _touchable(root):
            kept = copy / path.relative_to(root)
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(path, kept)
    except OSError as error:
        raise FirescreenError(
            f"the beginning of the lab cannot be kept: {error.strerror}", where=str(copy)
        ) from error


def put_back(root: Path, copy: Path, *, everything: bool) -> None:
    """Makes the files of the practice hosts what `keep` found, and restarts the programs of those that differed.

    Args:
        everything: restarts all of them, whether a file differed or not.

    Raises:
        FirescreenError: a file cannot be written, or a program does not come up.
    """
    try:
        kept = {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()}
        was, now = _prints(copy, kept), beginning(root)
        changed = {name for name in (*was, *now) if was.get(name) != now.get(name)}
        for path in _touchable(root):
            if path.relative_to(root) not in kept:
                path.unlink()
        for name in sorted(each for each in kept if str(each) in changed):
            part = (root / name).with_name(f".{name.name}.part")
            part.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            shutil.copy2(copy / name, part)
            part.replace(root / name)
    except OSError as error:
        raise FirescreenError(
            f"the beginning of the lab cannot be put back: {error.strerror}", where=str(root)
        ) from error
    known = practice.load(root)
    for host in known.hosts if known else ():
        connection = host.connection()
        mine = {name for name in changed if name.startswith(f"{host.name}/")}
        # A reload keeps the targets. Flags count from a restart on, and so do passwords in newer versions.
        flags = any(name.endswith(("/arguments", ".password")) for name in mine)
        reload = host.component == "prometheus" and not flags and not everything and _runs(host)
        if not (everything or mine or reload) and _runs(host):
            continue
        supervised.start(connection, host.service_folder)
        for service in supervised.discover(connection, host.folder):
            (supervised.reload if reload else supervised.restart)(connection, service)


def _touchable(root: Path) -> list[Path]:
    """The files of the practice hosts that a lab may touch."""
    return [
        path
        for pattern in ("*/etc/**/*", "*/services/*/arguments", "notes/*")
        for path in sorted(root.glob(pattern))
        if path.is_file()
    ]
