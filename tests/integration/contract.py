"""The shape of a JSON document: its keys and the type of each value, whatever the values are."""

from __future__ import annotations

from typing import Any, TypeAlias

Shape: TypeAlias = dict[str, str]


def shape(document: Any, place: str = "") -> Shape:
    """Returns each path of a document with the types of its values, e.g. {'.probes[].ok': 'true/false'}."""
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


def missing(recorded: Shape, current: Shape) -> list[str]:
    """Returns what breaks programs that read the document: missing paths, and types that are new at a path."""
    gone = [f"{place} is gone" for place in recorded if place not in current]
    changed = [
        f"{place} was {recorded[place]} and is {current[place]}"
        for place in recorded
        if place in current and not set(current[place].split("|")) <= set(recorded[place].split("|"))
    ]
    return gone + changed
