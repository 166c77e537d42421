"""Turns a line of error text into its cause, its cure and the next thing to look at.

The knowledge is tables that anyone can extend. `assets/diagnoses.yaml` knows the texts (the first entry that matches
wins, so the table goes from the special to the general), `assets/other_programs.yaml` those of programs around the stack
(package managers, sshd, sudo, proxies), `assets/error_families.yaml` and `assets/system_errors.yaml` whole families of
them, `assets/error_kinds.yaml` what is left, `assets/program_messages.yaml` and `assets/error_sources.yaml` whose task
failed, `assets/clients.yaml` who else than a scrape job may have written such a text, `assets/faults.yaml` what is
really wrong, and `assets/questions.yaml` what is to be asked where one text has several causes;
`assets/error_translations.yaml` what an operating system says in other languages, `assets/error_phrases.yaml` what the
rest of a line is that was cut. Nothing here asks anybody: `narrow` is handed the one who does.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from wizard import log_records
from wizard.diagnostics import cut_lines, quotations, severity, tables, translations
from wizard.diagnostics.clients import Client, client_of
from wizard.diagnostics.entries import Entry, Question, borders, entry_of, faults, questions, table
from wizard.diagnostics.program_errors import Found, ProgramErrors
from wizard.diagnostics.system_errors import SystemErrors, without_marks
from wizard.log_records import Record
from wizard.redact import plain

_PLACE: Final = re.compile(r"\{(\w+)(?:\|([^{}]*))?\}")
# A fault may have reasons of its own (nothing listens: why did it not start?); deeper than this nothing goes.
_DEPTH: Final = 3

PARTS: Final = {
    "secure": "Secure this machine (s on Home): it makes both ends agree",
    "inventory": "Certificates and users (c on Home): renew or replace it",
}
"""The parts of the wizard that mend something, by their names in Home's menu."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was put, and the id of the fault that came of it ('' for no answer)."""

    question: Question
    answer: str


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
    fault: str = ""
    """Id of what is really wrong, whoever says it; '' while it may be several things."""
    possible: tuple[str, ...] = ()
    """Ids of the faults that this may be, where it is not known yet which."""
    questions: tuple[Question, ...] = ()
    """What tells them apart, in the order in which it is best asked."""
    menu_entry: str = ""
    """The part of the wizard that mends it, by its name in Home's menu, or ''."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """What the text names, e.g. `file`; as it stands there."""
    client: str = ""
    """Id of the client that wrote the text, where it is known to be another one than a scrape job; '' otherwise."""
    asked: tuple[Asked, ...] = ()
    """What was asked on the way here."""


Hit: TypeAlias = tuple[int, Diagnosis]
"""The place of an entry in the order in which they are searched, and what it means."""

Ask: TypeAlias = Callable[[Question, Diagnosis], str]
"""Puts a question about a diagnosis; the id of the fault that it shows, or ''."""


def diagnose(text: str) -> Diagnosis | None:
    """What is known about the error in `text` (one line or a whole log), or None."""
    text = cut_lines.join_lines(text)
    joined = log_records.rejoin_lines(text)
    if joined and "\n" not in joined and (whole := _search(joined)):
        # All lines are one record that was broken: none of its parts means anything alone.
        return whole[1]
    found = [hit for hit in map(_search, (text, joined)) if hit]
    return min(found, key=lambda hit: hit[0])[1] if found else None


def _search(text: str) -> Hit | None:
    """The first entry that matches: its place in the order of the tables, and what it means."""
    read = (translations.in_english(each) for each in log_records.read(text))
    errors_only = tuple(each for each in read if not severity.is_no_error(each))
    records = cut_lines.complete_records(severity.drop_former_attempts(errors_only))
    if all(map(quotations.is_prose, records)):
        return None
    _, families = borders()
    errors = _meant_as_errors(records)
    return (
        _gravest(records)
        or _of_system_or_program(families, errors)
        or _of_kind_or_source(_no_summaries(errors))
        or _first(range(len(table())), records, summary=True)
    )


def _of_kind_or_source(records: tuple[Record, ...]) -> Hit | None:
    """The kind of error that a record tells of, or whose task failed."""
    return _innermost(range(borders()[1], len(table())), records) or _of_program(
        len(table()) + 1, records, _program().of_source
    )


def _no_summaries(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Without the records that say only that something failed; the reason stands in others, if at all."""
    patterns = tuple(pattern for entry in table() if entry.summary for pattern in entry.patterns)
    return tuple(each for each in records if not any(one.search(each.text) for one in patterns))


