"""What an operating system says when a call fails, in whichever language.

Such an error has two parts: what the program was about to do (open a file, connect, listen) and what the kernel
answered (errno). `assets/system_errors.yaml` lists both, and together they are the cause, so that a combination which
nobody has written down gets its own, too. A text is read in two steps: `mark` finds the kernel's answers in it, and
`search` the operation that ended in one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from wizard.diagnostics.tables import Row

# A marked answer: its class between record separators, its words, a group separator. All are white space to a regular
# expression, and in no log.
_MARK: Final = re.compile(r"\x1e(?:[a-z-]{1,30})\x1e([^\x1d]{0,300})\x1d")
_ANY: Final = r"\x1e(?P<error>[a-z-]{1,30})\x1e[^\x1d]{0,300}\x1d"
_FAULT: Final = _ANY.replace("(?P<error>", "(?P<error>(?!denied)")
_CURES: Final = frozenset(("connect", "transfer"))


class SystemErrors:
    """The operations and errors of `assets/system_errors.yaml`.

    Args:
        table: what the file holds.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._operations = [
            (
                each,
                [
                    re.compile(pattern.replace("ERROR", _ANY).replace("FAULT", _FAULT))
                    for pattern in each["match"]
                ],
            )
            for each in table["operations"]
        ]
        self._errors = {each["id"]: each for each in table["errors"]}
        self._special = {(each["operation"], each["error"]): each for each in table["special"]}
        self._ids = tuple(self._errors)
        self._texts = re.compile(r"(?<!\w)(?:" + "|".join(map(_texts, self._errors.values())) + ")")
        self._ordinary = re.compile("|".join(f"(?:{each})" for each in table["ordinary"]))

    def means_an_error(self, text: str) -> bool:
        """Whether a record is meant as an error at all, and not as information."""
        return self._ordinary.search(text) is None

    def mark(self, text: str) -> str:
        """The text with every answer of the system marked as such."""
        return self._texts.sub(self._mark, re.sub(r"[\x1d\x1e]", " ", text))

    def _mark(self, found: re.Match[str]) -> str:
        return f"\x1e{self._ids[(found.lastindex or 1) - 1]}\x1e{found[0]}\x1d"

    def search(self, marked: str) -> tuple[Row, re.Match[str]] | None:
        """The operation and the error of a marked text, as a row in the form of diagnoses.yaml, and where it stands."""
        for operation, patterns in self._operations if "\x1e" in marked else ():
            for pattern in patterns:
                found = pattern.search(marked)
                if found:
                    return self._row(operation, found["error"]), found
        return None

    def _row(self, operation: Row, error: str) -> Row:
        told = self._special.get((operation["id"], error), self._errors[error])
        return {
            "id": f"system-{operation['id']}-{error}",
            "where": "server",
            "match": (),
            "cause": f"{operation['told']}: {told['why']}",
            "fix": told["fix"],
            "cure": "reach" if operation["id"] in _CURES else "",
        }


def without_marks(text: str) -> str:
    """A part of a marked text as it was before."""
    return _MARK.sub(r"\1", text)


def _texts(error: Row) -> str:
    """What the error looks like: its name (Node.js), its text, or both."""
    # The longest first: "no such file" is the beginning of another one.
    names, texts = (
        "|".join(map(re.escape, sorted(error[key], key=len, reverse=True))) for key in ("names", "texts")
    )
    return rf"((?:{names})\b(?:: [a-z][^\n,]{{1,60}}?(?=, |$))?|(?:(?:{names}): )?(?i:{texts})\b)"
