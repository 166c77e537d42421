"""Podman's quadlets (`NAME.container`): parsed, and edited line by line.

A quadlet is a systemd unit with a section [Container], from which Podman's generator makes a service. Only the lines of
the flag, the mount, the published port and the healthcheck change. Specifiers (`%h`) and variables in a value
belong to systemd and stay; `%` and `$` of a new value are doubled.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wizard.config_files import unit_settings
from wizard.config_files.compose import healthcheck, values
from wizard.config_files.compose.edits import Change
from wizard.config_files.compose.forms import Mount
from wizard.config_files.compose.values import Port, Volume
from wizard.config_files.shell_syntax import find_flag, split, with_flag
from wizard.config_files.systemd_unit import quote
from wizard.config_files.unit_settings import Setting
from wizard.errors import ConfigError

_SECTION = "[Container]"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SHELLS = ("sh", "bash", "ash", "dash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quadlet:
    """The settings of a container in a quadlet."""

    image: str = ""
    command: tuple[str, ...] | None = None
    """The words of Exec=; None if the image's own command applies."""
    entrypoint: str = ""
    user: str = ""
    volumes: tuple[Volume, ...] = ()
    ports: tuple[Port, ...] = ()
    networks: tuple[str, ...] = ()
    healthcheck: str = ""


def read(text: str) -> Quadlet:
    """Parses the text of a `.container` file."""
    found = _container(text)

    def last(key: str) -> str:
        return next((each.value for each in reversed(found) if each.key == key), "")

    def every(key: str) -> list[str]:
        return [each.value for each in found if each.key == key and each.value]

    command = _words(last("Exec")) if any(each.key == "Exec" for each in found) else None
    return Quadlet(
        image=last("Image"),
        command=command,
        entrypoint=last("Entrypoint"),
        user=last("User"),
        volumes=tuple(values.short_volume(each) for each in every("Volume")),
        ports=tuple(values.short_port(each) for each in every("PublishPort")),
        networks=tuple(every("Network")),
        healthcheck=_plain(last("HealthCmd")),
    )


def edit(text: str, change: Change) -> str:
    """The file with the changes; the same text if it is up to date.

    Args:
        text: the file.
        change: as for a Compose project; an image's own healthcheck is not changed here.

    Raises:
        ConfigError: something cannot be changed safely.
    """
    if not _container(text):
        raise ConfigError(
            "there is no section [Container] in it", todo="Check whether this is the .container file"
        )
    if change.flags:
        text = _with_flags(text, change)
    for mount in change.mounts:
        text = _with_mount(text, mount)
    for index in range(len(read(text).ports)):
        text = _on_loopback(text, index, change.loopback)
    return _with_healthcheck(text, change)


def _with_flags(text: str, change: Change) -> str:
    present = [each for each in _container(text) if each.key == "Exec"]
    shown = _words(present[-1].value) if present else change.image_command
    missing = {name: value for name, value in change.flags.items() if _values(shown, name) != [value]}
    if not missing:
        return text
    program = read(text).entrypoint or (shown[0] if shown else "")
    if program.rsplit("/", 1)[-1] in _SHELLS:
        names = " ".join(f"--{name}={value}" for name, value in missing.items())
        raise ConfigError(
            f"the container is started by a shell script ({program})",
            todo=f"Add {names} to the script yourself",
        )
    if not present:
        words = list(change.image_command)
        for name, value in missing.items():
            words = with_flag(words, flag=name, value=value)
        return _add_line(text, f"Exec={' '.join(map(quote, words))}", behind=("Image",))
    for name, value in missing.items():
        text = _with_flag(text, name, quote(f"--{name}={value}"))
    return text


def _with_flag(text: str, name: str, argument: str) -> str:
    """The last Exec= with a flag replaced at its place, or added at the end."""
    line = [each for each in _container(text) if each.key == "Exec"][-1]
    written = text[line.start : line.end]
    begin = written.index("=") + 1
    # Each continuation becomes a blank of the same length, so that the offsets of the words stay valid.
    words = split(re.sub(r"\\(?=\r?\n)", " ", written[begin:]), c_escapes=True)
    places = find_flag([word.text for word in words], name)
    if not places:
        return f"{text[: line.end]} {argument}{text[line.end :]}"
    for number, (first, behind) in reversed(list(enumerate(places))):
        start, end = begin + words[first].start, begin + words[behind - 1].end
        if number:
            start = begin + words[first - 1].end if first else start
        written = written[:start] + (argument if number == 0 else "") + written[end:]
    return text[: line.start] + written + text[line.end :]


def _with_mount(text: str, mount: Mount) -> str:
    for volume in read(text).volumes:
        if posixpath.normpath(volume.target) != mount.target:
            continue
        if posixpath.normpath(volume.source) == posixpath.normpath(mount.source):
            return text
        raise ConfigError(
            f"{mount.target} is mounted from {volume.source or 'a volume of its own'} already",
            todo="Choose another folder in the container",
        )
    options = [*(["ro"] if mount.read_only else []), *([mount.selinux] if mount.selinux else [])]
    parts = [mount.source, mount.target, *([",".join(options)] if options else [])]
    return _add_line(text, "Volume=" + _escape(":".join(parts)), behind=("Volume", "Exec", "Image"))


def _on_loopback(text: str, index: int, ports: Sequence[int]) -> str:
    line = [each for each in _container(text) if each.key == "PublishPort" and each.value][index]
    port = values.short_port(line.value)
    if port.host_ip in _LOOPBACK or not any(port.covers(each) for each in ports):
        return text
    return _replace_value(text, line, f"127.0.0.1:{port.published}:{line.value.rsplit(':', 1)[-1]}")


def _with_healthcheck(text: str, change: Change) -> str:
    lines = [each for each in _container(text) if each.key == "HealthCmd"]
    if change.demands is None or not lines or lines[-1].value in ("", "none"):
        return text
    present = ("CMD-SHELL", _plain(lines[-1].value))
    wanted = healthcheck.adapt_test(present, change.demands)
    if wanted == present:
        return text
    command = wanted[1] if wanted[0] == "CMD-SHELL" else " ".join(wanted[1:])
    return _replace_value(text, lines[-1], _escape(command))


def _container(text: str) -> list[Setting]:
    return [each for each in unit_settings.settings(text) if each.section == _SECTION]


def _replace_value(text: str, line: Setting, value: str) -> str:
    return f"{text[: line.start]}{line.key}={value}{text[line.end :]}"


def _add_line(text: str, line: str, *, behind: Sequence[str]) -> str:
    """Adds a line after the last line of the first of these keys that exists, or at the end of the section."""
    found = _container(text)
    anchors = [[each for each in found if each.key == key] for key in behind]
    end = next((each[-1].end for each in anchors if each), found[-1].end)
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{text[:end]}{newline}{line}{text[end:]}"


def _words(value: str) -> tuple[str, ...]:
    return tuple(_plain(word.text) for word in split(value, c_escapes=True))


def _values(words: Sequence[str], flag: str) -> list[str]:
    found = []
    for first, behind in find_flag(words, flag):
        found.append(words[first].partition("=")[2] if behind - first == 1 else words[behind - 1])
    return found


def _plain(text: str) -> str:
    return text.replace("%%", "%").replace("$$", "$")


def _escape(text: str) -> str:
    return text.replace("%", "%%").replace("$", "$$")
