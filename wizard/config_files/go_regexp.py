"""Regular expressions as Prometheus understands them: Go's, by Google's RE2, which Go's package regexp is made after.

Linear in the text, whatever the pattern. What RE2 takes and Go does not is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

__all__ = ["Pattern", "PatternError", "compile_pattern", "expand"]

_DEEPEST = 1000
"""Go's limit for groups within groups (regexp/syntax, maxHeight)."""


class PatternError(ValueError):
    """A pattern that Prometheus refuses."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; it must match a whole text."""

    names: Mapping[str, int]
    _pattern: Any = field(repr=False)

    def match(self, text: str) -> tuple[str, ...] | None:
        """The whole text and then each group ('' where it took no part), or None if it does not match."""
        found = self._pattern.fullmatch(text)
        return None if found is None else (found[0], *(group or "" for group in found.groups()))


@lru_cache(maxsize=512)
def compile_pattern(source: str) -> Pattern:
    """The pattern, a dot matching line ends too, as Prometheus 3 reads it.

    Raises:
        PatternError: it is not valid, or too large.
    """
    import re2

    _refuse_what_go_refuses(source)
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    try:
        pattern = re2.compile(source, options)
    except re2.error as problem:
        (reason,) = problem.args
        raise PatternError(
            reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        ) from None
    return Pattern(pattern.groupindex, pattern)


def _refuse_what_go_refuses(source: str) -> None:
    r"""`\C` (any byte), a name that is given twice, and groups too deep: RE2 takes them.

    Raises:
        PatternError: one of these stands in the pattern.
    """
    names: set[str] = set()
    at = depth = 0
    in_class = False
    while at < len(source):
        rest = source[at:]
        if rest.startswith(r"\Q"):
            end = source.find(r"\E", at)
            at = len(source) if end < 0 else end + 2
            continue
        if rest.startswith("\\"):
            if rest.startswith(r"\C"):
                raise PatternError(r"invalid escape sequence: \C")
            at += 2
            continue
        if in_class:
            in_class = not rest.startswith("]")
        elif rest.startswith("["):
            in_class = True
            # A bracket that comes first is a member and no end.
            at += 1 + rest.startswith(("[]", "[^]")) + rest.startswith("[^")
            continue
        elif rest.startswith("("):
            depth += 1
            if depth > _DEEPEST:
                raise PatternError("expression nests too deeply")
            name = _group_name(rest)
            if name in names:
                raise PatternError(f"duplicate capture group name: {name}")
            names |= {name} - {""}
        elif rest.startswith(")"):
            depth -= 1
        at += 1


def _group_name(rest: str) -> str:
    for opening in ("(?P<", "(?<"):
        if rest.startswith(opening):
            return rest[len(opening) :].partition(">")[0]
    return ""


def expand(template: str, pattern: Pattern, found: Sequence[str]) -> str:
    """A template with `$1`, `${1}`, `${name}` and `$$` filled in; a group that is not there gives ''."""
    result: list[str] = []
    at = 0
    while True:
        dollar = template.find("$", at)
        if dollar < 0:
            return "".join([*result, template[at:]])
        result.append(template[at:dollar])
        if template[dollar + 1 : dollar + 2] == "$":
            result.append("$")
            at = dollar + 2
            continue
        braced = template[dollar + 1 : dollar + 2] == "{"
        begin = end = dollar + 1 + braced
        while end < len(template) and (template[end] == "_" or template[end].isalnum()):
            end += 1
        name = template[begin:end]
        if not name or (braced and template[end : end + 1] != "}"):
            # What is malformed stands for itself.
            result.append("$")
            at = dollar + 1
            continue
        number = int(name) if name.isascii() and name.isdigit() else pattern.names.get(name, -1)
        result.append(found[number] if 0 <= number < len(found) else "")
        at = end + braced
