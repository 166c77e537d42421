"""Lists every setting of a YAML configuration with its path and line, for checks that report a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.yaml_edit.document import Document, load, text_of
from wizard.config_files.yaml_edit.libyaml import children


@dataclass(frozen=True, slots=True)
class Setting:
    """A scalar value of a YAML file: path of keys and indices, text, and line counted from 1."""

    path: tuple[str | int, ...]
    text: str
    line: int

    @property
    def key(self) -> str:
        """The last key of its path."""
        return next((part for part in reversed(self.path) if isinstance(part, str)), "")


def settings(content: bytes) -> Iterator[Setting]:
    """All scalar values of a YAML document, each once, even if aliases repeat it.

    Raises:
        ConfigError: the content is not YAML.
    """
    document = load(content)
    if document.root is not None:
        yield from _below(document, document.root, (), set())


def _below(document: Document, node: Node, path: tuple[str | int, ...], seen: set[int]) -> Iterator[Setting]:
    if id(node) in seen or len(path) > 40:
        return
    if isinstance(node, ScalarNode):
        yield Setting(path, text_of(node), node.start_mark.line + document.first_line)
        return
    seen.add(id(node))
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield from _below(document, value, (*path, text_of(key)), seen)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(children(node)):
            yield from _below(document, item, (*path, index), seen)
