"""The rule files that a prometheus.yml names: parses the list, and adds a file to it."""

from __future__ import annotations

import fnmatch
import posixpath

from ruamel.yaml.nodes import MappingNode, SequenceNode

from wizard.config_files.prometheus.scrape_jobs import NAME
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import load, null, text_of
from wizard.config_files.yaml_edit.editor import Editor
from wizard.errors import ConfigError


def rule_files(content: bytes) -> tuple[str, ...]:
    """The entries of rule_files as written: paths, and patterns in their last part.

    Raises:
        ConfigError: it is not YAML.
    """
    root = load(content, NAME).root
    mapping = fields.fields([root] if root is not None else [])
    return tuple(text_of(node) for node in fields.items(mapping, "rule_files"))


def add_rule_file(content: bytes, path: str, *, folder: str) -> bytes:
    """Adds a file to rule_files; nothing changes if an entry names it already.

    Args:
        path: absolute path of the file.
        folder: folder of the configuration, at which relative entries begin.

    Raises:
        ConfigError: it is not YAML, or rule_files is not a list in the file itself.
    """
    for entry in rule_files(content):
        # Prometheus allows a pattern in the last part only.
        place, pattern = posixpath.split(posixpath.join(folder, entry))
        if place == posixpath.dirname(path) and fnmatch.fnmatchcase(posixpath.basename(path), pattern):
            return content
    document = load(content, NAME)
    editor = Editor(document)
    listed = fields.own(document.root, "rule_files")
    if isinstance(listed, SequenceNode):
        editor.append(("rule_files",), path)
    elif listed is not None and not null(listed):
        raise ConfigError(
            "rule_files is not a list",
            where=document.where(listed),
            todo="Begin each file with a dash",
        )
    elif listed is not None:
        editor.put(("rule_files",), [path])
    elif isinstance(document.root, MappingNode):
        editor.insert((), {"rule_files": [path]})
    else:
        raise ConfigError("this is no configuration of Prometheus", where=NAME)
    return editor.apply().content
