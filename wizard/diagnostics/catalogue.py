"""Finds the cause of an error text, how to fix it, and what to check next.

The knowledge is in tables in `assets`, which can be extended without code:

- `diagnoses.yaml`: error texts. The first entry that matches wins, so special entries stand before general ones.
- `other_programs.yaml`: error texts of programs around the stack (package managers, sshd, sudo, proxies).
- `error_families.yaml`, `system_errors.yaml`: families of error texts.
- `error_kinds.yaml`: general kinds of errors, used when no other table matches.
- `program_messages.yaml`, `error_sources.yaml`: the task of a program that failed.
- `clients.yaml`: clients other than scrape jobs that log such error texts.
- `faults.yaml`: the actual causes; `questions.yaml`: the questions that tell the causes of one text apart.
- `error_translations.yaml`: messages of operating systems in other languages.
- `error_phrases.yaml`: whole phrases, to complete lines that were cut.

This module connects to no host: `narrow` gets a function that answers the questions.
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

_PLACEHOLDER: Final = re.compile(r"\{(\w+)(?:\|([^{}]*))?\}")
# Maximum length of a chain of causes: a fault may have a cause of its own (nothing listens: why did it not start?).
_MAX_DEPTH: Final = 3

PARTS: Final = {
    "secure": "Secure this machine (s on Home): it makes both ends agree",
    "inventory": "Certificates and users (c on Home): renew or replace it",
}
"""The parts of Firescreen that fix a fault, each with its name in Home's menu."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was answered, and the id of the fault that the answer shows ('' for no answer)."""

    question: Question
    answer: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The cause of an error text and how to fix it.

    `id` is stable. `other_end` describes the same fault as seen at the other end of the connection. `next` is the check
    that tells the remaining causes apart. `matched` is the part of the text that an entry matched, without control
    characters.
    """

    id: str
    cause: str
    fix: str
    other_end: str
    next: str
    matched: str
    fault: str = ""
    """Id of the actual cause, the same at both ends of a connection; '' while several causes are possible."""
    possible: tuple[str, ...] = ()
    """Ids of the faults that may be the cause (or the cause of `fault`), while it is not known which."""
    questions: tuple[Question, ...] = ()
    """The questions that tell the possible causes apart, the most useful first."""
    menu_entry: str = ""
    """Key in `PARTS` of the part of Firescreen that fixes the fault, or ''."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Values captured from the text, unchanged, by the name of their group, e.g. `file`."""
    client: str = ""
    """Id (`assets/clients.yaml`) of the client that logged the text; '' for a scrape job or an unknown client."""
    asked: tuple[Asked, ...] = ()
    """The questions that were answered to reach this diagnosis."""


Hit: TypeAlias = tuple[int, Diagnosis]
"""The position of an entry in the search order, and the diagnosis made from it."""

Ask: TypeAlias = Callable[[Question, Diagnosis], str]
"""Answers a question about a diagnosis with the id of a fault, or '' if the question cannot be answered."""


def diagnose(text: str) -> Diagnosis | None:
    """Returns the diagnosis of the error in `text` (one line or a whole log), or None if no entry matches."""
    text = cut_lines.join_lines(text)
    joined = log_records.rejoin_lines(text)
    if joined and "\n" not in joined and (hit := _search(joined)):
        # All lines are one record with line breaks in it: a part of the record must not be diagnosed alone.
        return hit[1]
    hits = [hit for hit in map(_search, (text, joined)) if hit]
    return min(hits, key=lambda hit: hit[0])[1] if hits else None


def load() -> None:
    """Reads all tables and compiles their patterns. That takes a moment; the first diagnosis does it otherwise."""
    diagnose("-")  # it matches nothing, so each table is searched


def _search(text: str) -> Hit | None:
    """Returns the position and the diagnosis of the first entry that matches, in the order of the tables."""
    translated = (translations.in_english(record) for record in log_records.read(text))
    errors_only = tuple(record for record in translated if not severity.is_no_error(record))
    records = cut_lines.complete_records(severity.drop_former_attempts(errors_only))
    if all(map(quotations.is_prose, records)):
        return None
    _, first_kind = borders()
    errors = _keep_errors(records)
    return (
        _find_most_severe(records)
        or _find_by_system_or_program(first_kind, errors)
        or _find_by_kind_or_source(_drop_summaries(errors))
        or _find_first(range(len(table())), records, summary=True)
    )


