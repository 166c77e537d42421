"""Edits `oauth2` or `authorization` of a job or another client block; every byte outside of that key stays."""

from __future__ import annotations

from collections.abc import Mapping

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.prometheus.scrape_jobs import CLIENT_AUTH, NAME, client_blocks, index_of, job_list
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, Path, load
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Value
from wizard.errors import ConfigError


def set_login(content: bytes, *, place: tuple[str, str | int], key: str, value: Mapping[str, Value]) -> bytes:
    """Makes one client log in by `oauth2` or `authorization`.

    Args:
        content: a prometheus.yml.
        place: ('job', its name), or kind and index of another block, as from `clients`.
        key: oauth2 or authorization.
        value: the value of that key.

    Raises:
        ConfigError: no such job or block, or it logs in in another way.
    """
    document = load(content, NAME)
    path, node = _find_client(content, document, place)
    mapping = fields.fields([node])
    rival = next(
        (each for each in ("basic_auth", *CLIENT_AUTH) if each != key and fields.is_given(mapping, each)), ""
    )
    if rival:
        raise ConfigError(
            f"{place[0]} {place[1]} authenticates with {rival} already, and only one way is allowed",
            where=document.where(fields.own(node, rival) or node),
            todo=f"Remove {rival} there if {key} is to replace it",
        )
    here = fields.own(node, key)
    if here is not None and _plain(here) == _as_plain_data(value):
        return content
    if here is not None:
        editor = Editor(document)
        editor.remove((*path, key))
        document = editor.apply()
    editor = Editor(document)
    editor.insert(path, {key: dict(value)})
    return editor.apply().content


def _find_client(
    content: bytes, document: Document, place: tuple[str, str | int]
) -> tuple[Path, MappingNode]:
    kind, name = place
    if kind == "job":
        index, listed = index_of(content, str(name)), job_list(document)
        assert listed is not None
        node = listed.value[index]
        assert isinstance(node, MappingNode)
        return ("scrape_configs", index), node
    for found, index, node in client_blocks(document):
        if (found, index) == place:
            return (*(("alerting",) if kind == "alertmanagers" else ()), kind, index), node
    raise ConfigError(f"there is no {kind} {name}", where=NAME, todo="Correct its name in the stack file")


def _plain(node: Node) -> object:
    """A node as plain texts, lists and dictionaries."""
    if isinstance(node, MappingNode):
        return {key.value: _plain(value) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_plain(each) for each in node.value]
    assert isinstance(node, ScalarNode)
    return str(node.value)


def _as_plain_data(value: Value) -> object:
    if isinstance(value, Mapping):
        return {key: _as_plain_data(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_plain_data(each) for each in value]
    return str(value)


def login_at(content: bytes, place: tuple[str, str | int]) -> tuple[str, Mapping[str, object]] | None:
    """The present `oauth2` or `authorization` of a client: the key and its value; None for neither.

    Args:
        content: a prometheus.yml.
        place: as for `set_login`.

    Raises:
        ConfigError: no such job or block.
    """
    _, node = _find_client(content, load(content, NAME), place)
    for key in ("oauth2", "authorization"):
        here = fields.own(node, key)
        value = _plain(here) if here is not None else None
        if isinstance(value, dict):
            return key, value
    return None
