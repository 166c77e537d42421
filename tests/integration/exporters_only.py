"""The practice stack with Prometheus left out: what most tests of a single step need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wizard import practice as practice_stack
from wizard.model import Stack


def exporters_only(workspace: Path) -> Stack:
    """The practice stack of a workspace, all of it protected as recommended except Prometheus."""
    found = practice_stack.stack(workspace)
    components = tuple(
        replace(each, protect=() if each.name == "prometheus" else each.protect) for each in found.components
    )
    return replace(found, components=components)
