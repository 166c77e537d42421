"""Orders the records of a log by severity, so that the cause of a failure is searched in the most severe ones first.

A log contains warnings and notes besides the error that matters. `tiers` orders them: first the errors that ended a
program, then other errors, then all records. A note that a fault is over does not count as an error.
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
# Messages of Docker and systemd about a program that ended with an error.
_ENDED: Final = (
    re.compile(r"^(?P<name>[\w.-]{1,80}) exited with code (?!0\b)\d{1,3}"),
    re.compile(
        r"^(?P<name>[\w@.-]{1,80})\.service: (?:[Mm]ain process exited, code=(?!exited, status=0)|Failed with result)"
    ),
)
# Messages of curl, wget, ssh, telnet and nc about a failed attempt at one of several addresses.
_TRIED: Final = re.compile(
    r"(?i)\bimmediate connect fail for |\bconnect to \S{1,80} port \d{1,5} (?:from \S{1,80} port \d{1,5} )?failed: "
    r"|\bconnecting to [^\n]{1,200}\.{3} failed: |^telnet: (?:connect to address|unable to connect) "
    r"|\bconnect to address \S{1,80} port \d{1,5}: |^nc: connect to [^\n]{1,120} failed: "
)
# Their messages about an attempt that succeeded.
_REACHED: Final = re.compile(
    r"^\s{0,4}(?:\* )?Connected to \S|^Connecting to [^\n]{1,200}\.{3} connected\."
    r"|^(?:debug1: )?Connection established\.|^Connection to [^\n]{1,120} succeeded!"
)


def is_no_error(record: Record) -> bool:
    """Whether a record only quotes an error, or is a note that a fault is over (connected again after …)."""
    text = record.text
    return quotations.is_quotation(record) or bool(
        _NOTE.search(text) and _OVER.search(text) and not _NOT_OVER.search(text)
    )


def drop_former_attempts(records: Sequence[Record]) -> tuple[Record, ...]:
    """Removes failed attempts at addresses of a server if a later attempt at another address succeeded."""
    reached = max((index for index, record in enumerate(records) if _REACHED.search(record.text)), default=-1)
    return tuple(
        record for index, record in enumerate(records) if index > reached or not _TRIED.search(record.text)
    )


def tiers(records: Sequence[Record]) -> Iterator[tuple[Record, ...]]:
    """Returns the records to search, in this order: the fatal ones, the errors, all records."""
    everything = tuple(records)
    if len(everything) > 1:
        errors = tuple(record for record in everything if not _LESSER.search(record.text))
        ended_programs = {
            match["name"]
            for record in everything
            for pattern in _ENDED
            if (match := pattern.search(record.text))
        }
        fatal = tuple(
            record for record in errors if _FATAL.search(record.text) or record.program in ended_programs
        )
        for tier in (fatal, errors):
            if tier and len(tier) < len(everything):
                yield tier
    yield everything
