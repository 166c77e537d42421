"""Finds the task that failed in records of Prometheus, Alertmanager and the exporters.

Such a record names the task (`msg`), its place in the program (`caller` or `source`, `component`) and the error (`err`).
Where no other table has the error, the task is found by the message in `assets/program_messages.yaml`, or by the source
file in `assets/error_sources.yaml`, which also covers messages that no table lists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from wizard.diagnostics.tables import Row

Found: TypeAlias = tuple[Row, re.Match[str]]

_ERROR: Final = r"\A(?=[^\n]{0,400}?\b(?:level|lvl|severity)=(?i:err|error|crit|critical|fatal|panic)\b)"
# A warning means that the program handled the failure and continues.
_NO_WARNING: Final = r"\A(?![^\n]{0,400}?\b(?:level|lvl|severity)=(?i:warn))"
_FAMILY: Final = (
    r"(?i:prometheus|alertmanager|pushgateway|blackbox|_exporter\b|\bscrap|\btsdb|\bw[ab]l\b|remote[ _]writ|\botlp"
    r"|out.of.order|\bexemplar|\bhistogram|\bsamples?\b|\bseries\b|landing page|\bDSN\b|gossip|\bsilence"
    r"|sending alerts?|aggregation group|\brules?\b|resharding|federation|\bmodule=[^\n\x1f]{1,80}\x1ftarget="
    r"|collector failed\x1fname=[^\n\x1f]{1,40}\x1f(?:duration_seconds|err)=)"
)
# Other programs have source files of these names, too (main.go): the record must also contain a word of the family.
_IS_FAMILY: Final = rf"(?=[^\n]{{0,900}}?{_FAMILY})"
# The error of the record, or its message if it has no error.
_ERROR_OR_MESSAGE: Final = (
    r"(?:[^\n]{0,900}?\x1f(?:err|error)=|[^\n]{0,900}?\b(?:msg|message)=)(?P<what>[^\n\x1f]{3,200})"
)


class ProgramErrors:
    """Searches records for the messages and source files of the two tables.

    Args:
        messages: the rows of `program_messages.yaml`.
        sources: the rows of `error_sources.yaml`.
    """

    def __init__(self, messages: Sequence[Row], sources: Sequence[Row]) -> None:
        # Many programs log "operation failed" or have a component named web or remote: the record must also name a
        # source file, a program or a task of this family.
        files = [name for row in sources for name in (*row["files"], *row.get("shared", ()))]
        is_family = rf"(?=[^\n]{{0,900}}?(?:{_caller_pattern(files)}|{_FAMILY}))"
        self._messages = [(row, _message_pattern(row["say"], is_family)) for row in messages]
        self._sources = [
            *(
                (row, _component_pattern(row["components"], is_family))
                for row in sources
                if row["components"]
            ),
            *((row, _file_pattern(row["files"])) for row in sources if row["files"]),
            *((row, _file_pattern(names, _IS_FAMILY)) for row in sources if (names := _shared_names(row))),
        ]

    def find_message(self, text: str) -> Found | None:
        """Returns the row for the message of a record, in the form of diagnoses.yaml, and the match; or None.

        Args:
            text: name of the program, a unit separator and the text of the record.
        """
        return _find_first(self._messages, text)

    def find_source(self, text: str) -> Found | None:
        """Returns the row for the source file or component that logged the record, and the match; or None."""
        return _find_first(self._sources, text)


def _find_first(rows: Sequence[tuple[Row, re.Pattern[str]]], text: str) -> Found | None:
    for row, pattern in rows:
        if found := pattern.search(text):
            return {"where": "server", "match": (), **row}, found
    return None


def _shared_names(row: Row) -> tuple[str, ...]:
    """Returns the source files of a row whose names occur in other programs, too."""
    return (*row.get("shared", ()), *row.get("common", ()))


def _caller_pattern(names: Sequence[str]) -> str:
    """Returns the pattern for a source file; other Go programs log its folder, too, and must not match."""
    return rf"\b(?:caller|source)=(?:{'|'.join(names)})\.go:\d"


def _message_pattern(beginnings: Sequence[str], is_family: str) -> re.Pattern[str]:
    return re.compile(
        rf"\A{is_family}{_NO_WARNING}[^\n]{{0,900}}?\b(?:msg|message)=(?P<what>(?:{'|'.join(beginnings)})[^\n\x1f]{{0,200}})"
    )


def _component_pattern(names: Sequence[str], is_family: str) -> re.Pattern[str]:
    return re.compile(
        rf"{_ERROR}{is_family}(?=[^\n]{{0,400}}?\bcomponent=(?:{'|'.join(names)})(?:\x1f|$)){_ERROR_OR_MESSAGE}"
    )


def _file_pattern(names: Sequence[str], condition: str = "") -> re.Pattern[str]:
    return re.compile(rf"{_ERROR}{condition}(?=[^\n]{{0,400}}?{_caller_pattern(names)}){_ERROR_OR_MESSAGE}")
