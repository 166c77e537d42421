"""Writes new YAML in the style of the file: its indentation, quotes and line ends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "str | Plain | Quoted | Inline | Block | Mapping[str, Value] | Sequence[Value]"
"""The values that can be written: texts (quoted if necessary), mappings and sequences of them."""

_SAFE = re.compile(r"[A-Za-z_/$.][A-Za-z0-9_/$.@%+=~-]*")
_WORDS = frozenset("y n yes no on off true false null nan .nan .inf".split())


@dataclass(frozen=True, slots=True)
class Plain:
    """A word that must be without quotes, such as `false`."""

    word: str


@dataclass(frozen=True, slots=True)
class Quoted:
    """A text with its kind of quote: `'`, `"`, or '' for quotes only if necessary."""

    text: str
    style: str


@dataclass(frozen=True, slots=True)
class Inline:
    """A value in flow style, `{a: b}` or `[a, b]`, even if a block were possible."""

    value: Mapping[str, Value] | Sequence[Value]


@dataclass(frozen=True, slots=True)
class Block:
    """A list as lines with dashes, even if `[a, b]` were possible."""

    items: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Style:
    """A file's indentation: `step` columns for a mapping below a key, `dash` for a sequence below a key."""

    step: int = 2
    dash: int = 2
    newline: str = "\n"


def quote_scalar(text: str, *, style: str = "") -> str:
    """`text` as a YAML scalar that every parser takes as a string.

    Args:
        text: any text.
        style: the quote to keep: `'`, `"`, or '' for none unless necessary.
    """
    printable = text.isprintable() and "\ufeff" not in text
    if style == '"' or not printable:
        return '"' + "".join(_escape(character) for character in text) + '"'
    if style != "'" and _SAFE.fullmatch(text) and text.lower() not in _WORDS and not re.match(r"\.\d", text):
        return text
    return "'" + text.replace("'", "''") + "'"


def flow(value: Value, *, quote: str = "") -> str:
    """A value on one line; `quote` as in `quote_scalar`, so that JSON stays JSON."""
    if isinstance(value, str):
        return quote_scalar(value, style=quote)
    if isinstance(value, Plain):
        return value.word
    if isinstance(value, Quoted):
        return quote_scalar(value.text, style=value.style)
    if isinstance(value, Inline):
        return flow(value.value, quote=quote)
    if isinstance(value, Block):
        return flow(value.items, quote=quote)
    if isinstance(value, Mapping):
        pairs = (
            f"{quote_scalar(key, style=quote)}: {flow(each, quote=quote)}" for key, each in value.items()
        )
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(flow(each, quote=quote) for each in value) + "]"


def pair(key: str, value: Value, *, column: int, style: Style) -> str:
    """`key: value` as lines of a block mapping whose keys are at `column`, with a final line end."""
    lead = " " * column + quote_scalar(key) + ":"
    if isinstance(value, Mapping) and value:
        return lead + style.newline + mapping(value, column=column + style.step, style=style)
    if isinstance(value, Block):
        return lead + style.newline + sequence(value.items, column=column + style.dash, style=style)
    if isinstance(value, Sequence) and not isinstance(value, str) and deep(value):
        return lead + style.newline + sequence(value, column=column + style.dash, style=style)
    return f"{lead} {flow(value)}{style.newline}"


def mapping(value: Mapping[str, Value], *, column: int, style: Style) -> str:
    """A block mapping, as lines."""
    return "".join(pair(key, item, column=column, style=style) for key, item in value.items())


def sequence(value: Sequence[Value], *, column: int, style: Style) -> str:
    """A block sequence, as lines."""
    return "".join(item(each, column=column, style=style) for each in value)


def item(value: Value, *, column: int, style: Style, gap: int = 2) -> str:
    """One item of a block sequence, as lines; `gap` is the distance from the dash to the text after it."""
    dash = " " * column + "-" + " " * (gap - 1)
    if isinstance(value, Mapping) and value:
        lines = mapping(value, column=column + gap, style=style)
        return dash + lines[column + gap :]
    return f"{dash}{flow(value)}{style.newline}"


def deep(value: Value) -> bool:
    """Whether the value is written on lines of its own below its key."""
    if isinstance(value, (str, Plain, Quoted, Inline)):
        return False
    if isinstance(value, (Mapping, Block)):
        return bool(value if isinstance(value, Mapping) else value.items)
    return any(isinstance(each, (Mapping, Inline)) for each in value)


def bare(value: Value) -> object:
    """The value as `document.data` would parse it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Plain):
        return value.word
    if isinstance(value, Quoted):
        return value.text
    if isinstance(value, Inline):
        return bare(value.value)
    if isinstance(value, Block):
        return bare(value.items)
    if isinstance(value, Mapping):
        return {key: bare(each) for key, each in value.items()}
    return [bare(each) for each in value]


def _escape(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if character == "\n":
        return "\\n"
    if character == "\t":
        return "\\t"
    if character.isprintable():
        return character
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
