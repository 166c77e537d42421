"""Compares a stack with its last verified state, and stores that state. The engine reads the hosts and runs the probes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from wizard import journal_reader
from wizard.engine import Engine
from wizard.errors import CredentialNeededError, InputError
from wizard.model import Answers, Attempt, Facts, Plan, Stack
from wizard.upkeep import copies, drift, reference
from wizard.workspace import Workspace

_PATIENCE = 120.0
"""Seconds to wait for a run in progress: its intermediate state is no drift."""
_DOWN = 15.0
"""Seconds after which a target that Prometheus reports as down counts as down."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison, with the facts, plan and probe results that it is based on."""

    facts: Facts
    plan: Plan
    attempts: tuple[Attempt, ...]
    differences: tuple[drift.Difference, ...]
    since: float
    """When the reference state was verified (Unix time)."""
    known: reference.Reference | None = None
    """The reference state."""
    records: tuple[journal_reader.Record, ...] = ()
    """The runs on the stack's hosts that are not undone, the newest first."""

    @property
    def verified(self) -> bool:
        """Whether nothing differs, all hosts are reachable, and all probes ended as expected."""
        return not self.differences and not self.facts.away and not any(each.failed for each in self.attempts)


def compare(
    machine: Engine, stack: Stack, answers: Answers | None = None, *, adopt: bool = False
) -> Comparison:
    """Compares a stack with its last verified state.

    If nothing differs, the present state is stored as the new verified state, so that it includes the changes of later
    runs.

    Args:
        adopt: store the present state as the verified state even if it differs; only failed probes are reported then.

    Raises:
        InputError: the stack was never verified.
        FirescreenError: a host cannot be read, or a passphrase is needed.
    """
    deadline = time.monotonic() + _PATIENCE
    while machine.workspace.busy() and time.monotonic() < deadline:
        time.sleep(0.2)
    facts = machine.inspect(stack)
    plan, unplanned = _plan_or_difference(machine, stack, facts, answers)
    attempts = machine.run_probes(_impatient(plan)) if plan.is_verified else ()
    records = tuple(
        record
        for record in journal_reader.undoable_runs(machine.workspace.runs)
        if set(stack.hosts) & set(record.hosts)
    )
    known = reference.load(machine.workspace, stack)
    if known is None or adopt:
        known = _first(stack, facts, records, adopt=adopt)
    found = (*drift.differences(known, facts, plan, attempts, () if adopt else records), *unplanned)
    compared = Comparison(facts, plan, attempts, found, known.at, known, records)
    if (compared.verified or adopt) and not facts.away:
        reference.save(machine.workspace, stack, reference.make_reference(stack, facts, known.key))
        copies.keep(machine.workspace, stack, facts)
    return compared


def _impatient(plan: Plan) -> Plan:
    """The plan with shorter waits for targets: nothing has just been changed, so their state is current."""
    probes = (
        replace(probe, timeout=min(probe.timeout, _DOWN)) if probe.kind == "up" else probe
        for probe in plan.probes
    )
    return replace(plan, probes=tuple(probes))


def _plan_or_difference(
    machine: Engine, stack: Stack, facts: Facts, answers: Answers | None
) -> tuple[Plan, tuple[drift.Difference, ...]]:
    """The plan for the stack; if planning fails, an empty plan and the reason as a difference.

    Raises:
        CredentialNeededError: planning needs a password or a passphrase.
    """
    try:
        return machine.plan(stack, answers, facts=facts), ()
    except CredentialNeededError:
        raise
    except InputError as error:
        host, _, path = error.where.partition(":") if ":/" in error.where else ("", "", error.where)
        found = drift.Difference(
            kind="stack", host=host, path=path, what=f"nothing can be planned: {error.what}"
        )
        return Plan(stack=stack, facts=facts, steps=(), probes=()), (found,)


def _first(
    stack: Stack, facts: Facts, records: tuple[journal_reader.Record, ...], *, adopt: bool
) -> reference.Reference:
    """The reference if none is stored: the present state, compared with the journals of all runs (`at` is 0).

    Raises:
        InputError: no run has verified the stack.
    """
    taken = reference.make_reference(stack, facts, reference.new_key())
    if adopt:
        return taken
    if not any(record.state in ("proven", "partly", "applied") for record in records):
        raise InputError(
            "this stack was never verified, so there is nothing to compare with",
            where=stack.source,
            todo="Secure it with firescreen apply, or take what is there as verified: firescreen drift STACK --adopt",
        )
    return reference.Reference(at=0.0, key=taken.key, hosts=taken.hosts)


def last_verified(workspace: Workspace, stack: Stack) -> float:
    """When a stack was last verified by a run or a comparison (Unix time); 0 for never."""
    stored = reference.load(workspace, stack)
    runs = (
        run.started
        for run in journal_reader.undoable_runs(workspace.runs)
        if run.state == "proven" and set(stack.hosts) & set(run.hosts)
    )
    return max(stored.at if stored else 0.0, next(runs, 0.0))
