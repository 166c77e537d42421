"""Audits a stack: is it still as it should be, what is open, what is due. Changes nothing.

`run(machine, stack)` scans, gathers what the checks look at, and gives an `AuditReport`: `findings` with evidence and
the plan step that fixes each, `could_not_check`, `score` with its parts, `cases` for each check and host.
"""

from __future__ import annotations

from collections.abc import Callable

from wizard.audit import evidence, runner
from wizard.audit.catalogue import CHECKS, check_of
from wizard.audit.report import (
    SEVERITIES,
    AuditFinding,
    AuditReport,
    Case,
    Check,
    FailOn,
    NotChecked,
    Score,
    ScorePart,
    Severity,
)
from wizard.audit.score import score
from wizard.engine import Engine
from wizard.engine.outcome import silent
from wizard.model import Event, Stack

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "AuditFinding",
    "AuditReport",
    "Case",
    "Check",
    "FailOn",
    "NotChecked",
    "Score",
    "ScorePart",
    "Severity",
    "check_of",
    "run",
]


def run(
    machine: Engine, stack: Stack | None = None, *, emit: Callable[[Event], None] = silent
) -> AuditReport:
    """All checks on the hosts of a stack; without one, on this machine. Blocks; call it from a worker thread.

    Args:
        emit: told what is found while it is scanned.

    Raises:
        HostError: no host can be reached.
    """
    scan = machine.scan(stack, emit=emit)
    seen = evidence.gather(machine, scan)
    made = runner.cases(CHECKS, seen)
    away = [NotChecked(host=host, why=f"it is unreachable: {why}") for host, why in scan.facts.away.items()]
    missing = [
        NotChecked(host=each.host, component=each.component, instance=each.instance, why=each.what)
        for each in scan.findings
        if each.id == "not-found"
    ]
    findings = runner.worst_first(finding for case in made for finding in case.findings)
    return AuditReport(
        stack=scan.stack,
        checked=sum(max(0, case.subjects - len(case.not_checked)) for case in made),
        findings=findings,
        could_not_check=(*away, *missing, *(each for case in made for each in case.not_checked)),
        score=score((each.key for each in seen.servers), findings),
        cases=made,
    )
