"""The engine calls of the audit page: an audit with the workspace's own baseline. Every function may block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wizard.audit import AuditFinding, AuditReport
    from wizard.engine import Engine
    from wizard.model import Event, Stack

NAME = "audit-baseline.yaml"


def baseline_file(engine: Engine) -> Path:
    """Returns the baseline that the wizard keeps in the workspace; `firescreen audit --baseline` can read it too."""
    return engine.workspace.root / NAME


def run(engine: Engine, stack: Stack, emit: Callable[[Event], None]) -> AuditReport:
    """Runs all checks on the hosts of a stack. Changes nothing."""
    from wizard import audit

    return _with_baseline(engine, audit.run(engine, stack, emit=emit))


def toggle(engine: Engine, report: AuditReport, finding: AuditFinding) -> AuditReport:
    """Accepts a finding in the baseline, or removes an accepted one from it; returns the updated report."""
    from wizard.audit import baseline

    file = baseline_file(engine)
    known = baseline.load(file) if file.exists() else ()
    before = {entry.key for entry in known}
    key = (finding.id, finding.host, finding.component, finding.instance)
    wanted = before - {key} if finding.baseline else before | {key}
    kept = tuple(
        each for each in report.findings if (each.id, each.host, each.component, each.instance) in wanted
    )
    engine.workspace.ensure()
    baseline.save(file, replace(report, findings=kept), today=datetime.now(UTC).date(), known=known)
    return _with_baseline(engine, _without_baseline(report))


def _without_baseline(report: AuditReport) -> AuditReport:
    from wizard.audit.runner import worst_first

    findings = worst_first(replace(each, baseline=False, reason="") for each in report.findings)
    return replace(report, findings=findings, baseline_notes=())


def _with_baseline(engine: Engine, report: AuditReport) -> AuditReport:
    from wizard.audit import baseline

    file = baseline_file(engine)
    if not file.exists():
        return report
    return baseline.apply_baseline(report, baseline.load(file), today=datetime.now(UTC).date())
