"""Restricts a plan to some of its hosts, and finds the steps that remain after a part of it was applied. Pure.

A host that fails must not harm the others, and a canary precedes the rest. Both need the plan that would have been made
without some hosts, but with the same keys, certificates and passwords as the one shown to the person. What belongs to
one host is copied from that plan; what hosts share (a Prometheus' jobs) is planned again.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from dataclasses import replace
from typing import TypeAlias

from wizard.errors import InputError
from wizard.model import (
    WORKSPACE,
    Answers,
    Change,
    ComponentSpec,
    ContentKind,
    FileState,
    MakeFolder,
    Plan,
    PlannedStep,
    Role,
    RunService,
    StepKind,
    WriteFile,
    facts_after,
)
from wizard.planner import paths
from wizard.planner.planner import plan as plan_for

_Place: TypeAlias = tuple[str, str]
"""Host and path."""

_MADE_ONCE = (
    ContentKind.CERTIFICATE,
    ContentKind.PRIVATE_KEY,
    ContentKind.WEB_CONFIG,
    ContentKind.CLUSTER_CONFIG,
    ContentKind.PASSWORD_HASHES,
    ContentKind.SIGN_IN_SECRET,
)
"""Content that differs in every new plan, because it is random or derived from something random."""

_FIRST_EDIT = (StepKind.SCRAPE_CONFIG, StepKind.BLACKBOX_MODULES)


def askers(plan: Plan) -> frozenset[str]:
    """The hosts with clients of other hosts: a plan cannot leave them out."""
    return frozenset(
        step.host for step in plan.steps if step.role is Role.CLIENT or step.kind is StepKind.ROTATE
    )


def changed_hosts(plan: Plan) -> tuple[str, ...]:
    """The hosts on which a plan changes something, in the stack's order, without the workspace."""
    touched = {change.host for change in plan.changes}
    return tuple(spec.name for spec in plan.stack.hosts if spec.name in touched)


def restrict_plan(plan: Plan, keep: Collection[str]) -> Plan:
    """Restricts a plan to the components on the hosts in `keep`, and fits their clients to that.

    Raises:
        InputError (and its subclasses): these hosts cannot be separated from the others: something is replaced
            everywhere or nowhere, or both are in a target list that Firescreen may not divide.
    """
    left = tuple(spec for spec in plan.stack.components if spec.protect and spec.host not in keep)
    if not left:
        return plan
    _refuse_inseparable(plan, left)
    gone = {spec.key for spec in left}
    steps = tuple(step for step in plan.steps if not _belongs(step, gone))
    made = _made_once(steps)
    stack = replace(
        plan.stack,
        components=tuple(
            replace(spec, protect=()) if spec in left else spec for spec in plan.stack.components
        ),
    )
    other = plan_for(stack, facts_after(plan.facts, made), _with_passwords(plan))
    asking = askers(plan)
    silent = {spec.host for spec in left} - asking
    return replace(
        other,
        facts=plan.facts,
        answers=plan.answers,
        secrets=plan.secrets,
        steps=_merge_steps(
            steps, other, asking=asking, silent=silent, made={(change.host, change.path) for change in made}
        ),
    )


def plan_remaining_hosts(plan: Plan, made: Sequence[Change]) -> Plan:
    """Plans the remaining hosts, given that `made` (the changes of the plan for the others) were applied.

    The first of two edits changes jobs to https without a login; jobs that have their login already keep it.
    """
    if not any(step.kind is StepKind.LOGIN for step in plan.steps):
        return plan
    facts = facts_after(plan.facts, (*_made_once(plan.steps), *made))
    turned = [
        change.service for change in made if isinstance(change, RunService) and change.action == "restart"
    ]
    hosts = dict(facts.hosts)
    for server in paths.servers(plan.stack, facts):
        if server.service in turned:
            running = replace(server.service, web_config=server.web_file)
            host = hosts[server.spec.host]
            services = tuple(running if each == server.service else each for each in host.services)
            hosts[server.spec.host] = replace(host, services=services)
    other = plan_for(plan.stack, replace(facts, hosts=hosts), _with_passwords(plan))
    first = {
        (change.host, change.path): change.after
        for step in other.steps
        if step.kind in _FIRST_EDIT
        for change in step.changes
        if isinstance(change, WriteFile)
    }
    last = {
        (change.host, change.path): change.after
        for step in plan.steps
        if step.kind is StepKind.LOGIN
        for change in step.changes
        if isinstance(change, WriteFile)
    }

    def fit_step(step: PlannedStep) -> PlannedStep:
        changes: list[Change] = []
        for change in step.changes:
            place = change.host, change.path
            if isinstance(change, WriteFile) and place in last and step.kind in _FIRST_EDIT:
                # If no job is left that changes to https, one edit is enough.
                changes.append(replace(change, after=first.get(place, last[place])))
            elif step.kind is not StepKind.LOGIN:
                changes.append(change)
            elif isinstance(change, WriteFile) and place in first:
                changes.append(replace(change, before=first[place]))
            elif isinstance(change, RunService) and _reads(plan, change, first):
                changes.append(change)
        return replace(step, changes=tuple(changes))

    return replace(plan, steps=tuple(step for step in map(fit_step, plan.steps) if step.changes))


