"""Parses YAML into nodes with their place in the text, at libyaml's speed.

The marks of every node are indices into `Document.text`. A text that Prometheus' own
parser would reject (bad UTF-8, tabs as indentation, endless aliases) is a `ConfigError` with its line.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from wizard.config_files.yaml_edit.libyaml import children, compose_nodes
from wizard.errors import ConfigError

Data: TypeAlias = Any
"""The content of a text: dict, list, str, or None. Numbers stay text, as Go parses them into its own types."""

Path: TypeAlias = tuple[str | int, ...]

_LARGEST = 2_000_000
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MAYBE_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*\w", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Document:
    """The first document of a YAML text; like Prometheus, it ignores (and keeps) anything after it."""

    text: str = field(repr=False)
    """Without the byte order mark; line ends as in the file."""
    parsed: str = field(repr=False)
    """The text given to libyaml: the same one, with the exception in `libyaml.compose_nodes`."""
    root: Node | None = field(repr=False)
    name: str = ""
    """The file's name in messages."""
    mark: bytes = b""
    """The byte order mark, or b''."""
    first_line: int = 1
    """Line number of the text's first line in the file from which it was cut."""
    aliases: bool = False
    """Whether there may be an alias; False is certain."""
    places: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)
    """The results of `positions.slots` by node id, so that a long list is traversed once."""

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return self.mark + self.text.encode()

    def where(self, node: Node | None) -> str:
        """File and line of a node, for messages."""
        return self.place(node.start_mark.line if node is not None else 0)

    def place(self, line: int) -> str:
        """File and line; `line` counts from 0 within this text."""
        number = line + self.first_line
        return f"{self.name}:{number}" if self.name else f"line {number}"


def load(content: bytes, name: str = "") -> Document:
    """Parses the bytes of a YAML file.

    Args:
        content: UTF-8, with or without a byte order mark.
        name: the file's name in messages.

    Raises:
        ConfigError: not UTF-8 or not YAML; `where` has the line.
    """
    mark, text = decode(content, name)
    return compose(text, name=name, mark=mark)


def decode(content: bytes, name: str = "") -> tuple[bytes, str]:
    """The byte order mark (or b'') and the text of a file.

    Raises:
        ConfigError: it is not UTF-8.
    """
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    try:
        text = content[len(mark) :].decode("utf-8")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start + len(mark)) + 1
        raise ConfigError(
            "it is not UTF-8 text",
            where=f"{name}:{line}" if name else f"line {line}",
            todo="Save the file as UTF-8; Prometheus reads nothing else reliably",
        ) from problem
    return mark, text


def compose(text: str, *, name: str = "", mark: bytes = b"", first_line: int = 1) -> Document:
    """Parses a decoded text; see `load`."""
    try:
        root, parsed = compose_nodes(text)
    except YAMLError as problem:
        raise _yaml_error(problem, name, first_line) from problem
    except ConfigError as problem:
        raise ConfigError(problem.what, where=name, todo=problem.todo) from problem
    return Document(
        text=text,
        parsed=parsed,
        root=root,
        name=name,
        mark=mark,
        first_line=first_line,
        aliases="*" in text and _MAYBE_ALIAS.search(text) is not None,
    )


def null(node: Node | None) -> bool:
    """Whether Go would leave the field unset: no value, `~` or `null` without quotes."""
    return node is None or (
        isinstance(node, ScalarNode) and not node.style and not node.tag and node.value in _NULLS
    )


def text_of(node: Node | None) -> str:
    """The text of a scalar; '' for null and for other nodes."""
    return str(node.value) if isinstance(node, ScalarNode) and not null(node) else ""


def merges(key: Node) -> bool:
    """Whether this key is an unquoted `<<`, as Go decides it."""
    return isinstance(key, ScalarNode) and key.value == "<<" and not key.style


def alias_ids(document: Document) -> frozenset[int]:
    """The ids of the nodes that occur in more than one place through aliases."""
    if not document.aliases or document.root is None:
        return frozenset()
    seen: set[int] = set()
    twice: set[int] = set()
    waiting = [document.root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            twice.add(id(node))
            continue
        seen.add(id(node))
        waiting.extend(children(node))
    return frozenset(twice)


def data(document: Document) -> Data:
    """The content of a document with aliases resolved; merge keys stay as a key `<<`.

    Raises:
        ConfigError: a key occurs twice, or aliases refer to themselves or unfold to too much.
    """
    _measure(document)
    return _data(document, document.root, {}) if document.root is not None else None


def _data(document: Document, node: Node, results: dict[int, Data]) -> Data:
    if isinstance(node, ScalarNode):
        return None if null(node) else str(node.value)
    if id(node) in results:
        return results[id(node)]
    result: Data
    if isinstance(node, SequenceNode):
        result = [_data(document, item, results) for item in node.value]
    else:
        result = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, ScalarNode) else repr(_data(document, key, results))
            if name in result and merges(key):
                name = f"<<{len(result)}"
            if name in result:
                raise ConfigError(
                    f"the key {name} is there twice in the same mapping",
                    where=document.where(key),
                    todo="Remove one of them; Prometheus refuses the file as it is",
                )
            result[name] = _data(document, value, results)
    results[id(node)] = result
    return result


def _measure(document: Document) -> None:
    """Refuses aliases that refer to themselves or that unfold to more than Prometheus could load."""
    if not document.aliases or document.root is None:
        return
    sizes: dict[int, int] = {}
    open_now: set[int] = set()

    def size(node: Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_now:
            raise ConfigError(
                "an alias refers to the mapping that it stands in",
                where=document.where(node),
                todo="Remove it",
            )
        open_now.add(id(node))
        total = 1 + sum(size(child) for child in children(node))
        open_now.discard(id(node))
        if total > _LARGEST:
            raise ConfigError(
                "its aliases expand to millions of values",
                where=document.where(node),
                todo="Check whether this is the right file",
            )
        sizes[id(node)] = total
        return total

    size(document.root)


def _yaml_error(problem: YAMLError, name: str, first_line: int) -> ConfigError:
    line, what = 0, str(problem).splitlines()[0]
    if isinstance(problem, MarkedYAMLError):
        mark = problem.problem_mark or problem.context_mark
        line = mark.line + first_line if mark is not None else 0
        what = " ".join(part for part in (problem.context, problem.problem) if part)
    place = f"{name}:{line}" if name and line else name or (f"line {line}" if line else "")
    return ConfigError(
        f"it is not valid YAML: {what}",
        where=place,
        todo="Repair that line; Prometheus would refuse the file too",
    )
