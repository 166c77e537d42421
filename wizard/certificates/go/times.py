"""Parses times in certificates, including years and zones that Go supports and `datetime` does not."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from wizard.certificates.go.der import GENERALIZED_TIME, UTC_TIME, ParseError, Reader

_UTC: Final = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(Z|[+-]\d{4})", re.ASCII)
_GENERALIZED: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(Z|[+-]\d{4})", re.ASCII)
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY: Final = 86400


class Moment(NamedTuple):
    """A time: `seconds` since 1970, and its text."""

    seconds: int
    text: str
    """As Go prints it (RFC 3339)."""


def read(reader: Reader) -> Moment:
    """Reads the next element, a time. Raises `ParseError`."""
    if reader.next_is(UTC_TIME):
        message = "x509: malformed UTCTime"
        found = _UTC.fullmatch(reader.content(UTC_TIME, message))
    elif reader.next_is(GENERALIZED_TIME):
        message = "x509: malformed GeneralizedTime"
        found = _GENERALIZED.fullmatch(reader.content(GENERALIZED_TIME, message))
    else:
        raise ParseError("x509: unsupported time format")
    if found is None:
        raise ParseError(message)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if len(found[1]) == 2:
        # The two-digit year changes at 50: Go first uses its own limit, 1969, and then subtracts a century from 2050
        # on.
        year += 2000 if year < 50 else 1900
    zone = _zone(found[7])
    if zone is None or not 1 <= month <= 12 or not 1 <= day <= _length(year, month):
        raise ParseError(message)
    if hour > 23 or minute > 59 or second > 59:
        raise ParseError(message)
    seconds = _days(year, month, day) * _DAY + hour * 3600 + minute * 60 + second - zone * 60
    mark = "Z" if not zone else f"{found[7][:3].decode()}:{found[7][3:].decode()}"
    return Moment(seconds, f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{mark}")


def stamp(moment: datetime) -> str:
    """A time as Go prints it in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _zone(text: bytes) -> int | None:
    """Minutes east of Greenwich; None for a zone that Go would write differently."""
    if text == b"Z":
        return 0
    hours, minutes = int(text[1:3]), int(text[3:])
    if hours > 24 or minutes > 59 or not hours + minutes:
        return None
    return (hours * 60 + minutes) * (-1 if text[:1] == b"-" else 1)


def _length(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _DAYS[month - 1] + leap


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 in the proleptic Gregorian calendar, of any year from 0 on."""
    before = year - 1
    leaps = before // 4 - before // 100 + before // 400
    days = before * 365 + leaps + sum(_length(year, earlier) for earlier in range(1, month)) + day - 1
    return days - 719162
