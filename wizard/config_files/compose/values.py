"""The values of a service's keys, in short and in long form, as one frozen type each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.compose.interpolation import variable_end
from wizard.config_files.yaml_edit.document import merges, null, text_of
from wizard.config_files.yaml_edit.emitter import Plain, Quoted, Value

_TRUE = frozenset({"true", "yes", "on", "y"})
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True, slots=True)
class Volume:
    """One mount. `source` is a path as written or the name of a volume, '' for an anonymous volume."""

    source: str
    target: str
    kind: str = "bind"
    """bind, volume, tmpfs …"""
    options: tuple[str, ...] = ()
    """The options of the short form: ro, z, Z, rslave …"""


@dataclass(frozen=True, slots=True)
class Port:
    """One published port. `published` is '' if Docker chooses it; it and `target` may be ranges."""

    target: str
    published: str = ""
    host_ip: str = ""
    """'' for all addresses."""
    protocol: str = "tcp"

    def covers(self, port: int) -> bool:
        """Whether this entry publishes that port of the container."""
        found = _RANGE.fullmatch(self.target)
        return found is not None and int(found[1]) <= port <= int(found[2] or found[1])


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """How Docker tests a container's health. `test` begins with CMD, CMD-SHELL or NONE; () is the image's own."""

    test: tuple[str, ...] = ()
    disabled: bool = False


def mapping(node: Node | None) -> dict[str, Node]:
    """The keys of a mapping with those of merge keys: a written key takes precedence, then the first merge."""
    found: dict[str, Node] = {}
    _gather(node, found, 0)
    return found


def own_keys(node: Node | None) -> dict[str, Node]:
    """The keys of the mapping itself, without merge keys."""
    if not isinstance(node, MappingNode):
        return {}
    return {str(key.value): value for key, value in node.value if not merges(key)}


def _gather(node: Node | None, found: dict[str, Node], depth: int) -> None:
    if not isinstance(node, MappingNode) or depth > 20:
        return
    for name, value in own_keys(node).items():
        found.setdefault(name, value)
    for key, value in node.value:
        if merges(key):
            for each in value.value if isinstance(value, SequenceNode) else [value]:
                _gather(each, found, depth + 1)


def texts(node: Node | None) -> tuple[str, ...]:
    """The words of a list of scalars, or of one scalar."""
    if isinstance(node, SequenceNode):
        return tuple(str(each.value) for each in node.value if isinstance(each, ScalarNode))
    return (text_of(node),) if isinstance(node, ScalarNode) and not null(node) else ()


def pairs(node: Node | None) -> tuple[tuple[str, str], ...]:
    """A mapping, or a list of `NAME=value`, as pairs."""
    if isinstance(node, MappingNode):
        return tuple((name, text_of(value)) for name, value in mapping(node).items())
    return tuple((name, value) for name, _, value in (each.partition("=") for each in texts(node)))


def value_of(node: Node) -> Value:
    """A node as a value to write elsewhere: aliases and merge keys written out, quotes kept."""
    if isinstance(node, MappingNode):
        return {name: value_of(each) for name, each in mapping(node).items()}
    if isinstance(node, SequenceNode):
        return [value_of(each) for each in node.value]
    assert isinstance(node, ScalarNode)
    style = node.style or ""
    if style in ("'", '"'):
        return Quoted(str(node.value), style)
    return Plain(str(node.value)) if node.value and not style else Quoted(str(node.value), '"')


def volume(node: Node) -> Volume | None:
    """A mount in short or long form; None for anything else."""
    if isinstance(node, MappingNode):
        fields = {name: text_of(each) for name, each in mapping(node).items()}
        return Volume(
            source=fields.get("source", fields.get("src", "")),
            target=fields.get("target", fields.get("dst", fields.get("destination", ""))),
            kind=fields.get("type", "volume"),
        )
    text = text_of(node)
    return short_volume(text) if text else None


def short_volume(text: str) -> Volume:
    """`[source:]target[:options]`."""
    parts = split_at_colons(text)
    if len(parts) == 1:
        return Volume("", parts[0], kind="volume")
    if len(parts) > 2 and len(parts[0]) == 1 and parts[0].isalpha():
        # a drive of Windows
        parts = [f"{parts[0]}:{parts[1]}", *parts[2:]]
    options = tuple(parts[2].split(",")) if len(parts) > 2 else ()
    kind = "bind" if parts[0].startswith((".", "/", "~", "$", "%")) or ":" in parts[0] else "volume"
    return Volume(parts[0], parts[1] if len(parts) > 1 else "", kind, options)


def port(node: Node) -> Port | None:
    """A published port in short or long form; None for anything else."""
    if isinstance(node, MappingNode):
        fields = {name: text_of(each) for name, each in mapping(node).items()}
        return Port(
            target=fields.get("target", ""),
            published=fields.get("published", ""),
            host_ip=fields.get("host_ip", ""),
            protocol=fields.get("protocol", "tcp"),
        )
    text = text_of(node)
    return short_port(text) if text else None


def short_port(text: str) -> Port:
    """`[[ip:]published:]target[/protocol]`."""
    ports, _, protocol = text.partition("/")
    parts = split_at_colons(ports)
    address = ":".join(parts[:-2])
    return Port(
        target=parts[-1],
        published=parts[-2] if len(parts) > 1 else "",
        host_ip=address.strip("[]"),
        protocol=protocol or "tcp",
    )


def split_at_colons(text: str) -> list[str]:
    """The parts between colons, except colons within `${…}` or `[…]`."""
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "$":
            at = variable_end(text, at)
        elif text[at] == "[" and (close := text.find("]", at)) > 0:
            at = close + 1
        elif text[at] == ":":
            parts.append(text[start:at])
            start = at = at + 1
        else:
            at += 1
    return [*parts, text[start:]]


def healthcheck(node: Node | None) -> Healthcheck | None:
    """A healthcheck; None if there is none."""
    fields = mapping(node)
    if not fields:
        return None
    disabled = text_of(fields.get("disable")).lower() in _TRUE
    test = fields.get("test")
    words: Sequence[str] = texts(test)
    if isinstance(test, ScalarNode) and words:
        words = ("CMD-SHELL", *words)
    return Healthcheck(tuple(words), disabled or tuple(words) == ("NONE",))
