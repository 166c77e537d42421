"""A plan as an outline: hosts, their components, their steps; and which lines are folded or visible.

The number of a step is its position in the order of execution, which the outline does not show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import fit, hang, inline, place

if TYPE_CHECKING:
    from collections.abc import Collection

    from wizard.model import Gap, Plan, PlannedStep

SHORT = 24
"""An outline of up to so many lines is never folded."""

WHOLE = "overview"
"""Id of the first line, which stands for the whole plan."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the outline."""

    id: str
    """WHOLE, the key of a host or component, or `step:NUMBER` counted from 0."""
    depth: int
    title: str
    steps: tuple[int, ...]
    """Numbers of the steps below this line."""
    host: str = ""
    """The host of a host's or component's line; '' for others."""
    component: str = ""

    @property
    def is_step(self) -> bool:
        """Returns whether the line is a single step, which cannot be folded."""
        return self.id != WHOLE and not self.host


def component_of(about: PlannedStep | Gap) -> str:
    """Returns the component of a step or gap, with the unit of a further instance; '' for none."""
    return f"{about.component}/{about.instance}" if about.instance else about.component


def outline(plan: Plan) -> tuple[Line, ...]:
    """Returns all lines, nothing folded; hosts in the plan's order."""
    hosts: dict[str, dict[str, list[int]]] = {}
    for number, step in enumerate(plan.steps):
        hosts.setdefault(step.host, {}).setdefault(component_of(step), []).append(number)
    lines = [Line(WHOLE, 0, "The whole plan", tuple(range(len(plan.steps))))]
    for host, components in hosts.items():
        numbers = sorted(number for found in components.values() for number in found)
        (only,) = components if len(components) == 1 else ("",)
        if only:  # the only component shares a line with its host
            title = place(host) if host == only else f"{place(host)} · {inline(only, 40)}"
            lines.append(Line(f"component:{host}/{only}", 0, title, tuple(numbers), host, only))
            lines.extend(_steps(plan, numbers, depth=1))
            continue
        lines.append(Line(f"host:{host}", 0, place(host), tuple(numbers), host))
        # Steps without a component are listed directly below their host: below a component they would seem to belong to
        # it.
        for component, found in sorted(components.items(), key=lambda pair: bool(pair[0])):
            if component:
                title = inline(component, 40)
                lines.append(Line(f"component:{host}/{component}", 1, title, tuple(found), host, component))
            lines.extend(_steps(plan, found, depth=2 if component else 1))
    return tuple(lines)


def _steps(plan: Plan, numbers: list[int], *, depth: int) -> list[Line]:
    return [Line(f"step:{number}", depth, plan.steps[number].title, (number,)) for number in numbers]


def visible(lines: tuple[Line, ...], folded: Collection[str]) -> tuple[Line, ...]:
    """Returns the visible lines if those are folded."""
    shown: list[Line] = []
    hidden_below = 99
    for line in lines:
        if line.depth > hidden_below:
            continue
        hidden_below = line.depth if line.id in folded else 99
        shown.append(line)
    return tuple(shown)


def folded_at_first(lines: tuple[Line, ...], room: int) -> frozenset[str]:
    """Returns the lines to fold so that the outline fits in `room` lines: none, the components, or the hosts too.

    A short plan is never folded: a list that scrolls a little says more than a folded one.
    """
    if len(lines) <= max(room, SHORT):
        return frozenset()
    components = frozenset(line.id for line in lines if line.component)
    if len(visible(lines, components)) <= room:
        return components
    return components | {line.id for line in lines if line.host and not line.component}


def parents(lines: tuple[Line, ...], number: int) -> frozenset[str]:
    """Returns the lines that must be unfolded for a step to be visible."""
    return frozenset(
        line.id for line in lines if number in line.steps and not line.is_step and line.id != WHOLE
    )


def draw(line: Line, *, folded: bool, width: int, many: int) -> Content:
    """Returns a line of the list: groups with their count, steps with their number.

    Args:
        line: the line.
        folded: whether its steps are hidden.
        width: in cells.
        many: steps in the whole plan, which determine the width of the numbers.
    """
    count = f" {len(line.steps)}"
    if line.id == WHOLE:
        return Content.assemble((fit(line.title, width - len(count)), "bold"), (count, "$quiet"))
    if line.is_step:
        digits = len(str(many))
        head = " " * line.depth + f"{line.steps[0] + 1:>{digits}} "
        return Content.assemble((head, "$quiet"), hang(line.title, width, len(head)))
    head = " " * line.depth + ("▸ " if folded else "▾ ")
    title = fit(line.title, width - len(head) - len(count))
    return Content.assemble(
        (head, "$primary"), (title, "bold" if line.depth else "bold $primary"), (count, "$quiet")
    )
