"""Finds invisible and look-alike characters in texts that somebody else wrote.

Prose may contain all scripts. A command may contain only what a keyboard types.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

LONGEST_LINE = 300
"""Characters in a line of a command: more cannot be read on a screen of 80 columns."""
_LONGEST_PROSE = 1000
_WIDEST_GAP = 20
_DEEPEST = 40

_WRITING = frozenset("\u200c\u200d\ufe0f\u00a0\u202f\u3000")
"""Joiners that some scripts need, the emoji selector, and spaces that people type on purpose."""
_LOOKS_EMPTY = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")
_QUOTES = frozenset("‘’‚‛“”„‟‹›«»´")
_DASHES = frozenset("‐‑‒–—―−")


def hidden(text: str) -> Iterator[tuple[int, str, str]]:
    """Yields (line from 1, problem, what to do) of each character in prose that is invisible or moves others."""
    for number, line in enumerate(text.split("\n"), start=1):
        found = next((sign for sign in line if _is_hidden(sign)), None)
        if found is not None:
            yield (
                number,
                f"{character_name(found)} is invisible",
                "Remove it",
            )
        if re.search(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{4}", line):
            yield number, "a letter has many combining marks", "Remove them"
        if len(line) > _LONGEST_PROSE:
            yield number, f"the line has {len(line)} characters", f"Break it: at most {_LONGEST_PROSE}"
        if re.search(rf"\S[ \t\u00a0\u202f\u3000]{{{_WIDEST_GAP},}}\S", line):
            yield number, "a gap hides the rest of the line", "Remove the spaces"


def mistakable(command: str) -> Iterator[tuple[int, str, str]]:
    """Yields the same for a command; stricter, because it is run as it is."""
    lines = command.split("\n")
    for number, line in enumerate(lines, start=1):
        found = next((sign for sign in line if not _is_typed(sign)), None)
        if found is not None:
            yield (
                number,
                f"{character_name(found)} in a command looks like another character",
                _instead(found),
            )
        if len(line) > LONGEST_LINE:
            yield (
                number,
                f"the line of a command has {len(line)} characters",
                f"Break it with a backslash at its end: at most {LONGEST_LINE}",
            )
        if re.search(rf"\S {{{_WIDEST_GAP},}}\S", line) or len(line) - len(line.lstrip(" ")) >= _DEEPEST:
            yield number, "a gap hides a part of the command", "Remove the spaces"
        if line != line.rstrip(" "):
            yield number, "a line of a command ends with spaces", "Remove them"
    if "\n\n\n\n" in command:
        yield (
            command[: command.index("\n\n\n\n")].count("\n") + 2,
            "empty lines hide a part of the command",
            "Remove them",
        )


def character_name(sign: str) -> str:
    """Returns a character's number and name."""
    return f"the character U+{ord(sign):04X} ({unicodedata.name(sign, 'a control character').lower()})"


def _is_hidden(sign: str) -> bool:
    if sign in _WRITING or sign == "\t" or " " <= sign <= "~":
        return False
    code = ord(sign)
    selects = 0xFE00 <= code <= 0xFE0E or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180F
    return (
        selects
        or sign in _LOOKS_EMPTY
        or unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs")
    )


def _is_typed(sign: str) -> bool:
    if " " <= sign <= "~":
        return True
    latin = unicodedata.name(sign, "").startswith("LATIN ") and unicodedata.category(sign) in ("Ll", "Lu")
    return latin and unicodedata.normalize("NFKC", sign) == sign


def _instead(sign: str) -> str:
    if sign in _QUOTES:
        return "Type a straight quote: ' or \""
    if sign in _DASHES:
        return "Type a hyphen: -"
    if sign == "\t" or unicodedata.category(sign) == "Zs":
        return "Type a space"
    return "Type plain letters"
