"""Turns a line of error text into its cause, its cure and the next thing to look at.

The knowledge is a table, `assets/diagnoses.yaml`, that anyone can extend; the first entry that matches wins,
so the table goes from the special to the general.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ruamel.yaml import YAML

from wizard import assets
from wizard.redact import plain

# Patterns are searched for in the whole text: both bounds keep a hostile log from holding the program.
_LINE: Final = 64 << 10
_TEXT: Final = 256 << 10
_PLACE: Final = re.compile(r"\{(\w+)\}")

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an error text means.

    `id` is stable; `other_end` is what the same fault looks like at the other end of the connection; `next`
    is the question or check that tells apart what is left; `matched` is the text that was recognised, made
    harmless.
    """

    id: str
    cause: str
    fix: str
    other_end: str
    next: str
    matched: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table."""

    id: str
    where: str
    """curl, prometheus, server, python, ssh or promtool"""
    patterns: tuple[re.Pattern[str], ...]
    cause: str
    fix: str
    other_end: str
    next: str


def diagnose(text: str) -> Diagnosis | None:
    """What is known about the error in `text` (one line or a whole log), or None."""
    bounded = _bounded(text)
    for entry in table():
        for pattern in entry.patterns:
            found = pattern.search(bounded)
            if found:
                return _told(entry, found)
    return None


@functools.cache
def table() -> tuple[Entry, ...]:
    """All entries, the most special first; read once."""
    with assets.path("diagnoses.yaml").open("rb") as file:
        rows = YAML(typ="safe").load(file)
    return tuple(_entry(row) for row in rows)


def _bounded(text: str) -> str:
    # A log's last lines say why it ended. Its quotes within quotes are escaped; the table writes them plainly.
    lines = text[-(16 * _TEXT) :].replace('\\"', '"').splitlines()
    return "\n".join(line[:_LINE] for line in lines)[-_TEXT:]


def _entry(row: Row) -> Entry:
    return Entry(
        id=row["id"],
        where=row["where"],
        patterns=tuple(re.compile(pattern) for pattern in row["match"]),
        cause=row["cause"],
        fix=row["fix"],
        other_end=row.get("other_end", ""),
        next=row.get("next", ""),
    )


def _told(entry: Entry, found: re.Match[str]) -> Diagnosis:
    def fill(text: str) -> str:
        return _PLACE.sub(lambda place: _part(found, place[1]), text)

    return Diagnosis(
        id=entry.id,
        cause=fill(entry.cause),
        fix=fill(entry.fix),
        other_end=fill(entry.other_end),
        next=fill(entry.next),
        matched=plain(found.group(), 300),
    )


def _part(found: re.Match[str], name: str) -> str:
    """What the group caught, or the name in capitals if this pattern knows no such part."""
    value = found.groupdict().get(name)
    return plain(value, 200) if value else name.upper()
