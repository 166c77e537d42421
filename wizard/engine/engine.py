"""inspect -> plan -> apply -> verify -> undo: one engine for the wizard, the command line and the labs.

Only the engine holds connections and the journal. Its promise: nothing is ever half done. A run ends verified, or
what was there before is back; killed at any instant, `recover` brings it to one of the two.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wizard import journal_reader, planner
from wizard.connections.base import Connection
from wizard.connections.credentials import Access
from wizard.engine import (
    baseline,
    completion,
    consent,
    discovery,
    findings,
    inventory,
    permission,
    reachability,
    readiness,
    report,
    stack_verification,
    verification,
)
from wizard.engine import scan as scanner
from wizard.engine.canary import canary_of
from wizard.engine.hosts import Hosts, Looked
from wizard.engine.listener import Listener
from wizard.engine.outcome import HostOutcome, InventoryItem, Outcome, Scan, finish, silent
from wizard.engine.parallel import run_parallel
from wizard.engine.recovery import Recovery
from wizard.engine.run import Run
from wizard.engine.spare_passwords import spares
from wizard.engine.unfinished_runs import Remains
from wizard.errors import FirescreenError, UnreachableError
from wizard.model import Answers, Attempt, Event, Facts, Forward, HostSpec, Plan, RunRecord, Service, Stack
from wizard.workspace import Workspace

if TYPE_CHECKING:
    from wizard.diagnostics.catalogue import Diagnosis

Emit = Callable[[Event], None]


class Engine:
    """Everything that can be done with a stack. Its methods block; call them from a worker thread.

    Args:
        workspace: where the CA, the journal and the practice stack live.
        access: what connections were given, with connections that were begun with it.
        begun: these, by host; they end with the engine.
        looked: what was found on hosts while these connections were begun; see `Hosts`.
        most: machines whose servers are probed at once.
    """

    def __init__(
        self,
        workspace: Workspace,
        access: Access | None = None,
        begun: Mapping[HostSpec, Connection] | None = None,
        *,
        looked: Looked | None = None,
        most: int = verification.MOST,
    ) -> None:
        self.workspace = workspace
        self._most = most
        self.access = access or Access()
        """What connections were given: passwords, passphrases, accepted host keys. Fronts put answers here."""
        self._kept: dict[HostSpec, Connection] = dict(begun or {})
        self._looked = looked if looked is not None else {}
        self._recovery = Recovery(workspace, self.connections)

    def close(self) -> None:
        """Ends the connections that were kept open between calls; safe to call twice."""
        while self._kept:
            self._kept.popitem()[1].close()

    def connections(self, specs: tuple[HostSpec, ...]) -> Hosts:
        """The connections to hosts, with what they were given so far; they end with the caller's `with` block."""
        return Hosts(self.workspace, specs, self.access, self._kept, looked=self._looked)

    def reach(self, specs: tuple[HostSpec, ...]) -> None:
        """Connects to hosts, to find out which passwords and confirmations are needed before anything is done.

        Raises:
            CredentialNeededError: a password, a passphrase or a yes to a host key; put it into `access` and try again.
            HostError: a host cannot be reached.
        """
        with self.connections(specs) as hosts:
            for error in run_parallel(hosts.reach, [spec.name for spec in specs]):
                # Where there are others, one that is unreachable may be left aside; the discovery decides.
                if error is not None and (len(specs) == 1 or not isinstance(error, UnreachableError)):
                    raise error

    def dial(self, forward: Forward, seconds: float) -> socket.socket:
        """A socket that leads to the place of a forward; see `Hosts.dial`."""
        with self.connections((forward.host,)) as hosts:
            return hosts.dial(forward, seconds)

    # -- discovery ----------------------------------------------------------------------------------------

    def this_machine(self) -> Stack:
        """A stack of what runs on this machine, with the protection that is proposed for it."""
        return self._this_machine()[0]

    def _this_machine(self) -> tuple[Stack, tuple[Service, ...]]:
        here = HostSpec(name="here", connect="local")
        with self.connections((here,)) as hosts:
            found = hosts.services("here")
        return Stack(hosts=(here,), components=scanner.proposed_components(found)), found

    def scan(self, stack: Stack | None = None, *, emit: Emit = silent) -> Scan:
        """What runs where, and how well it is protected, as probes on the wire show.

        Raises:
            HostError: a host cannot be reached.
        """
        wanted, found = (stack, ()) if stack else self._this_machine()
        return scanner.scan(wanted, self._inspect_unprotected(wanted, found), self.dial, emit)

    def _inspect_unprotected(self, stack: Stack, found: tuple[Service, ...] = ()) -> Facts:
        """What is there, whatever the stack wants."""
        bare = tuple(replace(component, protect=()) for component in stack.components)
        return self.inspect(replace(stack, components=bare, front_doors=()), found)

    def forward_to(self, url: str, stack: Stack) -> Forward | None:
        """How this machine connects to the server of a stack that a URL names, if it cannot reach it directly.

        Raises:
            HostError: a host cannot be read.
        """
        return reachability.forward_to(self._inspect_unprotected(stack), url)

    def inspect(self, stack: Stack, found: tuple[Service, ...] = ()) -> Facts:
        """What is on the hosts of a stack; `found` is what somebody saw on its first host a moment ago.

        Raises:
            HostError: a host cannot be reached or read. InputError: a component is not there.
        """
        with self.connections(stack.hosts) as hosts, spares(stack, self.workspace) as made:
            hosts.remember_services(stack.hosts, found)
            facts = baseline.with_health(stack, discovery.inspect(stack, hosts, self.workspace), hosts)
            return replace(facts, spares=made())

    def plan(self, stack: Stack, answers: Answers | None = None, *, facts: Facts | None = None) -> Plan:
        """What has to change. Writes nothing.

        Raises:
            FirescreenError: see `inspect` and `planner.plan`.
        """
        found = facts or self.inspect(stack)
        permission.refuse_unreadable(found)
        plan = planner.plan(stack, found, answers or Answers())
        permission.refuse_unwritable(plan)
        return plan

    def refuse_silent(self, plan: Plan) -> None:
        """Refuses a plan if a service that it restarts does not answer now; `apply` does the same.

        Raises:
            InputError: something does not. Nothing has been touched.
        """
        if plan.probes:
            readiness.refuse_silent(plan, self.dial)

    def explain(self, text: str, stack: Stack | None = None) -> Diagnosis | None:
        """The diagnosis of an error text; of several causes, the hosts of the stack (or this machine) tell which it is.

        Changes nothing, and never raises a FirescreenError.
        """
        from wizard.engine import error_explanation

        return error_explanation.explain(
            text, lambda: stack or self.this_machine(), lambda of: self.connections(of.hosts)
        )

    def inventory(self, stack: Stack, facts: Facts) -> tuple[InventoryItem, ...]:
        """The certificates and users that exist on the hosts and in the workspace."""
        return inventory.inventory(stack, facts)

    # -- apply and verification ---------------------------------------------------------------------------

    def apply(
        self,
        plan: Plan,
        emit: Emit = silent,
        cancel: threading.Event | None = None,
        *,
        canary: str = "",
        verify_later: bool = False,
    ) -> Outcome:
        """Makes the changes, verifies the result, and rolls back what fails: a host alone where that can be, else all.

        Never raises a FirescreenError: it is in the outcome.

        Args:
            canary: the host that is changed and verified before the rest; '' for a choice of ours from four hosts on,
                'none' for all at once.
            verify_later: leave what waits for Prometheus' next scrapes to a later verification: the run ends `changed`.
        """
        with Listener(emit) as tell:
            try:
                consent.refuse(plan, later=verify_later)
                with self.workspace.lock("an apply"), self.connections(plan.stack.hosts) as hosts:
                    if plan.probes:
                        readiness.refuse_silent(plan, hosts.dial)
                    self._recovery.refuse_unfinished(
                        spec.name for spec in plan.stack.hosts if spec.name not in plan.facts.away
                    )
                    run = Run(
                        plan=plan,
                        hosts=hosts,
                        workspace=self.workspace,
                        emit=tell,
                        cancel=cancel or threading.Event(),
                        canary=canary_of(plan, canary),
                        later=verify_later,
                        most=self._most,
                    )
                    outcome = (
                        run.carry_out() if plan.changes else self._probe_unchanged(plan, tell, run.cancel)
                    )
            except FirescreenError as error:
                outcome = Outcome(run="", state="failed", error=error)
            return finish(outcome, tell)

    def _probe_unchanged(self, plan: Plan, emit: Emit, cancel: threading.Event) -> Outcome:
        """The outcome of a plan that has nothing to change."""
        attempts = self.run_probes(plan, emit, cancel)
        left = tuple(HostOutcome(host=name, state="away") for name in plan.facts.away)
        found = Outcome(run="", state="partly" if left else "nothing", attempts=attempts, hosts=left)
        return findings.partly(findings.judge_unchanged(found, plan), plan)

    def verify(self, stack: Stack) -> tuple[Attempt, ...]:
        """All the probes, those expected to succeed and those expected to be rejected.

        Raises:
            FirescreenError: the stack cannot be inspected or planned.
        """
        return self.run_probes(self.plan(stack))

    def run_probes(
        self, plan: Plan, emit: Emit = silent, cancel: threading.Event | None = None
    ) -> tuple[Attempt, ...]:
        """The probes of a plan, made now, and what Prometheus tells of its logins elsewhere."""
        newest = next(iter(journal_reader.undoable_runs(self.workspace.runs)), None)
        before = baseline.read_baseline(newest.folder) if newest is not None else None
        with self.connections(plan.stack.hosts) as hosts:
            return stack_verification.verify(
                plan, before, hosts, emit, cancel or threading.Event(), most=self._most
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
        newest = next(iter(journal_reader.undoable_runs(self.workspace.runs)), None)
        if newest is None or newest.state != "changed":
            return None
        with self.workspace.lock("a verification"), self.connections(plan.stack.hosts) as hosts:
            return completion.complete(newest, plan, attempts, hosts, emit, cancel or threading.Event())

    # -- undo and recovery --------------------------------------------------------------------------------

    def undo(self, run: str = "", emit: Emit = silent, cancel: threading.Event | None = None) -> Outcome:
        """Rolls back what a run changed; the newest that is not undone, if none is named."""
        with Listener(emit) as tell:
            try:
                outcome = self._recovery.undo(run, tell)
            except FirescreenError as error:
                outcome = Outcome(run="", state="failed", error=error)
            return finish(outcome, tell)

    def hosts_of(self, run: str = "") -> tuple[HostSpec, ...]:
        """The hosts that a rollback connects to: of that run, of the interrupted runs, or of the newest.

        Raises:
            InputError: there is nothing to roll back.
        """
        return self._recovery.hosts_of(run)

    def cut_off(self) -> RunRecord | None:
        """A run that was interrupted before it was finished or rolled back; None while another is at work.

        Also one that went on without a host that could not be rolled back, as far as that host goes.
        """
        return self._recovery.interrupted_run()

    def recover(self, emit: Emit = silent) -> tuple[Outcome, ...]:
        """Finishes the rollback of every interrupted run, and of the hosts that a run had to leave behind."""
        return self._recovery.recover(emit)

    def remains(self, run: str = "") -> tuple[Remains, ...]:
        """What is left of the runs that were not rolled back (or of that one). Changes nothing.

        Raises:
            InputError: that run has nothing to be rolled back.
        """
        return self._recovery.remains(run)

    def forget(self, run: str = "", *, as_it_is: bool = False, emit: Emit = silent) -> tuple[Outcome, ...]:
        """Ends the recovery of runs that were not rolled back (or of that one), where all is as it was before.

        No host is changed but for the lock of this workspace.

        Args:
            as_it_is: also where something differs, or a host cannot be read. The copies of the files as they were
                stay in the workspace then.
        """
        return self._recovery.forget(run, emit, as_it_is=as_it_is)

    # -- history ------------------------------------------------------------------------------------------

    def history(self) -> tuple[RunRecord, ...]:
        """The runs, the newest first."""
        return journal_reader.history(self.workspace)

    def run_details(self, run: str) -> tuple[str, ...]:
        """The diffs of a run, redacted."""
        return journal_reader.find(self.workspace.runs, run).details

    def report(self, run: str) -> Path:
        """A Markdown report of a run, in the workspace.

        Raises:
            InputError: there is no such run.
        """
        record = journal_reader.find(self.workspace.runs, run)
        return report.report(record, self.workspace.reports / f"{run}.md")

    # -- the practice stack -------------------------------------------------------------------------------

    def practice(self, progress: Callable[[str], None] | None = None, *, whole: bool = False) -> Stack:
        """The practice stack, brought up if it is not; `whole` gives it every component that it can have.

        Raises:
            ProgramUnavailableError: the real programs can be neither found nor fetched. ServiceError: one does not run.
        """
        from wizard import practice

        self.workspace.ensure()
        practice.up(
            self.workspace.root,
            self.workspace.cache,
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
            self._recovery.end_practice_runs()
            practice.down(self.workspace.root, remove=True)
