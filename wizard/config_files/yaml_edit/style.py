"""Detects the style of a YAML file (indentation, quotes, line ends), so that additions match it."""

from __future__ import annotations

from collections.abc import Iterator

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from wizard.config_files.yaml_edit import positions
from wizard.config_files.yaml_edit.document import Document
from wizard.config_files.yaml_edit.emitter import Style

_WIDEST = 8
_ENOUGH = 500
"""The number of nodes to examine before the style is decided."""


def gap(document: Document, node: SequenceNode) -> int:
    """Columns from a dash to the keys after it, as in the last block mapping of the list."""
    for index in range(len(node.value) - 1, -1, -1):
        item = node.value[index]
        if isinstance(item, MappingNode) and not item.flow_style and item.value:
            mark = positions.dash(document, node, index)
            found = positions.column(document, item) - (mark - positions.line_start(document.text, mark))
            if 2 <= found <= _WIDEST:
                return found
    return 2


def style(document: Document, node: Node | None, *, at: int = 0) -> Style:
    """The indentation of blocks below `node`, or else in the whole document, and the line end at index `at`."""
    step: int | None = None
    dash: int | None = None
    for start in (node, document.root):
        for parent_column, block in _blocks(document, start):
            width = _first_column(document, block) - parent_column
            if isinstance(block, MappingNode) and step is None and 1 <= width <= _WIDEST:
                step = width
            elif isinstance(block, SequenceNode) and dash is None and 0 <= width <= _WIDEST:
                dash = width
            if step is not None and dash is not None:
                break
    return Style(
        step=step or dash or 2,
        dash=2 if dash is None else dash,
        newline=positions.newline(document.text, at),
    )


def key_quote(node: Node | None) -> str:
    """The quote around the keys of a mapping if it is JSON, or ''."""
    if isinstance(node, MappingNode) and node.value and node.flow_style and node.value[0][0].style == '"':
        return '"'
    return ""


def _blocks(document: Document, start: Node | None) -> Iterator[tuple[int, MappingNode | SequenceNode]]:
    """Yields the block collections below a key, nearest first, with the column of that key."""
    waiting = [start] if start is not None else []
    for _ in range(_ENOUGH):
        if not waiting:
            return
        parent = waiting.pop(0)
        if isinstance(parent, SequenceNode):
            waiting.extend(parent.value[-3:])
        elif isinstance(parent, MappingNode) and not parent.flow_style:
            column = positions.column(document, parent)
            for key, value in parent.value:
                written_here = value.start_mark.index >= key.end_mark.index
                if written_here and isinstance(value, (MappingNode, SequenceNode)) and not value.flow_style:
                    waiting.append(value)
                    yield column, value


def _first_column(document: Document, node: MappingNode | SequenceNode) -> int:
    if isinstance(node, MappingNode):
        return positions.column(document, node)
    mark = positions.dash(document, node, 0)
    return mark - positions.line_start(document.text, mark)
