"""Rolls back whole runs from their journals: an undo on request, or the recovery of an interrupted run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from wizard import journal_reader
from wizard.engine import rollback, unfinished_runs
from wizard.engine.executor import Executor
from wizard.engine.host_lock import lock_hosts, release
from wizard.engine.hosts import Hosts
from wizard.engine.journal import Journal
from wizard.engine.outcome import Outcome, finish, silent
from wizard.engine.undo_preparation import UndoPreparation
from wizard.engine.unfinished_runs import Remains
from wizard.errors import FirescreenError, InputError, JournalError, ServiceError
from wizard.journal_reader import Record
from wizard.model import WORKSPACE, Event, HostSpec, RunRecord
from wizard.workspace import Workspace

Emit = Callable[[Event], None]

RECOVER = "firescreen recover --yes"


def roll_back_run(
    record: Record,
    log: Journal,
    executor: Executor,
    *,
    begins: str,
    ends: str,
    requested: bool = False,
    first: Callable[[Record], Record] | None = None,
) -> FirescreenError | None:
    """Rolls back a whole run, and writes its state to the journal before and after.

    Args:
        log: the run's journal, open.
        begins: the state of the run during the rollback.
        ends: its state afterwards.
        requested: whether a person requested this. The rollback then counts as complete even if a service does not start
            with its previous files, because another attempt would end the same way.
        first: prepares the rollback; returns the record of the run with the changes that it has made for that.

    Returns:
        The error that kept the rollback from being complete, with what to do; None if it is complete.
    """
    try:
        with suppress(JournalError):  # a full disk must not keep the files from being restored
            log.state(begins)
        executor.roll_back(first(record) if first is not None else record)
        log.forget_images()
        log.state(ends)
    except FirescreenError as error:
        if not (requested and isinstance(error, ServiceError)):
            return with_recovery(error)
        log.forget_images()
        log.state(ends)
        return error
    return None


def with_recovery(error: FirescreenError) -> FirescreenError:
    """The error of an incomplete rollback, with the advice to run `recover` after its cause is corrected."""
    error.todo = (
        f"{error.todo.rstrip('.')}. When that is corrected, run: {RECOVER}"
        if error.todo
        else f"Run: {RECOVER}"
    )
    return error


@dataclass(frozen=True, slots=True)
class Recovery:
    """Undo and recovery of the runs of one workspace.

    `connect`: opens the connections to hosts.
    """

    workspace: Workspace
    connect: Callable[[tuple[HostSpec, ...]], Hosts]

    # -- undo ---------------------------------------------------------------------------------------------

    def undo(self, run: str, emit: Emit) -> Outcome:
        """Rolls back the changes of a run; '' for the newest one that is not undone.

        Raises:
            FirescreenError: the undo was refused; nothing has been changed.
        """
        with self.workspace.lock("an undo"):
            self.refuse_unfinished()
            record = self.standing_run(run)
            with (
                self.connect(record.hosts) as hosts,
                lock_hosts(hosts, _changed_hosts(record), self.workspace),
            ):
                rollback.check(record, hosts)
                return self._undo(record, hosts, emit, requested=True)

    def standing_run(self, run: str) -> Record:
        """The record of a run that can be undone; '' for the newest.

        Raises:
            InputError: there is no such run, or a newer one builds on it.
        """
        standing = journal_reader.undoable_runs(self.workspace.runs)
        if not standing and not run:
            raise InputError("there is no run to undo", where=str(self.workspace.runs))
        found = next((record for record in standing if run in ("", record.run)), None)
        if found is None:
            raise InputError(
                "there is no such run that could be undone", where=run, todo="See: firescreen history"
            )
        if found is not standing[0]:
            raise InputError(
                f"run {standing[0].run} came after it and builds on it",
                where=run,
                todo=f"Undo {standing[0].run} first",
            )
        return found

    def _undo(self, record: Record, hosts: Hosts, emit: Emit, *, requested: bool = False) -> Outcome:
        """Rolls back a whole run; see `roll_back_run`."""
        log = Journal.reopen(record)
        executor = Executor(hosts, log, emit)
        first = UndoPreparation(hosts, log, emit, self.workspace.users).carry_out if requested else None
        try:
            error = roll_back_run(
                record, log, executor, begins="undoing", ends="undone", requested=requested, first=first
            )
        finally:
            log.close()
        files = "Every file is as it was before that run."
        if error is not None and not (requested and isinstance(error, ServiceError)):
            return Outcome(run=record.run, state="failed", error=error)
        return Outcome(run=record.run, state="undone", error=error, summary=(files, *executor.left_down))

    def undo_without_events(self, record: Record) -> FirescreenError | None:
        """Rolls back a run even if newer ones build on it; returns the error if that is incomplete.

        The caller must hold the workspace lock.
        """
        with self.connect(record.hosts) as hosts:
            return self._undo(record, hosts, silent).error

    # -- recovery -----------------------------------------------------------------------------------------

    def interrupted_run(self) -> RunRecord | None:
        """See `Engine.interrupted_run`."""
        if self.workspace.busy():
            return None
        for record in journal_reader.records(self.workspace.runs):
            if record.state == "cut-off":
                return record.summary()
            if record.owed:
                return replace(record.for_hosts(record.owed).summary(), state="owed")
        return None

    def hosts_of(self, run: str) -> tuple[HostSpec, ...]:
        """See `Engine.hosts_of`."""
        unfinished = journal_reader.unfinished_runs(self.workspace.runs)
        if not unfinished or run:
            return self.standing_run(run).hosts
        return tuple(
            {
                host.name: host
                for each in unfinished
                for host in each.hosts
                if each.state == "cut-off" or host.name in each.owed
            }.values()
        )

    def recover(self, emit: Emit) -> tuple[Outcome, ...]:
        """Finishes the rollback of every interrupted run, and of hosts that a finished run could not roll back."""
        outcomes = []
        try:
            with self.workspace.lock("a recovery"):
                journal_reader.sweep(self.workspace.runs)
                for record in journal_reader.unfinished_runs(self.workspace.runs):
                    outcomes.append(finish(self._recover_run(record, emit), emit))  # noqa: PERF401 - each counts
        except FirescreenError as error:
            outcomes.append(finish(Outcome(run="", state="failed", error=error), emit))
        return tuple(outcomes)

    def _recover_run(self, record: Record, emit: Emit) -> Outcome:
        pending = record.for_hosts(record.owed) if record.owed else record
        with self.connect(record.hosts) as hosts, lock_hosts(hosts, _changed_hosts(pending), self.workspace):
            outcome = (self._finish_hosts if record.owed else self._undo)(pending, hosts, emit)
            release(hosts, [host.name for host in pending.hosts], self.workspace)
            return outcome

    def _finish_hosts(self, record: Record, hosts: Hosts, emit: Emit) -> Outcome:
        """Rolls back the hosts that a finished run could not roll back."""
        log = Journal(record.folder)
        try:
            Executor(hosts, log, emit).roll_back(record)
            for host in sorted(record.owed):
                log.mark_rolled_back(host)
        except FirescreenError as error:
            return Outcome(run=record.run, state="failed", error=with_recovery(error))
        finally:
            log.close()
        names = ", ".join(sorted(record.owed))
        return Outcome(run=record.run, state="undone", summary=(f"On {names}, every file is as it was.",))

    def refuse_unfinished(self, touched: Iterable[str] = ()) -> None:
        """Refuses to continue while an earlier run has to be rolled back. The caller must hold the workspace lock.

        Args:
            touched: the hosts that are about to be changed, or whose facts the changes of other hosts depend on.

        Raises:
            JournalError: a run was interrupted, or could not roll back one of these hosts.
        """
        hosts = frozenset(touched)
        records = journal_reader.records(self.workspace.runs)
        found = next((each for each in records if each.state == "cut-off" or each.owed & hosts), None)
        if found is not None:
            raise JournalError(
                f"run {found.run} was interrupted and is not rolled back yet",
                where=str(found.folder),
                todo=f"Run: {RECOVER}",
            )
        journal_reader.sweep(self.workspace.runs)

    # -- unfinished runs ----------------------------------------------------------------------------------

    def remains(self, run: str) -> tuple[Remains, ...]:
        """See `Engine.remains`."""
        found = []
        for record in self._unfinished_runs(run):
            with self.connect(record.hosts) as hosts:
                found.append(unfinished_runs.compare(record, hosts))
        return tuple(found)

    def _unfinished_runs(self, run: str) -> tuple[Record, ...]:
        """The runs (or that one) that are not rolled back completely; each record only has the hosts that need recovery."""
        unfinished = tuple(
            each.for_hosts(each.owed) if each.owed else each
            for each in journal_reader.unfinished_runs(self.workspace.runs)
            if run in ("", each.run)
        )
        if run and not unfinished:
            raise InputError(
                "nothing of this run has to be rolled back", where=run, todo="See: firescreen history"
            )
        return unfinished

    def forget(self, run: str, emit: Emit, *, as_it_is: bool) -> tuple[Outcome, ...]:
        """See `Engine.forget`."""
        outcomes = []
        try:
            with self.workspace.lock("a recovery"):
                for record in self._unfinished_runs(run):
                    outcomes.append(finish(self._forget_run(record, as_it_is=as_it_is), emit))  # noqa: PERF401
        except FirescreenError as error:
            outcomes.append(finish(Outcome(run=run, state="failed", error=error), emit))
        return tuple(outcomes)

    def _forget_run(self, record: Record, *, as_it_is: bool) -> Outcome:
        with self.connect(record.hosts) as hosts:
            left = unfinished_runs.compare(record, hosts)
            outcome = unfinished_runs.forget(record, left, as_it_is=as_it_is)
            if outcome.error is None:
                release(hosts, left.hosts, self.workspace)
            return outcome

    # -- the practice stack -------------------------------------------------------------------------------

    def end_practice_runs(self) -> None:
        """Undoes the runs on the practice stack before its files are removed. The caller must hold the workspace lock."""
        standing = [
            record
            for record in journal_reader.records(self.workspace.runs)
            if record.state in (*journal_reader.STANDING, "cut-off")
        ]
        mine = [record for record in standing if record.is_practice]
        for record in mine:
            # If other stacks have runs too, they may use the same CA and passwords, so those are not rolled back. All
            # other files of a practice run disappear with the folder of the practice stack.
            if len(mine) < len(standing) or self.undo_without_events(record) is not None:
                log = Journal(record.folder)
                log.state("ended")
                log.forget_images()
                log.close()


def _changed_hosts(record: Record) -> tuple[str, ...]:
    """The hosts on which a run has begun changes, without the workspace."""
    names = (entry.host for entry in record.entries if entry.number in record.begun)
    return tuple(name for name in dict.fromkeys(names) if name != WORKSPACE)
