"""Compares a stack with its last verified state, and keeps that state. The engine reads the hosts and makes the probes."""

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
"""Seconds to wait for a run that is under way: what it has half done is no drift."""
_DOWN = 15.0
"""Seconds after which a target that Prometheus reports as down counts as down."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, and what was looked at."""

    facts: Facts
    plan: Plan
    attempts: tuple[Attempt, ...]
    differences: tuple[drift.Difference, ...]
    since: float
    """When the state was verified that is compared with (Unix time)."""
    known: reference.Reference | None = None
    """The state that is compared with."""
    records: tuple[journal_reader.Record, ...] = ()
    """The standing runs of the stack, the newest first."""

    @property
    def verified(self) -> bool:
        """Whether all is as it was verified, on all hosts, and all probes ended as expected."""
        return not self.differences and not self.facts.away and not any(each.failed for each in self.attempts)


def compare(
    machine: Engine, stack: Stack, answers: Answers | None = None, *, adopt: bool = False
) -> Comparison:
    """What differs from the last verified state of a stack.

    The state is kept where nothing differs, so that it includes what later runs wrote.

    Args:
        adopt: keeps what is there now as the verified state, whatever differs; only failed probes are told then.

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
    """The plan whose probes wait no longer than a scrape takes: nothing was changed a moment ago."""
    probes = (
        replace(probe, timeout=min(probe.timeout, _DOWN)) if probe.kind == "up" else probe
        for probe in plan.probes
    )
    return replace(plan, probes=tuple(probes))


def _plan_or_difference(
    machine: Engine, stack: Stack, facts: Facts, answers: Answers | None
) -> tuple[Plan, tuple[drift.Difference, ...]]:
    """What the stack would change now; where nothing can be planned, an empty plan and what keeps it from that.

    Raises:
        CredentialNeededError: a password or a passphrase is needed for it.
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
    """The state to compare with where none is kept: what is there, and for what runs wrote their journals.

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
    """When a stack was last seen to be verified, by a run or a comparison (Unix time); 0 for never."""
    kept = reference.load(workspace, stack)
    runs = (
        run.started
        for run in journal_reader.undoable_runs(workspace.runs)
        if run.state == "proven" and set(stack.hosts) & set(run.hosts)
    )
    return max(kept.at if kept else 0.0, next(runs, 0.0))
