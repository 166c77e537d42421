"""Parses systemd's environment files with the offset of every character, so that one value can be edited.

The states are those of systemd's own parser, `src/basic/env-file.c`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NEWLINE = "\n\r"
BLANK = " \t\n\r"
_ENDS = re.compile(f"[{NEWLINE}]")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `NAME=value`: `start` and `end` bound the raw value; `places[i]` is the offset of decoded[i]."""

    name: str
    line: int
    start: int
    end: int
    decoded: str
    places: tuple[int, ...]
    ends_in: str
    """'bare' if the value ends outside quotes, 'quote' if with a closing quote, '' if it is empty."""
    doubtful: bool
    """Whether a comment before it ends with a backslash: systemd before v254 continues such a comment, later not."""


def assignments(text: str) -> list[Assignment]:
    """Every assignment, in order; in systemd, the last one of a name counts."""
    found: list[Assignment] = []
    position, end, doubtful = 0, len(text), False
    while position < end:
        if text[position] in BLANK:
            position += 1
            continue
        stop = _line_end(text, position)
        if text[position] in "#;":
            position, doubtful = stop, text[stop - 1] == "\\"
            continue
        sign = text.find("=", position, stop)
        if sign >= 0:
            reader = _Value(text, sign + 1)
            found.append(
                Assignment(
                    name=text[position:sign].strip(),
                    line=text.count("\n", 0, sign) + 1,
                    start=reader.start,
                    end=reader.end,
                    decoded="".join(character for character, _ in reader.kept),
                    places=tuple(place for _, place in reader.kept),
                    ends_in=reader.ends_in,
                    doubtful=doubtful,
                )
            )
            stop = _line_end(text, reader.end)
        position, doubtful = stop, False
    return found


def _line_end(text: str, position: int) -> int:
    found = _ENDS.search(text, position)
    return found.start() if found else len(text)


class _Value:
    """Parses one value after its `=`: quoted pieces may follow each other, a bare one is the last."""

    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self._at = position
        self.kept: list[tuple[str, int]] = []
        self.ends_in = ""
        self.start = self.end = position
        self._read()

    def _read(self) -> None:
        first = True
        while (character := self._peek()) and character not in NEWLINE:
            if character in BLANK:
                self._at += 1
                continue
            if first:
                self.start, first = self._at, False
            if character in "'\"":
                self._read_quoted(character)
            else:
                self._bare()

    def _peek(self, ahead: int = 0) -> str:
        return self._text[self._at + ahead : self._at + ahead + 1]

    def _keep(self, ahead: int = 0) -> None:
        self.kept.append((self._peek(ahead), self._at + ahead))

    def _read_quoted(self, quote: str) -> None:
        """A quoted piece; backslash escapes exist only in double quotes, and only before these characters."""
        self._at += 1
        while (character := self._peek()) and character != quote:
            following = self._peek(1)
            if quote == '"' and character == "\\" and following and following in '"\\`$\n\r':
                if following not in NEWLINE:
                    self._keep(1)
                self._at += 2
                continue
            self._keep()
            self._at += 1
        self.ends_in = "quote" if self._peek() else ""
        self._at = min(self._at + 1, len(self._text))
        self.end = self._at

    def _bare(self) -> None:
        """The rest of the line: quotes have no meaning here, and trailing blanks are dropped."""
        self.ends_in = "bare"
        solid = len(self.kept)
        while (character := self._peek()) and character not in NEWLINE:
            if character == "\\":
                if (following := self._peek(1)) and following not in NEWLINE:
                    self._keep(1)
                self._at = min(self._at + 2, len(self._text))
            else:
                self._keep()
                self._at += 1
                if character in BLANK:
                    continue
            solid, self.end = len(self.kept), self._at
        del self.kept[solid:]
