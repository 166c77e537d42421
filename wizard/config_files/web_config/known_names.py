"""Names that a web configuration may use, and whether a newer program than those known here may have more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_NEWEST: Final = (0, 17)
"""The newest exporter toolkit whose fields, headers and names are all known here."""


@dataclass(frozen=True, slots=True)
class Named:
    """A sentence of `check` about a name that the program must know: a setting, a version, a cipher, a header."""

    text: str
    perhaps_newer: bool = False
    """Whether a newer program than those known here may have the name."""

    def is_refused(self, toolkit: str) -> bool:
        """Whether a program with this toolkit is known to reject it."""
        return not self.perhaps_newer or is_covered(toolkit)


def is_covered(toolkit: str) -> bool:
    """Whether all names of this toolkit version are known here; False for an unknown version."""
    return version_of(toolkit) <= _NEWEST


def version_of(text: str) -> tuple[int, int]:
    """The first two numbers of a version; an unknown one counts as the newest."""
    parts = text.lstrip("v").split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return (999, 0)
    return int(parts[0]), int(parts[1])
