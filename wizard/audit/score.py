"""The score of an audit: one number whose parts are shown, and whose formula the manual has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wizard.audit.report import SEVERITIES, Case, Score, ScorePart, Severity

WEIGHTS: Final[dict[Severity, int]] = {"high": 10, "medium": 4, "low": 1}
"""Points of a check, by severity."""


def score(cases: Sequence[Case]) -> Score:
    """100 × (points of what was found well) / (points of what was checked), rounded down.

    What could not be checked counts neither way. What the baseline accepts counts as well. Of each check, each
    component counts as much as another.
    """
    total = 0.0
    lost = 0.0
    applicable = dict.fromkeys(SEVERITIES, 0)
    failed = dict.fromkeys(SEVERITIES, 0)
    for case in cases:
        subjects = case.subjects - len(case.not_checked)
        if subjects <= 0:
            continue
        severity = case.check.severity
        total += WEIGHTS[severity] * subjects
        applicable[severity] += subjects
        worst: dict[str, Severity] = {}
        for finding in case.findings:
            if not finding.baseline:
                known = worst.get(finding.where, finding.severity)
                worst[finding.where] = min(known, finding.severity, key=SEVERITIES.index)
        # A finding may weigh less than its check: a certificate that has 20 days left, or a loopback address.
        lost += sum(min(WEIGHTS[each], WEIGHTS[severity]) for each in worst.values())
        failed[severity] += len(worst)
    value = int(100 * (total - min(lost, total)) / total) if total else 100
    parts = tuple(
        ScorePart(
            severity=severity,
            failed=failed[severity],
            applicable=applicable[severity],
            weight=WEIGHTS[severity],
        )
        for severity in SEVERITIES
    )
    return Score(value=value, parts=parts)
