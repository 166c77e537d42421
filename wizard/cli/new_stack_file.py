"""Writes the result of a scan to a stack file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.cli import output
from wizard.errors import InputError
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.engine import Scan


def write_stack(scan: Scan, path: Path, *, runs: Path, leave_out: Collection[str] = ()) -> None:
    """Writes the stack file, and prints the level of each component and what it costs.

    Args:
        scan: the result of the scan.
        path: of the stack file.
        runs: the workspace's folder of runs.
        leave_out: `host/component` of each component that is left as it is.

    Raises:
        InputError: nothing was found, a component is unknown, or the file cannot be written.
    """
    from wizard.components import component as find_component
    from wizard.engine.present_stack import present_stack
    from wizard.inventory import stack_file
    from wizard.planner.questions import level_name, protection_cost

    stack = present_stack(scan, runs)
    if not stack.components:
        silent = ", ".join(scan.facts.away)
        raise InputError(
            "no component of Prometheus was found, so there is no stack to write"
            + (f" (unreachable: {plain(silent)})" if silent else ""),
            where=str(path),
            todo="Make these hosts reachable and scan again" if silent else "",
        )
    component_keys = [component.key for component in stack.components]
    if unknown := [key for key in leave_out if key not in component_keys]:
        raise InputError(
            f"--leave-out: there is no component {plain(unknown[0])}",
            where=str(path),
            todo=f"Choose from: {plain(', '.join(component_keys))}",
        )
    components = tuple(
        replace(component, protect=()) if component.key in leave_out else component
        for component in stack.components
    )
    stack_file.write(replace(stack, components=components), path)
    seen = {one.key: one for one in scan.exposures}
    for component in components:
        cost = f" {protection_cost(find_component(component.name))}" if component.protect else ""
        if component.key in seen and component.protect == seen[component.key].level(component.protect):
            cost = " It has this protection already." if component.protect else ""
        output.say(f"  {plain(component.key)}: {level_name(component)}.{cost}")
    output.say(f"Wrote {path}. Next: firescreen plan {path}")
