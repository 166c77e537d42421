"""Turns systemd's answers into `model.Service`: pure functions of texts, so that odd units can be tried.

What asks systemd stands in `systemd`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wizard.components import Component
from wizard.configs import envfile, unit
from wizard.configs.words import find_flag
from wizard.model import FlagPlace

OWN_DROPIN = "50-firescreen.conf"
_LATE_DROPIN = "zz-firescreen.conf"
SHOWN = (
    "Id,LoadState,ActiveState,SubState,MainPID,User,Group,DynamicUser,Type,NRestarts,InvocationID,"
    "FragmentPath,DropInPaths,ProtectHome,PrivateTmp,RootDirectory,RootImage,InaccessiblePaths,"
    "TemporaryFileSystem,BindPaths,BindReadOnlyPaths,TriggeredBy,WorkingDirectory,Result"
)
Shown = Mapping[str, str]
_HOMES = ("/home", "/root", "/run/user")


def blocks(text: str) -> list[dict[str, str]]:
    """What `systemctl show` prints for several units: one mapping for each."""
    found: list[dict[str, str]] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        pairs = (line.partition("=") for line in block.splitlines() if "=" in line)
        if entry := {key: value for key, _, value in pairs}:
            found.append(entry)
    return found


def paths(shown: Shown) -> list[str]:
    """The files that a unit is made of, in systemd's order."""
    return [path for path in (shown.get("FragmentPath", ""), *shown.get("DropInPaths", "").split()) if path]


def split_cat(text: str, wanted: Sequence[str]) -> dict[str, str]:
    """What `systemctl cat` printed for several units, by file; only lines that name a wanted file divide."""
    heads = {f"# {path}": path for path in wanted}
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines(keepends=True):
        if line.rstrip("\n") in heads:
            current = found.setdefault(heads[line.rstrip("\n")], [])
        if current is not None:
            current.append(line)
    return {path: "".join(lines) for path, lines in found.items()}


@dataclass(frozen=True, slots=True)
class Variables:
    """What the environment files of a unit set: words by variable, and the file that set it."""

    words: Mapping[str, list[str]]
    origin: Mapping[str, str]


def variables(read: unit.Unit, texts: Mapping[str, str | None]) -> Variables:
    """Reads the standalone and braced variables of the command from the environment files' texts."""
    words: dict[str, list[str]] = {}
    origin: dict[str, str] = {}
    names = (*read.command.variables, *read.command.braced) if read.command else ()
    for file in read.environment_files:
        text = texts.get(file.path)
        for name in names if text is not None else ():
            if envfile.value(text or "", name) is not None:
                words[name], origin[name] = envfile.get(text or "", name), file.path
    return Variables(words, origin)


def flag_place(component: Component, shown: Shown, read: unit.Unit, held: Variables) -> FlagPlace:
    """Where a flag of this unit is best set: in the file of its variable, else in a drop-in."""
    command = read.command
    if command is None or not component.matches(command.program):
        return FlagPlace("manual")
    # A flag that stands in ExecStart itself would be there twice, and the programs refuse that.
    written = [word.text for word in command.words]
    in_line = any(find_flag(written, name) for name in ("web.config.file", "web.config"))
    usable = (
        []
        if in_line
        else [file.path for file in read.environment_files if not re.search(r"[*?\[%]", file.path)]
    )
    inside = dict(read.environment)
    for name in sorted(
        command.variables, key=lambda each: (each not in held.origin, each not in component.variables)
    ):
        if name in held.origin and held.origin[name] in usable:
            return FlagPlace("envfile", held.origin[name], name)
        # A variable that the unit itself fills would be overridden as a whole by a new line in the file; one that
        # it sets to nothing (upstream's example unit) is there to be overridden.
        if not inside.get(name) and usable:
            return FlagPlace("envfile", usable[-1], name)
    return dropin_place(shown, read)


def dropin_place(shown: Shown, read: unit.Unit) -> FlagPlace:
    """A drop-in of the unit's own: the place for a flag that nothing else may read."""
    folder = f"/etc/systemd/system/{shown['Id']}.d"
    last = posixpath.basename(read.exec_from) if read.exec_from.endswith(".conf") else ""
    # A drop-in that comes later in the alphabet (`systemctl edit` writes override.conf) would win over ours.
    name = OWN_DROPIN if last <= OWN_DROPIN else _LATE_DROPIN
    return FlagPlace("dropin", f"{folder}/{name}")


def hidden(shown: Shown) -> tuple[str, ...]:
    """Folders that the unit's sandbox hides from its program, or shows it other than they are.

    ProtectHome=read-only and ProtectSystem hide nothing. Neither does PrivateUsers: foreign owners look like
    `nobody`, but a file that the unit's user or group may read by its mode stays readable.
    """
    found: list[str] = []
    if shown.get("RootDirectory", "/") not in ("", "/") or shown.get("RootImage"):
        found.append("/")
    if shown.get("ProtectHome") in ("yes", "tmpfs"):
        found += _HOMES
    if shown.get("PrivateTmp") in ("yes", "disconnected"):
        found += ["/tmp", "/var/tmp"]  # noqa: S108 - named, not written to
    found += _listed(shown, "InaccessiblePaths") + _listed(shown, "TemporaryFileSystem")
    # What is bound from elsewhere stands in place of what the host has there.
    found += [target for source, target in _binds(shown) if source != target]
    return tuple(dict.fromkeys(found))


def bound(shown: Shown) -> tuple[str, ...]:
    """Folders and files that the unit sees as they are although they lie in hidden ones."""
    # systemd leaves out a bind below a place that is made inaccessible; one below an emptied place counts.
    gone = [*_listed(shown, "InaccessiblePaths"), *(_HOMES if shown.get("ProtectHome") == "yes" else ())]
    own = [target for source, target in _binds(shown) if source == target]
    return tuple(
        path for path in own if not any(path == folder or path.startswith(f"{folder}/") for folder in gone)
    )


def socket_units(shown: Shown) -> list[str]:
    """The socket units that start the unit and hand it their sockets."""
    found = [name for name in shown.get("TriggeredBy", "").split() if name.endswith(".socket")]
    return found or [f"{shown['Id'].removesuffix('.service')}.socket"]


def socket_addresses(text: str) -> list[str]:
    """The address:port of each TCP socket in what `systemctl show -p Listen` prints of socket units."""
    return re.findall(r"(?m)^Listen=(\S+:\d+) \(Stream\)$", text)


def _listed(shown: Shown, key: str) -> list[str]:
    """The paths of a list such as `-/srv /var:ro`, without what stands before and behind them."""
    return [word.lstrip("-+").partition(":")[0] for word in shown.get(key, "").split()]


def _binds(shown: Shown) -> list[tuple[str, str]]:
    """(source, target) of each bind mount."""
    words = [*shown.get("BindPaths", "").split(), *shown.get("BindReadOnlyPaths", "").split()]
    pairs = [word.lstrip("-+").split(":") for word in words]
    return [(pair[0], pair[1] if len(pair) > 1 and pair[1].startswith("/") else pair[0]) for pair in pairs]
