"""inspect -> plan -> apply -> verify -> undo: one engine for the wizard, the command line and the labs.

Only the engine holds connections and the journal. Its promise: nothing is ever half done. A run ends proven, or
what was there before is back; killed at any instant, `recover` brings it to one of the two.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wizard import planner
from wizard.components import all_components
from wizard.components import component as find_component
from wizard.connections.base import Connection
from wizard.connections.credentials import Access
from wizard.engine import (
    baseline,
    consent,
    discovery,
    findings,
    journal,
    permission,
    reachability,
    readiness,
    regressions,
    rollback,
    verification,
)
from wizard.engine import (
    report as telling,
)
from wizard.engine import (
    unfinished_runs as remains,
)
from wizard.engine.executor import all_unchanged
from wizard.engine.host_lock import claimed, let_go
from wizard.engine.hosts import Hosts
from wizard.engine.journal import Journal, Record
from wizard.engine.listener import Listener
from wizard.engine.outcome import Exposure, Holding, HostOutcome, Outcome, Scan, State, silent, told
from wizard.engine.parallel import side_by_side
from wizard.engine.regressions import Comparison
from wizard.engine.rollout import Rollout, canary_of
from wizard.engine.spare_passwords import spares
from wizard.engine.unfinished_runs import Difference, Remains
from wizard.errors import (
    AwayError,
    CancelledError,
    FirescreenError,
    InputError,
    JournalError,
    ProofError,
    RestoreError,
)
from wizard.model import (
    WORKSPACE,
    Answers,
    Attempt,
    Baseline,
    ComponentSpec,
    Event,
    Facts,
    Finding,
    Forward,
    HostSpec,
    Plan,
    RunRecord,
    Service,
    Stack,
    WriteFile,
)
from wizard.workspace import Workspace

if TYPE_CHECKING:
    from wizard.diagnostics.catalogue import Diagnosis

__all__ = [
    "Difference",
    "Engine",
    "Exposure",
    "Holding",
    "HostOutcome",
    "Outcome",
    "Remains",
    "Scan",
    "proposed",
]

Emit = Callable[[Event], None]


class Engine:
    """Everything that can be done with a stack. Its methods block; call them from a worker thread.

    Args:
        workspace: where the CA, the journal and the practice stack live.
        access: what connections were given, with connections that were begun with it.
        begun: these, by host; they end with the engine.
        most: machines whose servers are asked side by side in a proof.
    """

    def __init__(
        self,
        workspace: Workspace,
        access: Access | None = None,
        begun: Mapping[HostSpec, Connection] | None = None,
        *,
        most: int = verification.MOST,
    ) -> None:
        self.workspace = workspace
        self._most = most
        self.access = access or Access()
        """What connections were given: passwords, passphrases, accepted host keys. Fronts put answers here."""
        self._kept: dict[HostSpec, Connection] = dict(begun or {})

    def close(self) -> None:
        """Ends the connections that were kept open between calls; safe to call twice."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _hosts(self, specs: tuple[HostSpec, ...]) -> Hosts:
        return Hosts(self.workspace, specs, self.access, self._kept)

    def connections(self, specs: tuple[HostSpec, ...]) -> Hosts:
        """The connections to hosts, with what they were given so far; they end with the `with` of whoever asks."""
        return self._hosts(specs)

    def reach(self, specs: tuple[HostSpec, ...]) -> None:
        """Connects to hosts, to find out what has to be asked for before anything is done.

        Raises:
            NeededError: a password, a passphrase or a yes to a host key; put it into `access` and try again.
            HostError: a host cannot be reached.
        """
        with self._hosts(specs) as hosts:

            def meet(spec: HostSpec) -> FirescreenError | None:
                try:
                    hosts.connection(spec.name).identity()
                except AwayError as error:
                    # Where there are others, it may be left aside; who looks at the hosts decides.
                    return error if len(specs) == 1 else None
                except FirescreenError as error:
                    return error
                return None

            for error in side_by_side(meet, specs):
                if error is not None:
                    raise error

    # -- looking ------------------------------------------------------------------------------------------

    def this_machine(self) -> Stack:
        """A stack of what runs on this machine, with the protection that is proposed for it."""
        here = HostSpec(name="here", connect="local")
        with self._hosts((here,)) as hosts:
            found = hosts.services("here")
        return Stack(hosts=(here,), components=proposed(found))

    def scan(self, stack: Stack | None = None, *, emit: Emit = silent) -> Scan:
        """What runs where, and how open it is by what the wire says.

        Raises:
            HostError: a host cannot be reached.
        """
        wanted = stack or self.this_machine()
        facts = self._look(wanted)
        exposures: list[Exposure] = []
        told_of: list[Finding] = []
        told_of += [findings.away(name, why) for name, why in facts.away.items()]
        services = [
            (component, facts.hosts[component.host].service(component.name, component.unit))
            for component in wanted.components
            if component.host not in facts.away
        ]
        others = _unnamed(wanted, facts)

        def look_at(service: Service | None) -> Exposure | None:
            return verification.exposure(service, self.dial) if service is not None else None

        seen = side_by_side(look_at, [*(service for _, service in services), *others])
        for (component, service), found in zip(services, seen, strict=False):
            if service is None or found is None:
                told_of.append(findings.not_found(component))
                continue
            exposures.append(found)
            told_of += findings.findings(found, service)
            emit(Event(run="", kind="log", host=found.host, text=f"{found.component}: {found.words}"))
        for service, found in zip(others, seen[len(services) :], strict=True):
            assert found is not None
            exposures.append(found)
            told_of.append(findings.not_in_stack(found, service))
            emit(Event(run="", kind="log", host=found.host, text=f"{found.component}: {found.words}"))
        return Scan(stack=wanted, facts=facts, exposures=tuple(exposures), findings=tuple(told_of))

    def _look(self, stack: Stack) -> Facts:
        """What is there, whatever the stack wants."""
        bare = tuple(replace(component, protect=()) for component in stack.components)
        return self.inspect(replace(stack, components=bare))

    def forward_to(self, url: str, stack: Stack) -> Forward | None:
        """How this machine asks the server of a stack that a URL names, if it cannot reach it itself.

        Raises:
            HostError: a host cannot be read.
        """
        return reachability.forward_to(self._look(stack), url)

    def inspect(self, stack: Stack) -> Facts:
        """What is on the hosts of a stack.

        Raises:
            HostError: a host cannot be reached or read. InputError: a component is not there.
        """
        with self._hosts(stack.hosts) as hosts, spares(stack, self.workspace) as made:
            facts = baseline.with_health(stack, discovery.inspect(stack, hosts, self.workspace), hosts)
            return replace(facts, spares=made())

    def plan(self, stack: Stack, answers: Answers | None = None, *, facts: Facts | None = None) -> Plan:
        """What has to change. Writes nothing.

        Raises:
            FirescreenError: see `inspect` and `steps.plan`.
        """
        found = facts or self.inspect(stack)
        permission.refuse_unreadable(found)
        plan = planner.plan(stack, found, answers or Answers())
        permission.refuse_unwritable(plan)
        return plan

    def refuse_silent(self, plan: Plan) -> None:
        """Whether all that a plan restarts answers now; `apply` asks the same.

        Raises:
            InputError: something does not. Nothing has been touched.
        """
        if plan.probes:
            readiness.refuse_silent(plan, self.dial)

    def explain(self, text: str, stack: Stack | None = None) -> Diagnosis | None:
        """What an error text means; where it may be several things, the hosts of the stack (or this machine) say.

        Changes nothing, and never raises a FirescreenError.
        """
        from wizard.engine import error_explanation

        return error_explanation.explain(
            text, lambda: stack or self.this_machine(), lambda of: self._hosts(of.hosts)
        )

    def holdings(self, stack: Stack, facts: Facts) -> tuple[Holding, ...]:
        """The certificates and users that exist on the hosts and in the workspace."""
        return telling.holdings(stack, facts)

    # -- doing --------------------------------------------------------------------------------------------

    def apply(
        self,
        plan: Plan,
        emit: Emit = silent,
        cancel: threading.Event | None = None,
        *,
        canary: str = "",
        verify_later: bool = False,
    ) -> Outcome:
        """Makes the changes, proves the result, and puts back what fails: a host alone where that can be, else all.

        Never raises a FirescreenError: it is in the outcome.

        Args:
            canary: the host that is changed and proven before the rest; '' for a choice of ours from four hosts on,
                'none' for all at once.
            verify_later: leave what waits for Prometheus' next scrapes to a later verification: the run ends `changed`.
        """
        stop = cancel or threading.Event()
        with Listener(emit) as tell:
            try:
                consent.refuse(plan, later=verify_later)
                with self.workspace.lock("an apply"), self._hosts(plan.stack.hosts) as hosts:
                    if plan.probes:
                        readiness.refuse_silent(plan, hosts.dial)
                    self._refuse_after_crash(
                        spec.name for spec in plan.stack.hosts if spec.name not in plan.facts.away
                    )
                    outcome = self._apply(
                        plan, hosts, tell, stop, canary_of(plan, canary), later=verify_later
                    )
            except FirescreenError as error:
                outcome = Outcome(run="", state="failed", error=error)
            return _finish(outcome, tell)

    def _apply(
        self,
        plan: Plan,
        hosts: Hosts,
        emit: Emit,
        cancel: threading.Event,
        canary: str,
        *,
        later: bool = False,
    ) -> Outcome:
        if not plan.changes:
            attempts = self.prove(plan, emit, cancel)
            left = tuple(HostOutcome(host=name, state="away") for name in plan.facts.away)
            state: State = "partly" if left else "nothing"
            found = Outcome(run="", state=state, attempts=attempts, hosts=left)
            return findings.partly(findings.judged(found, plan), plan)
        # First of all, so that a mark on a host is never without a journal that leads back to it.
        log = Journal.create(
            self.workspace.runs,
            title=telling.title(plan),
            hosts=plan.stack.hosts,
            changes=(),
            details=telling.details(plan),
        )
        try:
            with claimed(hosts, planner.changed_hosts(plan), self.workspace):
                side_by_side(lambda mine: _unchanged(hosts, mine), findings.first_writes(plan))
                before = None
                if plan.probes:
                    before = baseline.take(plan, hosts, cancel)
                    baseline.keep(log.folder, before)
                rollout = Rollout(plan, hosts, log, emit, cancel, before=before, later=later, most=self._most)
                return self._carry_out(rollout, plan, hosts, log, emit, canary, later=later)
        except FirescreenError:
            log.discard()
            raise
        finally:
            log.close()

    def _carry_out(
        self,
        rollout: Rollout,
        plan: Plan,
        hosts: Hosts,
        log: Journal,
        emit: Emit,
        canary: str,
        *,
        later: bool = False,
    ) -> Outcome:
        emit(Event(run=log.run, kind="started", total=len(plan.changes)))
        try:
            attempts = rollout.run(canary)
            well: State = "applied" if not plan.probes else "changed" if later else "proven"
            state: State = "partly" if rollout.lost or plan.facts.away else well
            log.state(state)
        except JournalError as error:
            if not log.touched:
                raise
            return self._roll_back(log, hosts, emit, error, rollout)
        except FirescreenError as error:
            return self._roll_back(log, hosts, emit, error, rollout)
        except Exception as fault:
            # A fault of our own: nothing may stay half done because of it, and it must still be seen.
            words = FirescreenError(f"a fault of Firescreen itself: {type(fault).__name__}", where=log.run)
            self._roll_back(log, hosts, emit, words, rollout)
            raise
        return findings.partly(
            Outcome(
                run=log.run,
                state=state,
                attempts=attempts,
                summary=(
                    *telling.summary(plan, attempts),
                    *telling.of_health(rollout.health),
                    *(telling.later(plan) if later else ()),
                ),
                hosts=rollout.outcomes,
                health=rollout.health,
            ),
            plan,
        )

    def _roll_back(
        self, log: Journal, hosts: Hosts, emit: Emit, error: FirescreenError, rollout: Rollout
    ) -> Outcome:
        attempts = rollout.attempts
        emit(Event(run=log.run, kind="rollback", state="running", text=error.what, error=told(error)))
        record = journal.read(log.folder)
        assert record is not None
        try:
            with suppress(JournalError):  # a full disk must not keep the files from being put back
                log.state("rolling-back")
            rollback.put_back(record, hosts, emit)
            rollback.revive(record, hosts)
            log.forget_images()
            log.state("rolled-back")
            rollout.rolled_back()
        except FirescreenError as trouble:
            rollout.rolled_back(trouble)
            worse = RestoreError(
                f"{error.what}; and putting back failed: {trouble.what}",
                where=trouble.where or error.where,
                todo=_then_recover(trouble.todo),
            )
            return Outcome(
                run=log.run,
                state="failed",
                attempts=attempts,
                error=worse,
                hosts=rollout.outcomes,
                health=rollout.health,
            )
        state = "cancelled" if isinstance(error, CancelledError) else "rolled-back"
        back = "Everything that was changed is back as it was, and the services run as before."
        return Outcome(
            run=log.run,
            state="cancelled" if state == "cancelled" else "rolled-back",
            attempts=attempts,
            error=error,
            summary=(back,),
            hosts=rollout.outcomes,
            health=rollout.health,
        )

    def verify(
        self,
        stack: Stack,
        emit: Emit = silent,
        cancel: threading.Event | None = None,
        *,
        answers: Answers | None = None,
    ) -> tuple[Attempt, ...]:
        """All the probes, wanted and unwanted.

        Raises:
            FirescreenError: the stack cannot be inspected or planned.
        """
        return self.prove(self.plan(stack, answers), emit, cancel)

    def prove(
        self, plan: Plan, emit: Emit = silent, cancel: threading.Event | None = None
    ) -> tuple[Attempt, ...]:
        """The probes of a plan, made now."""
        stop = cancel or threading.Event()
        newest = self._newest(journal.STANDING)
        before = baseline.kept(newest.folder) if newest is not None else None
        return verification.prove(
            plan.probes,
            run="",
            emit=emit,
            cancel=stop,
            most=self._most,
            dial=self.dial,
            excuse=lambda attempt: regressions.excuse(before, attempt),
        )

    def complete(
        self,
        plan: Plan,
        attempts: Sequence[Attempt],
        emit: Emit = silent,
        cancel: threading.Event | None = None,
    ) -> Outcome | None:
        """Completes the verification of a run that was left `changed`: what was up before it must be up now.

        Args:
            plan: what the stack plans now, for its servers and Prometheus.
            attempts: what its probes said.

        Returns:
            None if the newest run is no such run; else `proven`, or `changed` with what does not hold.

        Raises:
            LockedError: another Firescreen is at work.
        """
        newest = self._newest(journal.STANDING)
        if newest is None or newest.state != "changed":
            return None
        before = baseline.kept(newest.folder) or Baseline()
        stop = cancel or threading.Event()
        with self.workspace.lock("a verification"), self._hosts(plan.stack.hosts) as hosts:
            comparison = Comparison(plan, before, hosts, emit, stop, run=newest.run)
            # The last line of the journal says that all is changed.
            changed = (newest.folder / "journal.jsonl").stat().st_mtime
            found = comparison.regressions(plan.watched, since=changed)
            outcome = Outcome(
                run=newest.run, state="changed", attempts=tuple(attempts), health=comparison.report
            )
            try:
                findings.judge(tuple(attempts))
                for each in found:
                    raise each.error()
            except ProofError as error:
                wrong = ProofError(
                    error.what,
                    where=error.where,
                    todo=f"{error.todo}. Or undo the run with: firescreen undo {newest.run} --yes",
                )
                return replace(outcome, error=wrong)
            log = Journal(newest.folder)
            try:
                log.state("proven")
            finally:
                log.close()
        return replace(outcome, state="proven", summary=telling.of_health(comparison.report))

    def _newest(self, states: Sequence[str]) -> Record | None:
        """The newest run in one of these states."""
        return next(
            (record for record in journal.records(self.workspace.runs) if record.state in states), None
        )

    def dial(self, forward: Forward, seconds: float) -> socket.socket:
        """A socket that leads to the place of a forward; see `Hosts.dial`."""
        with self._hosts((forward.host,)) as hosts:
            return hosts.dial(forward, seconds)

    # -- going back ---------------------------------------------------------------------------------------

    def undo(self, run: str = "", emit: Emit = silent, cancel: threading.Event | None = None) -> Outcome:
        """Puts back what a run changed; the newest that is not undone, if none is named."""
        with Listener(emit) as tell:
            try:
                with self.workspace.lock("an undo"):
                    self._refuse_after_crash()
                    record = self._to_undo(run)
                    with (
                        self._hosts(record.hosts) as hosts,
                        claimed(hosts, _touched(record), self.workspace),
                    ):
                        rollback.check(record, hosts)
                        outcome = self._undo(record, hosts, tell)
            except FirescreenError as error:
                outcome = Outcome(run="", state="failed", error=error)
            return _finish(outcome, tell)

    def _to_undo(self, run: str) -> Record:
        standing = [
            record for record in journal.records(self.workspace.runs) if record.state in journal.STANDING
        ]
        if not run:
            if not standing:
                raise InputError("there is no run to undo", where=str(self.workspace.runs))
            return standing[0]
        for index, record in enumerate(standing):
            if record.run == run:
                if index:
                    raise InputError(
                        f"run {standing[0].run} came after it and builds on it",
                        where=run,
                        todo=f"undo {standing[0].run} first",
                    )
                return record
        raise InputError(
            "there is no such run that could be undone", where=run, todo="see: firescreen history"
        )

    def _undo(self, record: Record, hosts: Hosts, emit: Emit) -> Outcome:
        log = Journal(record.folder)
        try:
            with suppress(JournalError):
                log.state("undoing")
            rollback.put_back(record, hosts, emit)
            rollback.revive(record, hosts)
            log.forget_images()
            log.state("undone")
        except FirescreenError as error:
            return Outcome(run=record.run, state="failed", error=error)
        finally:
            log.close()
        return Outcome(run=record.run, state="undone", summary=("Every file is as it was before that run.",))

    def _settle(self, record: Record, hosts: Hosts, emit: Emit) -> Outcome:
        """Puts back the hosts that a standing run owes."""
        log = Journal(record.folder)
        try:
            rollback.put_back(record, hosts, emit)
            rollback.revive(record, hosts)
            for host in sorted(record.owed):
                log.back(host)
        except FirescreenError as error:
            return Outcome(run=record.run, state="failed", error=error)
        finally:
            log.close()
        names = ", ".join(sorted(record.owed))
        return Outcome(run=record.run, state="undone", summary=(f"On {names}, every file is as it was.",))

    def hosts_of(self, run: str = "") -> tuple[HostSpec, ...]:
        """The hosts that putting back goes to: of that run, of the runs that were cut off, or of the newest.

        Raises:
            InputError: there is nothing to put back.
        """
        cut = [each for each in journal.records(self.workspace.runs) if _unsettled(each)]
        if cut and not run:
            return tuple(
                {
                    host.name: host
                    for each in cut
                    for host in each.hosts
                    if each.state == "cut-off" or host.name in each.owed
                }.values()
            )
        return self._to_undo(run).hosts

    def cut_off(self) -> RunRecord | None:
        """A run that was killed before it was finished or put back; None while another is at work.

        Also one that went on without a host that could not be put back, as far as that host goes.
        """
        if self.workspace.busy():
            return None
        for record in journal.records(self.workspace.runs):
            if record.state == "cut-off":
                return record.summary()
            if record.owed:
                return replace(record.of(record.owed).summary(), state="owed")
        return None

    def recover(self, emit: Emit = silent) -> tuple[Outcome, ...]:
        """Finishes the undo of every run that was cut off, and of the hosts that a run had to leave behind."""
        outcomes = []
        try:
            with self.workspace.lock("a recovery"):
                journal.sweep(self.workspace.runs)
                for record in filter(_unsettled, journal.records(self.workspace.runs)):
                    mine = record.of(record.owed) if record.owed else record
                    with (
                        self._hosts(record.hosts) as hosts,
                        claimed(hosts, _touched(mine), self.workspace),
                    ):
                        done = (
                            self._settle(mine, hosts, emit) if record.owed else self._undo(mine, hosts, emit)
                        )
                        let_go(hosts, [host.name for host in mine.hosts], self.workspace)
                        outcomes.append(_finish(done, emit))
        except FirescreenError as error:
            outcomes.append(_finish(Outcome(run="", state="failed", error=error), emit))
        return tuple(outcomes)

    def remains(self, run: str = "") -> tuple[Remains, ...]:
        """What is left of the runs that were not put back (or of that one). Changes nothing.

        Raises:
            InputError: that run owes nothing.
        """
        found = []
        for record in self._unsettled(run):
            with self._hosts(record.hosts) as hosts:
                found.append(remains.compare(record, hosts))
        return tuple(found)

    def _unsettled(self, run: str) -> tuple[Record, ...]:
        """The runs that owe something, or that one, each as far as the hosts go that it owes."""
        known = tuple(
            each.of(each.owed) if each.owed else each
            for each in filter(_unsettled, journal.records(self.workspace.runs))
            if run in ("", each.run)
        )
        if run and not known:
            raise InputError("this run has nothing to be put back", where=run, todo="See: firescreen history")
        return known

    def forget(self, run: str = "", *, as_it_is: bool = False, emit: Emit = silent) -> tuple[Outcome, ...]:
        """Ends the recovery of runs that were not put back (or of that one), where all is as it was before.

        No host is changed but for the mark of this workspace.

        Args:
            as_it_is: also where something differs, or a host cannot be looked at. The copies of the files as they were
                stay in the workspace then.
        """
        outcomes = []
        try:
            with self.workspace.lock("a recovery"):
                for record in self._unsettled(run):
                    with self._hosts(record.hosts) as hosts:
                        left = remains.compare(record, hosts)
                        done = _forgotten(record, left, as_it_is=as_it_is)
                        if done.error is None:
                            let_go(hosts, left.hosts, self.workspace)
                    outcomes.append(_finish(done, emit))
        except FirescreenError as error:
            outcomes.append(_finish(Outcome(run=run, state="failed", error=error), emit))
        return tuple(outcomes)

    def _refuse_after_crash(self, touched: Iterable[str] = ()) -> None:
        """For who holds the lock.

        Args:
            touched: the hosts that are about to be changed, or looked at for what the others are told.

        Raises:
            JournalError: a run was cut off before, or had to leave one of these hosts behind.
        """
        hosts = frozenset(touched)
        records = journal.records(self.workspace.runs)
        cut = next((each for each in records if each.state == "cut-off" or each.owed & hosts), None)
        if cut is not None:
            raise JournalError(
                f"run {cut.run} was cut off and is not put back yet",
                where=str(cut.folder),
                todo="run: firescreen recover --yes",
            )
        journal.sweep(self.workspace.runs)

    # -- remembering --------------------------------------------------------------------------------------

    def history(self) -> tuple[RunRecord, ...]:
        """The runs, the newest first."""
        found = (record.summary() for record in journal.records(self.workspace.runs))
        if not self.workspace.busy():
            return tuple(found)
        return tuple(replace(run, state="running") if run.state == "cut-off" else run for run in found)

    def run_details(self, run: str) -> tuple[str, ...]:
        """The diffs of a run, redacted."""
        return self._record(run).details

    def report(self, run: str) -> Path:
        """A Markdown report of a run, in the workspace.

        Raises:
            InputError: there is no such run.
        """
        return telling.report(self._record(run), self.workspace.reports / f"{run}.md")

    def _record(self, run: str) -> Record:
        for record in journal.records(self.workspace.runs):
            if record.run == run:
                return record
        raise InputError("there is no such run", where=run, todo="see: firescreen history")

    def _taken_back(self, record: Record) -> FirescreenError | None:
        with self._hosts(record.hosts) as hosts:
            return self._undo(record, hosts, silent).error

    # -- practising ---------------------------------------------------------------------------------------

    def practice(
        self, progress: Callable[[str], None] | None = None, *, suite: str = "", whole: bool = False
    ) -> Stack:
        """The practice stack, brought up if it is not; `whole` gives it every component that it can have.

        Raises:
            ProgramsError: the real programs can be neither found nor fetched. ServiceError: one does not run.
        """
        from wizard import practice

        self.workspace.ensure()
        practice.up(
            self.workspace.root,
            self.workspace.cache,
            suite=suite,
            components=practice.WHOLE if whole else (),
            progress=progress,
        )
        return practice.stack(self.workspace.root)

    def practice_down(self) -> None:
        """Ends the practice stack's programs and removes its files.

        What its runs left in the workspace (a CA, passwords) is undone with them.

        Raises:
            LockedError: a run is under way. ServiceError: a program does not end.
        """
        from wizard import practice

        with self.workspace.lock("the end of practice"):
            standing = [
                record
                for record in journal.records(self.workspace.runs)
                if record.state in (*journal.STANDING, "cut-off")
            ]
            mine = [record for record in standing if findings.practises(record)]
            others = len(mine) < len(standing)
            for record in mine:
                # What another stack was built on (the CA, passwords) has to stay; the rest goes with the folder.
                error = self._taken_back(record) if not others else JournalError("another run builds on it")
                if error is not None:
                    log = Journal(record.folder)
                    log.state("ended")
                    log.forget_images()
                    log.close()
            practice.down(self.workspace.root, remove=True)


