"""Configuration files of a lab's hosts at the beginning of the lab, and their exact restoration.

A snapshot contains the folders of the components' configurations and the files with their flags: content, mode, owner.
It is a file of the workspace with mode 0600, because it may contain private keys.
"""

from __future__ import annotations

import base64
import json
import posixpath
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wizard import ownfiles
from wizard.connections.base import Connection
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import FirescreenError, LabError
from wizard.model import FileState, PathInfo, Service

_FORMAT = 1
_MOST = 1000
"""Maximum number of files and folders on one host."""
_LARGEST = 4 << 20
"""Maximum size of one file in bytes."""
_DEEPEST = 4
_USUAL = (
    "/",
    "/etc",
    "/etc/default",
    "/etc/sysconfig",
    "/etc/systemd",
    "/etc/systemd/system",
    "/opt",
    "/srv",
)
"""Folders with files of other programs: in these, only the files that a component names count."""


@dataclass(frozen=True, slots=True)
class Places:
    """The configuration folders and files of one host."""

    folders: tuple[str, ...]
    """Folders of which everything counts."""
    files: tuple[str, ...] = ()
    """Files that count alone."""


@dataclass(frozen=True, slots=True)
class ConfigSnapshot:
    """The configuration files and folders of one host."""

    folders: Mapping[str, tuple[int, str, str]]
    """Mode, owner and group by path."""
    files: Mapping[str, FileState]
    places: Places
    """What was read, whether it existed or not."""


def take(hosts: Hosts, places: Mapping[str, Places]) -> dict[str, ConfigSnapshot]:
    """Reads the present configuration of several hosts.

    Args:
        hosts: their connections.
        places: by the name of the host.

    Raises:
        HostError: a host cannot be reached or read. LabError: there are more files than a lab can restore.
    """
    names = tuple(places)
    found = run_parallel(lambda name: _take(hosts.connection(name), places[name]), names)
    return dict(zip(names, found, strict=True))


def restore(hosts: Hosts, snapshots: Mapping[str, ConfigSnapshot]) -> dict[str, tuple[str, ...]]:
    """Restores the files of the hosts, and returns the paths that had changed, by host.

    The caller restarts the services.

    Raises:
        HostError: a host cannot be reached, read or written.
    """

    def restore_host(name: str) -> tuple[str, ...]:
        connection, was = hosts.connection(name), snapshots[name]
        now = _take(connection, was.places)
        return (*_restore_files(connection, was, now), *_restore_folders(connection, was, now))

    names = tuple(snapshots)
    return dict(zip(names, run_parallel(restore_host, names), strict=True))


def places_of(services: Iterable[Service]) -> Places:
    """Returns the configuration folders and files of services."""
    folders, single = dict[str, None](), dict[str, None]()
    for service in services:
        own = [service.home]
        for path in filter(None, (service.config_file, service.web_config)):
            if posixpath.dirname(path) in _USUAL:
                single[path] = None
            else:
                own.append(posixpath.dirname(path))
        if service.flags.path:
            single[service.flags.path] = None
        if service.flags.kind == "dropin":
            own.append(posixpath.dirname(service.flags.path))
        folders |= dict.fromkeys(each for each in own if each.startswith("/") and each not in _USUAL)
    nested = [one for one in folders if any(one.startswith(f"{other}/") for other in folders)]
    return Places(tuple(one for one in folders if one not in nested), tuple(single))


def _take(connection: Connection, places: Places) -> ConfigSnapshot:
    folders: dict[str, tuple[int, str, str]] = {}
    found: dict[str, PathInfo] = {}
    level: list[str] = list(places.folders)
    for depth in range(_DEEPEST + 1):
        infos = connection.stat_many(level)
        inner: list[str] = []
        for path, info in infos.items():
            if info is not None and info.kind == "folder" and depth < _DEEPEST:
                folders[path] = (info.mode, info.owner, info.group)
                inner += [posixpath.join(path, name) for name in connection.names(path)]
            elif info is not None and info.kind == "file":
                found[path] = info
        level = inner
        if len(found) + len(folders) + len(level) > _MOST:
            raise LabError(
                f"{places.folders[0]} holds more than {_MOST} files, so its files cannot be saved for a reset",
                where=connection.name,
                todo="Do the lab on the practice stack, or where the configuration has its own folder",
            )
        if not level:
            break
    # Larger files are no configuration: no lab writes one.
    paths = [path for path, info in found.items() if info.size <= _LARGEST]
    read = connection.read_many([*paths, *places.files])
    files = {path: state for path, state in read.items() if state is not None}
    for path, examined in connection.examine(files).items():
        files[path] = replace(files[path], attributes=examined.attributes)
    return ConfigSnapshot(folders, files, places)


