"""A unified diff as lines with numbers, changed words and unchanged stretches: data, not yet drawn."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{1,64}={0,2}")
_FULL = 64
"""Characters in each base64 line of a PEM file except the last."""
_ALIKE = 0.3
"""The share of two lines that must be equal for single words to be marked; below it the whole line is marked."""

Kind = Literal["same", "added", "removed", "fold", "note"]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a diff. `words` are the positions (start, end) in `text` of the changed words."""

    kind: Kind
    text: str
    old: int = 0
    """Its number in the present file, counted from 1; 0 if it is not there. `new`: the same for the planned file."""
    new: int = 0
    words: tuple[tuple[int, int], ...] = ()


def parse_diff(text: str) -> tuple[DiffLine, ...]:
    """Returns the lines of a unified diff without its two lines of names; text that is no diff becomes notes."""
    found: list[DiffLine] = []
    old = new = 0
    names = inside = False
    for line in text.splitlines():
        hunk = _HUNK.match(line)
        if hunk:
            before = old
            old, new = int(hunk[1]), int(hunk[3])
            inside = True
            if hidden := old - max(before, 1) if old else 0:
                found.append(DiffLine("fold", f"{hidden} unchanged line{'s' * (hidden != 1)}"))
        elif not inside and line.startswith(("--- ", "+++ ")) and (names or line.startswith("--- ")):
            names = True
        elif inside and line[:1] == " ":
            found.append(DiffLine("same", line[1:], old, new))
            old, new = old + 1, new + 1
        elif inside and line[:1] == "-":
            found.append(DiffLine("removed", line[1:], old=old))
            old += 1
        elif inside and line[:1] == "+":
            found.append(DiffLine("added", line[1:], new=new))
            new += 1
        else:
            found.append(DiffLine("note", line))
    return tuple(_mark_changed_words(found))


def _mark_changed_words(lines: list[DiffLine]) -> Iterator[DiffLine]:
    """Yields the lines with their changed words; in a block, removed and added lines are compared in order."""
    at = 0
    while at < len(lines):
        removed = _run(lines, at, "removed")
        added = _run(lines, at + len(removed), "added")
        if not removed or not added:
            yield lines[at]
            at += 1
            continue
        pairs = [_words(one, other) for one, other in zip(removed, added, strict=False)]
        yield from (one for one, _ in pairs)
        yield from removed[len(pairs) :]
        yield from (other for _, other in pairs)
        yield from added[len(pairs) :]
        at += len(removed) + len(added)


def _run(lines: list[DiffLine], start: int, kind: Kind) -> list[DiffLine]:
    end = start
    while end < len(lines) and lines[end].kind == kind:
        end += 1
    return lines[start:end]


def without_base64(lines: tuple[DiffLine, ...]) -> tuple[DiffLine, ...]:
    """Returns the lines with each certificate's body folded: notes above it describe it, and nobody reads base64."""
    found: list[DiffLine] = []
    at, given = 0, list(lines)
    while at < len(given):
        body = _base64(_run(given, at, given[at].kind))
        if len(body) > 2:
            what = {"added": " added", "removed": " removed"}.get(given[at].kind, "")
            found.append(DiffLine("fold", f"{len(body)} lines of base64{what}"))
        else:
            found += given[at : at + 1]
        at += len(body) if len(body) > 2 else 1
    return tuple(found)


def _base64(lines: list[DiffLine]) -> list[DiffLine]:
    """Returns the full base64 lines at the beginning of `lines`, and the shorter line that ends them."""
    count = 0
    for line in lines:
        if line.kind not in ("added", "removed", "same") or not _BASE64.fullmatch(line.text):
            break
        count += 1
        if len(line.text) < _FULL:
            break
    return lines[:count]


def _words(one: DiffLine, other: DiffLine) -> tuple[DiffLine, DiffLine]:
    before, after = _WORD.findall(one.text), _WORD.findall(other.text)
    match = difflib.SequenceMatcher(None, before, after, autojunk=False)
    if match.ratio() < _ALIKE:
        return one, other
    removed, added = [], []
    for tag, start, end, first, last in match.get_opcodes():
        if tag != "equal":
            removed.append(_span(before, start, end))
            added.append(_span(after, first, last))
    return (
        replace(one, words=tuple(span for span in removed if span[0] < span[1])),
        replace(other, words=tuple(span for span in added if span[0] < span[1])),
    )


def _span(words: list[str], start: int, end: int) -> tuple[int, int]:
    begin = sum(map(len, words[:start]))
    return begin, begin + sum(map(len, words[start:end]))


def side_by_side(lines: tuple[DiffLine, ...]) -> tuple[tuple[DiffLine | None, DiffLine | None], ...]:
    """Returns (present, planned) of each row; folds and notes are on both sides."""
    rows: list[tuple[DiffLine | None, DiffLine | None]] = []
    at, found = 0, list(lines)
    while at < len(found):
        removed = _run(found, at, "removed")
        added = _run(found, at + len(removed), "added")
        if removed or added:
            longer = max(len(removed), len(added))
            left = [*removed, *[None] * (longer - len(removed))]
            right = [*added, *[None] * (longer - len(added))]
            rows += zip(left, right, strict=True)
            at += len(removed) + len(added)
        else:
            rows.append((found[at], found[at]))
            at += 1
    return tuple(rows)
