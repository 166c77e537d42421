"""Wraps lines at blanks, because a terminal would break them in the middle of a word.

Paths and URLs are never divided, nor are commands that fit into a line, so that they can be copied.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TextIO

from wizard.invocation import COMMANDS

USUAL = 80
"""Columns without a terminal."""
_LEAST = 20
_WORD = re.compile(r"\s*\S+")
_SIGNS = frozenset("✓✗●◐–↩…!|")
_INTRODUCING = ("run:", "type:", "with:", "try:", "in:")
"""Words after which the rest of the sentence is a command."""
_ENDS = (".", ",", ";", ":", ")")
_OURS = re.compile(rf"(?:\S*/)?firescreen (?:--?\w|(?:{COMMANDS})\b)")
_FENCE = "```"


def columns(stream: TextIO) -> int:
    """Returns the columns of a line: the environment's COLUMNS, else those of the stream's terminal, else 80."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return max(int(given), _LEAST)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns or USUAL, _LEAST)
    except (OSError, ValueError):
        return USUAL


def of_terminal(stream: TextIO) -> int:
    """Returns the columns of the stream's terminal; 0 for a file or a pipe, whose lines other programs read."""
    return columns(stream) if stream.isatty() else 0


def break_lines(text: str, width: int, *, indent: str | None = None) -> str:
    """Wraps the long lines of a text at blanks.

    Args:
        text: the text.
        width: columns; 0 for no limit.
        indent: of the lines after a break; by default that of the line, after its sign (✓, ✗ and so on) if it has one.
    """
    return "\n".join(_broken_line(line, width, indent) for line in text.split("\n")) if width else text


def _broken_line(line: str, width: int, indent: str | None) -> str:
    if len(line) <= width:
        return line
    words = _WORD.findall(line)
    first = words[0] if words else ""
    margin = first[: len(first) - len(first.lstrip())]
    hang = indent if indent is not None else margin + "  " * (first.strip() in _SIGNS)
    lines = [""]
    for unit in _units(words):
        if lines[-1].strip() and len(lines[-1]) + len(unit) > width and lines[-1].strip() not in _SIGNS:
            lines.append(hang + unit.lstrip())
        else:
            lines[-1] += unit
    return "\n".join(lines)


def _units(words: Sequence[str]) -> Iterator[str]:
    """Yields the words, with the words of a command joined to one."""
    at = 0
    while at < len(words):
        end = _end_of_unit(words, at)
        yield "".join(words[at:end])
        at = end


def _end_of_unit(words: Sequence[str], at: int) -> int:
    """Returns the end of the unit at that word: a command in backquotes, of Firescreen, or introduced."""
    word = words[at].strip()
    if word.lstrip("(").startswith("`"):
        quotes = 0
        for end, each in enumerate(words[at:], start=at + 1):
            quotes += each.count("`")
            if quotes % 2 == 0:
                return end
        return at + 1  # the backquote is never closed
    two = f"{word} {words[at + 1].strip()}" if at + 1 < len(words) else word
    introduced = at > 0 and words[at - 1].strip().lower() in _INTRODUCING
    if not introduced and not _OURS.match(two):
        return at + 1
    end = at + 1
    while end < len(words) and not words[end - 1].endswith(_ENDS) and not words[end].startswith(("  ", " (")):
        end += 1
    return end


def markdown(text: str, width: int) -> str:
    """Formats Markdown for a terminal: tables as paragraphs, lines wrapped; code is unchanged.

    Args:
        text: the Markdown.
        width: columns; 0 for the unchanged text.
    """
    return "\n".join(_markdown_lines(text.split("\n"), width)) if width else text


def _markdown_lines(lines: Sequence[str], width: int) -> Iterator[str]:
    in_code = False
    head: Sequence[str] = ()
    for line in _paragraphs(lines):
        in_code ^= line.startswith(_FENCE)
        cells = _cells(line) if line.startswith("|") and not in_code else ()
        if in_code or line.startswith(_FENCE):
            yield line
        elif not cells:
            head = ()
            yield _broken_line(line, width, " " * len(_item(line)))
        elif not head:
            head = cells
        elif any(cell.strip("-: ") for cell in cells):
            yield from _row(head, cells, width)


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """Yields the lines, with the lines of a paragraph or a list item joined to one."""
    text, in_code = "", False
    for line in lines:
        fence = line.startswith(_FENCE)
        in_code ^= fence
        is_unwrapped = fence or in_code or not line.strip() or line.startswith(("|", "#"))
        if text and (is_unwrapped or _item(line).strip()):
            yield text
            text = ""
        if is_unwrapped:
            yield line
        else:
            text = f"{text} {line.strip()}" if text else line
    if text:
        yield text


def _cells(line: str) -> tuple[str, ...]:
    """Returns the cells of a table row; `\\|` is a literal bar."""
    found = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return tuple(cell.strip().replace("\\|", "|") for cell in found)


def _row(head: Sequence[str], cells: Sequence[str], width: int) -> Iterator[str]:
    """Yields a table row: its first cell, then the others below it, with column titles if there are several."""
    yield _broken_line(cells[0] or "-", width, "  ")
    for title, cell in zip(head[1:], cells[1:], strict=False):
        if cell:
            named = f"{title}: " if title and len(head) > 2 else ""
            yield _broken_line(f"    {named}{cell}", width, "    ")


def _item(line: str) -> str:
    """Returns the beginning of a line: its indent, with the bullet or number of a list item."""
    found = re.match(r"\s*(?:(?:[-*]|\d+\.)\s+)?", line)
    return found[0] if found else ""