def _restore_files(connection: Connection, was: ConfigSnapshot, now: ConfigSnapshot) -> list[str]:
    changed = [path for path, state in was.files.items() if now.files.get(path) != state]
    extra = [path for path in now.files if path not in was.files]
    _make_folders(connection, was, now)
    for path in changed:
        connection.commit(connection.stage(path, was.files[path], tag="reset"), path)
    for path in extra:
        connection.remove(path)
    return [*changed, *extra]


def _make_folders(connection: Connection, was: ConfigSnapshot, now: ConfigSnapshot) -> None:
    for path in sorted(set(was.folders) - set(now.folders)):
        mode, owner, group = was.folders[path]
        connection.make_folder(path, mode=mode, owner=owner, group=group)


def _restore_folders(connection: Connection, was: ConfigSnapshot, now: ConfigSnapshot) -> list[str]:
    """Removes new folders if they are empty, and restores mode and owner of the others."""
    for path in sorted(set(now.folders) - set(was.folders), reverse=True):
        connection.remove_folder(path)
    changed = [path for path, rights in was.folders.items() if now.folders.get(path, rights) != rights]
    for path in changed:
        mode, owner, group = was.folders[path]
        connection.set_folder_rights(path, mode=mode, owner=owner, group=group)
    return changed


# -- the file --------------------------------------------------------------------------------------------


def save(path: Path, snapshots: Mapping[str, ConfigSnapshot]) -> None:
    """Writes snapshots by host to a file with mode 0600.

    Raises:
        FirescreenError: it cannot be written.
    """
    data = {"format": _FORMAT, "hosts": {name: _dump(one) for name, one in snapshots.items()}}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_dir():  # of an earlier version
            shutil.rmtree(path)
        ownfiles.replace(path, json.dumps(data))
    except OSError as error:
        raise FirescreenError(
            f"the files of the hosts cannot be saved for a reset: {error.strerror}",
            where=str(path),
            todo="Free some space, or choose another folder with --workspace",
        ) from error


def delete(path: Path) -> None:
    """Removes a snapshot; does nothing if there is none."""
    if path.is_dir():  # of an earlier version
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def load(path: Path) -> dict[str, ConfigSnapshot]:
    """Reads the snapshots by host from a file that `save` wrote.

    Raises:
        LabError: it is missing, or cannot be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            raise ValueError(data["format"])
        return {name: _load(one) for name, one in data["hosts"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(
            "the saved files of the lab's beginning cannot be read",
            where=str(path),
            todo="Undo the changes of the lab yourself, then: firescreen lab start --anew",
        ) from error


def _dump(snapshot: ConfigSnapshot) -> dict[str, Any]:
    return {
        "folders": snapshot.folders,
        "files": {
            path: [
                base64.b64encode(state.content).decode("ascii"),
                *(state.mode, state.owner, state.group, state.attributes),
            ]
            for path, state in snapshot.files.items()
        },
        "roots": snapshot.places.folders,
        "single": snapshot.places.files,
    }


def _load(data: Mapping[str, Any]) -> ConfigSnapshot:
    return ConfigSnapshot(
        folders={path: (int(mode), owner, group) for path, (mode, owner, group) in data["folders"].items()},
        files={
            path: FileState(base64.b64decode(content), int(mode), owner, group, _pairs(more))
            for path, (content, mode, owner, group, *more) in data["files"].items()
        },
        places=Places(tuple(data["roots"]), tuple(data["single"])),
    )


def _pairs(more: list[list[list[str]]]) -> tuple[tuple[str, str], ...]:
    """Returns the attributes of a file; snapshots of older versions have none."""
    return tuple((name, value) for each in more for name, value in each)
