"""Edits the paths that Prometheus uses: `metrics_path` of a job, `path_prefix` of alertmanagers."""

from __future__ import annotations

from ruamel.yaml.nodes import MappingNode

from wizard.config_files.prometheus.client_blocks import ClientBlock
from wizard.config_files.prometheus.client_settings import in_hand
from wizard.config_files.prometheus.scrape_jobs import NAME, client_blocks, index_of, job_list
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, Path, load
from wizard.config_files.yaml_edit.editor import Editor
from wizard.errors import ConfigError


def set_metrics_path(content: bytes, *, job: str, path: str) -> bytes:
    """Makes a job scrape its targets at `path`, e.g. '/prometheus/metrics'.

    Raises:
        ConfigError: no such job, or an edit that would change more than this.
    """
    index = index_of(content, job)
    document = load(content, NAME)
    listed = job_list(document)
    assert listed is not None
    return _set(document, ("scrape_configs", index), listed.value[index], "metrics_path", path)


def set_path_prefix(content: bytes, block: ClientBlock, prefix: str) -> bytes:
    """Makes an entry of alertmanagers send its alerts below `prefix`, e.g. '/alertmanager'.

    Args:
        block: from `clients`: identified by kind and index.

    Raises:
        ConfigError: there is no such entry, or an edit that would change more than this.
    """
    document = load(content, NAME)
    for kind, index, node in client_blocks(document):
        if (kind, index) == (block.kind, block.index):
            return _set(document, ("alerting", kind, index), node, "path_prefix", prefix)
    raise ConfigError(
        f"there is no {block.title} any more", where=NAME, todo="Read the file again, then try again"
    )


def path_prefix(content: bytes, block: ClientBlock) -> str:
    """The path_prefix of an entry of alertmanagers; '' for none."""
    document = load(content, NAME)
    nodes = {(kind, index): node for kind, index, node in client_blocks(document)}
    node = nodes.get((block.kind, block.index))
    return fields.value(fields.fields([node]), "path_prefix") if node is not None else ""


def _set(document: Document, path: Path, node: MappingNode, key: str, value: str) -> bytes:
    if fields.value(fields.fields([node]), key) == value:
        return document.content
    editor = Editor(document)
    here = fields.own(node, key)
    if here is None:
        editor.insert(path, {key: value})
    else:
        editor.put((*path, key), in_hand(here, value))
    return editor.apply().content
