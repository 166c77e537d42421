"""Completes the verification of a run whose targets Prometheus had not scraped again when it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from wizard.engine import baseline, findings, report
from wizard.engine.hosts import Hosts
from wizard.engine.journal import Journal
from wizard.engine.outcome import Outcome
from wizard.engine.regressions import Comparison
from wizard.errors import VerificationError
from wizard.journal_reader import Record
from wizard.model import Attempt, Baseline, Event, Plan


def complete(
    record: Record,
    plan: Plan,
    attempts: Sequence[Attempt],
    hosts: Hosts,
    emit: Callable[[Event], None],
    cancel: threading.Event,
) -> Outcome:
    """Implements `Engine.complete`. The caller must hold the workspace lock.

    Args:
        record: a run in state `changed`.
    """
    before = baseline.read_baseline(record.folder) or Baseline()
    comparison = Comparison(plan, before, hosts, emit, cancel, run=record.run)
    # The state `changed` is the last line of the journal, so the file's mtime is when the run ended.
    changed = (record.folder / "journal.jsonl").stat().st_mtime
    # Whether remote_write and alerts get through with their logins is already among the attempts.
    watched = [replace(each, remote_writes=(), alertmanagers=()) for each in plan.watched]
    found = comparison.regressions(watched, since=changed)
    outcome = Outcome(run=record.run, state="changed", attempts=tuple(attempts), health=comparison.report)
    try:
        findings.judge(tuple(attempts))
        for each in found:
            raise each.error()
    except VerificationError as error:
        wrong = VerificationError(
            error.what,
            where=error.where,
            todo=f"{error.todo}. Or undo the run with: firescreen undo {record.run} --yes",
        )
        return replace(outcome, error=wrong)
    log = Journal(record.folder)
    try:
        log.state("proven")
    finally:
        log.close()
    return replace(outcome, state="proven", summary=report.of_health(comparison.report))
