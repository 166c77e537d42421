"""Turns the output of systemd into parts of `model.Service`.

The functions are pure, so that tests can use unusual units; `systemd_discovery` runs the commands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wizard.components import Component
from wizard.config_files import env_file, shell_command
from wizard.config_files import systemd_unit as unit
from wizard.config_files.shell_syntax import find_flag
from wizard.model import FlagPlace
from wizard.service_managers.flags import dropin_path

SHOWN = (
    "Id,LoadState,ActiveState,SubState,MainPID,User,Group,DynamicUser,Type,NRestarts,InvocationID,"
    "FragmentPath,DropInPaths,ProtectHome,PrivateTmp,RootDirectory,RootImage,InaccessiblePaths,"
    "TemporaryFileSystem,BindPaths,BindReadOnlyPaths,TriggeredBy,WorkingDirectory,Result,TimeoutStopUSec"
)
_UNITS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "month": 2629800.0,
    "y": 31557600.0,
}
Shown = Mapping[str, str]
_HOMES = ("/home", "/root", "/run/user")


def blocks(text: str) -> list[dict[str, str]]:
    """Parses the output of `systemctl show` for several units: one mapping for each."""
    found: list[dict[str, str]] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        pairs = (line.partition("=") for line in block.splitlines() if "=" in line)
        if entry := {key: value for key, _, value in pairs}:
            found.append(entry)
    return found


def paths(properties: Shown) -> list[str]:
    """The files of a unit, in systemd's order."""
    return [
        path
        for path in (properties.get("FragmentPath", ""), *properties.get("DropInPaths", "").split())
        if path
    ]


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables that the environment files of a unit set: words by variable, and the file that set it."""

    words: Mapping[str, list[str]]
    origin: Mapping[str, str]


def variables(parsed: unit.Unit, texts: Mapping[str, str | None]) -> Variables:
    """Reads the variables of the command (and of a shell script in it) from the texts of the environment files."""
    words: dict[str, list[str]] = {}
    origin: dict[str, str] = {}
    names: set[str] = set()
    if parsed.command:
        names = {*parsed.command.variables, *parsed.command.braced}
        run = shell_command.find(parsed.command, bool)
        names |= {variable.name for variable in run.variables} if run else set()
    for path in parsed.environment_files:
        text = texts.get(path)
        for name in names if text is not None else ():
            if env_file.value(text or "", name) is not None:
                words[name], origin[name] = env_file.get(text or "", name), path
    return Variables(words, origin)


def flag_place(
    component: Component, properties: Shown, parsed: unit.Unit, environment: Variables
) -> FlagPlace:
    """The best place to set a flag of this unit: the file that sets its variable, else a drop-in."""
    command = parsed.command
    if command is None:
        return FlagPlace("manual")
    inner = shell_command.find(command, component.matches)
    if inner is not None:
        words = [word for word in inner.words if isinstance(word, str)]
        readers: dict[str, str] = {variable.name: variable.reader for variable in inner.variables}
    elif component.matches(command.program):
        words = [word.text for word in command.words]
        readers = dict.fromkeys(command.variables, "systemd")
    else:
        return FlagPlace("manual")
    # A flag that is in ExecStart itself would be given twice, which the programs reject.
    in_exec_start = any(find_flag(words, name) for name in ("web.config.file", "web.config"))
    usable = (
        []
        if in_exec_start
        else [path for path in parsed.environment_files if not re.search(r"[*?\[%]", path)]
    )
    inside = dict(parsed.environment)
    for name in sorted(
        readers, key=lambda each: (each not in environment.origin, each not in component.variables)
    ):
        reader = readers[name]
        if name in environment.origin and environment.origin[name] in usable:
            return FlagPlace("envfile", environment.origin[name], name, reader)  # type: ignore[arg-type]
        # A new line in the file would override all of a variable that the unit itself sets; a variable that it sets to
        # nothing (as in upstream's example unit) is meant to be overridden.
        if not inside.get(name) and usable:
            return FlagPlace("envfile", usable[-1], name, reader)  # type: ignore[arg-type]
    return dropin_place(properties, parsed, inner)


def dropin_place(properties: Shown, parsed: unit.Unit, inner: object | None) -> FlagPlace:
    """A drop-in for this unit only, for flags that no other unit may get.

    Args:
        inner: the shell script that starts the program, if there is one: Firescreen must not rewrite it.
    """
    path = dropin_path(properties["Id"], parsed.exec_from) if inner is None else ""
    return FlagPlace("dropin", path) if path else FlagPlace("manual")


def seconds(span: str) -> float:
    """Parses a time span of `systemctl show` (`1min 30s`, `500ms`); `infinity` is a year, an unreadable text is 0."""
    if span.strip() == "infinity":
        return _UNITS["y"]
    pieces = re.findall(r"(\d+(?:\.\d+)?)(us|ms|s|min|h|d|w|month|y)\b", span)
    return sum(float(number) * _UNITS[unit] for number, unit in pieces)


def hidden(properties: Shown) -> tuple[str, ...]:
    """Folders that the unit's sandboxing hides from its program or replaces.

    ProtectHome=read-only and ProtectSystem hide nothing. Neither does PrivateUsers: other owners look like `nobody`,
    but a file that the unit's user or group may read by its mode stays readable.
    """
    found: list[str] = []
    if properties.get("RootDirectory", "/") not in ("", "/") or properties.get("RootImage"):
        found.append("/")
    if properties.get("ProtectHome") in ("yes", "tmpfs"):
        found += _HOMES
    if properties.get("PrivateTmp") in ("yes", "disconnected"):
        found += ["/tmp", "/var/tmp"]  # noqa: S108 - named, not written to
    found += _path_list(properties, "InaccessiblePaths") + _path_list(properties, "TemporaryFileSystem")
    # A bind mount from elsewhere replaces what the host has at that path.
    found += [target for source, target in _binds(properties) if source != target]
    return tuple(dict.fromkeys(found))


def bound_paths(properties: Shown) -> tuple[str, ...]:
    """Folders and files that the unit sees unchanged although they are in hidden ones."""
    # systemd leaves out a bind mount below an inaccessible path; one below an emptied path works.
    inaccessible = [
        *_path_list(properties, "InaccessiblePaths"),
        *(_HOMES if properties.get("ProtectHome") == "yes" else ()),
    ]
    unchanged = [target for source, target in _binds(properties) if source == target]
    return tuple(
        path
        for path in unchanged
        if not any(path == folder or path.startswith(f"{folder}/") for folder in inaccessible)
    )


def socket_units(properties: Shown) -> list[str]:
    """The socket units that start the unit and pass it their sockets."""
    found = [name for name in properties.get("TriggeredBy", "").split() if name.endswith(".socket")]
    return found or [f"{properties['Id'].removesuffix('.service')}.socket"]


def socket_addresses(text: str) -> list[str]:
    """The address:port of each TCP socket in the output of `systemctl show -p Listen`."""
    return re.findall(r"(?m)^Listen=(\S+:\d+) \(Stream\)$", text)


def _path_list(properties: Shown, key: str) -> list[str]:
    """The paths of a list such as `-/srv /var:ro`, without prefixes and options."""
    return [word.lstrip("-+").partition(":")[0] for word in properties.get(key, "").split()]


def _binds(properties: Shown) -> list[tuple[str, str]]:
    """(source, target) of each bind mount."""
    words = [*properties.get("BindPaths", "").split(), *properties.get("BindReadOnlyPaths", "").split()]
    pairs = [word.lstrip("-+").split(":") for word in words]
    return [(pair[0], pair[1] if len(pair) > 1 and pair[1].startswith("/") else pair[0]) for pair in pairs]
