"""Finds what a person would not see, or would take for something else, in a text that somebody else wrote.

Prose may hold what people write with; a command may hold what a keyboard types and nothing that only looks like it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

LONGEST_LINE = 300
"""Signs in a line of a command: more do not stand on a screen of 80 columns so that one reads them."""
_LONGEST_PROSE = 1000
_WIDEST_GAP = 20
_DEEPEST = 40

_WRITING = frozenset("\u200c\u200d\ufe0f\u00a0\u202f\u3000")
"""Joiners that some scripts need, the sign that makes an emoji, and spaces that people type on purpose."""
_LOOKS_EMPTY = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")
_QUOTES = frozenset("‘’‚‛“”„‟‹›«»´")
_DASHES = frozenset("‐‑‒–—―−")


def hidden(text: str) -> Iterator[tuple[int, str, str]]:
    """(line from 1, what is there, what to do) of each sign in prose that cannot be seen or moves others."""
    for number, line in enumerate(text.split("\n"), start=1):
        found = next((sign for sign in line if _is_hidden(sign)), None)
        if found is not None:
            yield (
                number,
                f"{named(found)} cannot be seen",
                "take it out, and write with plain letters and blanks",
            )
        if re.search(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{4}", line):
            yield number, "many marks are heaped upon one letter", "take them out"
        if len(line) > _LONGEST_PROSE:
            yield number, f"the line has {len(line)} signs", f"break it: at most {_LONGEST_PROSE}"
        if re.search(rf"\S[ \t\u00a0\u202f\u3000]{{{_WIDEST_GAP},}}\S", line):
            yield number, "a gap pushes the rest of the line out of sight", "take the blanks out"


def mistakable(command: str) -> Iterator[tuple[int, str, str]]:
    """The same for a command: stricter, for it is typed as it stands."""
    lines = command.split("\n")
    for number, line in enumerate(lines, start=1):
        found = next((sign for sign in line if not _is_typed(sign)), None)
        if found is not None:
            yield number, f"{named(found)} in a command is not what it seems", _instead(found)
        if len(line) > LONGEST_LINE:
            yield (
                number,
                f"the line of a command has {len(line)} signs",
                f"break it with a backslash at its end: at most {LONGEST_LINE}",
            )
        if re.search(rf"\S {{{_WIDEST_GAP},}}\S", line) or len(line) - len(line.lstrip(" ")) >= _DEEPEST:
            yield number, "a gap pushes a part of the command out of sight", "take the blanks out"
        if line != line.rstrip(" "):
            yield number, "there are blanks at the end of a command's line", "take them out"
    if "\n\n\n\n" in command:
        yield (
            command[: command.index("\n\n\n\n")].count("\n") + 2,
            "empty lines push a part of the command out of sight",
            "take them out",
        )


def named(sign: str) -> str:
    """A sign by its number and name."""
    return f"the sign U+{ord(sign):04X} ({unicodedata.name(sign, 'a control character').lower()})"


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
        return "type a straight quote: ' or \""
    if sign in _DASHES:
        return "type a hyphen: -"
    if sign == "\t" or unicodedata.category(sign) == "Zs":
        return "type a blank"
    return "type plain letters"
