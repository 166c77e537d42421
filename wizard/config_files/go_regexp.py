"""Regular expressions as in Prometheus: Go's package regexp, through Google's RE2, after which Go's was made.

The time is linear in the text for every pattern. What RE2 accepts and Go does not is rejected here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

__all__ = ["Pattern", "PatternError", "compile_pattern", "expand"]

_DEEPEST = 1000
"""Go's limit for nested groups (regexp/syntax, maxHeight)."""


class PatternError(ValueError):
    """A pattern that Prometheus rejects."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; it must match the whole text."""

    names: Mapping[str, int]
    _pattern: Any = field(repr=False)

    def match(self, text: str) -> tuple[str, ...] | None:
        """The whole text and then each group ('' if it did not participate), or None if there is no match."""
        found = self._pattern.fullmatch(text)
        return None if found is None else (found[0], *(group or "" for group in found.groups()))


@lru_cache(maxsize=512)
def compile_pattern(source: str) -> Pattern:
    """Compiles a pattern; a dot also matches line ends, as in Prometheus 3.

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
    r"""Rejects `\C` (any byte), a name that is used twice, and groups nested too deeply: RE2 accepts them.

    Raises:
        PatternError: the pattern has one of these.
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
            # A closing bracket in first position is a member of the class.
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


def _group_name(group: str) -> str:
    for opening in ("(?P<", "(?<"):
        if group.startswith(opening):
            return group[len(opening) :].partition(">")[0]
    return ""


def expand(template: str, pattern: Pattern, found: Sequence[str]) -> str:
    """A template with `$1`, `${1}`, `${name}` and `$$` filled in; an unknown group gives ''."""
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
            # A malformed reference stays as it is.
            result.append("$")
            at = dollar + 1
            continue
        number = int(name) if name.isascii() and name.isdigit() else pattern.names.get(name, -1)
        result.append(found[number] if 0 <= number < len(found) else "")
        at = end + braced
