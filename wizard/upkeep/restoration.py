"""Plans the restoration of a stack's last verified state: first its files, then what the stack plans as usual.

Content, mode and owner of a file are restored from its copy. Everything else, mainly keys and certificates, is planned
from the stack. Differences that neither restores are listed in `Restoration.left`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from wizard import journal_reader
from wizard.config_files import unit_settings
from wizard.engine import Engine
from wizard.errors import ConfigError, InputError
from wizard.model import (
    WORKSPACE,
    Answers,
    Change,
    ContentKind,
    Facts,
    FileState,
    Finding,
    HostFacts,
    ManualCommand,
    Plan,
    PlannedStep,
    Role,
    RunService,
    Service,
    Stack,
    StepKind,
    WriteFile,
    facts_after,
    instance_key,
)
from wizard.planner import manual_commands, paths, remote_commands, service_actions
from wizard.planner.client_facts import Client
from wizard.redact import plain, redact
from wizard.upkeep import copies, drift
from wizard.upkeep.comparison import Comparison, compare
from wizard.upkeep.reference import KnownFile, KnownHost, Reference, digests

_WHY = "It was so when the stack was last verified, and no run of Firescreen has changed it since."
Copy: TypeAlias = Callable[[str, str], bytes | None]
"""A function that returns the stored content of a file, by host and path."""
Units: TypeAlias = Mapping[tuple[str, str], FileState | None]
"""Unit files as they are now, by (host, path)."""
Later: TypeAlias = Mapping[tuple[str, str], tuple[journal_reader.Record, journal_reader.Image | None]]
"""The last run since the verified state that wrote each file, with the written image, by (host, path)."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """The plan of a restoration, and the differences that it does not restore."""

    plan: Plan
    left: tuple[drift.Difference, ...]


@dataclass(slots=True)
class _Group:
    """The files to restore for one service, or the other files of a host (`service` is None)."""

    service: Service | None
    changes: list[WriteFile] = field(default_factory=list)
    action: str = ""
    """'restart', 'reload' or '' for what the service needs afterwards."""


def restoration(machine: Engine, stack: Stack, answers: Answers | None = None) -> Restoration:
    """Plans the restoration of a stack's last verified state; the plan has no steps if nothing differs.

    Raises:
        InputError: the stack was never verified. FirescreenError: a host cannot be read, or planning fails.
    """
    found = compare(machine, stack, answers)
    if found.known is None or not found.differences:
        return Restoration(replace(found.plan, steps=()), ())
    read = _units_now(machine, found)
    steps = steps_of(found, read, lambda host, path: copies.load(machine.workspace, stack, host, path))
    changes = [change for step in steps for change in step.changes]
    wanted = answers or Answers()
    wanted = replace(wanted, renew=wanted.renew | components_with_changed_key(found))
    try:
        rest = machine.plan(stack, wanted, facts=facts_after(found.facts, changes))
    except InputError:
        if not any(map(_starts_container, changes)):
            raise
        # Nothing can be planned for a container that does not run. The next restoration finds what still differs then.
        rest = replace(found.plan, steps=(), probes=())
    return combine_plans(found, steps, rest)


def _starts_container(change: Change) -> bool:
    return (
        isinstance(change, RunService) and change.service.container is not None and not change.service.active
    )


def components_with_changed_key(found: Comparison) -> frozenset[str]:
    """The components whose private key was exchanged. Whoever did that knows the new key, so it has to be replaced."""
    keys = {
        (each.host, each.path)
        for each in found.differences
        if each.kind == "file" and each.path.endswith(".key")
    }
    return frozenset(
        spec.key
        for spec in found.plan.stack.components
        if spec.host in found.facts.hosts
        for service in found.facts.hosts[spec.host].services
        if service.key == spec.key
        and any(host == spec.host and posixpath.dirname(path) == service.home for host, path in keys)
    )


def combine_plans(found: Comparison, steps: Iterable[PlannedStep], rest: Plan) -> Restoration:
    """Combines restored files, the rest of the plan, and restarts of services that the rest does not restart.

    Services are restarted or reloaded last: before that, a file may be missing without which they would not start.
    """
    restarted = {(each.host, each.service.unit) for each in rest.restarts}
    files = [step for step in steps if not _runs_service(step)]
    services = [
        step
        for step in steps
        if _runs_service(step)
        and not any(
            isinstance(each, RunService) and (each.host, each.service.unit) in restarted
            for each in step.changes
        )
    ]
    last = len(files) + max((step.stage for step in rest.steps), default=0) + 1
    ordered = (
        *(replace(step, stage=number) for number, step in enumerate(files)),
        *(replace(step, stage=step.stage + len(files)) for step in rest.steps),
        *(replace(step, stage=last + number) for number, step in enumerate(services)),
    )
    plan = replace(rest, facts=found.facts, steps=ordered)
    left = _unrestored_differences(found.differences, plan)
    return Restoration(replace(plan, warnings=(*map(_not_restored_finding, left), *plan.warnings)), left)


def _not_restored_finding(each: drift.Difference) -> Finding:
    """A warning for the person about a difference that the plan does not restore."""
    return Finding(
        id="drift-left",
        host=each.host,
        component=each.component,
        what=f"Not restored: {each.place}: {redact(plain(each.what, 400))}",
        remediation="Restore it yourself, or adopt it with firescreen drift STACK --adopt",
    )


def _runs_service(step: PlannedStep) -> bool:
    return any(isinstance(each, RunService) for each in step.changes)


def _unrestored_differences(
    differences: Iterable[drift.Difference], plan: Plan
) -> tuple[drift.Difference, ...]:
    """The differences that the plan does not restore, without failed probes and pending changes: they follow from it."""
    written = {(each.host, each.path) for each in plan.changes}
    changed_components = {instance_key(step.host, step.component, step.instance) for step in plan.steps}
    folders_with_new_key = {
        (each.host, posixpath.dirname(each.path))
        for each in plan.changes
        if isinstance(each, WriteFile) and each.content_kind is ContentKind.PRIVATE_KEY
    }

    def is_reached(each: drift.Difference) -> bool:
        if each.kind in ("answer", "stack"):
            return True
        if not each.path:
            return instance_key(each.host, each.component, "") in changed_components
        # A new key is written beside the exchanged one, which is no longer used.
        place = each.host, posixpath.dirname(each.path)
        has_new_key = each.path.endswith(".key") and place in folders_with_new_key
        return has_new_key or (each.host, each.path) in written

    return tuple(each for each in differences if not is_reached(each))


def steps_of(found: Comparison, units: Units, copy: Copy) -> tuple[PlannedStep, ...]:
    """The steps that restore files and services from the verified state."""
    assert found.known is not None
    later = drift.last_writes(found.records, found.known.at)
    steps: list[PlannedStep] = []
    for name, host in found.facts.hosts.items():
        known = found.known.hosts.get(name)
        if known is None:
            continue
        groups: dict[str, _Group] = {}
        readers = _readers(found, host, known)
        changes = (
            *_files(host, known, found.known, copy, later),
            *_files_of_runs(host, later),
            *_units(host, known, found.known, copy, units),
        )
        for each in changes:
            service, action = readers.get(each.path, (None, ""))
            group = groups.setdefault(service.key if service else "", _Group(service))
            group.changes.append(each)
            group.action = max(group.action, action if _has_new_content(each) else "")
        _add_restarts(found, host, known, groups)
        steps += (_files_step(found.facts, name, group) for group in groups.values() if group.changes)
        steps += (
            _service_step(found.facts, group.service, group.action)
            for group in groups.values()
            if group.service is not None and group.action
        )
    return tuple(steps)


def _has_new_content(change: WriteFile) -> bool:
    return change.kind != "mode"


def _readers(found: Comparison, host: HostFacts, known: KnownHost) -> dict[str, tuple[Service, str]]:
    """The service that reads each file, and whether it needs a 'reload' or 'restart' to read it again ('': neither)."""
    readers: dict[str, tuple[Service, str]] = {}
    for service in host.services:
        before = known.services.get(service.key)
        for path in before.unit_files if before is not None else ():
            readers[path] = (service, "restart")
        for path in dict(unit_settings.split_files(service.unit_text)):
            readers[path] = (service, "restart")
        readers |= {path: (service, "") for path in (service.web_config,) if path}
        readers |= {path: (service, "restart") for path in (service.flags.path,) if path}
        readers |= {path: (service, "reload") for path in (service.config_file,) if path}
    for client in paths.scrapers(found.plan.stack, found.facts):
        if client.host.spec.name == host.spec.name:
            readers |= dict.fromkeys(_included_files(client), (client.service, "reload"))
    return readers


def _included_files(client: Client) -> Iterable[str]:
    try:
        return tuple(client.texts)
    except ConfigError:
        return ()


def _add_restarts(found: Comparison, host: HostFacts, known: KnownHost, groups: dict[str, _Group]) -> None:
    """Adds restarts of services that are down, or differ from the verified state in their flags or probe results."""
    name = host.spec.name
    deviating = {
        each.component
        for each in found.differences
        if each.host == name and each.kind in ("flag", "service", "answer") and not each.path
    }
    for service in host.services:
        # Such a difference names the service as `component` or `component/unit`.
        if service.key.partition("/")[2] in deviating and service.key in known.services:
            groups.setdefault(service.key, _Group(service)).action = "restart"


def _files(
    host: HostFacts, known: KnownHost, reference: Reference, copy: Copy, later: Later
) -> Iterable[WriteFile]:
    """The changes that restore the files of a host that no later run has written."""
    name = host.spec.name
    for path, before in known.files.items():
        if path not in host.files or (name, path) in later:
            continue
        state = host.files[path]
        if before is None:
            if state is not None:
                yield _write(name, path, state, None)
            continue
        after = _as_known(before, state, reference.key, copy(name, path))
        if after is not None and after != state:
            yield _write(name, path, state, after)


def _files_of_runs(host: HostFacts, later: Later) -> Iterable[WriteFile]:
    """The changes that restore files to what later runs wrote: the content if a journal has a copy, mode and owner."""
    for (name, path), (record, image) in later.items():
        if name != host.spec.name or path not in host.files:
            continue
        state = host.files[path]
        if image is None:
            if state is not None:
                yield _write(name, path, state, None)
            continue
        content = record.written_content(image)
        if state is not None and record.is_image(state, image):
            content = state.content
        if content is None:
            continue
        after = FileState(content, image.mode, image.owner, image.group, state.attributes if state else ())
        if after != state:
            yield _write(name, path, state, after)


def _units(
    host: HostFacts, known: KnownHost, reference: Reference, copy: Copy, now: Units
) -> Iterable[WriteFile]:
    """The changes that restore unit files and drop-ins, and remove new ones."""
    wanted = {path: lines for each in known.services.values() for path, lines in each.unit_files.items()}
    for (name, path), state in now.items():
        if name != host.spec.name:
            continue
        kept = copy(name, path)
        if path not in wanted:
            yield _write(name, path, state, None)
        elif kept is not None and digests(kept, reference.key) == wanted[path]:
            yield _write(name, path, state, replace(state or FileState(b""), content=kept))


def _as_known(before: KnownFile, state: FileState | None, key: str, kept: bytes | None) -> FileState | None:
    """The verified state of a file, from its present `state` or the stored copy (`kept`); None if neither has it."""
    if state is not None and digests(state.content, key) == before.lines:
        kept = state.content
    if kept is None or digests(kept, key) != before.lines:
        return None
    return FileState(kept, before.mode, before.owner, before.group, state.attributes if state else ())


def _units_now(machine: Engine, found: Comparison) -> dict[tuple[str, str], FileState | None]:
    """Reads the unit files that differ, by (host, path)."""
    wanted: dict[str, list[str]] = {}
    for each in found.differences:
        if each.kind == "unit" and each.path not in wanted.setdefault(each.host, []):
            wanted[each.host].append(each.path)
    read: dict[tuple[str, str], FileState | None] = {}
    if wanted:
        with machine.connections(found.plan.stack.hosts) as hosts:
            for host, names in wanted.items():
                read |= {
                    (host, path): state for path, state in hosts.connection(host).read_many(names).items()
                }
    return read


def _write(host: str, path: str, before: FileState | None, after: FileState | None) -> WriteFile:
    if after is None:
        typed = manual_commands.remove_file(path)
    elif before is None:
        text = after.content.decode("utf-8", "replace")
        typed = (
            manual_commands.text(path, after)
            if redact(text) == text
            else (
                ManualCommand(
                    note=f"Create {path} as the diff shows: what stands there is not fit for typing here."
                ),
            )
        )
    elif before.content == after.content:
        typed = manual_commands.rights(path, after)
    else:
        typed = manual_commands.patch(path, before, after)
    return WriteFile(
        host=host,
        path=path,
        before=before,
        after=after,
        why=_WHY,
        content_kind=ContentKind.BACKUP,
        secret=any(each is not None and copies.is_opaque(path, each.content) for each in (before, after)),
        by_hand=typed,
    )


def _files_step(facts: Facts, host: str, group: _Group) -> PlannedStep:
    service = group.service
    name = service.key if service is not None else host
    step = PlannedStep(
        id=f"{StepKind.RESTORE}:{name}",
        kind=StepKind.RESTORE,
        title=f"Restore the files of {name}",
        host=host,
        why=_WHY,
        changes=tuple(group.changes),
        role=Role.WORKSPACE if host == WORKSPACE else Role.CLIENT,
        component=service.component if service is not None else "",
        instance=service.instance if service is not None else "",
    )
    return remote_commands.with_route(facts, step)


def _service_step(facts: Facts, service: Service, action: str) -> PlannedStep:
    return PlannedStep(
        id=f"{StepKind.RESTORE}:{action}:{service.key}",
        kind=StepKind.RESTORE,
        title=f"{action.capitalize()} {service.unit}",
        host=service.host,
        why="It reads its configuration and its flags as they were verified.",
        changes=(service_actions.run_alone(service, action, workspace=facts.workspace_option),),
        role=Role.CLIENT,
        component=service.component,
        instance=service.instance,
    )
