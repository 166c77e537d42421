"""Many hosts in a run, drawn: a line a host with its state in a word, how far it is, and what is done there now.

Pure: `widgets.fleet` puts the lines on the screen, and the screen of the run says which host is in hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import HOST, describe_error, fit, inline, safe

if TYPE_CHECKING:
    from screens.run_state import HostRow

ORDER = ("stuck", "failed", "failing", "away", "working", "changed", "waiting", "proven", "rolled-back")
"""Failures first, then what moves, then the rest; within each, as the plan has them."""

COUNTED = ("proven", "failed", "failing", "stuck", "away", "rolled-back", "changed", "working", "waiting")

_STATE = 12
_NAME = 24
_BAR = 6
_ROOMY = 100
"""Cells from which on there is room for a bar beside the numbers."""


def ordered(rows: Iterable[HostRow]) -> tuple[HostRow, ...]:
    """The rows as they are listed."""
    return tuple(sorted(rows, key=lambda row: ORDER.index(row.label)))


def summary(rows: Iterable[HostRow]) -> Content:
    """How many hosts are in which state: '17 proven, 1 failed, 2 waiting'."""
    counts = Counter(row.label for row in rows)
    parts = []
    for key in COUNTED:
        if counts[key]:
            sign, word, colour = HOST[key]
            parts.append(Content.assemble((f"{sign} ", f"bold {colour}"), f"{counts[key]} {word}"))
    total = counts.total()
    return Content.assemble((f"{total} host{'s' * (total != 1)}: ", "$quiet"), Content(", ").join(parts))


def name_width(rows: Iterable[HostRow]) -> int:
    """Cells for the longest name, within reason."""
    return min(max((len(inline(row.host)) for row in rows), default=0), _NAME)


def line(row: HostRow, *, width: int, names: int, canary: str = "") -> Content:
    """One host in one line of exactly `width` cells.

    Args:
        row: the host.
        width: cells that there are.
        names: cells for the names, see `name_width`.
        canary: the host that the others wait for; '' for none.
    """
    sign, word, colour = HOST[row.label]
    numbers = f"{row.done}/{row.total}" if row.total else ""
    bar = Content("")
    if width >= _ROOMY:
        filled = min(_BAR, round(_BAR * row.done / row.total)) if row.total else 0
        rest = ("─" if row.total else " ") * (_BAR - filled)
        bar = Content.assemble(("━" * filled, colour), (rest, "$faint"), " ")
    head = Content.assemble(
        (fit(f"{sign} {word}", _STATE), f"bold {colour}"),
        (f"{fit(row.host, names)} ", "bold"),
        bar,
        (f"{numbers:>6}  ", "$quiet"),
    )
    return Content.assemble(head, (fit(_said(row, canary), max(width - head.cell_length, 0)), _tone(row)))


def _said(row: HostRow, canary: str) -> str:
    """What is to be known of it now, in a line."""
    if row.error is not None:
        return row.error.what.partition("\n")[0]
    if row.now:
        return row.now
    first = "goes first" if row.host == canary else ""
    if row.state == "waiting":
        return first or (f"waits until {canary} is proven" if canary else "")
    if row.state == "rolled-back" and row.done and not row.total:
        return f"{row.done} change{'s' * (row.done != 1)} taken back"
    return {"changed": "not proven yet", "proven": first and "went first"}.get(row.state, "")


def _tone(row: HostRow) -> str:
    return "" if row.error is not None or row.now else "$quiet"


def told(row: HostRow) -> Content:
    """All that is known of a host: how it stands, what went wrong and what to do, and what was said there."""
    sign, word, colour = HOST[row.label]
    changes = f"{row.done} of {row.total} changes made" if row.total else ""
    back = "what was changed there is put back" if row.label == "failed" else ""
    more = " · ".join(part for part in (changes, back) if part)
    parts = [Content.assemble((f"{sign} {word}", f"bold {colour}"), (f"  {more}", "$quiet"))]
    if row.error is not None:
        parts += [Content.styled(inline(row.error.title), "bold"), describe_error(row.error)]
    if row.lines:
        parts.append(Content.styled("What was done and said there, the newest last", "$quiet"))
        parts += [safe(text, 400) for text in row.lines]
    elif not row.error:
        parts.append(Content("Nothing has been done there yet."))
    return Content("\n").join(parts)
