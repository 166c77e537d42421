"""What Prometheus and its kin say of themselves: the messages of their records, and the source file that wrote one.

Such a record names the task that failed (`msg`), where it happened (`caller` or `source`, `component`) and the error
(`err`). Where nothing else knows the error, `assets/program_messages.yaml` knows the tasks by their messages, and
`assets/error_sources.yaml` whose task it was by the source file, also of messages that nobody has written down.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from wizard.diagnostics.tables import Row

Found: TypeAlias = tuple[Row, re.Match[str]]

_ERROR: Final = r"\A(?=[^\n]{0,400}?\b(?:level|lvl|severity)=(?i:err|error|crit|critical|fatal|panic)\b)"
# A warning says that the program copes with it.
_NO_WARNING: Final = r"\A(?![^\n]{0,400}?\b(?:level|lvl|severity)=(?i:warn))"
_FAMILY: Final = (
    r"(?i:prometheus|alertmanager|pushgateway|blackbox|_exporter\b|\bscrap|\btsdb|\bw[ab]l\b|remote[ _]writ|\botlp"
    r"|out.of.order|\bexemplar|\bhistogram|\bsamples?\b|\bseries\b|landing page|\bDSN\b|gossip|\bsilence"
    r"|sending alerts?|aggregation group|\brules?\b|resharding|federation|\bmodule=[^\n\x1f]{1,80}\x1ftarget="
    r"|collector failed\x1fname=[^\n\x1f]{1,40}\x1f(?:duration_seconds|err)=)"
)
# main.go is a file of every program: the record must say besides whose it is.
_SHARED: Final = rf"(?=[^\n]{{0,900}}?{_FAMILY})"
# The error of the record; its message where it has none.
_WHAT: Final = (
    r"(?:[^\n]{0,900}?\x1f(?:err|error)=|[^\n]{0,900}?\b(?:msg|message)=)(?P<what>[^\n\x1f]{3,200})"
)


class ProgramErrors:
    """The messages and source files of the two tables.

    Args:
        messages: the rows of `program_messages.yaml`.
        sources: the rows of `error_sources.yaml`.
    """

    def __init__(self, messages: Sequence[Row], sources: Sequence[Row]) -> None:
        # "operation failed" is said by many, and a component may be called web or remote in any program: the record
        # must name a source file, a program or the work of this family.
        files = [name for row in sources for name in (*row["files"], *row.get("shared", ()))]
        ours = rf"(?=[^\n]{{0,900}}?(?:{_file(files)}|{_FAMILY}))"
        self._messages = [(row, _of_message(row["say"], ours)) for row in messages]
        self._sources = [
            *((row, _of_component(row["components"], ours)) for row in sources if row["components"]),
            *((row, _of_file(row["files"])) for row in sources if row["files"]),
            *((row, _of_file(names, _SHARED)) for row in sources if (names := _others(row))),
        ]

    def find_message(self, text: str) -> Found | None:
        """The row that knows the message of a record, in the form of diagnoses.yaml, and what was found; or None."""
        return _first(self._messages, text)

    def find_source(self, text: str) -> Found | None:
        """The same by the source file or component that wrote the record."""
        return _first(self._sources, text)


def _first(rows: Sequence[tuple[Row, re.Pattern[str]]], text: str) -> Found | None:
    for row, pattern in rows:
        if found := pattern.search(text):
            return {"where": "server", "match": (), **row}, found
    return None


def _others(row: Row) -> tuple[str, ...]:
    """The source files of a row whose names other programs have, too."""
    return (*row.get("shared", ()), *row.get("common", ()))


def _file(names: Sequence[str]) -> str:
    """Prometheus and its kin name the source file alone, other programs in Go its folder, too."""
    return rf"\b(?:caller|source)=(?:{'|'.join(names)})\.go:\d"


def _of_message(beginnings: Sequence[str], ours: str) -> re.Pattern[str]:
    return re.compile(
        rf"\A{ours}{_NO_WARNING}[^\n]{{0,900}}?\b(?:msg|message)=(?P<what>(?:{'|'.join(beginnings)})[^\n\x1f]{{0,200}})"
    )


def _of_component(names: Sequence[str], ours: str) -> re.Pattern[str]:
    return re.compile(rf"{_ERROR}{ours}(?=[^\n]{{0,400}}?\bcomponent=(?:{'|'.join(names)})(?:\x1f|$)){_WHAT}")


def _of_file(names: Sequence[str], besides: str = "") -> re.Pattern[str]:
    return re.compile(rf"{_ERROR}{besides}(?=[^\n]{{0,400}}?{_file(names)}){_WHAT}")
