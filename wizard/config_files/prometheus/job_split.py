"""Divides a scrape job: some targets move to a copy of it, so that only these change their scheme."""

from __future__ import annotations

import re
from collections.abc import Callable

from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.yaml_edit import fields, positions
from wizard.config_files.yaml_edit.document import Document, Path, text_of
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Inline, Value
from wizard.config_files.yaml_edit.libyaml import without_anchors
from wizard.errors import ConfigError

_BY_HAND = "Divide the job yourself, or secure all of its targets at once"


def split(document: Document, path: Path, *, moved: frozenset[str], name: str, spaced: bool) -> Document:
    """The document with the job at `path` (its last step is an index) and, after it, its copy called `name`.

    `spaced` puts a blank line between the two.

    Raises:
        ConfigError: see `prometheus.split_job`.
    """
    node = _at(document, path)
    old = text_of(fields.own(node, "job_name"))
    _check(document, path, node, moved)
    doubling = Editor(document)
    doubling.double(path, spaced=spaced)
    both = doubling.apply()
    assert isinstance(path[-1], int)
    copy: Path = (*path[:-1], path[-1] + 1)
    copied = _at(both, copy)
    editor = Editor(both)
    editor.put((*copy, "job_name"), name)
    if _shares_rules(both, copied):
        _add_name_label(editor, copied, copy, old, lambda target: target in moved)
    else:
        _add_name_rule(editor, copied, copy, old=old, new=name)
    _keep(editor, _at(both, path), path, lambda target: target not in moved)
    _keep(editor, copied, copy, lambda target: target in moved)
    for key, _ in copied.value:
        if isinstance(key, ScalarNode) and key.value.endswith("_sd_configs"):
            editor.remove((*copy, key.value))
    return editor.apply()


def _check(document: Document, path: Path, node: MappingNode, moved: frozenset[str]) -> None:
    mapping = fields.fields([node])
    values = [fields.own(node, key) for key in ("job_name", "static_configs")]
    if not all(values) or any(len(mapping.get(key, ())) > 1 for key in ("job_name", "static_configs")):
        raise _refusal(document, node, "its job_name or static_configs come through a merge key (<<)")
    if any(key.endswith("_sd_configs") and fields.own(node, key) is None for key in mapping):
        raise _refusal(document, node, "its service discovery comes through a merge key (<<)")
    targets = {target for _, found in _groups(node) for target in found}
    unknown = sorted(moved - targets)
    if unknown or not moved:
        raise ConfigError(
            f"the job does not name the target {', '.join(unknown) or '(none given)'}",
            where=document.where(node),
            todo="Check its static_configs",
        )
    if targets == moved:
        raise ConfigError(
            "no target would be left in the job", where=document.where(node), todo="Secure the job as a whole"
        )
    parent = document.root if len(path) == 1 else fields.own(document.root, "scrape_configs")
    assert isinstance(parent, SequenceNode) and isinstance(path[-1], int)
    slot = positions.slots(document, parent)[path[-1]]
    lead = slot.start - positions.line_start(document.text, slot.start)
    try:
        without_anchors(" " * lead + document.text[slot.start : slot.end])
    except YAMLError:
        raise _refusal(document, node, "its anchors stand where they cannot be told apart") from None
    if slot.alias:
        raise _refusal(document, node, "it is an alias of a job that stands elsewhere")


def _groups(node: MappingNode) -> list[tuple[int, list[str]]]:
    groups = fields.own(node, "static_configs")
    listed = groups.value if isinstance(groups, SequenceNode) else []
    return [(number, [text_of(each) for each in _targets(group)]) for number, group in enumerate(listed)]


def _targets(group: Node) -> list[Node]:
    return fields.items(fields.fields([group]), "targets")


def _keep(editor: Editor, node: MappingNode, path: Path, kept: Callable[[str], bool]) -> None:
    emptied: list[int] = []
    base: Path = (*path, "static_configs")
    for number, targets in _groups(node):
        gone = [index for index, target in enumerate(targets) if not kept(target)]
        if gone and len(gone) == len(targets):
            emptied.append(number)
        elif gone:
            editor.remove_items((*base, number, "targets"), gone)
    if emptied:
        editor.remove_items(base, emptied)


def _add_name_rule(editor: Editor, node: MappingNode, path: Path, *, old: str, new: str) -> None:
    """Adds a first rule that sets the label `job` to the old name, so that later rules see the label as before."""
    rule: dict[str, Value] = {"target_label": "job", "replacement": old.replace("$", "$$")}
    groups = fields.own(node, "static_configs")
    listed = groups.value if isinstance(groups, SequenceNode) else []
    if any("job" in fields.inner(fields.fields([group]), "labels") for group in listed):
        # A target's own label `job` takes precedence over the job's name, and must still do so.
        exactly = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", new)
        rule = {"source_labels": ["job"], "regex": exactly, **rule}
    here = fields.own(node, "relabel_configs")
    if isinstance(here, SequenceNode) and here.value:
        editor.prepend((*path, "relabel_configs"), Inline(rule))
    elif here is not None:
        editor.append((*path, "relabel_configs"), Inline(rule))
    else:
        editor.insert(path, {"relabel_configs": [Inline(rule)]})


def _shares_rules(document: Document, node: MappingNode) -> bool:
    """Whether the relabeling rules come from elsewhere in the file by an alias or a merge key."""
    if "relabel_configs" not in fields.fields([node]):
        return False
    slot = next(
        (
            each
            for each in positions.slots(document, node)
            if each.key and text_of(each.key) == "relabel_configs"
        ),
        None,
    )
    return slot is None or slot.alias


def _add_name_label(
    editor: Editor, node: MappingNode, path: Path, old: str, kept: Callable[[str], bool]
) -> None:
    """Adds the old name as a label of the targets: it takes precedence over the job's name before any rule runs.

    Used if other jobs share the rules, so that no rule can be added for this job alone.
    """
    groups = fields.own(node, "static_configs")
    listed = groups.value if isinstance(groups, SequenceNode) else []
    for number, group in enumerate(listed):
        mapping = fields.fields([group])
        if not any(kept(text_of(each)) for each in _targets(group)) or "job" in fields.inner(
            mapping, "labels"
        ):
            continue
        base: Path = (*path, "static_configs", number)
        if "labels" in mapping:
            editor.insert((*base, "labels"), {"job": old})
        else:
            editor.insert(base, {"labels": {"job": old}})


def _at(document: Document, path: Path) -> MappingNode:
    listed = document.root if len(path) == 1 else fields.own(document.root, "scrape_configs")
    assert isinstance(listed, SequenceNode) and isinstance(path[-1], int)
    node = listed.value[path[-1]]
    assert isinstance(node, MappingNode)
    return node


def _refusal(document: Document, node: Node, why: str) -> ConfigError:
    return ConfigError(f"this job cannot be divided: {why}", where=document.where(node), todo=_BY_HAND)
