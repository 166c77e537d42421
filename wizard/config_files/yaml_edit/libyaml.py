"""Drives libyaml's composer at full speed, and accepts the YAML that Go accepts.

The marks of the nodes are indices into the given text, and the values are those of that text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.errors import ConfigError

_DEEPEST = 100
_BRACKET = re.compile(r"[\[\]{}]")
_INSIDE_WORD = re.compile(r"(?<=[^\s\"'\]}]):(?=[^\s,\[\]{}])")
_ANCHOR = re.compile(r"&[^\s,\[\]{}]+(?:[ \t]*(?P<end>(?=\r?\n|\Z))|[ \t]+|)")
_HIDING = "\ue03a"


class _Parser(CParser):  # type: ignore[misc]
    """libyaml's composer without ruamel's resolver, which takes half of the time and is not needed here.

    It calls these three for each node; a builtin that accepts any arguments and returns '' is the fastest.
    """

    resolve: Callable[..., str] = "".format
    descend_resolver: Callable[..., Any] = "".format
    ascend_resolver: Callable[..., Any] = "".format


class _CarefulParser(_Parser):
    """A parser for texts that may be nested deeper than the C stack allows, since composing recurses."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def descend_resolver(self, parent: Any, index: Any) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ConfigError(
                f"it is nested more than {_DEEPEST} deep", todo="Check whether this is the right file"
            )

    def ascend_resolver(self) -> None:
        self._depth -= 1


def compose_nodes(text: str) -> tuple[Node | None, str]:
    """The nodes of a text, and the text as it was given to libyaml.

    The installed libyaml does not accept `[localhost:9100]`, a colon inside a word in flow style, which Go does and
    every second prometheus.yml has. If libyaml rejects the text, each such colon is replaced by another character
    of the same length, so that the marks stay right, and restored in the values.
    """
    try:
        return _parse(text), text
    except YAMLError as problem:
        hidden = _hide(text)
        if hidden == text:
            raise
        try:
            root = _parse(hidden)
        except YAMLError:
            raise problem from None
    if root is not None:
        _unhide(root)
    return root, hidden


def _parse(text: str) -> Node | None:
    parser = _CarefulParser(text) if _maybe_deep(text) else _Parser(text)
    return parser.get_node() if parser.check_node() else None


def _maybe_deep(text: str) -> bool:
    """Whether the text may be nested deeper than some 80 levels; a False is certain enough for the C stack."""
    if " " * 80 in text or "- " * 20 in text:
        return True
    depth = deepest = 0
    for bracket in _BRACKET.findall(text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest > _DEEPEST // 2


def _hide(text: str) -> str:
    return text if _HIDING in text else _INSIDE_WORD.sub(_HIDING, text)


def _unhide(root: Node) -> None:
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ScalarNode):
            if _HIDING in node.value:
                node.value = node.value.replace(_HIDING, ":")
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.extend(children(node))


def without_anchors(text: str) -> str:
    """A piece of YAML without its anchors (`&name`); aliases in it stay, even to unknown anchors.

    Raises:
        YAMLError: it is not YAML.
    """
    parser = CParser(_hide(text))
    pieces, cursor = [], 0
    while parser.check_event():
        event = parser.get_event()
        if type(event).__name__ == "AliasEvent" or not getattr(event, "anchor", None):
            continue
        found = _ANCHOR.search(text, event.start_mark.index)
        assert found is not None
        # An anchor at the end of its line is removed with the blank before it.
        start = len(text[: found.start()].rstrip(" \t")) if found["end"] is not None else found.start()
        pieces.append(text[cursor:start])
        cursor = found.end()
    return "".join([*pieces, text[cursor:]])


def second_document(text: str) -> int:
    """Line (from 1) of the beginning of a second document, which Prometheus ignores silently; 0 if none.

    Args:
        text: as `compose_nodes` gave it to libyaml.
    """
    parser = CParser(text)
    seen = 0
    try:
        while parser.check_event():
            event = parser.get_event()
            if type(event).__name__ == "DocumentStartEvent":
                seen += 1
                if seen == 2:
                    return int(event.start_mark.line) + 1
    except YAMLError:
        return 0
    return 0


def children(node: Node) -> Iterator[Node]:
    """Yields the direct children of a node, with its keys."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, SequenceNode):
        yield from node.value
