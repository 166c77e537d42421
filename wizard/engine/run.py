"""One run of a plan: creates the journal, applies the plan, and rolls everything back if the whole run fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from wizard import journal_reader, planner
from wizard.engine import baseline, findings, pending_edits, present_stack, report
from wizard.engine.executor import Executor, refuse_changed
from wizard.engine.host_lock import lock_hosts
from wizard.engine.hosts import Hosts
from wizard.engine.journal import Journal
from wizard.engine.outcome import Outcome, State, error_fields
from wizard.engine.parallel import run_parallel
from wizard.engine.recovery import roll_back_run
from wizard.engine.rollout import Rollout
from wizard.errors import CancelledError, FirescreenError, JournalError, RollbackError
from wizard.model import Attempt, Event, Plan
from wizard.workspace import Workspace

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a plan.

    `canary`: the host that is changed and verified before the others; '' for none. `later`: whether everything that
    needs Prometheus' next scrapes is verified later. `most`: maximum number of machines that are probed at once.
    """

    plan: Plan
    hosts: Hosts
    workspace: Workspace
    emit: Emit
    cancel: threading.Event
    canary: str
    later: bool
    most: int

    def carry_out(self) -> Outcome:
        """Makes the changes, verifies the result, and rolls back on failure.

        Raises:
            FirescreenError: the run was refused; nothing has been changed.
        """
        # The journal comes first, so that every lock on a host has a journal from which `recover` can release it.
        log = Journal.create(
            self.workspace.runs,
            title=report.title(self.plan),
            hosts=self.plan.stack.hosts,
            changes=(),
            details=report.details(self.plan),
        )
        try:
            with lock_hosts(self.hosts, planner.changed_hosts(self.plan), self.workspace):
                rollout = self._prepare(log)
                try:
                    attempts = rollout.run(self.canary)
                    state = self._final_state(rollout)
                    log.state(state)
                except Exception as error:  # noqa: BLE001 - a bug in Firescreen must leave nothing half done either
                    return self._after_failure(rollout, log, error)
                return self._outcome(rollout, log.run, state, attempts)
        except FirescreenError:
            log.discard()
            raise
        finally:
            log.close()

    def _prepare(self, log: Journal) -> Rollout:
        """Refuses files that differ from the preview, and records what works before anything is changed."""
        run_parallel(
            lambda writes: refuse_changed(self.hosts.connection(writes[0].host), writes),
            findings.first_writes(self.plan),
        )
        pending_edits.refuse(self.plan, self.hosts)
        present_stack.keep(log.folder, self.plan.stack)
        before = None
        if self.plan.is_verified:
            before = baseline.take(
                self.plan,
                self.hosts,
                self.cancel,
                lambda host, text: self.emit(Event(run=log.run, kind="log", host=host, text=text)),
            )
            baseline.keep(log.folder, before)
        self.emit(Event(run=log.run, kind="started", total=len(self.plan.changes)))
        return Rollout(
            self.plan,
            self.hosts,
            log,
            self.emit,
            self.cancel,
            before=before,
            later=self.later,
            most=self.most,
        )

    def _final_state(self, rollout: Rollout) -> State:
        if rollout.lost or self.plan.facts.away:
            return "partly"
        if not self.plan.is_verified:
            return "applied"
        return "changed" if self.later else "proven"

    def _outcome(self, rollout: Rollout, run: str, state: State, attempts: tuple[Attempt, ...]) -> Outcome:
        return findings.partly(
            Outcome(
                run=run,
                state=state,
                attempts=attempts,
                summary=(
                    *report.summary(self.plan, attempts),
                    *report.of_health(rollout.health),
                    *(report.later(self.plan) if self.later else ()),
                ),
                hosts=rollout.outcomes,
                health=rollout.health,
            ),
            self.plan,
        )

    def _after_failure(self, rollout: Rollout, log: Journal, error: Exception) -> Outcome:
        """Rolls the whole run back.

        Raises:
            Exception: the error itself, if it is a bug in Firescreen or nothing was changed.
        """
        if isinstance(error, JournalError) and not log.touched:
            raise error
        if isinstance(error, FirescreenError):
            return self._roll_back(rollout, log, error)
        words = FirescreenError(f"a fault of Firescreen itself: {type(error).__name__}", where=log.run)
        self._roll_back(rollout, log, words)
        raise error

    def _roll_back(self, rollout: Rollout, log: Journal, error: FirescreenError) -> Outcome:
        self.workspace.note_rollback()
        error = findings.after_rollback(error, self.plan)
        self.emit(
            Event(run=log.run, kind="rollback", state="running", text=error.what, error=error_fields(error))
        )
        record = journal_reader.read(log.folder)
        assert record is not None
        attempts = rollout.attempts
        trouble = roll_back_run(
            record, log, Executor(self.hosts, log, self.emit), begins="rolling-back", ends="rolled-back"
        )
        rollout.rolled_back(trouble)
        if trouble is not None:
            state: State = "failed"
            error = RollbackError(
                f"{error.what}; and the rollback failed: {trouble.what}",
                where=trouble.where or error.where,
                todo=trouble.todo,
            )
        else:
            state = "cancelled" if isinstance(error, CancelledError) else "rolled-back"
        back = "Every change is rolled back, and the services run as before."
        return Outcome(
            run=log.run,
            state=state,
            attempts=attempts,
            error=error,
            summary=(back,) if trouble is None else (),
            hosts=rollout.outcomes,
            health=rollout.health,
        )
