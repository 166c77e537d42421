"""Wraps shell commands to a width so that the text on the screen can be typed or pasted unchanged.

Every resulting line begins in the first column and fits the width: words are divided by a backslash at the end of the
line, which the shell removes again; a here-document with a line that is too long is turned into arguments of `printf`,
which can be divided.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

NARROWEST = 20
"""Below so many columns nothing is wrapped."""
_HERE = re.compile(r"\s*<<\s*'(?P<end>\w+)'")


def fold_lines(text: str, width: int) -> list[str]:
    """Returns the lines of a command, none wider than `width` if possible."""
    lines: list[str] = []
    for command in _commands(text.split("\n"), max(width, NARROWEST)):
        lines += _fold_line(command, max(width, NARROWEST)) if isinstance(command, str) else command
    return lines


def _commands(lines: list[str], width: int) -> Iterator[str | list[str]]:
    """Yields each shell line to wrap, and each here-document, either unchanged or as such a line."""
    remaining_lines = iter(lines)
    before: list[str] = []
    for line in remaining_lines:
        found = _HERE.search(line)
        if found is None:
            before.append(line)
            # A line that ends in one backslash continues in the next, which may have the here-document.
            if not line.endswith("\\") or line.endswith("\\\\"):
                yield from before
                before = []
            continue
        body = []
        for inner in remaining_lines:
            if inner == found["end"]:
                break
            body.append(inner)
        if all(len(each) <= width for each in body):
            yield from (*before, line)
            yield [*body, found["end"]]
        else:
            reader = f"{line[: found.start()]}{line[found.end() :]}"
            yield f"printf '%s\\n' {shlex.join(body)} |"
            yield from (*before, reader)
        before = []
    yield from before


def _fold_line(line: str, width: int) -> list[str]:
    if line.lstrip().startswith("#"):
        return _comment(line, width)
    if len(line) <= width:
        return [line]
    contexts = _contexts(line)
    lines: list[str] = []
    begin, opening = 0, ""
    while len(opening) + len(line) - begin > width:
        # Leaves room for the backslash, and for a quote before it.
        end = begin + width - len(opening) - 2
        blanks = [at for at in range(begin + 1, end + 1) if line[at - 1] == " " and contexts[at] == " "]
        if blanks and line[begin : blanks[-1]].strip():
            end = blanks[-1]
        elif contexts[end] == "\\":
            end -= 1
        quote = "'" if contexts[end] == "'" else ""
        lines.append(f"{opening}{line[begin:end]}{quote}\\")
        begin, opening = end, quote
    return [*lines, opening + line[begin:]]


def _contexts(line: str) -> str:
    """Returns a sign for each position: a blank between or within words, the kind of quotes, or a backslash."""
    inside: list[str] = []
    found, escaped = [], False
    for at, sign in enumerate(line):
        quote = inside[-1] if inside else ""
        found.append("\\" if escaped else quote if quote in ("'", '"') else " ")
        if escaped:
            escaped = False
        elif quote == "'":
            if sign == "'":
                inside.pop()
        elif sign == "\\":
            escaped = True
        elif sign == '"' and quote == '"':
            inside.pop()
        elif sign == '"' or (sign == "'" and quote != '"'):
            inside.append(sign)
        elif sign == "(" and at and line[at - 1] == "$":
            inside.append("(")
        elif sign == ")" and quote == "(":
            inside.pop()
    return "".join(found)


def _comment(line: str, width: int) -> list[str]:
    words = line.lstrip("# ").split()
    lines = ["#"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > width and lines[-1] != "#":
            lines.append("#")
        lines[-1] += f" {word}"
    return lines