def _with_passwords(plan: Plan) -> Answers:
    """The answers, with the passwords that the plan has read or created."""
    by_name = {user.name: secret for user, secret in zip(plan.stack.users, plan.secrets, strict=False)}
    return replace(plan.answers, passwords={**plan.answers.passwords, **by_name})


def remaining_steps(target: Plan, made: Sequence[Change]) -> tuple[PlannedStep, ...]:
    """Lists the steps of `target` that remain after the changes `made`, of it or of a plan for other hosts.

    A file with its final content is left unchanged.
    """
    state = _Rest(target, made)
    found = []
    for step in target.steps:
        changes = tuple(each for each in map(state.remaining_change, step.changes) if each is not None)
        if changes:
            found.append(replace(step, changes=changes))
    return tuple(found)


def _reads(plan: Plan, change: RunService, places: Container[_Place]) -> bool:
    """Whether a service reads one of these files together with its configuration."""
    read = paths.config_files(plan.facts, change.service)
    return any((change.host, path) in places for path in read)


class _Rest:
    """Tracks the content of the hosts' files while the remaining changes of a plan are found one by one."""

    def __init__(self, target: Plan, made: Sequence[Change]) -> None:
        self._target = target
        self._now: dict[_Place, FileState | None] = {}
        self._there: set[_Place] = set()
        self._ran: set[tuple[str, str, str]] = set()
        for change in made:
            if isinstance(change, WriteFile):
                self._now[change.host, change.path] = change.after
            elif isinstance(change, MakeFolder):
                self._there.add((change.host, change.path))
            else:
                self._ran.add((change.host, change.path, change.action))
        self._chains: dict[_Place, list[FileState | None]] = {}
        for change in target.changes:
            if isinstance(change, WriteFile):
                self._chains.setdefault((change.host, change.path), []).append(change.after)
        self._touched: set[_Place] = set()

    def remaining_change(self, change: Change) -> Change | None:
        """The change, based on the present content of its file; None if it was made already."""
        place = change.host, change.path
        if isinstance(change, MakeFolder):
            return None if place in self._there else change
        if isinstance(change, RunService):
            done = (*place, change.action) in self._ran
            anew = change.action == "reload" and _reads(self._target, change, self._touched)
            return change if anew or not done else None
        if place in self._now:
            now, chain = self._now[place], self._chains[place]
            if now in (change.after, chain[-1]):
                return None
            change = replace(change, before=now)
            self._now[place] = change.after
        self._touched.add(place)
        return change


def _refuse_inseparable(plan: Plan, left: Sequence[ComponentSpec]) -> None:
    names = ", ".join(dict.fromkeys(spec.host for spec in left))
    if plan.answers.renew:
        raise InputError("what is replaced is replaced on all hosts, or on none", where=names)
    if any(plan.stack.doors_to(spec.host, spec.name) for spec in left):
        raise InputError("a front door and what it asks over TLS turn together, or not at all", where=names)
    gossip = {step.host for step in plan.steps if step.kind is StepKind.CLUSTER}
    if gossip & {spec.host for spec in left} and len(gossip) > 1:
        raise InputError("the peers of a cluster turn together, or not at all", where=names)


def _belongs(step: PlannedStep, keys: Collection[str]) -> bool:
    """Whether a step belongs to one of these servers (host/component): its key, web.yml, flag or restart."""
    return step.role is Role.SERVER and step.kind is not StepKind.ROTATE and step.key in keys


def _made_once(steps: Sequence[PlannedStep]) -> tuple[WriteFile, ...]:
    """The writes that must not be made a second time: keys, certificates, hashes, everything in the workspace."""
    return tuple(
        change
        for step in steps
        for change in step.changes
        if isinstance(change, WriteFile)
        and change.after is not None
        and (change.host == WORKSPACE or change.content_kind in _MADE_ONCE)
    )


def _merge_steps(
    steps: Sequence[PlannedStep],
    other: Plan,
    *,
    asking: Collection[str],
    silent: Collection[str],
    made: Collection[_Place],
) -> tuple[PlannedStep, ...]:
    """Merges two plans: servers keep the steps shown to the person, clients get those of the `other` plan."""
    anew = {
        (step.id, change.kind == "reload", change.path): change
        for step in other.steps
        for change in step.changes
    }
    logins = {step.id: step.changes for step in other.steps if step.kind is StepKind.LOGIN}
    planned_paths = {change.path for step in steps if step.host in asking for change in step.changes}
    merged = []
    for step in steps:
        if step.host in silent:
            continue
        changes: tuple[Change, ...] = step.changes
        if step.kind is StepKind.LOGIN:
            changes = logins.get(step.id, ())
        elif step.host in asking:
            kept = []
            for change in step.changes:
                fresh = anew.get((step.id, change.kind == "reload", change.path))
                is_made = isinstance(change, MakeFolder) or (change.host, change.path) in made
                if is_made or fresh is not None:
                    kept.append(change if is_made or fresh is None else fresh)
            changes = tuple(kept)
        if changes:
            merged.append(replace(step, changes=changes))
    for step in other.steps:
        if step.host in asking:
            more = tuple(change for change in step.changes if change.path not in planned_paths)
            if more:
                merged.append(replace(step, changes=more))
    return tuple(sorted(merged, key=lambda step: step.stage))
