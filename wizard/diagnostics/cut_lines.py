"""Completes lines that end in the middle of a known phrase: cut by a title, a screen's width or a logger's limit."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from wizard.diagnostics import tables
from wizard.log_records import SEPARATOR, Record

_MIN_LENGTH: Final = 9
"""Minimum number of characters of a phrase before the cut: many complete lines end in fewer characters of one."""
_CUT_MARK: Final = re.compile(r"(?:\s?(?:\.{3}|…|>|\[truncated\]|\[cut\]))[\"'\s\x1f]{0,4}\Z")


def complete_records(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Completes the phrase in which the text of a record ends, where only one known phrase begins like that.

    The last record may be cut anywhere. Other records count as cut only with a mark (`...`, `>`) at the end: without
    one, their text may continue in the next line.
    """
    last = len(records) - 1
    return tuple(_complete_record(record, number == last) for number, record in enumerate(records))


def join_lines(text: str) -> str:
    """Removes line breaks that a narrow terminal put inside a word of a known phrase."""
    lines: list[str] = []
    for line in text.split("\n"):
        rest = _rest_of_phrase(lines[-1]) if lines else ""
        if rest and not rest[0].isspace() and line.startswith(rest):
            lines[-1] += line
        else:
            lines.append(line)
    return "\n".join(lines)


def _complete_record(record: Record, is_last: bool) -> Record:
    mark = _CUT_MARK.search(record.text)
    if not mark and not is_last:
        return record
    text = record.text[: mark.start()] if mark else record.text.rstrip("\"' " + SEPARATOR)
    rest = _rest_of_phrase(text)
    return replace(record, text=text + rest) if rest else record


def _rest_of_phrase(text: str) -> str:
    """Returns the rest of the phrase in the middle of which a text ends; '' if there is no such phrase."""
    endings, longest = _endings(), _longest_beginning()
    lengths = range(min(longest, len(text)), _MIN_LENGTH - 1, -1)
    return next(filter(None, (endings.get(text[-length:].lower(), "") for length in lengths)), "")


@functools.cache
def _longest_beginning() -> int:
    return max(map(len, _endings()))


@functools.cache
def _endings() -> Mapping[str, str]:
    """Returns the rest of each phrase by its beginning in lower case; '' where several phrases begin like that."""
    endings: dict[str, str] = {}
    phrases: list[str] = tables.load("error_phrases.yaml")
    for phrase in phrases:
        for length in range(_MIN_LENGTH, len(phrase)):
            beginning = phrase[:length].lower()
            endings[beginning] = "" if beginning in endings else phrase[length:]
    # A text that ends in a complete phrase is not cut, even if a longer phrase begins with that one.
    complete = {phrase.lower() for phrase in phrases}
    return {beginning: ending for beginning, ending in endings.items() if beginning not in complete}
