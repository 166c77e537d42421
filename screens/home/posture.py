"""The posture of a whole stack: a gauge, a number, and what would improve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import inline
from screens.widgets.gauge import gauge
from wizard.plurals import count_noun

if TYPE_CHECKING:
    from screens.state import Session
    from wizard.engine import Exposure, Scan
    from wizard.model import Finding

REMARKS = 3
"""Lines for the remarks of the scan."""
_WORTH = {"secured": 1.0, "partly": 0.5}
FEW = 2
"""Up to so many components are named; more are only counted."""


def share(rows: tuple[Exposure, ...]) -> float:
    """Returns how much of a stack is protected, 0 to 1: a component with some protection counts half.

    Components that do not answer are left out, because their protection is unknown.
    """
    answering = [row for row in rows if row.state != "down"]
    return sum(_WORTH.get(row.state, 0.0) for row in answering) / len(answering) if answering else 0.0


def raised_by(rows: tuple[Exposure, ...], width: int) -> str:
    """Returns what would raise the share to 100 %, in `width` cells; '' if nothing would."""
    lacking = [row for row in rows if row.state in ("open", "partly")]
    if not lacking:
        return ""
    lacking.sort(key=lambda row: row.state != "open")
    names = [row.key if len({row.host for row in rows}) > 1 else row.key.partition("/")[2] for row in lacking]
    for few in range(FEW, 0, -1):
        more = [f"{len(names) - few} more"] if len(names) > few else []
        *first, last = [*names[:few], *more]
        who = f"{', '.join(first)} and {last}" if first else last
        sentence = inline(f"100 % once {who} {'is' if len(names) == 1 else 'are'} secured", 200)
        if len(sentence) <= width:
            return sentence
    return f"100 % once {count_noun(len(names), 'component')} {'is' if len(names) == 1 else 'are'} secured"


def protection_sentence(rows: tuple[Exposure, ...], *, remarks: bool) -> Content:
    """Returns the protection of all components in one sentence.

    Args:
        rows: the components as they answer.
        remarks: whether the scan also made remarks, which this sentence leaves out.
    """
    unprotected = sum(row.state == "open" for row in rows)
    partly = sum(row.state == "partly" for row in rows)
    noun = f"component{'s' * (len(rows) != 1)}"
    if unprotected:
        verb = "is" if unprotected == 1 else "are"
        return Content.assemble(
            (f"● {unprotected} of {len(rows)} ", "$error bold"), f"{noun} {verb} unprotected."
        )
    if partly:
        verb = "lacks" if partly == 1 else "lack"
        return Content.assemble(
            (f"◐ {partly} of {len(rows)} ", "$warning bold"), f"{noun} {verb} some protection."
        )
    if silent := sum(row.state == "down" for row in rows):
        verb = "does" if silent == 1 else "do"
        return Content.assemble(("– ", "$quiet bold"), f"{silent} of {len(rows)} {noun} {verb} not answer.")
    if not remarks:
        return Content.assemble(("✓ ", "$success bold"), "All components are secured.")
    return Content.assemble(("✓ ", "$success bold"), f"{count_noun(len(rows), 'component')} secured.")


def posture(session: Session, width: int) -> Content:
    """Returns the state of the stack, or what the page waits for; then the remarks of the scan.

    Args:
        session: the current stack.
        width: in cells; the gauge takes a third of it.
    """
    if session.error:
        error = session.error
        return Content.assemble(("✗ ", "$error"), inline(f"{error.title}: {error.what}. {error.todo}", 300))
    if session.busy:
        progress = [Content.styled(f"  {inline(line, 76)}", "$quiet") for line in session.told[-4:]]
        return Content("\n").join([Content.assemble(("▸ ", "$primary"), session.busy), *progress])
    scan = session.scan
    if scan is None:
        return Content("")
    if not scan.exposures and not scan.remarks:
        where = "on this machine" if session.place == "here" else "on these hosts"
        return Content(f"No Prometheus component was found {where}.")
    lines = [_gauge(scan, width)] if scan.exposures else []
    return Content("\n").join(line for line in (*lines, *_remarks(scan)) if line.plain)


def _gauge(scan: Scan, width: int) -> Content:
    if all(row.state == "down" for row in scan.exposures):
        return protection_sentence(scan.exposures, remarks=False)  # the protection is unknown
    protected = share(scan.exposures)
    colour = "$success" if protected > 0.99 else "$warning" if protected >= 0.5 else "$error"
    return Content.assemble(
        gauge(protected, max(width // 3, 10), colour, thick=True),
        (f" {int(100 * protected):>3} %  ", f"bold {colour}"),
        protection_sentence(scan.exposures, remarks=bool(scan.remarks)),
    )


def _remarks(scan: Scan) -> list[Content]:
    """Returns what the rows do not show: the remarks of the scan, and which components are probed through SSH."""
    remarks = scan.remarks
    shown = remarks if len(remarks) <= REMARKS else remarks[: REMARKS - 1]
    lines = [
        Content.assemble(("! ", "bold $warning"), f"{inline(each.what)}. {_todo(each)}") for each in shown
    ]
    if len(shown) < len(remarks):
        lines.append(Content.styled(f"… and {len(remarks) - len(shown)} more: firescreen scan", "$quiet"))
    return [*lines, _through(scan)]


def _through(scan: Scan) -> Content:
    """Returns the components that this machine cannot reach directly."""
    names = [row.key for row in scan.exposures if row.through]
    if not names:
        return Content("")
    shown = ", ".join(names) if len(names) <= REMARKS else f"{len(names)} of them"
    return Content.styled(inline(f"Probed through SSH: {shown}", 300), "$quiet")


def _todo(remark: Finding) -> str:
    """Returns what to do about a remark, as a sentence; '' if Firescreen does it."""
    return f"{remark.remediation[:1].upper()}{remark.remediation[1:]}." if remark.remediation else ""
