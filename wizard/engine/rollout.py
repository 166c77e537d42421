"""Applies a plan to its hosts: a canary before the others, and verification at the end.

A host that fails is rolled back and left out: what depends on it on other hosts (e.g. a job of Prometheus) is planned
anew without it, and the run continues. The whole run only fails if the other hosts need that host.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from wizard import journal_reader, planner
from wizard.engine import container_addresses, findings, verification
from wizard.engine.executor import Executor
from wizard.engine.hosts import Hosts
from wizard.engine.journal import Journal
from wizard.engine.outcome import HostOutcome, error_fields
from wizard.engine.parallel import run_parallel
from wizard.engine.regressions import Comparison, excuse
from wizard.errors import CancelledError, FirescreenError, InputError
from wizard.model import Attempt, Baseline, Event, HealthReport, HostState, Plan, PlannedStep

Emit = Callable[[Event], None]


class Rollout:
    """Applies one plan.

    Args:
        log: the run's journal, open.
        cancel: checked between changes.
        before: what worked before the run; None to compare nothing.
        later: whether everything that needs Prometheus' next scrapes is verified later.
        most: see `verification.run_probes`.
    """

    def __init__(
        self,
        plan: Plan,
        hosts: Hosts,
        log: Journal,
        emit: Emit,
        cancel: threading.Event,
        *,
        before: Baseline | None = None,
        later: bool = False,
        most: int = verification.MOST,
    ) -> None:
        self._most = most
        self._before, self._later = before, later
        self._since = 0.0
        self._comparison = (
            Comparison(plan, before, hosts, emit, cancel, run=log.run) if before is not None else None
        )
        self._plan = plan
        self._hosts = hosts
        self._log = log
        self._emit = emit
        self._cancel = cancel
        self._changed = planner.changed_hosts(plan)
        # Without probes, a failure cannot be attributed to a host: then all hosts are changed, or none.
        self._independent = frozenset(self._changed) - planner.askers(plan) if plan.probes else frozenset()
        self._states: dict[str, HostState] = dict.fromkeys(self._changed, "waiting")
        self._lost: dict[str, FirescreenError] = {}
        self._executor = Executor(hosts, log, emit, cancel, plan=plan, independent=self._independent)
        self._attempts: dict[str, Attempt] = {}

    @property
    def outcomes(self) -> tuple[HostOutcome, ...]:
        """The outcome on each host of the plan, in the stack's order."""
        known = (*self._plan.facts.away, *self._changed)
        names = [spec.name for spec in self._plan.stack.hosts if spec.name in known]
        return tuple(
            HostOutcome(host=name, state=self._states.get(name, "away"), error=self._lost.get(name))
            for name in names
        )

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The latest result of each probe."""
        return tuple(self._attempts.values())

    @property
    def health(self) -> HealthReport | None:
        """The comparison with the state before the run; None if nothing was compared."""
        return self._comparison.report if self._comparison is not None and not self._later else None

    @property
    def lost(self) -> tuple[str, ...]:
        """The hosts that failed and were left out while the run continued."""
        return tuple(self._lost)

    def run(self, canary: str = "") -> tuple[Attempt, ...]:
        """Makes the changes and verifies them; returns the results of the verified hosts' probes.

        Args:
            canary: the host that is changed and verified before the others; '' for none.

        Raises:
            FirescreenError: the whole run failed. Changes already made stay in place; the caller rolls them back.
        """
        for host in self._changed:
            self._say(host, "waiting" if canary and host != canary else "working")
        first = self._for_canary(canary)
        if first is not None:
            self._log_line(
                f"{canary} is the canary: it is changed and verified before the other hosts", canary
            )
            if failed := self._executor.apply(self._remaining_steps(first)):
                raise next(iter(failed.values()))
            findings.judge(self._verify(first))
            for error in self._regression_errors(first).values():
                raise error
            self._say(canary, "changed" if self._later else "proven")
        target = (
            planner.plan_remaining_hosts(self._plan, self._executor.made) if first is not None else self._plan
        )
        while True:
            failed = self._executor.apply(self._remaining_steps(target))
            if not failed:
                attempts = self._verify(target)
                failed = self._failed_hosts(attempts) or self._regression_errors(target)
            if not failed:
                for host in self._changed if self._plan.is_verified else ():
                    if host not in self._lost:
                        self._say(host, "changed" if self._later else "proven")
                return attempts
            target = self._without(failed)

    # -- one plan: all hosts, the canary, or the remaining hosts ------------------------------------------

    def _for_canary(self, canary: str) -> Plan | None:
        if not canary:
            return None
        try:
            return planner.restrict_plan(self._plan, (canary,))
        except InputError as error:
            self._log_line(f"there is no canary: {error.what}", canary)
            return None

    def _remaining_steps(self, target: Plan) -> tuple[PlannedStep, ...]:
        """The steps of a plan that are not made yet; reports their hosts as running."""
        steps = planner.remaining_steps(target, self._executor.made)
        for host in dict.fromkeys(change.host for step in steps for change in step.changes):
            if host in self._states:
                self._say(host, "working")
        return steps

    def _verify(self, target: Plan) -> tuple[Attempt, ...]:
        """Runs a plan's probes; a probe of a server that has already succeeded is not repeated."""
        self._log.state("proving")
        wanted = [probe for probe in target.probes if not self._later or probe.kind != "up"]
        due = [
            probe
            for probe in wanted
            if probe.kind == "up" or not (previous := self._attempts.get(probe.id)) or not previous.ok
        ]
        self._since = findings.changed_at(target)
        found = verification.run_probes(
            container_addresses.current(due, self._plan.facts, self._hosts),
            run=self._log.run,
            emit=self._emit,
            cancel=self._cancel,
            since=self._since,
            most=self._most,
            dial=self._hosts.dial,
            excuse=lambda attempt: excuse(self._before, attempt),
        )
        if self._cancel.is_set():
            raise CancelledError("you stopped the run during verification")
        self._attempts |= {attempt.probe.id: attempt for attempt in found}
        return tuple(self._attempts[probe.id] for probe in wanted)

    def _failed_hosts(self, attempts: Sequence[Attempt]) -> dict[str, FirescreenError]:
        """The hosts on which a probe failed, each with the error.

        Raises:
            VerificationError: the other hosts need one of them.
        """
        failed = [attempt for attempt in attempts if attempt.failed]
        if any(attempt.probe.host not in self._independent for attempt in failed):
            findings.judge(tuple(failed))
        return {attempt.probe.host: findings.failure(failed, attempt.probe.host) for attempt in failed}

    def _regression_errors(self, target: Plan) -> dict[str, FirescreenError]:
        """The hosts whose change broke something that worked before the run, each with the error.

        Raises:
            VerificationError: rolling back a single host cannot repair it.
        """
        if self._comparison is None or self._later:
            return {}
        found = self._comparison.regressions(target.watched, since=self._since, lost=self.lost)
        if self._cancel.is_set():
            raise CancelledError("you stopped the run during verification")
        for each in found:
            if each.host not in self._independent:
                raise each.error()
        return {each.host: each.error() for each in reversed(found)}

    # -- leaving out failed hosts -------------------------------------------------------------------------

    def _without(self, failed: dict[str, FirescreenError]) -> Plan:
        """Rolls these hosts back and returns the plan for the others.

        Raises:
            FirescreenError: the error of the first host, if the others need one of them.
        """
        first = next(iter(failed.values()))
        lost = self._lost | failed
        keep = [spec.name for spec in self._plan.stack.hosts if spec.name not in lost]
        try:
            target = planner.plan_remaining_hosts(
                planner.restrict_plan(self._plan, keep), self._executor.made
            )
        except InputError as error:
            self._log_line(f"the others cannot go on alone: {error.what}", next(iter(failed)))
            raise first from None
        if not target.probes:
            raise first
        self._lost = lost
        self._attempts = {
            key: attempt for key, attempt in self._attempts.items() if attempt.probe.host not in lost
        }
        run_parallel(lambda pair: self._put_back(*pair), failed.items())
        return target

    def _put_back(self, host: str, error: FirescreenError) -> None:
        record = journal_reader.read(self._log.folder)
        assert record is not None
        error = findings.after_rollback(error, self._plan)
        try:
            Executor(self._hosts, self._log, self._emit).roll_back(record.for_hosts((host,)))
            self._log.mark_rolled_back(host)
            self._say(host, "rolled-back", error)
        except FirescreenError:
            self._log.mark_rollback_pending(host)
            self._say(host, "stuck", error)

    # -- events -------------------------------------------------------------------------------------------

    def _say(self, host: str, state: HostState, error: FirescreenError | None = None) -> None:
        self._states[host] = state
        self._emit(
            Event(
                run=self._log.run,
                kind="host",
                host=host,
                state=state,
                error=error_fields(error) if error is not None else None,
            )
        )

    def rolled_back(self, trouble: FirescreenError | None = None) -> None:
        """Updates the states of the hosts after the whole run was rolled back.

        Args:
            trouble: the error if the rollback is incomplete, on its `hosts` or, if it names none, on all hosts.
        """
        needs_recovery = () if trouble is None else trouble.hosts or self._changed
        for host in self._changed:
            if self._states[host] in ("rolled-back", "stuck"):
                continue
            self._states[host] = "stuck" if host in needs_recovery else "rolled-back"
            if trouble is not None and host in needs_recovery:
                self._lost[host] = trouble

    def _log_line(self, text: str, host: str) -> None:
        self._emit(Event(run=self._log.run, kind="log", host=host, text=text))
