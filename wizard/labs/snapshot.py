"""What the hosts of a lab held when it began, to the byte, and the way back there.

Kept are the folders of the components' configurations and the files of their flags: content, mode and owner.
The copy lies in the workspace, 0600 like the keys that it may hold.
"""

from __future__ import annotations

import base64
import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wizard import ownfiles
from wizard.connections.base import Connection
from wizard.engine import service_control
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import FirescreenError, LabError
from wizard.model import FileState, PathInfo, Service

_FORMAT = 1
_MOST = 1000
"""Files and folders on one host."""
_LARGEST = 4 << 20
"""Bytes of one file."""
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
"""Folders that hold much else: of these, only the very files that a component names."""


@dataclass(frozen=True, slots=True)
class Held:
    """One host: its files, its folders, and the places that were looked at."""

    folders: Mapping[str, tuple[int, str, str]]
    """Mode, owner and group by path."""
    files: Mapping[str, FileState]
    roots: tuple[str, ...]
    """Folders that were looked through, whether they were there or not."""
    single: tuple[str, ...]
    """Files that were looked at alone."""


def look(hosts: Hosts, services: Mapping[str, Iterable[Service]]) -> dict[str, Held]:
    """What those services' configurations are now, by host.

    Raises:
        HostError: a host cannot be reached or read. LabError: there is more than a lab could put back.
    """
    names = tuple(services)
    found = run_parallel(lambda name: _look(hosts.connection(name), *_places(services[name])), names)
    return dict(zip(names, found, strict=True))


def _places(services: Iterable[Service]) -> tuple[tuple[str, ...], tuple[str, ...]]:
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
    return tuple(one for one in folders if one not in nested), tuple(single)


def _look(connection: Connection, roots: tuple[str, ...], single: tuple[str, ...]) -> Held:
    folders: dict[str, tuple[int, str, str]] = {}
    found: dict[str, PathInfo] = {}
    level: list[str] = list(roots)
    for depth in range(_DEEPEST + 1):
        known = connection.stat_many(level)
        inner: list[str] = []
        for path, info in known.items():
            if info is not None and info.kind == "folder" and depth < _DEEPEST:
                folders[path] = (info.mode, info.owner, info.group)
                inner += [posixpath.join(path, name) for name in connection.names(path)]
            elif info is not None and info.kind == "file":
                found[path] = info
        level = inner
        if len(found) + len(folders) + len(level) > _MOST:
            raise LabError(
                f"{roots[0]} holds more than {_MOST} files, so its beginning cannot be kept",
                where=connection.name,
                todo="do the lab on the practice stack, or where the configuration has a folder of its own",
            )
        if not level:
            break
    # Far too large for a configuration: no lab writes such a file, and it stays where it is.
    paths = [path for path, info in found.items() if info.size <= _LARGEST]
    read = connection.read_many([*paths, *single])
    files = {path: state for path, state in read.items() if state is not None}
    for path, examined in connection.examine(files).items():
        files[path] = replace(files[path], attributes=examined.attributes)
    return Held(folders, files, roots, single)


def put_back(hosts: Hosts, held: Mapping[str, Held], services: Mapping[str, Iterable[Service]]) -> None:
    """Makes the hosts what `look` found, and has the services that are concerned take it.

    Raises:
        HostError: a host cannot be written. ServiceError: a service does not come up again.
    """

    def one(name: str) -> None:
        connection, was = hosts.connection(name), held[name]
        now = _look(connection, was.roots, was.single)
        changed = [*_files(connection, was, now), *_folders(connection, was, now)]
        # Passwords and client certificates count from a restart on in newer versions; a reload would do for less.
        for service in services.get(name, ()) if changed else ():
            service_control.restart(connection, service)

    run_parallel(one, tuple(held))


def _files(connection: Connection, was: Held, now: Held) -> list[str]:
    changed = [path for path, state in was.files.items() if now.files.get(path) != state]
    extra = [path for path in now.files if path not in was.files]
    _make_folders(connection, was, now)
    for path in changed:
        connection.commit(connection.stage(path, was.files[path], tag="reset"), path)
    for path in extra:
        connection.remove(path)
    return [*changed, *extra]


def _make_folders(connection: Connection, was: Held, now: Held) -> None:
    for path in sorted(set(was.folders) - set(now.folders)):
        mode, owner, group = was.folders[path]
        connection.make_folder(path, mode=mode, owner=owner, group=group)


def _folders(connection: Connection, was: Held, now: Held) -> list[str]:
    """Those that came are removed, if nothing else is in them; those that were there get their rights back."""
    for path in sorted(set(now.folders) - set(was.folders), reverse=True):
        connection.remove_folder(path)
    changed = [path for path, rights in was.folders.items() if now.folders.get(path, rights) != rights]
    for path in changed:
        mode, owner, group = was.folders[path]
        connection.set_folder_rights(path, mode=mode, owner=owner, group=group)
    return changed


# -- keeping it --------------------------------------------------------------------------------------------


def save(path: Path, held: Mapping[str, Held]) -> None:
    """Keeps it, 0600.

    Raises:
        FirescreenError: it cannot be written.
    """
    data = {"format": _FORMAT, "hosts": {name: _dumped(one) for name, one in held.items()}}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        ownfiles.replace(path, json.dumps(data))
    except OSError as error:
        raise FirescreenError(
            f"the beginning of the lab cannot be kept: {error.strerror}",
            where=str(path),
            todo="make room, or choose another folder with --workspace",
        ) from error


def load(path: Path) -> dict[str, Held]:
    """What `save` kept.

    Raises:
        LabError: it is not there, or cannot be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            raise ValueError(data["format"])
        return {name: _loaded(one) for name, one in data["hosts"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(
            "what the hosts were like when the lab began is not known",
            where=str(path),
            todo="put back by hand what the lab changed, then: firescreen lab start --anew",
        ) from error


def _dumped(held: Held) -> dict[str, Any]:
    return {
        "folders": held.folders,
        "files": {
            path: [
                base64.b64encode(state.content).decode("ascii"),
                *(state.mode, state.owner, state.group, state.attributes),
            ]
            for path, state in held.files.items()
        },
        "roots": held.roots,
        "single": held.single,
    }


def _loaded(data: Mapping[str, Any]) -> Held:
    return Held(
        folders={path: (int(mode), owner, group) for path, (mode, owner, group) in data["folders"].items()},
        files={
            path: FileState(base64.b64decode(content), int(mode), owner, group, _pairs(more))
            for path, (content, mode, owner, group, *more) in data["files"].items()
        },
        roots=tuple(data["roots"]),
        single=tuple(data["single"]),
    )


def _pairs(more: list[list[list[str]]]) -> tuple[tuple[str, str], ...]:
    """The attributes of a file; what an older version kept has none."""
    return tuple((name, value) for each in more for name, value in each)
