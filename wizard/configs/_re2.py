"""Regular expressions as Prometheus understands them: RE2's syntax and Go's choice among matches.

Python's own `re` differs in the syntax and can take years over a short text; this takes time in proportion to
the pattern times the text, whatever both are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from wizard.configs._re2_parse import (
    WORD,
    Assert,
    Char,
    Either,
    Group,
    Node,
    Parser,
    PatternError,
    Repeat,
    Sequenced,
    within,
)

__all__ = ["Pattern", "PatternError", "compiled", "expand"]

_LARGEST = 20_000


class _Save(NamedTuple):
    slot: int


class _Split(NamedTuple):
    first: int
    second: int


class _Jump(NamedTuple):
    to: int


_Step: TypeAlias = "Char | Assert | _Save | _Split | _Jump"


_Captures: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is held against whole texts."""

    steps: Sequence[_Step] = field(repr=False)
    groups: int
    names: Mapping[str, int]

    def match(self, text: str) -> tuple[str, ...] | None:
        """The whole text and then each group ('' where it took no part), or None if it does not match."""
        found = _run(self.steps, 2 * self.groups + 2, text)
        if found is None:
            return None
        return tuple(text[max(a, 0) : max(b, 0)] for a, b in zip(found[::2], found[1::2], strict=True))


@lru_cache(maxsize=512)
def compiled(source: str) -> Pattern:
    """The pattern, a dot matching line ends too, as Prometheus 3 reads it.

    Raises:
        PatternError: it is not valid, too large, or names a Unicode script.
    """
    parser = Parser(source)
    node = parser.parse()
    steps: list[_Step] = [_Save(0)]
    _emit(node, steps)
    steps.append(_Save(1))
    return Pattern(tuple(steps), parser.groups, parser.names)


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


def _emit(node: Node, steps: list[_Step]) -> None:
    if len(steps) > _LARGEST:
        raise PatternError("it is too large")
    if isinstance(node, (Char, Assert)):
        steps.append(node)
    elif isinstance(node, Group):
        steps.append(_Save(2 * node.number))
        _emit(node.node, steps)
        steps.append(_Save(2 * node.number + 1))
    elif isinstance(node, Sequenced):
        for each in node.nodes:
            _emit(each, steps)
    elif isinstance(node, Either):
        _emit_either(node, steps)
    else:
        _emit_repeat(node, steps)


def _emit_either(node: Either, steps: list[_Step]) -> None:
    ends: list[int] = []
    for each in node.nodes[:-1]:
        fork = len(steps)
        steps.append(_Jump(0))
        _emit(each, steps)
        ends.append(len(steps))
        steps.append(_Jump(0))
        steps[fork] = _Split(fork + 1, len(steps))
    _emit(node.nodes[-1], steps)
    for end in ends:
        steps[end] = _Jump(len(steps))


def _emit_repeat(node: Repeat, steps: list[_Step]) -> None:
    for _ in range(node.least):
        _emit(node.node, steps)
    if node.most < 0:
        fork = len(steps)
        steps.append(_Jump(0))
        _emit(node.node, steps)
        steps.append(_Jump(fork))
        steps[fork] = _fork(fork + 1, len(steps), greedy=node.greedy)
        return
    forks: list[int] = []
    for _ in range(node.most - node.least):
        forks.append(len(steps))
        steps.append(_Jump(0))
        _emit(node.node, steps)
    for fork in forks:
        steps[fork] = _fork(fork + 1, len(steps), greedy=node.greedy)


def _fork(on: int, past: int, *, greedy: bool) -> _Split:
    return _Split(on, past) if greedy else _Split(past, on)


def _run(steps: Sequence[_Step], slots: int, text: str) -> _Captures | None:
    """Every way through the pattern at once, the preferred first; only one that takes the whole text counts."""
    end = len(steps)
    threads: list[tuple[int, _Captures]] = [(0, (-1,) * slots)]
    for at in range(len(text) + 1):
        ready: list[tuple[int, _Captures]] = []
        seen: set[int] = set()
        stack = threads[::-1]
        while stack:
            place, captures = stack.pop()
            if place in seen:
                continue
            seen.add(place)
            if place == end:
                if at == len(text):
                    return captures
                continue
            step = steps[place]
            if isinstance(step, Char):
                ready.append((place, captures))
            elif isinstance(step, _Split):
                stack.append((step.second, captures))
                stack.append((step.first, captures))
            elif isinstance(step, _Save):
                stack.append((place + 1, (*captures[: step.slot], at, *captures[step.slot + 1 :])))
            elif isinstance(step, _Jump):
                stack.append((step.to, captures))
            elif _holds(step.kind, text, at):
                stack.append((place + 1, captures))
        if at == len(text):
            return None
        each = text[at]
        threads = [(place + 1, captures) for place, captures in ready if _passes(steps[place], each)]
    return None


def _passes(step: _Step, each: str) -> bool:
    return isinstance(step, Char) and step.test(each)


def _holds(kind: str, text: str, at: int) -> bool:
    if kind == "start":
        return at == 0
    if kind == "end":
        return at == len(text)
    if kind == "line start":
        return at == 0 or text[at - 1] == "\n"
    if kind == "line end":
        return at == len(text) or text[at] == "\n"
    word = within(WORD)
    boundary = (at > 0 and word(text[at - 1])) != (at < len(text) and word(text[at]))
    return boundary == (kind == "boundary")
