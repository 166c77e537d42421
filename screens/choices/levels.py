"""The protection levels as the table of the Choices page names them, and what each requires of clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import EXPOSURE, protection_label
from screens.widgets.level_meanings import MEANINGS, level_meaning

if TYPE_CHECKING:
    from wizard.engine import Scan
    from wizard.model import Protection, Question, Stack

SHORT = {
    "": "keep as is",
    "tls": "TLS",
    "tls+basic_auth": "TLS + password",
    "tls+client_cert": "mutual TLS",
    "tls+basic_auth+client_cert": "mutual TLS + password",
}
"""Short names of levels; a level that is missing here is named by the question's own text."""

CLIENTS = "Firescreen configures the clients in this stack, but not your own scripts and dashboards."

USUAL = "tls+basic_auth"
"""The level of a component that is included again and never had a level."""

PARTS = ("tls", "basic_auth", "client_cert")
"""The parts of a level in the order in which its name lists them."""


@dataclass(frozen=True, slots=True)
class LevelRow:
    """One component in the table of levels."""

    key: str
    """The question's key."""
    host: str
    name: str
    address: str
    sign: str
    now: str
    """Its present level, by the last scan."""
    colour: str
    ways: tuple[tuple[str, str], ...]
    """(value, text) of each level that it supports."""
    value: str
    """The level in the stack."""
    cost: str = ""
    """What protecting it interrupts, and who else then needs credentials."""
    present: str = ""
    """Its present level if it is secured, otherwise ''."""

    @property
    def is_kept(self) -> bool:
        """Returns whether nothing about it changes."""
        return self.value in ("", self.present)


def is_level(question: Question) -> bool:
    """Returns whether the question is about the protection of a component."""
    return question.setting.name == "protect"


def level_rows(questions: tuple[Question, ...], stack: Stack, scan: Scan) -> tuple[LevelRow, ...]:
    """Returns a row for each question about a level, grouped by host, hosts in the stack's order."""
    seen = {one.key: one for one in scan.exposures}
    wanted = {component.key: component for component in stack.components}
    rows = []
    for question in questions:
        if not is_level(question):
            continue
        where = question.setting.of
        host, _, name = where.partition("/")
        found = seen.get(where)
        sign, _, colour = EXPOSURE[found.state] if found else EXPOSURE["down"]
        address = found.address if found else ""
        rows.append(
            LevelRow(
                question.key,
                host,
                name,
                address,
                sign,
                protection_label(found),
                colour,
                question.choices,
                _value(wanted[where].protect) if where in wanted else "",
                question.cost,
                _value(found.level(wanted[where].protect))
                if found and found.state == "secured" and where in wanted
                else "",
            )
        )
    order = {host.name: place for place, host in enumerate(stack.hosts)}
    return tuple(sorted(rows, key=lambda row: order.get(row.host, len(order))))


def _value(protect: tuple[Protection, ...]) -> str:
    return "+".join(part for part in PARTS if part in protect)


def level_text(row: LevelRow, sentences: Mapping[str, str], width: int, *, roomy: bool) -> Content:
    """Returns what the level of a row means: a line for each question; in a large terminal a sentence above.

    Args:
        row: the component.
        sentences: the meaning of each level, by its value.
        width: in cells.
        roomy: whether there is room for sentences.
    """
    value = row.value or next((each for each, means in MEANINGS.items() if means.name == row.now), "")
    lines = []
    shown_level = "" if row.is_kept else row.value
    if roomy and (sentence := sentences.get(shown_level, "")):
        lines += [Content("\n").join(Content(part) for part in wrap(sentence, width)), Content("")]
    elif row.is_kept:
        lines.append(Content.assemble(("Now, and kept so: ", "$quiet"), (row.now, row.colour)))
    lines.append(level_meaning(value, width, cost="" if row.is_kept else row.cost))
    if roomy and not row.is_kept:
        lines += [Content(""), *(Content.styled(part, "$quiet") for part in wrap(CLIENTS, width))]
    return Content("\n").join(lines)
