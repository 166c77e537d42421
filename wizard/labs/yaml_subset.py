"""The part of YAML that a lab's file may use: no aliases, anchors or tags, one document, little nesting."""

from __future__ import annotations

from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from wizard.errors import LabError
from wizard.redact import plain

_DEEPEST = 12
_MOST = 20
"""Maximum number of problems that are listed."""


def problems(text: str, path: str) -> list[LabError]:
    """Returns constructs that a lab does not need, before any value is built: small files cannot become huge."""
    found: list[LabError] = []
    depth = documents = 0
    try:
        for event in YAML(typ="safe").parse(StringIO(text)):
            depth += isinstance(event, MappingStartEvent | SequenceStartEvent)
            depth -= isinstance(event, MappingEndEvent | SequenceEndEvent)
            documents += isinstance(event, DocumentStartEvent)
            what, todo = _needless(event)
            if documents > 1:
                what, todo = "the file has a second document", "Keep one"
            elif depth > _DEEPEST:
                what, todo = "the file is nested too deep", "See an existing lab"
            if what:
                found.append(LabError(what, where=f"{path}:{event.start_mark.line + 1}", todo=todo))
            if documents > 1 or depth > _DEEPEST or len(found) > _MOST:
                return found
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else path
        what = f"this is not valid YAML: {plain(str(error.problem or error.context), 200)}"
        found.append(
            LabError(what, where=where, todo="Check the indentation and the colons around this line")
        )
    except (YAMLError, RecursionError, ValueError) as error:
        found.append(
            LabError(f"this is not valid YAML: {type(error).__name__}", where=path, todo="Correct the file")
        )
    return found


def _needless(event: Any) -> tuple[str, str]:
    """Returns (what it is, what to do) of an alias, an anchor or a tag."""
    if isinstance(event, AliasEvent):
        return f"'*{plain(str(event.anchor), 40)}' is an alias", "Write the value itself"
    if isinstance(event, NodeEvent) and event.anchor:
        return f"'&{plain(str(event.anchor), 40)}' is an anchor", "Remove it"
    if isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent) and event.tag:
        return "a value has a tag (!)", "Remove the tag"
    return "", ""
