"""Whether plain values fit a JSON Schema, without the library that says in what they do not.

Nearly every file is right, and loading the library takes as long as a login over SSH. Promises: a yes is the
library's yes; a keyword that is not known here is an `UnknownError`, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
_BOUNDS: dict[str, type] = {
    "minLength": str, "maxLength": str, "minItems": list, "maxItems": list,
    "minProperties": dict, "maxProperties": dict, "minimum": int, "maximum": int,
}  # fmt: skip


class UnknownError(Exception):
    """The schema says something that is not known here."""


def fits(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether a value is what a schema asks for.

    Args:
        value: of dict, list, str, int, bool and None.
        schema: the schema, or the part of it that the value is held against.
        root: the whole schema, for what refers to its `$defs`.

    Raises:
        UnknownError: see there.
    """
    if isinstance(schema, bool):
        return schema
    return all(_holds(word, asked, value, schema, root) for word, asked in schema.items())


def _holds(word: str, asked: Any, value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:  # noqa: PLR0911 - a keyword each
    match word:
        case "$schema" | "$defs" | "title" | "description":
            return True
        case "$ref":
            return fits(value, root["$defs"][asked.removeprefix("#/$defs/")], root)
        case "type" if isinstance(asked, str) and asked in _TYPES:
            return _is(value, _TYPES[asked])
        case "enum":
            return any(_same(value, each) for each in asked)
        case "const":
            return _same(value, asked)
        case "oneOf":
            return sum(fits(value, each, root) for each in asked) == 1
        case "not":
            return not fits(value, asked, root)
        case "pattern":
            return not isinstance(value, str) or re.search(asked, value) is not None
        case "items" | "uniqueItems":
            return not isinstance(value, list) or _items(word, asked, value, root)
        case _ if word in _BOUNDS:
            return not _is(value, _BOUNDS[word]) or _bounded(word, asked, value)
    return _object(word, asked, value, schema, root)


def _is(value: Any, kind: type) -> bool:
    """As isinstance, but a bool is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _bounded(word: str, asked: int, value: Any) -> bool:
    size = value if isinstance(value, int) else len(value)
    return bool(size >= asked if word.startswith("min") else size <= asked)


def _items(word: str, asked: Any, value: list[Any], root: Mapping[str, Any]) -> bool:
    if word == "items":
        return all(fits(each, asked, root) for each in value)
    return not asked or not any(
        _same(one, other) for index, one in enumerate(value) for other in value[:index]
    )


def _object(word: str, asked: Any, value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    words = ("properties", "required", "additionalProperties", "propertyNames", "dependentRequired")
    if word not in words:
        raise UnknownError(word)
    if not isinstance(value, dict):
        return True
    match word:
        case "properties":
            return all(fits(value[key], each, root) for key, each in asked.items() if key in value)
        case "required":
            return all(key in value for key in asked)
        case "propertyNames":
            return all(fits(key, asked, root) for key in value)
        case "dependentRequired":
            return all(key in value for known, keys in asked.items() if known in value for key in keys)
    known = schema.get("properties", {})
    return all(fits(each, asked, root) for key, each in value.items() if key not in known)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list | dict):
        raise UnknownError("lists or mappings to compare")
    return bool(one == other)
