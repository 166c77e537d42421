"""Edits one flag in a systemd environment file (/etc/default/…, /etc/sysconfig/…), as text.

Only the value of the one variable changes, a second edit changes nothing, and an edit that would need guessing is a
ConfigError. The syntax is that of systemd's `src/basic/env-file.c`, where
the quotes of the value are removed first and the quotes inside it once more, when `$ARGS` is split.
"""

from __future__ import annotations

import re
import shlex

from wizard.config_files.env_file_reader import Assignment, assignments
from wizard.config_files.shell_syntax import find_flag, split, with_flag
from wizard.errors import ConfigError

_NEWLINE = "\n\r"
_BLANK = " \t\n\r"
_CARRIED_BY_SHELL = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")
_CARRIED = re.compile(r"[^\s\"'\\$`\x00-\x1f\x7f]*")


def get(text: str, variable: str) -> list[str]:
    """The arguments that `$VARIABLE` becomes in ExecStart; [] if it is not set (the last assignment counts)."""
    found = _last(text, variable)
    return [word.text for word in split(found.decoded, c_escapes=False)] if found else []


def value(text: str, variable: str) -> str | None:
    """The whole value that `${VARIABLE}` becomes, or None if it is not set."""
    found = _last(text, variable)
    return found.decoded if found else None


def set_flag(text: str, variable: str, flag: str, value: str, *, reader: str = "systemd") -> str:
    """`text` with `--flag=value` in `variable`; a former value of the flag is replaced.

    Args:
        reader: the program that splits the value; see `model.FlagPlace`.

    Raises:
        ConfigError: the value has a blank, quote, backslash, `$` or backquote, which not every packaging's use of the
            variable keeps; or the quotes in the file are such that the flag would not arrive as one argument.
    """
    if not (_CARRIED if reader == "systemd" else _CARRIED_BY_SHELL).fullmatch(value):
        raise ConfigError(
            f"the value {value!r} of --{flag} cannot be passed through ${variable}",
            todo="Choose a path without blanks, quotes, backslashes and dollar signs.",
        )
    found = _last(text, variable)
    if found is None:
        gap = "" if not text or text[-1] in _NEWLINE else "\n"
        changed = f'{text}{gap}{variable}="--{flag}={value}"\n'
        if get(changed, variable) != [f"--{flag}={value}"]:
            raise ConfigError(
                "its last line is not complete: it ends with a backslash or a quote is not closed",
                where=f"line {text.count(chr(10)) + 1}",
                todo="Close it, then try again.",
            )
        return changed
    changed = _edit(text, found, flag, value)
    if reader != "systemd":
        _refuse_lost_in_shell(found, _last(changed, variable), flag, value, reader)
    return changed


def _refuse_lost_in_shell(
    found: Assignment, after: Assignment | None, flag: str, value: str, reader: str
) -> None:
    """Refuses an edit after which a shell that reads the value would see other arguments than before plus the flag.

    Raises:
        ConfigError: it would.
    """
    read = shlex.split if reader == "code" else str.split
    try:
        old, new = read(found.decoded), read(after.decoded if after else "")
        fine = new == with_flag(old, flag=flag, value=value)
    except ValueError:  # a quote is not closed
        fine = False
    if not fine or (reader == "code" and re.search(r"[#;&|<>()`\n\r]", found.decoded)):
        raise ConfigError(
            f"${found.name} is read by a shell, and its quotes would break --{flag}",
            where=f"line {found.line}",
            todo=f'Write it as {found.name}="--one=flag --another=flag", with no quotes inside, then try again.',
        )


def line_of(text: str, variable: str) -> tuple[str, bool] | None:
    """The line that sets `variable`, and whether it is the only assignment and within one line."""
    found = [one for one in assignments(text) if one.name == variable]
    if not found:
        return None
    first = max(text.rfind(mark, 0, found[-1].start) for mark in _NEWLINE) + 1
    line = text[first : found[-1].end]
    simple = len(found) == 1 and line.startswith(f"{variable}=") and not set(line) & set(_NEWLINE)
    return line, simple


def _edit(text: str, found: Assignment, flag: str, value: str) -> str:
    words = split(found.decoded, c_escapes=False)
    old = [word.text for word in words]
    wanted = with_flag(old, flag=flag, value=value)
    if wanted == old:
        return text
    places = find_flag(old, flag)
    if places:
        changed = text
        # Backwards, so that the earlier offsets stay valid.
        for number, (first, behind) in reversed(list(enumerate(places))):
            new = f"--{flag}={value}" if number == 0 else ""
            start, end = found.places[words[first].start], found.places[words[behind - 1].end - 1] + 1
            if not new:
                start, end = _with_blank(changed, start, end)
            changed = changed[:start] + new + changed[end:]
    else:
        changed = _append_argument(text, found, f"--{flag}={value}")
    if found.doubtful:
        raise ConfigError(
            f"{found.name} follows a comment that ends with a backslash: systemd before version 254 takes it "
            "for a part of the comment",
            where=f"line {found.line}",
            todo="Remove the backslash at the end of the comment, then try again.",
        )
    merged = any(re.search(r"\s--", old[index]) for first, behind in places for index in range(first, behind))
    if merged or get(changed, found.name) != wanted or _others(changed, found) != _others(text, found):
        raise ConfigError(
            f"the quotes in {found.name} would break --{flag}",
            where=f"line {found.line}",
            todo=f'Write it as {found.name}="--one=flag --another=flag", with no quotes inside, then try again.',
        )
    return changed


def _with_blank(text: str, start: int, end: int) -> tuple[int, int]:
    """The span widened by one blank, so that none is left over where a word is removed."""
    if text[start - 1 : start] in (" ", "\t"):
        return start - 1, end
    if text[end : end + 1] in (" ", "\t"):
        return start, end + 1
    return start, end


def _append_argument(text: str, found: Assignment, argument: str) -> str:
    """`text` with an argument added at the end of the value."""
    raw = text[found.start : found.end]
    gap = "" if not found.decoded.strip() or found.decoded[-1] in _BLANK else " "
    if found.ends_in == "quote":
        return f"{text[: found.end - 1]}{gap}{argument}{text[found.end - 1 :]}"
    if not raw or not found.decoded:
        return f'{text[: found.start]}"{argument}"{text[found.end :]}'
    if re.search(r"[\"'\\$`\n\r]", raw):
        return f"{text[: found.end]} {argument}{text[found.end :]}"
    # With quotes, a shell that reads the same file sees one value too.
    return f'{text[: found.start]}"{raw}{gap}{argument}"{text[found.end :]}'


def _last(text: str, variable: str) -> Assignment | None:
    found = [one for one in assignments(text) if one.name == variable]
    return found[-1] if found else None


def _others(text: str, found: Assignment) -> tuple[bool, list[tuple[str, str]]]:
    """What an edit of `found` must not change: the other values, and whether its own quote is closed."""
    everything = assignments(text)
    own = [one for one in everything if one.name == found.name][-1]
    closed = own.ends_in != "" or own.start == own.end
    return closed, [(one.name, one.decoded) for one in everything if one is not own]
