"""Finds out what is on each host: services, and every file that a plan for the stack may read or write."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import time
from collections.abc import Mapping
from dataclasses import replace

from wizard import steps
from wizard.account import account
from wizard.components import component as find_component
from wizard.engine import storage
from wizard.engine.hosts import Hosts
from wizard.engine.lanes import side_by_side
from wizard.engine.together import info_many, read_many
from wizard.errors import AwayError
from wizard.model import WORKSPACE, Facts, HostFacts, HostSpec, PathInfo, Stack
from wizard.workspace import Workspace

_ROUNDS = 4
"""Files name other files: a web configuration its key, a job its CA. Deeper than this nothing goes."""


def inspect(stack: Stack, hosts: Hosts, workspace: Workspace) -> Facts:
    """What is known of the hosts of a stack.

    A host that is out of reach is left aside (`Facts.away`) where the others can do without it.

    Raises:
        HostError: a host, or a file on it, cannot be read; none can be reached, or one that asks the others cannot.
        InputError: a component of the stack is not there.
    """
    found = side_by_side(lambda spec: _look(spec, stack, hosts), stack.hosts)
    lost = {
        spec.name: known
        for spec, known in zip(stack.hosts, found, strict=True)
        if isinstance(known, AwayError)
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
        wanted = steps.wanted_files(stack, facts)
        missing = {
            name: [path for path in paths if path not in facts.hosts[name].files]
            for name, paths in wanted.items()
        }
        if not any(missing.values()):
            break
        facts = replace(facts, hosts=_with_all(facts, missing, hosts))
    folders = steps.wanted_folders(stack, facts)
    looked = side_by_side(
        lambda known: _with_storage(
            replace(known, folders=_folders(known.spec.name, folders.get(known.spec.name, ()), hosts)), hosts
        ),
        facts.hosts.values(),
    )
    return replace(facts, hosts={known.spec.name: known for known in looked})


def _look(spec: HostSpec, stack: Stack, hosts: Hosts) -> HostFacts | AwayError:
    try:
        return _host_facts(spec, hosts, _wanted(stack, spec.name))
    except AwayError as error:
        return error


def _asks(stack: Stack, name: str) -> bool:
    """Whether a host asks others, as far as the stack says: without it, nothing could be told of them."""
    return any(find_component(each).asks_others for each in _wanted(stack, name))


def _wanted(stack: Stack, host: str) -> tuple[str, ...]:
    return tuple(component.name for component in stack.components if component.host == host)


def _host_facts(spec: HostSpec, hosts: Hosts, wanted: tuple[str, ...]) -> HostFacts:
    services = tuple(hosts.with_unit_text(service) for service in hosts.services(spec.name, wanted))
    user, group = account()
    root = (os.geteuid() == 0 or bool(spec.become)) and spec.connect == "local"
    clock = time.time()
    remote = hosts.remote(spec.name)
    if remote is not None:
        user, group = remote.identity()[:2]
        root = user == "root"
        clock = remote.clock()
    return HostFacts(
        spec=spec,
        names=hosts.names(spec.name),
        root=root,
        user="root" if root else user,
        group="root" if root else group,
        promtool=hosts.promtool(spec.name, services),
        clock=clock - time.time(),
        services=services,
    )


def _workspace_facts() -> HostFacts:
    user, group = account()
    return HostFacts(spec=HostSpec(name=WORKSPACE, connect="local"), user=user, group=group)


def _with_all(facts: Facts, missing: Mapping[str, list[str]], hosts: Hosts) -> dict[str, HostFacts]:
    read = side_by_side(
        lambda known: _with_files(known, missing.get(known.spec.name, []), hosts), facts.hosts.values()
    )
    return {known.spec.name: known for known in read}


def _with_files(known: HostFacts, missing: list[str], hosts: Hosts) -> HostFacts:
    if not missing:
        return known
    connection = hosts.connection(known.spec.name)
    read = read_many(connection, missing)
    for path in missing:
        folder, pattern = posixpath.split(path)
        if read[path] is None and any(sign in pattern for sign in "*?["):
            # Prometheus allows a pattern in the last part of a path; the pattern itself stands for 'looked at'.
            names = fnmatch.filter(connection.names(folder), pattern)
            read |= {each: connection.read(each) for each in (posixpath.join(folder, name) for name in names)}
    return replace(known, files={**known.files, **read})


def _with_storage(known: HostFacts, hosts: Hosts) -> HostFacts:
    """With what its files and folders lie on, where they are written by us."""
    spec = known.spec
    paths = storage.looked_at(known.files, known.folders)
    if not paths or spec.name == WORKSPACE or spec.connect in ("practice", "manual"):
        return known
    found = storage.storage(hosts.connection(spec.name), paths, root=known.root)
    return replace(known, storage=found)


def _folders(name: str, paths: tuple[str, ...], hosts: Hosts) -> dict[str, PathInfo | None]:
    if not paths:
        return {}
    return info_many(hosts.connection(name), paths)
