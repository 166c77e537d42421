"""Calculates the score of an audit; the formula is in the manual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wizard.audit.report import SEVERITIES, AuditFinding, Score, ScorePart, Severity
from wizard.model import instance_key

DEDUCTIONS: Final[Mapping[Severity, int]] = {"high": 40, "medium": 15, "low": 4}
"""Points that a check with findings deducts from a component, by the worst severity of these findings."""


def score(components: Iterable[str], findings: Sequence[AuditFinding], *, nothing: int = 100) -> Score:
    """Calculates the score: each component starts with 100 points, and each check with findings deducts some, down to 0.

    Findings about a whole host count against each of its components. Accepted findings, and what could not be checked,
    do not count.

    Args:
        components: `host/component` of all checked components.
        nothing: the score if there are none.
    """
    known = list(dict.fromkeys(components))
    worst: dict[str, dict[str, Severity]] = {each: {} for each in known}
    for finding in findings:
        if finding.baseline:
            continue
        for place in _places(finding, known):
            severities = worst.setdefault(place, {})
            severities[finding.id] = min(
                severities.get(finding.id, finding.severity), finding.severity, key=SEVERITIES.index
            )
    parts = [_part(where, list(severities.values())) for where, severities in worst.items()]
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
