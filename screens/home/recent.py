"""The panel below the details in a large terminal: the last runs, or how securing works if there are none yet. Pure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import ENDED, fit, hang, inline
from screens.widgets.level_meanings import ladder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.model import RunRecord

LEAST = 7
"""From so many lines on (border included), the panel is shown."""
_STAGES = (
    ("Scan", "reads what runs, and how it answers on the network"),
    ("Choose", "sets the level of protection of each component"),
    ("Plan", "shows every change, and its commands; writes nothing"),
    ("Apply", "makes the changes; what fails is rolled back"),
    ("Verify", "sends requests that must succeed, and requests that must be rejected"),
)


def recent(
    records: Sequence[RunRecord], width: int, lines: int, *, levels: bool = False
) -> tuple[str, str, Content]:
    """Returns title, subtitle and text of the panel.

    Args:
        records: the runs, the newest first.
        width: in cells.
        lines: how many lines fit.
        levels: whether to explain the levels of protection, because nothing above the panel does.
    """
    if not records:
        rows = [
            Content.assemble((f"{name:<8}", "bold $primary"), hang(words, width, 8))
            for name, words in _STAGES
        ]
        if levels:
            rows += [Content(""), ladder("", width)]
        return "How it goes", "", Content("\n").join(rows)
    states = [ENDED.get(record.state, ("·", inline(record.state), "$quiet")) for record in records]
    named = [f"{sign} {word}" for sign, word, _ in states]
    room = max(len(text) for text in named) + 2
    rows = [
        _row(record, (fit(text, room), state[2]), width)
        for record, text, state in zip(records, named, states, strict=True)
    ]
    text = Content("\n").join(rows[: max(lines, 0)])
    kept = [line for line in text.split("\n") if line.plain][: max(lines, 0)]
    return "Last runs", "h shows what each changed", Content("\n").join(kept)


def _row(record: RunRecord, state: tuple[str, str], width: int) -> Content:
    """Returns a run's result, time and title; a long title is wrapped in its own column."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started))
    head = Content.assemble(state, (f"{when}  ", "$quiet"))
    return Content.assemble(head, hang(record.title, width, head.cell_length))
