"""The places of values in the text: what a node's marks do not tell about aliases, blocks and line ends.

libyaml marks an alias with the place of its anchor, and ends a block only at the next token, after comments and
blank lines. Here an alias has its own place, and a block ends with its last character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.yaml_edit.document import Document
from wizard.errors import ConfigError

_AFTER_KEY = re.compile(r"\s*:(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(\*[^\s,\]}]+)")
_BEFORE_ALIAS = re.compile(r"(?:#[^\n]*|[^*#])*?(\*[^\s,\]}]+)")
_COMMENT_LINE = re.compile(r"([ \t]*)(#[^\n]*)?(?:\n|\Z)")
_DASH = re.compile(r"[&!]\S*|#[^\n]*|(-)")


@dataclass(frozen=True, slots=True)
class Slot:
    """One child of a mapping or sequence. `start` and `end` span the value, or the alias, in the text."""

    key: Node | None
    node: Node
    start: int
    end: int
    alias: bool


def slots(document: Document, parent: Node) -> list[Slot]:
    """The children of a collection with their places, in the order of the text."""
    cached: list[Slot] | None = document.places.get(id(parent))
    if cached is None:
        cached = document.places[id(parent)] = _slots(document, parent)
    return cached


def _slots(document: Document, parent: Node) -> list[Slot]:
    if isinstance(parent, MappingNode):
        return [_pair(document, key, value) for key, value in parent.value]
    found: list[Slot] = []
    cursor = parent.start_mark.index
    for node in parent.value:
        slot = _item(document, node, cursor)
        found.append(slot)
        cursor = slot.end
    return found


def child(document: Document, node: Node, step: str | int) -> Slot | None:
    """The child of a mapping under that key, or of a list at that index; None if there is none."""
    if isinstance(node, MappingNode) and isinstance(step, str):
        for place in slots(document, node):
            if isinstance(place.key, ScalarNode) and place.key.value == step:
                return place
    elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return slots(document, node)[step]
    return None


def key_start(slot: Slot) -> int:
    """Index of the first character of a child, or of its key if it has one."""
    return int(slot.key.start_mark.index) if slot.key is not None else slot.start


def tail(document: Document, node: Node) -> int:
    """Index after the last character of a node at its own place, without comments."""
    if isinstance(node, ScalarNode):
        if node.style in ("|", ">"):
            return _block_scalar_end(document.text, node)
        return int(node.end_mark.index)
    if not isinstance(node, (MappingNode, SequenceNode)) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    if isinstance(node, MappingNode):
        return _pair(document, *node.value[-1]).end
    if document.aliases:
        return slots(document, node)[-1].end
    return tail(document, node.value[-1])


def column(document: Document, node: MappingNode) -> int:
    """The column of the keys of a block mapping."""
    for key, _ in node.value:
        start = key.start_mark.index
        before = document.text[document.text.rfind("\n", 0, start) + 1 : start]
        mark = re.search(r"\?\s*$", before)
        return mark.start() if mark else int(key.start_mark.column)
    return int(node.start_mark.column)


def dash(document: Document, parent: SequenceNode, index: int) -> int:
    """Index of the dash of an item of a block sequence."""
    places = slots(document, parent) if index and document.aliases else []
    if places:
        low = places[index - 1].end
    else:
        low = tail(document, parent.value[index - 1]) if index else parent.start_mark.index
    return dash_after(document.text, low)


def dash_after(text: str, low: int) -> int:
    """Index of the first dash from `low` on that is neither in a comment nor in an anchor or tag."""
    for found in _DASH.finditer(text, low):
        if found.group(1):
            return found.start()
    raise ConfigError("a list item has no dash", todo="Edit this yourself")


def line_start(text: str, index: int) -> int:
    """Index of the first character of the line with `index`."""
    return text.rfind("\n", 0, index) + 1


def after_line(text: str, index: int) -> int:
    """Index of the first character of the next line (`index` itself if it is the beginning of a line after a block)."""
    if 0 < index <= len(text) and text[index - 1] == "\n":
        return index
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def after_comments(text: str, index: int, column: int) -> int:
    """As `after_line`, but also after the directly following comments that are indented deeper than `column`.

    These belong to the list item that ends here, whose dash is at `column`, not to the next one.
    """
    end = at = after_line(text, index)
    while at < len(text):
        found = _COMMENT_LINE.match(text, at)
        if found is None:
            break
        at = found.end()
        if found.group(2):
            if len(found.group(1)) <= column:
                break
            end = at
    return end


def newline(text: str, index: int = 0) -> str:
    """The line end in use at `index`, or else in the whole text."""
    end = text.find("\n", max(index, 0))
    if end < 0:
        end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def _pair(document: Document, key: Node, value: Node) -> Slot:
    key_end = key.end_mark.index
    if document.aliases and value.start_mark.index < key_end:
        found = _AFTER_KEY.match(document.text, key_end)
        if found is None:
            raise ConfigError(
                "an alias is in a place where it cannot be edited",
                where=document.where(key),
                todo="Edit this yourself",
            )
        return Slot(key, value, found.start(1), found.end(1), True)
    return Slot(key, value, value.start_mark.index, max(tail(document, value), key_end), False)


def _item(document: Document, node: Node, cursor: int) -> Slot:
    if document.aliases and node.start_mark.index < cursor:
        found = _BEFORE_ALIAS.match(document.text, cursor)
        if found is None:
            raise ConfigError("an alias is in a place where it cannot be edited", todo="Edit this yourself")
        return Slot(None, node, found.start(1), found.end(1), True)
    return Slot(None, node, node.start_mark.index, tail(document, node), False)


def _block_scalar_end(text: str, node: ScalarNode) -> int:
    start, end = node.start_mark.index, node.end_mark.index
    header = text[start : text.find("\n", start)]
    if "+" in header.split("#")[0]:
        return int(end)
    return int(start) + len(text[start:end].rstrip())
