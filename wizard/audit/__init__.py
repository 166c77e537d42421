"""Audits the protection of a stack. Changes nothing.

`run(machine, stack)` scans the hosts, gathers evidence, and returns an `AuditReport`: `findings` with evidence and the
plan step that fixes each, `could_not_check`, `score` with its parts, and `cases` for each check and host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from wizard.audit import evidence, runner
from wizard.audit.catalogue import CHECKS, check_of
from wizard.audit.partial_scan import partial_scan
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
from wizard.engine import Engine, Scan
from wizard.engine.outcome import silent
from wizard.engine.parallel import run_parallel
from wizard.errors import CredentialNeededError, HostError
from wizard.model import Event, Stack
from wizard.redact import plain, redact

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
    """Runs all checks on the hosts of a stack, or on this machine without one. Blocks; call it from a worker thread.

    A host that cannot be reached or read is listed in `could_not_check`; the others are checked.

    Args:
        emit: called with an event for each result of the scan.

    Raises:
        CredentialNeededError: a connection needs a password or a confirmation; see `Engine.reach`.
    """
    wanted = stack or machine.this_machine()
    away = _unreachable(machine, wanted)
    reachable = replace(
        wanted,
        hosts=tuple(host for host in wanted.hosts if host.name not in away),
        components=tuple(each for each in wanted.components if each.host not in away),
    )
    missed = [NotChecked(host=host, why=f"it cannot be reached: {why}") for host, why in away.items()]
    if not reachable.hosts:
        return _report(wanted, (), (), missed)
    try:
        try:
            scan = machine.scan(reachable, emit=emit)
        except HostError as error:
            # An unreadable file aborts a normal scan; everything else can still be checked.
            scan = partial_scan(machine, reachable, emit)
            missed += _unreadable(scan) or [NotChecked(host="", why=redact(plain(str(error))))]
        seen = evidence.gather(machine, scan)
    except HostError as error:
        missed += [NotChecked(host=host.name, why=redact(plain(str(error)))) for host in reachable.hosts]
        return _report(wanted, (), (), missed)
    missed += [
        NotChecked(host=host, why=f"it is unreachable: {why}") for host, why in scan.facts.away.items()
    ]
    missed += [
        NotChecked(host=each.host, component=each.component, instance=each.instance, why=each.what)
        for each in scan.findings
        if each.id == "not-found"
    ]
    return _report(wanted, runner.cases(CHECKS, seen), [each.key for each in seen.servers], missed)


def _unreadable(scan: Scan) -> list[NotChecked]:
    """The files that could not be read, so that no check can examine them."""
    return [
        NotChecked(host=name, why=redact(plain(f"{path}: {why.problem}")))
        for name, host in scan.facts.hosts.items()
        for path, why in host.unreadable.items()
    ]


def _unreachable(machine: Engine, stack: Stack) -> dict[str, str]:
    """The unreachable hosts of a stack, each with the reason."""
    found = {}
    with machine.connections(stack.hosts) as hosts:
        names = [spec.name for spec in stack.hosts]
        for name, error in zip(names, run_parallel(hosts.reach, names), strict=True):
            if isinstance(error, CredentialNeededError):
                raise error
            if error is not None:
                found[name] = redact(plain(error.what))
    # Hosts that are reached through an unreachable host are unreachable too.
    for spec in stack.hosts:
        if spec.via in found and spec.name not in found:
            found[spec.name] = f"{spec.via} cannot be reached"
    return found


def _report(
    stack: Stack, cases: Sequence[Case], components: Sequence[str], missed: Sequence[NotChecked]
) -> AuditReport:
    findings = runner.worst_first(dict.fromkeys(finding for case in cases for finding in case.findings))
    unseen = dict.fromkeys([*missed, *(each for case in cases for each in case.not_checked)])
    return AuditReport(
        stack=stack,
        checked=sum(max(0, case.subjects - len(case.not_checked)) for case in cases),
        findings=findings,
        could_not_check=tuple(unseen),
        score=score(components, findings, nothing=0 if unseen else 100),
        cases=tuple(cases),
    )
