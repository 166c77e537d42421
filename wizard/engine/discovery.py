"""Reads the services of each host, and every file that a plan for the stack may read or write."""

from __future__ import annotations

import fnmatch
import posixpath
import time
from collections.abc import Mapping
from dataclasses import replace

from wizard import planner
from wizard.account import account
from wizard.components import component as find_component
from wizard.connections.base import Connection
from wizard.engine import pending_edits, storage
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.engine.resolver import resolve
from wizard.errors import PathError, UnreachableError
from wizard.model import (
    WORKSPACE,
    Examined,
    Facts,
    FileState,
    HostFacts,
    HostSpec,
    PathInfo,
    Service,
    Stack,
)
from wizard.service_managers import (
    container_engines,
    docker_discovery,
    grafana_service,
    instances,
)
from wizard.service_managers.discovery import wants_proxies
from wizard.workspace import Workspace

_ROUNDS = 4
"""Rounds of reading files that other files name (a web configuration names its key, a job its CA): the deepest chain."""


def inspect(stack: Stack, hosts: Hosts, workspace: Workspace) -> Facts:
    """Collects the facts about all hosts of a stack.

    An unreachable host is left out and listed in `Facts.away`, unless it runs a component that scrapes or probes others.

    Raises:
        HostError: a host or a file on it cannot be read; all hosts are unreachable, or one that scrapes others is.
        InputError: a component of the stack does not exist on its host.
    """
    found = run_parallel(lambda spec: _facts_or_error(spec, stack, hosts), stack.hosts)
    lost = {
        spec.name: known
        for spec, known in zip(stack.hosts, found, strict=True)
        if isinstance(known, UnreachableError)
    }
    for name, error in lost.items():
        if len(lost) == len(stack.hosts) or _asks(stack, name):
            raise error
    facts = Facts(
        hosts={
            WORKSPACE: _workspace_facts(),
            **{known.spec.name: known for known in found if isinstance(known, HostFacts)},
        },
        workspace=str(workspace.root),
        workspace_option="" if workspace.is_usual else str(workspace.root),
        away={name: error.what for name, error in lost.items()},
    )
    for _ in range(_ROUNDS):
        wanted = planner.wanted_files(stack, facts)
        missing = {
            name: [path for path in paths if path not in facts.hosts[name].files]
            for name, paths in wanted.items()
        }
        if not any(missing.values()):
            break
        facts = replace(facts, hosts=_with_all(facts, missing, hosts))
    facts = _with_names(stack, facts, hosts)
    folders = planner.wanted_folders(stack, facts)
    with_folders = run_parallel(
        lambda known: _with_storage(
            replace(known, folders=_folders(known.spec.name, folders.get(known.spec.name, ()), hosts)), hosts
        ),
        facts.hosts.values(),
    )
    facts = replace(facts, hosts={known.spec.name: known for known in with_folders})
    if not stack.changes_hosts:
        return facts  # nothing will be written, so the checks below are not needed
    facts = pending_edits.with_pending(stack, facts, hosts)
    examined = run_parallel(lambda known: _examine_paths(known, hosts), facts.hosts.values())
    return replace(facts, hosts={known.spec.name: known for known in examined})


def _examine_paths(known: HostFacts, hosts: Hosts) -> HostFacts:
    """The facts of a host plus attributes and safety of the files and folders that a plan may write."""
    paths = [*(path for path in known.files if path not in known.unreadable), *known.folders]
    if not paths or known.spec.connect == "manual":
        return known
    found = hosts.connection(known.spec.name).examine(paths)
    files = {
        path: replace(state, attributes=found[path].attributes) if state and path in found else state
        for path, state in known.files.items()
    }
    return replace(known, files=files, examined=found)


def _with_names(stack: Stack, facts: Facts, hosts: Hosts) -> Facts:
    """The facts plus, for each host, the addresses to which it resolves the names that its clients use."""
    wanted = planner.wanted_names(stack, facts)

    def with_resolved_names(known: HostFacts) -> HostFacts:
        name = known.spec.name
        if name not in wanted:
            return known
        if known.spec.connect == "manual":
            return replace(known, resolver=f"names that {name} uses can only be resolved there")
        found = resolve(hosts.connection(name), wanted[name])
        return replace(known, resolved=found.addresses, resolver=found.reason)

    return replace(
        facts,
        hosts={each.spec.name: each for each in run_parallel(with_resolved_names, facts.hosts.values())},
    )


def _facts_or_error(spec: HostSpec, stack: Stack, hosts: Hosts) -> HostFacts | UnreachableError:
    try:
        return _host_facts(spec, hosts, stack)
    except UnreachableError as error:
        return error


def _asks(stack: Stack, name: str) -> bool:
    """Whether a host scrapes or probes others, by the stack: without it, the clients of the others are not known."""
    return any(find_component(each).asks_others for each in _component_names(stack, name))


