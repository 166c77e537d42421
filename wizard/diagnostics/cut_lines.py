"""Completes what a title, the width of a screen or a limit of a logger has cut in the middle of a known phrase."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from wizard.diagnostics import tables
from wizard.log_records import SEPARATOR, Record

_LEAST: Final = 9
"""So many characters of a phrase have to be there: fewer end many lines that are whole."""
_MARK: Final = re.compile(r"(?:\s?(?:\.{3}|…|>|\[truncated\]|\[cut\]))[\"'\s\x1f]{0,4}\Z")


def complete_records(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """The records with the rest of the phrase that a text breaks off in, where only one phrase fits.

    The last record may be cut anywhere, one before it only where a mark (`...`, `>`) says so: lines that were broken
    go on in the next one.
    """
    last = len(records) - 1
    return tuple(_complete_record(each, number == last) for number, each in enumerate(records))


def join_lines(text: str) -> str:
    """The text without the line breaks that a narrow terminal made within a word of a phrase."""
    lines: list[str] = []
    for line in text.split("\n"):
        rest = _rest_of_phrase(lines[-1]) if lines else ""
        if rest and not rest[0].isspace() and line.startswith(rest):
            lines[-1] += line
        else:
            lines.append(line)
    return "\n".join(lines)


def _complete_record(record: Record, is_last: bool) -> Record:
    mark = _MARK.search(record.text)
    if not mark and not is_last:
        return record
    text = record.text[: mark.start()] if mark else record.text.rstrip("\"' " + SEPARATOR)
    rest = _rest_of_phrase(text)
    return replace(record, text=text + rest) if rest else record


def _rest_of_phrase(text: str) -> str:
    """The rest of the phrase in which a text ends; '' where it ends in none."""
    lengths = range(min(_longest(), len(text)), _LEAST - 1, -1)
    return next(filter(None, (_rest(text[-length:]) for length in lengths)), "")


def _rest(tail: str) -> str:
    return _beginnings().get(tail.lower(), "")


@functools.cache
def _longest() -> int:
    return max(map(len, _beginnings()))


@functools.cache
def _beginnings() -> Mapping[str, str]:
    """What is left of the one phrase that begins so, by the beginning in small letters; '' where several do."""
    found: dict[str, str] = {}
    phrases: list[str] = tables.load("error_phrases.yaml")
    for phrase in phrases:
        for length in range(_LEAST, len(phrase)):
            start = phrase[:length].lower()
            found[start] = "" if start in found else phrase[length:]
    # A whole phrase is no beginning of a longer one.
    whole = {phrase.lower() for phrase in phrases}
    return {start: rest for start, rest in found.items() if start not in whole}
