"""Splits command lines as systemd does, with the offsets of every word, so that one can be changed alone.

The rules are those of systemd's `extract_first_word` with unquoting: quotes may open anywhere in a word and
are removed, a backslash takes the next character literally (or, in a unit, begins a C escape).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_C_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "s": " ",
    "\\": "\\",
    '"': '"',
    "'": "'",
}
_BLANK = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Word:
    """One word without its quotes, and its place in the text: text[start:end]."""

    text: str
    start: int
    end: int


def split(text: str, *, c_escapes: bool) -> list[Word]:
    """The words of `text`; an unclosed quote extends to the end of the text, as in systemd's relaxed splitting.

    Args:
        text: a command line, or the value of a variable that is a whole word of one.
        c_escapes: True for ExecStart (`\\x20`, `\\t` …), False for the value of a variable.
    """
    words: list[Word] = []
    position, end = 0, len(text)
    while position < end:
        if text[position] in _BLANK:
            position += 1
            continue
        start, kept, quote = position, [], ""
        while position < end:
            character = text[position]
            if character == "\\" and position + 1 < end:
                piece, length = _escape(text, position) if c_escapes else (text[position + 1], 2)
                kept.append(piece)
                position += length
                continue
            position += 1
            if quote:
                if character == quote:
                    quote = ""
                else:
                    kept.append(character)
            elif character in "'\"":
                quote = character
            elif character in _BLANK:
                position -= 1
                break
            else:
                kept.append(character)
        words.append(Word("".join(kept), start, position))
    return words


def _escape(text: str, position: int) -> tuple[str, int]:
    """The character of the C escape at `position`, and the escape's length; an unknown escape stays as it is."""
    letter = text[position + 1]
    if letter in _C_ESCAPES:
        return _C_ESCAPES[letter], 2
    for pattern, base in (
        (r"\\x([0-9a-fA-F]{2})", 16),
        (r"\\u([0-9a-fA-F]{4})", 16),
        (r"\\U([0-9a-fA-F]{8})", 16),
        (r"\\([0-7]{3})", 8),
    ):
        if match := re.compile(pattern).match(text, position):
            number = int(match.group(1), base)
            return (chr(number) if number < 0x110000 else "\ufffd"), len(match.group())
    return text[position : position + 2], 2


def find_flag(words: Sequence[str], flag: str) -> list[tuple[int, int]]:
    """The places of `--flag=value` (one word) or `--flag value` (two): [first, after the last) of words."""
    found: list[tuple[int, int]] = []
    for index, word in enumerate(words):
        if word.startswith(f"--{flag}="):
            found.append((index, index + 1))
        elif word == f"--{flag}":
            follows = index + 1 < len(words) and not words[index + 1].startswith("--")
            found.append((index, index + 2 if follows else index + 1))
    return found


def with_flag(words: Sequence[str], *, flag: str, value: str | None) -> list[str]:
    """`words` with the flag set at its present place, or at the end; with None, without the flag."""
    places = find_flag(words, flag)
    gone = {index for first, behind in places for index in range(first, behind)}
    new = [] if value is None else [f"--{flag}={value}"]
    if not places:
        return [*words, *new]
    result: list[str] = []
    for index, word in enumerate(words):
        if index == places[0][0]:
            result += new
        if index not in gone:
            result.append(word)
    return result
