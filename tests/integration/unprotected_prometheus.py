"""The practice stack without Prometheus' own protection: enough for most tests of a single step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wizard import practice as practice_stack
from wizard.model import Stack


def stack_with_unprotected_prometheus(workspace: Path) -> Stack:
    """Returns the practice stack of a workspace with the recommended protection, except for Prometheus."""
    found = practice_stack.stack(workspace)
    components = tuple(
        replace(each, protect=() if each.name == "prometheus" else each.protect) for each in found.components
    )
    return replace(found, components=components)
