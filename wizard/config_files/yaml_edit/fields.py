"""The meaning of a mapping to Prometheus once its merge keys are resolved.

Its YAML parser (go-yaml 2, tested with 2.42 through /api/v1/status/config) applies `<<` at its place: one
after a key overrides that key. And it merges structures such as tls_config field by field, so that a field of
a merged tls_config survives an explicit tls_config without that field.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.yaml_edit.document import merges, null, text_of

Fields: TypeAlias = dict[str, list[Node]]
"""The values of each key, in the order in which Prometheus applies them."""

_POINTERS = frozenset({"basic_auth", "authorization", "oauth2"})
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})


def fields(nodes: Iterable[Node]) -> Fields:
    """The fields of the mappings `nodes`, later ones over earlier ones; other nodes are ignored."""
    result: Fields = {}
    for node in nodes:
        if isinstance(node, MappingNode):
            _gather(node, result, 0)
    return result


def value(mapping: Fields, key: str) -> str:
    """The final text of the key, or ''; a null leaves the earlier value."""
    if key not in mapping:
        return ""
    for node in reversed(mapping[key]):
        if not null(node):
            return text_of(node)
    return ""


def inner(mapping: Fields, key: str) -> Fields:
    """The fields of the structure below `key`."""
    if key not in mapping:
        return {}
    nodes = mapping[key]
    if key in _POINTERS:
        last = max((index for index, node in enumerate(nodes) if null(node)), default=-1)
        nodes = nodes[last + 1 :]
    return fields(nodes)


def is_given(mapping: Fields, key: str) -> bool:
    """Whether the key's final value is not null."""
    nodes = mapping.get(key, [])
    return bool(nodes) and not null(nodes[-1])


def texts(mapping: Fields) -> dict[str, str]:
    """All single values that are not empty."""
    found = {key: value(mapping, key) for key in mapping}
    return {key: text for key, text in found.items() if text}


def items(mapping: Fields, key: str) -> list[Node]:
    """The items of the list below `key`; a later list replaces an earlier one."""
    if key not in mapping:
        return []
    for node in reversed(mapping.get(key, ())):
        if isinstance(node, SequenceNode):
            return list(node.value)
    return []


def truth(text: str) -> bool:
    """Whether Go parses this word as true."""
    return text in _TRUE


def own(node: Node | None, key: str) -> Node | None:
    """The value of a key in the mapping itself, without merge keys."""
    if isinstance(node, MappingNode):
        for name, each in node.value:
            if isinstance(name, ScalarNode) and name.value == key:
                found: Node = each
                return found
    return None


def _gather(node: MappingNode, result: Fields, depth: int) -> None:
    if depth > 20:
        return
    for key, each in node.value:
        name = key.value
        if name == "<<" and merges(key):
            # Of a list of mappings the first takes precedence, so it is applied last.
            sources = reversed(each.value) if isinstance(each, SequenceNode) else [each]
            for source in sources:
                if isinstance(source, MappingNode):
                    _gather(source, result, depth + 1)
        elif not isinstance(name, str):
            continue
        elif name in result:
            result[name].append(each)
        else:
            result[name] = [each]