def proposed(services: Iterable[Service]) -> tuple[ComponentSpec, ...]:
    """The components of services in their usual order, with the protection that is proposed for each.

    That is all of it for what only Prometheus asks, and nothing for what others (Grafana, say) ask too.
    """
    order = [component.name for component in all_components()]
    keys = dict.fromkeys((service.host, service.component, service.instance) for service in services)
    return tuple(
        ComponentSpec(
            host=host,
            name=name,
            unit=unit,
            protect=() if find_component(name).asked_by_others else ("tls", "basic_auth"),
        )
        for host, name, unit in sorted(keys, key=lambda key: order.index(key[1]))
    )


def _unnamed(stack: Stack, facts: Facts) -> list[Service]:
    """Further instances, on its hosts, of components that a stack names: a stranger may read them all the same."""
    named = {component.key for component in stack.components}
    kinds = {(component.host, component.name) for component in stack.components}
    return [
        service
        for known in facts.hosts.values()
        for service in known.services
        if (service.host, service.component) in kinds and service.active and service.key not in named
    ]


def _unsettled(record: Record) -> bool:
    """Whether a run has something to be put back that nobody asked to keep."""
    return record.state == "cut-off" or bool(record.owed)


def _forgotten(record: Record, left: Remains, *, as_it_is: bool) -> Outcome:
    """Writes down that a run is not to be put back any more, unless something speaks against it."""
    if left.differences and not as_it_is:
        places = dict.fromkeys(":".join(filter(None, (each.host, each.path))) for each in left.differences)
        error = RestoreError(
            f"{len(places)} of what it touched is not as it was before, so the run is not forgotten",
            where=", ".join(places),
            todo=(
                f"Put it back by hand (the copies lie in {record.folder / 'before'}), "
                f"or keep it so: firescreen recover --forget {record.run} --as-it-is --yes"
            ),
        )
        return Outcome(run=record.run, state="failed", error=error)
    log = Journal(record.folder)
    try:
        if record.owed:
            for host in sorted(record.owed):
                log.back(host)
        else:
            if not left.differences:
                log.forget_images()
            log.state("forgotten")
    except JournalError as error:
        return Outcome(run=record.run, state="failed", error=error)
    finally:
        log.close()
    said = (
        "Every file is as it was before that run, and the services run."
        if not left.differences
        else f"What differs stays as it is. The files as they were lie in {record.folder / 'before'}."
    )
    return Outcome(run=record.run, state="forgotten", summary=(said,))


def _touched(record: Record) -> tuple[str, ...]:
    """The hosts on which a run has changed something that stands."""
    names = (entry.host for entry in record.entries if entry.number in record.begun)
    return tuple(name for name in dict.fromkeys(names) if name != WORKSPACE)


def _unchanged(hosts: Hosts, mine: Sequence[WriteFile]) -> None:
    all_unchanged(hosts.connection(mine[0].host), mine)


def _then_recover(todo: str) -> str:
    """What to do, and what to do after it: what is owed to a host is put back by a command of its own."""
    recover = "run: firescreen recover --yes"
    if not todo or "recover" in todo:
        return todo or recover
    return f"{todo.rstrip('.')}. When that is mended, {recover}"


def _finish(outcome: Outcome, emit: Emit) -> Outcome:
    emit(
        Event(
            run=outcome.run,
            kind="finished",
            state=outcome.state,
            text="\n".join(outcome.summary),
            error=told(outcome.error) if outcome.error else None,
        )
    )
    return outcome
