"""Values for a Compose file, each in the form of the values beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.compose import values
from wizard.config_files.compose.command import item, quotes
from wizard.config_files.compose.interpolation import escape
from wizard.config_files.yaml_edit.editor import Block, Plain, Quoted, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder of the host to mount in a container."""

    source: str
    """As written in the file: absolute, or relative to the project's folder and beginning with `./`."""
    target: str
    read_only: bool = True
    selinux: str = ""
    """z or Z if the host enforces SELinux."""


def healthcheck_test(node: Node | None) -> tuple[str, ...]:
    """The test of a healthcheck with CMD, CMD-SHELL or NONE first, and dollar signs as in the file."""
    found = values.texts(node)
    return ("CMD-SHELL", *found) if isinstance(node, ScalarNode) and found else found


def test_like(node: Node | None, words: Sequence[str]) -> Value:
    """The test of a healthcheck in the form of the present one: a string, a block, or a list on one line."""
    if isinstance(node, ScalarNode) and words[0] == "CMD-SHELL":
        quote = "'" if node.style == "'" or '"' in words[1] or "\\" in words[1] else '"'
        return Quoted(words[1], quote)
    items = [Quoted(word, '"') for word in words]
    return Block(items) if isinstance(node, SequenceNode) and not node.flow_style else items


def mount_like(mount: Mount, like: Node | None, *, compose_1: bool) -> Value:
    """A mount in the form of a list's last item; in short form if there is none."""
    items = like.value if isinstance(like, SequenceNode) else []
    long = bool(items) and isinstance(items[-1], MappingNode)
    if (long and not (compose_1 and mount.selinux)) or ":" in mount.source or ":" in mount.target:
        value: dict[str, Value] = {
            "type": "bind",
            "source": escape(mount.source),
            "target": escape(mount.target),
        }
        if mount.read_only:
            value["read_only"] = Plain("true")
        if mount.selinux:
            value["bind"] = {"selinux": mount.selinux}
        return value
    options = [*(["ro"] if mount.read_only else []), *([mount.selinux] if mount.selinux else [])]
    text = escape(":".join([mount.source, mount.target, *([",".join(options)] if options else [])]))
    return item(text, quotes(like), flow=bool(getattr(like, "flow_style", False)))


def in_quotes(value: Value) -> Value:
    """The value as in JSON: every text in double quotes."""
    if isinstance(value, Plain):
        return value if value.word in ("true", "false") or value.word.isdecimal() else Quoted(value.word, '"')
    if isinstance(value, Quoted):
        return Quoted(value.text, '"')
    if isinstance(value, Block):
        return Block([in_quotes(each) for each in value.items])
    if isinstance(value, Mapping):
        return {key: in_quotes(each) for key, each in value.items()}
    return value


def short_port(node: MappingNode) -> Value:
    """A port in long form as a short one on 127.0.0.1; `mode` matters only in a swarm."""
    port = values.port(node)
    assert port is not None
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    return Quoted(f"127.0.0.1:{port.published}:{port.target}{protocol}", '"')


def on_loopback(node: Node, *, compose_1: bool) -> Value:
    """A published port, in its own form, on 127.0.0.1.

    Args:
        node: the present entry.
        compose_1: whether Compose 1.x reads it, which supports no address in long form.
    """
    if isinstance(node, MappingNode):
        present = values.value_of(node)
        assert isinstance(present, Mapping)
        return short_port(node) if compose_1 else {**present, "host_ip": Plain("127.0.0.1")}
    assert isinstance(node, ScalarNode)
    ports, slash, protocol = str(node.value).partition("/")
    parts = values.split_at_colons(ports)[-2:]
    text = ":".join(["127.0.0.1", *(parts if len(parts) > 1 else ["", *parts])]) + slash + protocol
    return item(text, node.style if node.style in ("'", '"') else "", flow=True)
