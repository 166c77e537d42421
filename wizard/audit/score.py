"""The score of an audit: one number whose parts are shown, and whose formula the manual has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wizard.audit.report import SEVERITIES, AuditFinding, Score, ScorePart, Severity
from wizard.model import instance_key

DEDUCTIONS: Final[Mapping[Severity, int]] = {"high": 40, "medium": 15, "low": 4}
"""Points that a check takes off a component, by the worst severity of what it found there."""


def score(components: Iterable[str], findings: Sequence[AuditFinding], *, nothing: int = 100) -> Score:
    """Each component begins with 100 points, and each check that found something there takes some off, down to 0.

    What is about a host as a whole counts against each of its components. What the baseline accepts counts for nothing,
    and neither does what could not be checked.

    Args:
        components: `host/component` of all that were looked at.
        nothing: the score where there are none.
    """
    known = list(dict.fromkeys(components))
    worst: dict[str, dict[str, Severity]] = {each: {} for each in known}
    for finding in findings:
        if finding.baseline:
            continue
        for place in _places(finding, known):
            held = worst.setdefault(place, {})
            held[finding.id] = min(
                held.get(finding.id, finding.severity), finding.severity, key=SEVERITIES.index
            )
    parts = [_part(where, list(held.values())) for where, held in worst.items()]
    value = sum(part.points for part in parts) // len(parts) if parts else nothing
    return Score(value=value, parts=tuple(sorted(parts, key=lambda part: (part.points, part.where))))


def _places(finding: AuditFinding, known: Sequence[str]) -> list[str]:
    """The components that a finding counts against."""
    if finding.where in known:
        return [finding.where]
    host = instance_key(finding.host, "")
    return [each for each in known if each.startswith(f"{host}/")] or [finding.where]


def _part(where: str, severities: Sequence[Severity]) -> ScorePart:
    counts = {severity: sum(each == severity for each in severities) for severity in SEVERITIES}
    lost = sum(DEDUCTIONS[severity] * count for severity, count in counts.items())
    return ScorePart(where=where, points=max(0, 100 - lost), **counts)