def _gravest(records: tuple[Record, ...]) -> Hit | None:
    """What the gravest records mean; what they do not name may stand in the others."""
    found = next(filter(None, map(_specific, severity.tiers(records))), None)
    if found is None or found[1].parts or found[1].id.startswith("system-"):
        return found
    elsewhere = _first((found[0],), records)
    return elsewhere if elsewhere and elsewhere[1].parts else found


def _specific(records: tuple[Record, ...]) -> Hit | None:
    """The first entry that says why something failed, and not merely that it did."""
    known, families = borders()
    errors = _meant_as_errors(records)
    return (
        _first(range(known), records)
        or _first(range(known, families), errors)
        or _of_named_call(families, errors)
    )


def _meant_as_errors(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """The records in which a family of texts counts."""
    return tuple(each for each in records if _system().means_an_error(each.text))


def _first(numbers: Iterable[int], records: tuple[Record, ...], *, summary: bool = False) -> Hit | None:
    """What the first entry that matches means, of those that are summaries or of those that are not."""
    wanted = (number for number in numbers if table()[number].summary == summary)
    return next((_hit(number, found, records) for number, found in _matches(wanted, records)), None)


def _innermost(numbers: Iterable[int], records: tuple[Record, ...]) -> Hit | None:
    """What the entry means whose words stand last: of a chain of errors the last one is the cause."""
    graded = tuple(_with_level(each) for each in records)
    found = max(_matches(numbers, graded), key=lambda each: each[1].start(1), default=None)
    if not found:
        return None
    told = _hit(*found, graded)[1]
    # One further than its row: what the operating system answered stands between the families and the kinds.
    return found[0] + 1, replace(
        told, matched=told.matched.removeprefix("level=error ")
    ) if graded != records else told


def _with_level(record: Record) -> Record:
    """The record with its level as a field, where it stood in the wrapping alone."""
    return (
        replace(record, text=f"level=error{log_records.SEPARATOR}{record.text}")
        if record.is_error
        else record
    )


def _matches(numbers: Iterable[int], records: tuple[Record, ...]) -> Iterator[tuple[int, re.Match[str]]]:
    searched = "\n".join(record.text for record in records)
    for number in numbers if records else ():
        for pattern in table()[number].patterns:
            if found := pattern.search(searched):
                yield number, found
                break


def _hit(number: int, found: re.Match[str], records: tuple[Record, ...]) -> Hit:
    ends = tuple(itertools.accumulate(len(record.text) + 1 for record in records))
    return number, _diagnosis_of(table()[number], found, records[bisect.bisect_right(ends, found.start())])


def _of_system_or_program(number: int, records: tuple[Record, ...]) -> Hit | None:
    """What an operating system answered; of a call that nobody names, the task of the program that failed by it."""
    return (
        _of_named_call(number, records)
        or _of_program(len(table()) + 1, records, _program().of_message)
        or _of_system(number, records)
    )


def _of_named_call(number: int, records: tuple[Record, ...]) -> Hit | None:
    found = _of_system(number, records)
    return None if found and found[1].id.startswith("system-call-") else found


def _of_system(number: int, records: tuple[Record, ...]) -> Hit | None:
    """What an operating system answered, whoever passes it on."""
    marked = tuple(_system().mark(record.text) for record in records)
    found = _system().search("\n".join(marked))
    if not found:
        return None
    ends = tuple(itertools.accumulate(len(text) + 1 for text in marked))
    told = _diagnosis_of(entry_of(found[0]), found[1], records[bisect.bisect_right(ends, found[1].start())])
    parts = {name: value for name, value in told.parts.items() if name != "error"}
    matched = plain(_without_separators(without_marks(found[1].group())), 300)
    return number, replace(told, matched=matched, parts=parts)


def _of_program(
    number: int, records: tuple[Record, ...], search: Callable[[str], Found | None]
) -> Hit | None:
    """What a program of the Prometheus family says of itself; a log's last record first."""
    for record in reversed(records):
        if found := search(f"{record.program}\x1f{record.text}"):
            return number, _diagnosis_of(entry_of(found[0]), found[1], record)
    return None


def narrow(found: Diagnosis, ask: Ask) -> Diagnosis:
    """The true cause, as far as questions find it; `found` itself where they do not.

    Args:
        found: what a text means.
        ask: puts a question; an answer that is not among the possible faults counts as none.
    """
    for _ in range(_DEPTH):
        closer = _ask_all(found, ask)
        if closer.id == found.id:
            return closer
        found = closer
    return found


def of_fault(name: str, *, matched: str = "", parts: Mapping[str, str] | None = None) -> Diagnosis:
    """What is known about a fault. Raises KeyError for an id that is none."""
    fault = faults()[name]
    return Diagnosis(
        id=fault.id,
        cause=fault.cause,
        fix=fault.fix,
        other_end=fault.other_end,
        next=fault.check,
        matched=matched,
        fault=fault.id,
        possible=fault.faults,
        questions=tuple(questions()[each] for each in fault.ask),
        menu_entry=fault.menu_entry,
        parts=parts or {},
    )


@functools.cache
def _system() -> SystemErrors:
    return SystemErrors(tables.load("system_errors.yaml"))


@functools.cache
def _program() -> ProgramErrors:
    return ProgramErrors(tables.rows("program_messages.yaml"), tables.rows("error_sources.yaml"))


def _ask_all(found: Diagnosis, ask: Ask) -> Diagnosis:
    asked = found.asked
    for question in found.questions:
        answer = ask(question, found)
        fits = answer in found.possible
        asked = (*asked, Asked(question, answer if fits else ""))
        if fits:
            return replace(of_fault(answer, matched=found.matched, parts=found.parts), asked=asked)
    return replace(found, asked=asked)


def _diagnosis_of(entry: Entry, found: re.Match[str], record: Record) -> Diagnosis:
    def fill(text: str) -> str:
        return _PLACE.sub(lambda place: _part(found, place[1], place[2]), text)

    one = entry.faults[0] if len(entry.faults) == 1 and not entry.ask else ""
    told = Diagnosis(
        id=entry.id,
        cause=fill(entry.cause),
        fix=fill(entry.fix),
        other_end=fill(entry.other_end),
        next=fill(entry.next),
        matched=plain(_without_separators(found.group()), 300),
        fault=one if one or entry.faults else entry.id,
        possible=() if one else entry.faults,
        questions=tuple(questions()[each] for each in entry.ask),
        menu_entry=_common(faults()[each].menu_entry for each in entry.faults),
        parts={name: _without_separators(value) for name, value in found.groupdict().items() if value},
    )
    client = client_of(record) if entry.cure else None
    return _of_client(told, client, fill(client.fixes.get(entry.cure, entry.fix))) if client else told


def _of_client(told: Diagnosis, client: Client, fix: str) -> Diagnosis:
    """What a text means that a client wrote which is no scrape job."""
    cause = f"{client.told} {told.cause}"
    if client.ours:
        return replace(told, cause=cause, fix=fix, client=client.id)
    # The other end is not of the stack: nothing there can be asked or mended by the wizard.
    return replace(
        told,
        cause=cause,
        fix=fix,
        client=client.id,
        other_end="",
        next="",
        fault=told.id,
        possible=(),
        questions=(),
        menu_entry="",
    )


def _without_separators(text: str) -> str:
    return text.replace(log_records.SEPARATOR, " ")


def _common(parts: Iterable[str]) -> str:
    """Whichever of the causes it is, this part mends it; '' where they differ."""
    named = set(parts)
    return named.pop() if len(named) == 1 else ""


def _part(found: re.Match[str], name: str, words: str | None) -> str:
    """What the group caught; else the words given for that, or the name in capitals."""
    value = found.groupdict().get(name)
    return plain(_without_separators(value), 200) if value else words or name.upper()
