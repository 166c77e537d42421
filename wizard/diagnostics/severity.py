"""How grave the records of a log are, so that the cause of a failure is looked for where the program says it.

A log of several records holds warnings and notes beside the error that matters. `tiers` orders them: first what ended a
program, then errors, then all the rest. A note that says that a fault is over counts as no error at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from wizard.diagnostics import quotations
from wizard.log_records import Record

_LEVEL: Final = r"\b(?:level|lvl|severity|log\.level|l)=\"?"
_FATAL: Final = re.compile(
    rf"{_LEVEL}(?i:fatal|panic|crit(?:ical)?|emerg(?:ency)?|alert)\b|\[(?:emerg|alert|ALERT)\]|\[\w{{1,20}}:emerg\]"
    r"|^(?:panic|fatal error): |^FATA?L?\b|\bFATAL:  |^[^\n]{0,60}\b(?:FATAL|CRITICAL)\b"
)
_LESSER: Final = re.compile(
    rf"{_LEVEL}(?i:warn(?:ing)?|wrn|info|inf|debug|dbg|debu|trace|notice)\b"
    r"|^[^\n]{0,80}\[(?i:warn|warning|notice|info|debug)\]|\[\w{1,20}:(?:warn|notice|info|debug)\]"
    r"|^(?:[^\n]{0,60}[\s|])?(?:WARN|WARNING|INFO|DEBUG|NOTICE)\b"
)
_NOTE: Final = re.compile(
    rf"{_LEVEL}(?i:info|inf|debug|dbg|debu|trace|notice)\b|^[^\n]{{0,80}}\[(?i:info|debug|notice)\]"
    r"|^(?:[^\n]{0,60}[\s|])?(?:INFO|DEBUG|NOTICE)\b"
)
_OVER: Final = re.compile(
    r"(?i)\b(?:re-?connected|re-?established|recovered|restored|resolved|succeeded|successful(?:ly)?|success"
    r"|back (?:online|up)|(?:is|now) (?:up|healthy)(?: again)?|came back)\b"
)
_NOT_OVER: Final = re.compile(
    r"(?i)\b(?:not|un|never|no|without|until|if|cannot|can't) ?(?:\w{1,12} )?"
    r"(?:re-?connected|re-?established|recovered|restored|resolved|succeeded|success)|success(?:ful)?=(?:false|0)\b"
    r"|\b[1-9]\d* (?:failed|errors?)\b|\b(?:failed|errors?)[=:] ?[1-9]"
)
# Who ended, as Docker and systemd say it.
_ENDED: Final = (
    re.compile(r"^(?P<name>[\w.-]{1,80}) exited with code (?!0\b)\d{1,3}"),
    re.compile(
        r"^(?P<name>[\w@.-]{1,80})\.service: (?:[Mm]ain process exited, code=(?!exited, status=0)|Failed with result)"
    ),
)
# An attempt at one of several addresses that failed, and one that worked, as curl, wget, ssh, telnet and nc print them.
_TRIED: Final = re.compile(
    r"(?i)\bimmediate connect fail for |\bconnect to \S{1,80} port \d{1,5} (?:from \S{1,80} port \d{1,5} )?failed: "
    r"|\bconnecting to [^\n]{1,200}\.{3} failed: |^telnet: (?:connect to address|unable to connect) "
    r"|\bconnect to address \S{1,80} port \d{1,5}: |^nc: connect to [^\n]{1,120} failed: "
)
_REACHED: Final = re.compile(
    r"^\s{0,4}(?:\* )?Connected to \S|^Connecting to [^\n]{1,200}\.{3} connected\."
    r"|^(?:debug1: )?Connection established\.|^Connection to [^\n]{1,120} succeeded!"
)
_SEVERAL: Final = 2


def is_no_error(record: Record) -> bool:
    """Whether a record only quotes an error, or is a note that a fault is over (connected again after …)."""
    text = record.text
    return quotations.is_quotation(record) or bool(
        _NOTE.search(text) and _OVER.search(text) and not _NOT_OVER.search(text)
    )


def drop_former_attempts(records: Sequence[Record]) -> tuple[Record, ...]:
    """The records without failed attempts at addresses of a name that was reached at another one later."""
    reached = max((number for number, each in enumerate(records) if _REACHED.search(each.text)), default=-1)
    return tuple(
        each for number, each in enumerate(records) if number > reached or not _TRIED.search(each.text)
    )


def tiers(records: Sequence[Record]) -> Iterator[tuple[Record, ...]]:
    """The records to look at first, then more of them, and at last all."""
    everything = tuple(records)
    if len(everything) >= _SEVERAL:
        graver = tuple(each for each in everything if not _LESSER.search(each.text))
        ended = {found["name"] for each in everything for one in _ENDED if (found := one.search(each.text))}
        fatal = tuple(each for each in graver if _FATAL.search(each.text) or _is_one_of(each, ended))
        for tier in (fatal, graver):
            if tier and len(tier) < len(everything):
                yield tier
    yield everything


def _is_one_of(record: Record, ended: set[str]) -> bool:
    return bool(record.program) and record.program in ended
