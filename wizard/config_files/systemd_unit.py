"""Parses systemd units as `systemctl cat` prints them, and writes the drop-in that adds one flag.

The drop-in has the present command line exactly as it is written in the unit; only the new
flag is added or replaced, quoted by systemd's rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wizard.config_files import unit_settings
from wizard.config_files.shell_syntax import Word, find_flag, split
from wizard.config_files.unit_settings import Setting
from wizard.errors import ConfigError

_PREFIXES = "-@:+!|"
_OTHER_COMMANDS = ("ExecCondition", "ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))")
_SAFE = re.compile(r"[A-Za-z0-9_@+=:,./^~-]+")


@dataclass(frozen=True, slots=True)
class Command:
    """One ExecStart: `raw` as written, joined to one line; words without quotes, not yet expanded."""

    raw: str
    prefix: str
    program: str
    words: tuple[Word, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of variables that are a whole word (`$ARGS`): these split into many arguments."""
        return tuple(word.text[1:] for word in self.words if re.fullmatch(r"\$[A-Za-z_]\w*", word.text))

    @property
    def braced(self) -> tuple[str, ...]:
        """Names of variables within a word or written `${X}`: these become one argument."""
        found = [
            match.group("braced") or match.group("bare")
            for word in self.words
            if not re.fullmatch(r"\$[A-Za-z_]\w*", word.text)
            for match in _VARIABLE.finditer(word.text.replace("$$", ""))
        ]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Unit:
    """The settings in a unit's text about how its program starts. `exec_from` is the file of the last ExecStart."""

    commands: tuple[Command, ...] = ()
    environment_files: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    exec_from: str = ""
    others: tuple[Setting, ...] = ()
    """The effective ExecReload, ExecStartPost and the like."""
    credentials: tuple[tuple[str, str], ...] = ()
    """(name, path) of each LoadCredential=."""

    @property
    def command(self) -> Command | None:
        """The one command that it starts; None for none or several."""
        return self.commands[0] if len(self.commands) == 1 else None

    def arguments(self, from_files: Mapping[str, list[str]]) -> tuple[str, ...]:
        """The arguments as systemd would pass them, without the program.

        Args:
            from_files: the words of each variable that the environment files set.
        """
        if self.command is None:
            return ()
        own_variables = dict(self.environment)
        result: list[str] = []
        for word in self.command.words:
            alone = re.fullmatch(r"\$([A-Za-z_]\w*)", word.text)
            if alone:
                name = alone.group(1)
                result += from_files.get(name) or [
                    piece.text for piece in split(own_variables.get(name, ""), c_escapes=False)
                ]
                continue
            text = re.sub(
                r"\$\$|\$\{([A-Za-z_]\w*)\}",
                lambda m: " ".join(from_files.get(m[1], [])) or own_variables.get(m[1], "") if m[1] else "$",
                word.text,
            )
            result.append(text.replace("%%", "%"))
        return tuple(result)


def parse(text: str) -> Unit:
    """Parses a unit and its drop-ins in order of precedence; see `unit_settings.split_files` for the text."""
    exec_from = ""
    commands: list[str] = []
    others: list[Setting] = []
    credentials: dict[str, str] = {}
    files: list[str] = []
    environment: dict[str, str] = {}
    for setting in unit_settings.settings(text):
        key, value = setting.key, setting.value
        if setting.section != "[Service]":
            continue
        if key == "ExecStart":
            commands = [*commands, value] if value else []
            exec_from = setting.path
        elif key in _OTHER_COMMANDS:
            others = [*others, setting] if value else [each for each in others if each.key != key]
        elif key == "LoadCredential":
            name, _, path = value.partition(":")
            credentials = {**credentials, name: path} if value else {}
        elif key == "EnvironmentFile":
            files = [*files, value.lstrip("-")] if value else []
        elif key == "Environment":
            if not value:
                environment = {}
            for word in split(value, c_escapes=True):
                name, _, held = word.text.partition("=")
                environment[name] = held
    return Unit(
        tuple(command for raw in commands for command in parse_commands(raw)),
        tuple(files),
        tuple(environment.items()),
        exec_from,
        tuple(others),
        tuple(credentials.items()),
    )


