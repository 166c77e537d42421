"""Texts of the audit page: numbers, a line for each finding, and the details of one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from screens.state_styles import fit, hang, inline
from screens.widgets.cards import Card
from screens.widgets.gauge import gauge

if TYPE_CHECKING:
    from wizard.audit import AuditFinding, AuditReport, Check, NotChecked

SEVERITY = {
    "high": ("●", "high", "$error"),
    "medium": ("◐", "medium", "$warning"),
    "low": ("○", "low", "$secondary"),
}
ACCEPTED = ("–", "accepted", "$quiet")
UNSEEN = ("?", "not checked", "$warning")
GAUGE = 24
"""Width of the score's bar in cells."""
_STATE = 14
_GOOD, _FAIR = 90, 60
"""Points from which a score is good, and from which it is fair."""


def audit_cards(report: AuditReport) -> tuple[Card, ...]:
    """Returns the number of findings of each severity, and how many are left out."""
    counts = report.counts()
    cards = [
        Card(str(count), name, colour=SEVERITY[name][2] if count else "$quiet")
        for name, count in counts.items()
    ]
    unseen, accepted = len(report.could_not_check), len(report.findings) - len(report.counted)
    return (
        *cards,
        Card(str(accepted), "accepted", colour="$quiet"),
        Card(str(unseen), "not checked", colour="$warning" if unseen else "$quiet"),
        Card(str(report.checked), "checks made"),
    )


_NOTHING = """\
No Prometheus component was found, so there is nothing to audit.

Press Esc, then p to practise on programs that Firescreen starts, or o to name other hosts."""


def score_line(report: AuditReport) -> Content:
    """Returns the score as a number and a bar, and which findings cost most points."""
    value = report.score.value
    colour = "$success" if value >= _GOOD else "$warning" if value >= _FAIR else "$error"
    if not report.score.parts:
        return Content(_NOTHING)
    worst = report.score.parts[0]
    more = (
        f"  lowest: {inline(worst.where, 40)} with {worst.points}"
        if worst.points < value or value < 100
        else ""
    )
    return Content.assemble(
        (f"{value} of 100 ", f"bold {colour}"), gauge(value / 100, GAUGE, colour), (more, "$quiet")
    )


def place_width(rows: Sequence[AuditFinding | NotChecked], width: int) -> int:
    """Returns the width of the location column: that of the longest location, at most half of the list."""
    widest = max((cell_len(inline(_place(row))) for row in rows), default=0)
    return min(widest + 1, width // 2)


def finding_line(finding: AuditFinding, width: int, place: int) -> Content:
    """Returns the line of a finding: severity, location, title; a long title is wrapped in its own column.

    Args:
        finding: the finding.
        width: of the line in cells.
        place: of the location column in cells.
    """
    sign, word, colour = ACCEPTED if finding.baseline else SEVERITY[finding.severity]
    return _line(f"{sign} {word}", colour, fit(_place(finding), place), finding.title, width)


def unseen_line(missed: NotChecked, width: int, place: int) -> Content:
    """Returns the line of something that could not be checked, as `finding_line`: it does not count as passed."""
    sign, word, colour = UNSEEN
    return _line(f"{sign} {word}", colour, fit(_place(missed), place), missed.why, width)


def _place(row: AuditFinding | NotChecked) -> str:
    return row.where or "all hosts"


def _line(state: str, colour: str, where: str, what: str, width: int) -> Content:
    head = Content.assemble((fit(state, _STATE), f"bold {colour}"), (where, "bold"))
    return Content.assemble(head, hang(what, width, head.cell_length))


def finding_details(finding: AuditFinding, check: Check | None, width: int) -> Content:
    """Returns evidence, why it matters and the fix, wrapped to `width` cells."""
    place = f"{finding.file}:{finding.line}" if finding.line else finding.file
    sign, word, colour = ACCEPTED if finding.baseline else SEVERITY[finding.severity]
    head = Content.assemble(
        (f"{sign} {word}", f"bold {colour}"),
        (f"  {inline(finding.id)}  ", "$quiet"),
        (inline(finding.title), "bold"),
    )
    rows = (
        ("Where", finding.where or "all hosts"),
        ("File", place if place not in finding.evidence else ""),
        ("Evidence", finding.evidence),
        ("Why", check.why if check is not None else ""),
        ("Note", "" if finding.certain else "A distribution may have fixed this in an older version."),
        ("Fix", f"{finding.remediation}."),
        ("Step", f"{finding.step} ('f' leads there)" if finding.step else ""),
        ("Accepted", finding.reason if finding.baseline else ""),
    )
    return Content("\n").join([head, *(_part(name, text, width) for name, text in rows if text)])


def unseen_details(missed: NotChecked, width: int) -> Content:
    """Returns what could not be checked, and why."""
    rows = (
        ("Where", missed.where or "all hosts"),
        ("Why", missed.why),
        ("Fix", "Make it reachable or readable, then audit again with 'r'."),
    )
    head = Content.assemble(("? not checked", "bold $warning"), f"  {inline(missed.id)}")
    return Content("\n").join([head, *(_part(name, text, width) for name, text in rows)])


def _part(name: str, text: str, width: int) -> Content:
    colour = "bold $success" if name == "Fix" else "$quiet"
    return Content.assemble((f"{name:<10}", colour), hang(text, width, 10))
