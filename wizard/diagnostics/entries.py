"""The rows of the tables of error texts, faults and questions as typed objects. Each table is read once."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wizard.diagnostics import tables
from wizard.diagnostics.error_kinds import kind_pattern
from wizard.diagnostics.tables import Row

_TABLES: Final = ("diagnoses.yaml", "other_programs.yaml", "error_families.yaml", "error_kinds.yaml")


@dataclass(frozen=True, slots=True)
class Question:
    """A question that tells the possible causes of an error text apart; `told` is its wording for people."""

    id: str
    told: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a table of error texts."""

    id: str
    where: str
    """curl, prometheus, server, python, ssh or promtool"""
    patterns: tuple[re.Pattern[str], ...]
    cause: str
    fix: str
    other_end: str
    next: str
    faults: tuple[str, ...]
    """Ids of the possible causes: one, several that `ask` tells apart, or none where the text itself is the cause."""
    ask: tuple[str, ...]
    """Ids of the questions that tell the causes apart."""
    cure: str
    """The kind of setting to change, in any client: ca, name, time, login, …; '' where the entry names no kind."""
    summary: bool
    """Whether the text says only that something failed; an entry for the reason is preferred."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table of faults."""

    id: str
    cause: str
    fix: str
    other_end: str
    check: str
    menu_entry: str
    faults: tuple[str, ...]
    ask: tuple[str, ...]


@functools.cache
def table() -> tuple[Entry, ...]:
    """Returns all error texts: whole sentences, then families, then general kinds; the most special ones first."""
    return tuple(entry_of(row) for name in _TABLES for row in tables.rows(name))


def entry_of(row: Row) -> Entry:
    """Makes an entry from a row of a table of error texts."""
    return Entry(
        id=row["id"],
        where=row["where"],
        patterns=tuple(
            re.compile(pattern) for pattern in (*row.get("match", ()), *map(kind_pattern, row.get("say", ())))
        ),
        cause=row["cause"],
        fix=row["fix"],
        other_end=row.get("other_end", ""),
        next=row.get("next", ""),
        faults=tuple(row.get("faults", ())),
        ask=tuple(row.get("ask", ())),
        cure=row.get("cure", ""),
        summary=row.get("summary", False),
    )


@functools.cache
def borders() -> tuple[int, int]:
    """Returns the positions in `table` of the first entry for a family of texts, and of the first for a general kind."""
    first_family = len(tables.rows(_TABLES[0])) + len(tables.rows(_TABLES[1]))
    return first_family, first_family + len(tables.rows(_TABLES[2]))


@functools.cache
def faults() -> Mapping[str, Fault]:
    """Returns all faults by id."""
    return {
        row["id"]: Fault(
            id=row["id"],
            cause=row["cause"],
            fix=row["fix"],
            other_end=row["other_end"],
            check=row["check"],
            menu_entry=row.get("menu_entry", ""),
            faults=tuple(row.get("faults", ())),
            ask=tuple(row.get("ask", ())),
        )
        for row in tables.rows("faults.yaml")
    }


@functools.cache
def questions() -> Mapping[str, Question]:
    """Returns all questions by id."""
    return {row["id"]: Question(row["id"], row["told"]) for row in tables.rows("questions.yaml")}
