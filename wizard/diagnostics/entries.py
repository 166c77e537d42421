"""The rows of the tables of texts, of faults and of questions, as the catalogue uses them. Each table is read once."""

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
    """Something that tells apart what a text can mean; `told` is how a person would ask it."""

    id: str
    told: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table of texts."""

    id: str
    where: str
    """curl, prometheus, server, python, ssh or promtool"""
    patterns: tuple[re.Pattern[str], ...]
    cause: str
    fix: str
    other_end: str
    next: str
    faults: tuple[str, ...]
    """What is really wrong: one, or those that `ask` tells apart; none where the text says it all."""
    ask: tuple[str, ...]
    cure: str
    """The kind of setting that mends it in whichever client: ca, name, time, login, …; '' where that is not said."""
    summary: bool
    """Whether it only says that something failed; the reason, if the text has one, counts more."""


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
    """All texts: whole sentences, then families of them, then mere kinds; the most special first. Read once."""
    return tuple(entry_of(row) for name in _TABLES for row in tables.rows(name))


def entry_of(row: Row) -> Entry:
    """A row of a table of texts."""
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
    """The numbers of the first entry that tells a family of texts, and of the first that tells a mere kind."""
    known = len(tables.rows(_TABLES[0])) + len(tables.rows(_TABLES[1]))
    return known, known + len(tables.rows(_TABLES[2]))


@functools.cache
def faults() -> Mapping[str, Fault]:
    """All faults by their ids; read once."""
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
    """All questions by their ids; read once."""
    return {row["id"]: Question(row["id"], row["told"]) for row in tables.rows("questions.yaml")}
