"""inspect -> plan -> apply -> verify -> undo: one engine for the wizard, the command line and the labs.

Only the engine holds connections and the journal. A run ends either verified or rolled back; after a process was
killed at any instant, `recover` completes the rollback.
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
from wizard.engine.hosts import DiscoveredServices, Hosts
from wizard.engine.listener import Listener
from wizard.engine.outcome import HostOutcome, InventoryItem, Outcome, Scan, finish, silent
from wizard.engine.recovery import Recovery
from wizard.engine.run import Run
from wizard.engine.spare_passwords import spares
from wizard.engine.unfinished_runs import Remains
from wizard.errors import FirescreenError
from wizard.model import Answers, Attempt, Event, Facts, Forward, HostSpec, Plan, RunRecord, Service, Stack
from wizard.workspace import Workspace

if TYPE_CHECKING:
    from wizard.diagnostics.catalogue import Diagnosis

Emit = Callable[[Event], None]


class Engine:
    """All operations on a stack. The methods block; call them from a worker thread.

    Args:
        workspace: the folder with the CA, the journal and the practice stack.
        access: the credentials that connections have been given so far.
        begun: connections that were opened with `access` before, by host; the engine closes them.
        discovered: services that were discovered while these connections were opened; see `Hosts`.
        most: maximum number of machines whose servers are probed at once.
    """

    def __init__(
        self,
        workspace: Workspace,
        access: Access | None = None,
        begun: Mapping[HostSpec, Connection] | None = None,
        *,
        discovered: DiscoveredServices | None = None,
        most: int = verification.MOST,
    ) -> None:
        self.workspace = workspace
        self._most = most
        self.access = access or Access()
        """Credentials for connections: passwords, passphrases, accepted host keys. Callers put a person's answers here."""
        self._kept: dict[HostSpec, Connection] = dict(begun or {})
        self._discovered = discovered if discovered is not None else {}
        self._recovery = Recovery(workspace, self.connections)

    def close(self) -> None:
        """Closes the connections that were kept open between calls; safe to call twice."""
        while self._kept:
            self._kept.popitem()[1].close()

    def connections(self, specs: tuple[HostSpec, ...]) -> Hosts:
        """Opens connections to hosts with the credentials given so far; use it in a `with` block, which closes them."""
        return Hosts(self.workspace, specs, self.access, self._kept, discovered=self._discovered)

    def reach(self, specs: tuple[HostSpec, ...]) -> None:
        """Connects to hosts, to find out which passwords and confirmations are needed before anything is done.

        Raises:
            CredentialNeededError: a password or the confirmation of a host key is missing: add it to `access` and retry.
            HostError: a host cannot be reached.
        """
        with self.connections(specs) as hosts:
            hosts.reach_all()

    def dial(self, forward: Forward, seconds: float) -> socket.socket:
        """Opens a socket to the destination of a forward; see `Hosts.dial`."""
        with self.connections((forward.host,)) as hosts:
            return hosts.dial(forward, seconds)

    # -- discovery ----------------------------------------------------------------------------------------

    def this_machine(self) -> Stack:
        """A stack of the components on this machine, with the protection that is proposed for them."""
        return self._this_machine()[0]

    def _this_machine(self) -> tuple[Stack, tuple[Service, ...]]:
        here = HostSpec(name="here", connect="local")
        with self.connections((here,)) as hosts:
            found = hosts.services("here")
        return Stack(hosts=(here,), components=scanner.proposed_components(found)), found

    def scan(self, stack: Stack | None = None, *, emit: Emit = silent) -> Scan:
        """Finds the components on the hosts, and how well each is protected according to probes.

        Raises:
            HostError: a host cannot be reached.
        """
        wanted, found = (stack, ()) if stack else self._this_machine()
        return scanner.scan(wanted, self._inspect_unprotected(wanted, found), self.dial, emit)

    def _inspect_unprotected(self, stack: Stack, found: tuple[Service, ...] = ()) -> Facts:
        """The facts about the hosts, without what the stack wants to change."""
        bare = tuple(replace(component, protect=()) for component in stack.components)
        return self.inspect(replace(stack, components=bare, front_doors=()), found)

    def forward_to(self, url: str, stack: Stack) -> Forward | None:
        """How to connect to the server that a URL names, if it belongs to the stack and is not reachable directly.

        Raises:
            HostError: a host cannot be read.
        """
        return reachability.forward_to(self._inspect_unprotected(stack), url)

    def inspect(self, stack: Stack, found: tuple[Service, ...] = ()) -> Facts:
        """Reads the facts from the hosts of a stack.

        Args:
            found: services that were discovered on the first host just before, which are not discovered again.

        Raises:
            HostError: a host cannot be reached or read. InputError: a component does not exist on its host.
        """
        with self.connections(stack.hosts) as hosts, spares(stack, self.workspace) as made:
            hosts.remember_services(stack.hosts, found)
            facts = baseline.with_health(stack, discovery.inspect(stack, hosts, self.workspace), hosts)
            return replace(facts, spares=made())

    def plan(self, stack: Stack, answers: Answers | None = None, *, facts: Facts | None = None) -> Plan:
        """Plans the changes that the stack needs. Writes nothing.

        Raises:
            FirescreenError: see `inspect` and `planner.plan`.
        """
        found = facts or self.inspect(stack)
        permission.refuse_unreadable(found)
        plan = planner.plan(stack, found, answers or Answers())
        permission.refuse_unwritable(plan)
        return plan

    def refuse_silent(self, plan: Plan) -> None:
        """Refuses a plan if a service that it restarts or reloads does not answer now; `apply` does the same.

        Raises:
            InputError: a service does not answer. Nothing has been changed.
        """
        if plan.probes:
            readiness.refuse_silent(plan, self.dial)

    def explain(self, text: str, stack: Stack | None = None) -> Diagnosis | None:
        """The diagnosis of an error text; if it has several possible causes, evidence from the hosts decides.

        Changes nothing, and never raises a FirescreenError.

        Args:
            stack: the stack whose hosts are queried; None for this machine.
        """
        from wizard.engine import error_explanation

        return error_explanation.explain(
            text, lambda: stack or self.this_machine(), lambda chosen: self.connections(chosen.hosts)
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
        """Makes the changes, verifies the result, and rolls back on failure: the failed host if possible, else all.

        Never raises a FirescreenError; `Outcome.error` holds it.

        Args:
            canary: the host that is changed and verified first; '' for the default (see `canary_of`), 'none' for none.
            verify_later: do not wait for Prometheus' next scrapes: the run ends `changed`, and `complete` verifies it.
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
        """Runs the probes of a plan without changes and returns the outcome."""
        attempts = self.run_probes(plan, emit, cancel)
        left = tuple(HostOutcome(host=name, state="away") for name in plan.facts.away)
        found = Outcome(run="", state="partly" if left else "nothing", attempts=attempts, hosts=left)
        return findings.partly(findings.judge_unchanged(found, plan), plan)

    def verify(self, stack: Stack) -> tuple[Attempt, ...]:
        """Runs all probes of a stack: those expected to succeed and those expected to be rejected.

        Raises:
            FirescreenError: the stack cannot be inspected or planned.
        """
        return self.run_probes(self.plan(stack))

    def run_probes(
        self, plan: Plan, emit: Emit = silent, cancel: threading.Event | None = None
    ) -> tuple[Attempt, ...]:
        """Runs the probes of a plan, and checks each Prometheus' logins at remote_write endpoints and Alertmanagers."""
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
        """Completes the verification of a run in the state `changed`: what was up before it must be up now.

        Args:
            plan: the current plan for the stack, whose servers and Prometheus are checked.
            attempts: the results of the plan's probes.

        Returns:
            None if the newest run is not `changed`; else an outcome with the state `proven`, or `changed` with the error.

        Raises:
            LockedError: another Firescreen process holds the workspace lock.
        """
        newest = next(iter(journal_reader.undoable_runs(self.workspace.runs)), None)
        if newest is None or newest.state != "changed":
            return None
        with self.workspace.lock("a verification"), self.connections(plan.stack.hosts) as hosts:
            return completion.complete(newest, plan, attempts, hosts, emit, cancel or threading.Event())

    # -- undo and recovery --------------------------------------------------------------------------------

    def undo(self, run: str = "", emit: Emit = silent, cancel: threading.Event | None = None) -> Outcome:
        """Rolls back the changes of a run; '' for the newest run that is not undone yet."""
        with Listener(emit) as tell:
            try:
                outcome = self._recovery.undo(run, tell)
            except FirescreenError as error:
                outcome = Outcome(run="", state="failed", error=error)
            return finish(outcome, tell)

    def hosts_of(self, run: str = "") -> tuple[HostSpec, ...]:
        """The hosts that a rollback connects to.

        Args:
            run: the run to undo; '' for all unfinished runs or, if there are none, the newest run.

        Raises:
            InputError: there is nothing to roll back.
        """
        return self._recovery.hosts_of(run)

    def interrupted_run(self) -> RunRecord | None:
        """A run that was interrupted before it was finished or rolled back; None while another process is at work.

        Also a finished run that left out a host which could not be rolled back; the record then has only that host.
        """
        return self._recovery.interrupted_run()

    def recover(self, emit: Emit = silent) -> tuple[Outcome, ...]:
        """Finishes the rollback of every interrupted run, and of hosts that a finished run could not roll back."""
        return self._recovery.recover(emit)

    def remains(self, run: str = "") -> tuple[Remains, ...]:
        """How the hosts differ from their state before each run that is not rolled back (or before `run`).

        Changes nothing.

        Raises:
            InputError: nothing of `run` has to be rolled back.
        """
        return self._recovery.remains(run)

    def forget(self, run: str = "", *, as_it_is: bool = False, emit: Emit = silent) -> tuple[Outcome, ...]:
        """Ends the recovery of runs that are not rolled back (or of `run`) if the hosts are as before the run.

        On the hosts, only the lock file of this workspace is removed.

        Args:
            as_it_is: also if something differs or a host cannot be read. The copies of the previous files then stay in
                the workspace.
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
        """The practice stack, which is started if it is not running.

        Args:
            progress: called with a line of text for each step.
            whole: start every component that the practice stack can have.

        Raises:
            ProgramUnavailableError: a program is not installed and cannot be downloaded. ServiceError: one does not run.
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
        """Stops the practice stack's programs and removes its files.

        Its runs are undone too, with the CA and the passwords that they created in the workspace.

        Raises:
            LockedError: a run is in progress. ServiceError: a program does not stop.
        """
        from wizard import practice

        with self.workspace.lock("the end of practice"):
            self._recovery.end_practice_runs()
            practice.down(self.workspace.root, remove=True)
