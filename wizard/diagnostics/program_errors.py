"""What Prometheus and its kin say of themselves: the messages of their records, and the source file that wrote one.

Such a record names the task that failed (`msg`), where it happened (`caller` or `source`, `component`) and the error
(`err`). Where nothing else knows the error, `assets/program_messages.yaml` knows the tasks by their messages, and
`assets/error_sources.yaml` whose task it was by the source file, also of messages that nobody has written down.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from wizard.diagnostics.tables import Row

_ERROR: Final = r"\A(?=[^\n]{0,400}?\b(?:level|lvl|severity)=(?i:err|error|crit|critical|fatal|panic)\b)"
# A warning says that the program copes with it.
_NO_WARNING: Final = r"\A(?![^\n]{0,400}?\b(?:level|lvl|severity)=(?i:warn))"
# Prometheus and its kin name the source file alone, other programs in Go its folder, too.
_FILE: Final = r"\b(?:caller|source)=[\w.-]{1,60}\.go:\d"
_FAMILY: Final = (
    r"(?i:prometheus|alertmanager|pushgateway|blackbox|_exporter\b|\bscrap|\btsdb|\bw[ab]l\b|remote[ _]writ|\botlp"
    r"|out.of.order|\bexemplar|\bhistogram|\bsamples?\b|\bseries\b|landing page|\bDSN\b|gossip|\bsilence"
    r"|sending alerts?|\brules?\b|resharding|federation)"
)
# "operation failed" is said by many: the record must name its source file, a program of the family or its work.
_OURS: Final = rf"\A(?=[^\n]{{0,900}}?(?:{_FILE}|{_FAMILY}))"
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
        self._rows = [
            *((row, _of_message(row["say"])) for row in messages),
            *((row, _of_component(row["components"])) for row in sources if row["components"]),
            *((row, _of_file(row["files"])) for row in sources if row["files"]),
            *((row, _of_file(row["shared"], _SHARED)) for row in sources if "shared" in row),
        ]

    def search(self, text: str) -> tuple[Row, re.Match[str]] | None:
        """The row that knows the record, in the form of diagnoses.yaml, and what was found of it; or None."""
        for row, pattern in self._rows:
            if found := pattern.search(text):
                return {"where": "server", "match": (), **row}, found
        return None


def _of_message(beginnings: Sequence[str]) -> re.Pattern[str]:
    return re.compile(
        rf"{_OURS}{_NO_WARNING}[^\n]{{0,900}}?\b(?:msg|message)=(?P<what>(?:{'|'.join(beginnings)})[^\n\x1f]{{0,200}})"
    )


def _of_component(names: Sequence[str]) -> re.Pattern[str]:
    return re.compile(
        rf"{_ERROR}(?=[^\n]{{0,400}}?{_FILE})(?=[^\n]{{0,400}}?\bcomponent=(?:{'|'.join(names)})\x1f){_WHAT}"
    )


def _of_file(names: Sequence[str], besides: str = "") -> re.Pattern[str]:
    return re.compile(
        rf"{_ERROR}{besides}(?=[^\n]{{0,400}}?\b(?:caller|source)=(?:{'|'.join(names)})\.go:\d){_WHAT}"
    )