def _component_names(stack: Stack, host: str) -> tuple[str, ...]:
    return tuple(component.name for component in stack.components if component.host == host)


def _listed_units(stack: Stack, host: str) -> dict[str, set[str]]:
    """The systemd units that a stack names on a host, by component; '' for the default unit."""
    found: dict[str, set[str]] = {}
    for component in stack.components:
        if component.host == host:
            found.setdefault(component.name, set()).add(component.unit)
    return found


def _host_facts(spec: HostSpec, hosts: Hosts, stack: Stack) -> HostFacts:
    wanted, named = _component_names(stack, spec.name), _listed_units(stack, spec.name)
    connection = hosts.connection(spec.name)
    if spec.is_real:
        hosts.ask_ahead(spec.name, stack)
    usual = {each.name: each for each in stack.components if each.host == spec.name and not each.unit}

    def is_listed(service: Service) -> bool:
        return service.component not in usual or usual[service.component].means(service.container)

    services = instances.label_instances(
        (hosts.with_flag_sources(service) for service in hosts.services(spec.name, wanted)), named, is_listed
    )
    user, group, root = connection.identity()
    # A practice host has no user accounts of its own, and a manual host is changed by a person.
    root = root and spec.is_real
    clock = connection.clock()
    return HostFacts(
        spec=spec,
        names=hosts.names(spec.name),
        root=root,
        grafana=docker_discovery.grafanas(connection)
        if spec.is_real and any(each.protect for each in stack.components)
        else (),
        grafana_server=grafana_service.discover(connection) if spec.is_real else None,
        docker_denied=not root and spec.is_real and container_engines.is_denied(connection),
        selinux=any(each.container is not None for each in services)
        and container_engines.enforces_selinux(connection),
        user="root" if root else user,
        group="root" if root else group,
        promtool=hosts.promtool(spec.name, services),
        clock=clock - time.time(),
        services=services,
        proxies=hosts.proxies(spec.name) if spec.is_real and wants_proxies(stack) else (),
        callers=hosts.callers(spec.name, services) if stack.changes_hosts else (),
    )


def _workspace_facts() -> HostFacts:
    user, group = account()
    return HostFacts(spec=HostSpec(name=WORKSPACE, connect="local"), user=user, group=group)


def _with_all(facts: Facts, missing: Mapping[str, list[str]], hosts: Hosts) -> dict[str, HostFacts]:
    read = run_parallel(
        lambda known: _with_files(known, missing.get(known.spec.name, []), hosts), facts.hosts.values()
    )
    return {known.spec.name: known for known in read}


def _with_files(known: HostFacts, missing: list[str], hosts: Hosts) -> HostFacts:
    if not missing:
        return known
    connection = hosts.connection(known.spec.name)
    unreadable: dict[str, Examined] = {}
    read = _read(connection, missing, unreadable)
    for path in missing:
        folder, pattern = posixpath.split(path)
        if read[path] is None and any(sign in pattern for sign in "*?["):
            # Prometheus allows a glob in the last part of a path. The glob itself stays in `files` as "was read".
            try:
                # Go negates a character class with ^, Python with !.
                names = fnmatch.filter(connection.names(folder), pattern.replace("[^", "[!"))
            except PathError as error:
                unreadable[path] = _examined_error(error)
                continue
            read |= _read(connection, [posixpath.join(folder, name) for name in names], unreadable)
    return replace(known, files={**known.files, **read}, unreadable={**known.unreadable, **unreadable})


def _read(
    connection: Connection, paths: list[str], unreadable: dict[str, Examined]
) -> dict[str, FileState | None]:
    """The files' states. A file behind an unsafe path counts as absent (None); `unreadable` gets the reason."""
    try:
        return connection.read_many(paths)
    except PathError:
        pass
    found: dict[str, FileState | None] = {}
    for path in paths:
        try:
            found[path] = connection.read(path)
        except PathError as error:
            found[path], unreadable[path] = None, _examined_error(error)
    return found


def _examined_error(error: PathError) -> Examined:
    return Examined(problem=error.what, where=error.where, todo=error.todo)


def _with_storage(known: HostFacts, hosts: Hosts) -> HostFacts:
    """The facts of a host plus the file systems of its files and folders, for hosts that Firescreen writes to."""
    spec = known.spec
    paths = storage.looked_at(known.files, known.folders)
    if not paths or spec.name == WORKSPACE or not spec.is_real:
        return known
    found = storage.storage(hosts.connection(spec.name), paths, root=known.root)
    return replace(known, storage=found)


def _folders(name: str, paths: tuple[str, ...], hosts: Hosts) -> dict[str, PathInfo | None]:
    # A folder that cannot be inspected looks as if it had to be created; `examine` then says why that is impossible.
    return hosts.connection(name).stat_known(paths) if paths else {}
