"""The settings of systemd's unit files, parsed line by line as systemd does.

The rules are those of `config_parse` in systemd's `src/shared/conf-parser.c` (the same from version 236 to 258):

- A line ends with a line feed, a carriage return, or both.
- A line that begins with `#` or `;`, after any blanks, is a comment, even between the lines of a continuation: it is
  left out and the continuation goes on. A backslash at the end of a comment has no meaning.
- A line whose last character is an unescaped backslash continues: the backslash becomes a blank, and
  the next line that is not a comment follows, with its leading blanks.
- A backslash before trailing blanks does not continue the line: the blanks are dropped later, and the backslash stays.
- The end of the file ends a continuation; the text so far counts.
- The end of a file ends its last section and continuation: neither reaches into the next file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FRAME = "\x1e"
"""Precedes the path of each file when several are joined; see `join_files`."""
_BLANK = " \t\n\r"
_LINES = re.compile(r"([^\n\r]*)(\r\n|\n\r|\n|\r|\Z)")
_HEADING = re.compile(r"# (/\S.*\.(?:conf|service|socket|timer|mount|path|target|slice|scope))")


@dataclass(frozen=True, slots=True)
class Setting:
    """One `Key=value`: the value on one line without blanks at its ends; its lines are text[start:end] of its file."""

    section: str
    key: str
    value: str
    path: str
    line: int
    start: int
    end: int


def join_files(files: list[tuple[str, str]]) -> str:
    """Several files as one text that `split_files` can split again, whatever they contain."""
    return "".join(f"{FRAME}{path}\n{text}" for path, text in files)


def split_files(text: str) -> list[tuple[str, str]]:
    """(path, content) of each file, in order; path '' for a text without paths.

    Args:
        text: from `join_files`, or as `systemctl cat` prints units: a comment with the path, after an empty line.
    """
    if FRAME in text:
        parts = (part.partition("\n") for part in text.split(FRAME)[1:])
        return [(path, content) for path, _, content in parts]
    found: list[tuple[str, list[str]]] = [("", [])]
    empty = True
    for line in text.splitlines(keepends=True):
        heading = _HEADING.fullmatch(line.strip()) if empty else None
        if heading and heading[1] != found[-1][0]:
            found.append((heading[1], []))
        else:
            found[-1][1].append(line)
        empty = not line.strip()
    return [(path, "".join(lines)) for path, lines in found if path or lines]


def settings(text: str) -> list[Setting]:
    """Every assignment of one or several files (see `split_files`), in order."""
    found = []
    for path, content in split_files(text):
        section = ""
        for line, number, start, end in _logical_lines(content):
            if line.startswith("["):
                section = line
                continue
            key, sign, value = line.partition("=")
            if sign:
                found.append(
                    Setting(section, key.strip(_BLANK), value.strip(_BLANK), path, number, start, end)
                )
    return found


def _logical_lines(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Yields (line, its number, start, end): continuations joined, comments and empty lines left out."""
    held, number, begin, last = "", 0, -1, 0
    for count, match in enumerate(_LINES.finditer(text), start=1):
        if match.start() == len(text):
            break
        body = match[1]
        if body.lstrip(_BLANK)[:1] in ("#", ";"):
            continue
        if begin < 0:
            number, begin = count, match.start()
        held, last = held + body, match.end(1)
        if _goes_on(held):
            held = f"{held[:-1]} "
            continue
        if whole := held.strip(_BLANK):
            yield whole, number, begin, last
        held, begin = "", -1
    if begin >= 0 and (whole := held.strip(_BLANK)):
        yield whole, number, begin, last


def _goes_on(line: str) -> bool:
    """Whether a line ends with an unescaped backslash."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1