def parse_commands(raw: str) -> tuple[Command, ...]:
    """The commands of one ExecStart value, which an unquoted `;` as a word separates."""
    ends = [word for word in split(raw, c_escapes=True) if raw[word.start : word.end] == ";"]
    starts = [0, *(word.end for word in ends)]
    pieces = [
        raw[start:end] for start, end in zip(starts, [*(word.start for word in ends), len(raw)], strict=True)
    ]
    return tuple(parse_command(piece.strip()) for piece in pieces if piece.strip())


def parse_command(raw: str) -> Command:
    """One command of an ExecStart value, on one line."""
    prefix = raw[: len(raw) - len(raw.lstrip(_PREFIXES))]
    words = [
        Word(";", word.start, word.end) if raw[word.start : word.end] == "\\;" else word
        for word in split(raw, c_escapes=True)
    ]
    if not words:
        return Command(raw, prefix, "", ())
    # After '@' the second word is the program's argv[0].
    arguments = words[2:] if "@" in prefix else words[1:]
    return Command(raw, prefix, words[0].text.lstrip(_PREFIXES), tuple(arguments))


def quote(value: str) -> str:
    """`value` as one word of an ExecStart: specifiers, variables, quotes and blanks become literal.

    Raises:
        ConfigError: it has a control character.
    """
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ConfigError(
            f"{value!r} contains a control character", todo="Choose a value without line breaks and tabs."
        )
    if _SAFE.fullmatch(value):
        return value
    inner = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{inner}"'


def with_flag(raw: str, *, flag: str, value: str) -> str:
    """The ExecStart value with `--flag=value` replaced at its place, or added at the end.

    Raises:
        ConfigError: the line has several commands, or runs the program through a shell.
    """
    raw = _without_loose_backslash(raw)
    command = parse_command(raw)
    if any(raw[word.start : word.end] == ";" for word in command.words):
        raise ConfigError(
            "ExecStart holds several commands in one line",
            where=command.program,
            todo="Give each command its own ExecStart line, then try again.",
        )
    if command.program.rsplit("/", 1)[-1] in ("sh", "bash", "dash", "zsh", "env", "ksh"):
        raise ConfigError(
            f"the program is started through {command.program}, so a flag at the end would not reach it",
            todo=f"Add --{flag}={value} to the script or the command yourself.",
        )
    argument = quote(f"--{flag}={value}")
    words = command.words
    places = find_flag([word.text for word in words], flag)
    if not places:
        return f"{raw} {argument}"
    changed = raw
    for number, (first, behind) in reversed(list(enumerate(places))):
        start, end = words[first].start, words[behind - 1].end
        new = argument if number == 0 else ""
        changed = changed[: start if new else start - 1] + new + changed[end:]
    return changed


def dropin(exec_start: str, flag: str, value: str) -> str:
    """The text of a drop-in that starts the program as before, plus the flag.

    Args:
        exec_start: the present ExecStart as written in the unit, joined to one line.
        flag: its name without dashes.
        value: its value, unquoted.
    """
    return f"[Service]\nExecStart=\nExecStart={with_flag(exec_start, flag=flag, value=value)}\n"


def edit_dropin(text: str, flag: str, value: str) -> str:
    """A drop-in with an ExecStart of its own, with the flag set there and every other line unchanged."""
    found = [each for each in unit_settings.settings(text) if each.key == "ExecStart" and each.value]
    if len(found) != 1:
        raise ConfigError(
            "the drop-in does not have exactly one ExecStart",
            todo="Leave one ExecStart in it, then try again.",
        )
    changed = with_flag(found[0].value, flag=flag, value=value)
    if changed == found[0].value:
        return text
    return f"{text[: found[0].start]}ExecStart={changed}{text[found[0].end :]}"


def _without_loose_backslash(raw: str) -> str:
    """The value with a final unescaped backslash doubled, so that text can be added after it."""
    loose = (len(raw) - len(raw.rstrip("\\"))) % 2
    return raw + "\\" * loose