def _find_by_kind_or_source(records: tuple[Record, ...]) -> Hit | None:
    """Searches for a general kind of error, then for the task of the source file that logged the error."""
    return _find_innermost(range(borders()[1], len(table())), records) or _find_by_program(
        len(table()) + 1, records, _program_errors().find_source
    )


def _drop_summaries(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Removes records that say only that something failed: the reason, if any, is in another record."""
    patterns = tuple(pattern for entry in table() if entry.summary for pattern in entry.patterns)
    return tuple(record for record in records if not any(pattern.search(record.text) for pattern in patterns))


def _find_most_severe(records: tuple[Record, ...]) -> Hit | None:
    """Diagnoses the most severe records first.

    Where those name no file, host or the like, the same entry may find the name in the other records.
    """
    hit = next(filter(None, map(_find_reason, severity.tiers(records))), None)
    if hit is None or hit[1].parts or hit[1].id.startswith("system-"):
        return hit
    hit_with_parts = _find_first((hit[0],), records)
    return hit_with_parts if hit_with_parts and hit_with_parts[1].parts else hit


def _find_reason(records: tuple[Record, ...]) -> Hit | None:
    """Returns the first entry that gives a reason, not merely the fact that something failed."""
    first_family, first_kind = borders()
    errors = _keep_errors(records)
    return (
        _find_first(range(first_family), records)
        or _find_first(range(first_family, first_kind), errors)
        or _find_by_named_operation(first_kind, errors)
    )


def _keep_errors(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Keeps the records that are meant as errors: families of texts are searched only in these."""
    return tuple(record for record in records if _system_errors().means_an_error(record.text))


def _find_first(numbers: Iterable[int], records: tuple[Record, ...], *, summary: bool = False) -> Hit | None:
    """Returns the first entry that matches, among entries with this value of `Entry.summary`."""
    wanted = (number for number in numbers if table()[number].summary == summary)
    return next((_make_hit(number, match, records) for number, match in _find_matches(wanted, records)), None)


def _find_innermost(numbers: Iterable[int], records: tuple[Record, ...]) -> Hit | None:
    """Returns the entry whose phrase matches last: in a chain of errors, the last one is the cause."""
    with_levels = tuple(_with_level(record) for record in records)
    last = max(_find_matches(numbers, with_levels), key=lambda item: item[1].start(1), default=None)
    if not last:
        return None
    diagnosis = _make_hit(*last, with_levels)[1]
    # One position later than its row, as errors of the operating system come between the families and the kinds.
    return last[0] + 1, replace(
        diagnosis, matched=diagnosis.matched.removeprefix("level=error ")
    ) if with_levels != records else diagnosis


def _with_level(record: Record) -> Record:
    """Adds `level=error` to the text of an error record: the level may stand only in the prefix of the line."""
    return (
        replace(record, text=f"level=error{log_records.SEPARATOR}{record.text}")
        if record.is_error
        else record
    )


def _find_matches(numbers: Iterable[int], records: tuple[Record, ...]) -> Iterator[tuple[int, re.Match[str]]]:
    text = "\n".join(record.text for record in records)
    for number in numbers if records else ():
        for pattern in table()[number].patterns:
            if match := pattern.search(text):
                yield number, match
                break


def _make_hit(number: int, match: re.Match[str], records: tuple[Record, ...]) -> Hit:
    ends = tuple(itertools.accumulate(len(record.text) + 1 for record in records))
    return number, _make_diagnosis(table()[number], match, records[bisect.bisect_right(ends, match.start())])


def _find_by_system_or_program(number: int, records: tuple[Record, ...]) -> Hit | None:
    """Diagnoses an error of the operating system.

    Where the log does not say which operation failed, an entry for the task of the program comes first.
    """
    return (
        _find_by_named_operation(number, records)
        or _find_by_program(len(table()) + 1, records, _program_errors().find_message)
        or _find_by_system(number, records)
    )


def _find_by_named_operation(number: int, records: tuple[Record, ...]) -> Hit | None:
    """Diagnoses an error of the operating system if the operation that failed is known."""
    hit = _find_by_system(number, records)
    return None if hit and hit[1].id.startswith("system-call-") else hit


def _find_by_system(number: int, records: tuple[Record, ...]) -> Hit | None:
    """Diagnoses an error of the operating system, whichever program logged it."""
    marked = tuple(_system_errors().mark(record.text) for record in records)
    found = _system_errors().search("\n".join(marked))
    if not found:
        return None
    row, match = found
    ends = tuple(itertools.accumulate(len(text) + 1 for text in marked))
    diagnosis = _make_diagnosis(entry_of(row), match, records[bisect.bisect_right(ends, match.start())])
    parts = {name: value for name, value in diagnosis.parts.items() if name != "error"}
    matched = plain(_without_separators(without_marks(match.group())), 300)
    return number, replace(diagnosis, matched=matched, parts=parts)


def _find_by_program(
    number: int, records: tuple[Record, ...], search: Callable[[str], Found | None]
) -> Hit | None:
    """Diagnoses a message of a program of the Prometheus family; the last record of a log comes first."""
    for record in reversed(records):
        if found := search(f"{record.program}\x1f{record.text}"):
            return number, _make_diagnosis(entry_of(found[0]), found[1], record)
    return None


def narrow(found: Diagnosis, ask: Ask) -> Diagnosis:
    """Narrows a diagnosis down to the actual cause by its questions; returns it unchanged where they do not tell.

    Args:
        found: the diagnosis of a text.
        ask: answers a question; an answer that is not among the possible faults counts as none.
    """
    for _ in range(_MAX_DEPTH):
        narrower = _ask_all(found, ask)
        if narrower.id == found.id:
            return narrower
        found = narrower
    return found


def of_fault(name: str, *, matched: str = "", parts: Mapping[str, str] | None = None) -> Diagnosis:
    """Makes the diagnosis of a fault by its id. Raises KeyError for an unknown id."""
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
def _system_errors() -> SystemErrors:
    return SystemErrors(tables.load("system_errors.yaml"))


@functools.cache
def _program_errors() -> ProgramErrors:
    return ProgramErrors(tables.rows("program_messages.yaml"), tables.rows("error_sources.yaml"))


def _ask_all(diagnosis: Diagnosis, ask: Ask) -> Diagnosis:
    """Asks the questions of a diagnosis until an answer is one of its possible faults, and diagnoses that fault."""
    asked = diagnosis.asked
    for question in diagnosis.questions:
        answer = ask(question, diagnosis)
        is_possible = answer in diagnosis.possible
        asked = (*asked, Asked(question, answer if is_possible else ""))
        if is_possible:
            return replace(of_fault(answer, matched=diagnosis.matched, parts=diagnosis.parts), asked=asked)
    return replace(diagnosis, asked=asked)


def _make_diagnosis(entry: Entry, match: re.Match[str], record: Record) -> Diagnosis:
    def fill(text: str) -> str:
        return _PLACEHOLDER.sub(lambda place: _describe_part(match, place[1], place[2]), text)

    only_fault = entry.faults[0] if len(entry.faults) == 1 and not entry.ask else ""
    diagnosis = Diagnosis(
        id=entry.id,
        cause=fill(entry.cause),
        fix=fill(entry.fix),
        other_end=fill(entry.other_end),
        next=fill(entry.next),
        matched=plain(_without_separators(match.group()), 300),
        fault=only_fault if only_fault or entry.faults else entry.id,
        possible=() if only_fault else entry.faults,
        questions=tuple(questions()[each] for each in entry.ask),
        menu_entry=_common_menu_entry(faults()[each].menu_entry for each in entry.faults),
        parts={name: _without_separators(value) for name, value in match.groupdict().items() if value},
    )
    client = client_of(record) if entry.cure else None
    return (
        _adapt_to_client(diagnosis, client, fill(client.fixes.get(entry.cure, entry.fix)))
        if client
        else diagnosis
    )


def _adapt_to_client(diagnosis: Diagnosis, client: Client, fix: str) -> Diagnosis:
    """Adapts the diagnosis of a text to the client that logged it, where that is not a scrape job."""
    cause = f"{client.told} {diagnosis.cause}"
    if client.ours:
        return replace(diagnosis, cause=cause, fix=fix, client=client.id)
    # The other end is not part of the stack: Firescreen can neither probe nor fix it.
    return replace(
        diagnosis,
        cause=cause,
        fix=fix,
        client=client.id,
        other_end="",
        next="",
        fault=diagnosis.id,
        possible=(),
        questions=(),
        menu_entry="",
    )


def _without_separators(text: str) -> str:
    return text.replace(log_records.SEPARATOR, " ")


def _common_menu_entry(menu_entries: Iterable[str]) -> str:
    """Returns the menu entry that fixes every possible cause; '' where the causes have different ones."""
    entries = set(menu_entries)
    return entries.pop() if len(entries) == 1 else ""


def _describe_part(match: re.Match[str], name: str, default: str | None) -> str:
    """Returns what the group of this name captured; where that is nothing, the default or the name in capitals."""
    value = match.groupdict().get(name)
    return plain(_without_separators(value), 200) if value else default or name.upper()
