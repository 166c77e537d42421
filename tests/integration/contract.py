"""The shape of a JSON document: which keys it has and what kind of value stands there, whatever the values."""

from __future__ import annotations

from typing import Any, TypeAlias

Shape: TypeAlias = dict[str, str]


def shape(document: Any, place: str = "") -> Shape:
    """Each place of a document with the kinds of value found there, e.g. {'.probes[].ok': 'true/false'}."""
    found: dict[str, set[str]] = {}
    _collect(document, place, found)
    return {where: "|".join(sorted(kinds)) for where, kinds in sorted(found.items())}


def _collect(value: Any, place: str, found: dict[str, set[str]]) -> None:
    kinds = found.setdefault(place or ".", set())
    if isinstance(value, dict):
        kinds.add("object")
        for key, item in value.items():
            _collect(item, f"{place}.{key}", found)
    elif isinstance(value, list):
        kinds.add("list")
        for item in value:
            _collect(item, f"{place}[]", found)
    elif isinstance(value, bool):
        kinds.add("true/false")
    elif value is None:
        kinds.add("null")
    else:
        kinds.add("number" if isinstance(value, int | float) else "text")


def missing(kept: Shape, now: Shape) -> list[str]:
    """What other programs may rely on and no longer find: places that are gone, kinds of value that are new there."""
    gone = [f"{place} is gone" for place in kept if place not in now]
    changed = [
        f"{place} was {kept[place]} and is {now[place]}"
        for place in kept
        if place in now and not set(now[place].split("|")) <= set(kept[place].split("|"))
    ]
    return gone + changed
