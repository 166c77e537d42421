"""Diagnoses errors of system calls, as programs in any language log them.

Such an error has two parts: the operation that failed (open a file, connect, listen) and the error of the kernel
(errno). `assets/system_errors.yaml` lists both, and the cause is made from the two, so that a combination that no table
lists gets a cause, too. A text is searched in two steps: `mark` marks the errors of the kernel in it, and `search`
finds the operation that ended with one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from wizard.diagnostics.tables import Row

# A marked error: its id between record separators, its text, a group separator. These separators count as white space
# in a regular expression, and no log contains them.
_MARK: Final = re.compile(r"\x1e(?:[a-z-]{1,30})\x1e([^\x1d]{0,300})\x1d")
_ANY_ERROR: Final = r"\x1e(?P<error>[a-z-]{1,30})\x1e[^\x1d]{0,300}\x1d"
_ANY_BUT_DENIED: Final = _ANY_ERROR.replace("(?P<error>", "(?P<error>(?!denied)")
_NETWORK_OPERATIONS: Final = frozenset(("connect", "transfer"))


class SystemErrors:
    """The operations and errors of `assets/system_errors.yaml`.

    Args:
        table: the content of that file.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._operations = [
            (
                operation,
                [
                    re.compile(pattern.replace("ERROR", _ANY_ERROR).replace("FAULT", _ANY_BUT_DENIED))
                    for pattern in operation["match"]
                ],
            )
            for operation in table["operations"]
        ]
        self._errors = {error["id"]: error for error in table["errors"]}
        self._special = {(row["operation"], row["error"]): row for row in table["special"]}
        self._ids = tuple(self._errors)
        self._errors_pattern = re.compile(
            r"(?<!\w)(?:" + "|".join(map(_error_pattern, self._errors.values())) + ")"
        )
        self._ordinary = re.compile("|".join(f"(?:{pattern})" for pattern in table["ordinary"]))

    def means_an_error(self, text: str) -> bool:
        """Whether a record reports an error, in contrast to mere information."""
        return self._ordinary.search(text) is None

    def mark(self, text: str) -> str:
        """Marks every error of the operating system in a text."""
        return self._errors_pattern.sub(self._mark_error, re.sub(r"[\x1d\x1e]", " ", text))

    def _mark_error(self, match: re.Match[str]) -> str:
        return f"\x1e{self._ids[(match.lastindex or 1) - 1]}\x1e{match[0]}\x1d"

    def search(self, marked: str) -> tuple[Row, re.Match[str]] | None:
        """Finds the operation and the error in a marked text: a row in the form of diagnoses.yaml, and the match."""
        for operation, patterns in self._operations if "\x1e" in marked else ():
            for pattern in patterns:
                match = pattern.search(marked)
                if match:
                    return self._row(operation, match["error"]), match
        return None

    def _row(self, operation: Row, error: str) -> Row:
        explanation = self._special.get((operation["id"], error), self._errors[error])
        return {
            "id": f"system-{operation['id']}-{error}",
            "where": "server",
            "match": (),
            "cause": f"{operation['told']}: {explanation['why']}",
            "fix": explanation["fix"],
            "cure": "reach" if operation["id"] in _NETWORK_OPERATIONS else "",
        }


def without_marks(text: str) -> str:
    """Removes the marks from a part of a marked text."""
    return _MARK.sub(r"\1", text)


def _error_pattern(error: Row) -> str:
    """Returns the pattern for an error: its name (as Node.js prints it), its text, or both."""
    # The longest text first: "no such file" is the beginning of another one.
    names, texts = (
        "|".join(map(re.escape, sorted(error[key], key=len, reverse=True))) for key in ("names", "texts")
    )
    return rf"((?:{names})\b(?:: [a-z][^\n,]{{1,60}}?(?=, |$))?|(?:(?:{names}): )?(?i:{texts})\b)"
