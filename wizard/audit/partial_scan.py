"""A scan that continues if files cannot be read, and lists these files with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wizard import planner
from wizard.engine import Engine, Scan
from wizard.engine import scan as scanner
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import HostError
from wizard.model import Event, Examined, Facts, FileState, HostFacts, HostSpec, Stack

_ROUNDS = 4
"""Rounds of reading files that other files name: the deepest chain."""


def partial_scan(machine: Engine, stack: Stack, emit: Callable[[Event], None]) -> Scan:
    """Scans a stack; files that cannot be read are listed in `HostFacts.unreadable`.

    Raises:
        HostError: the services of a host cannot be listed.
    """
    with machine.connections(stack.hosts) as hosts:

        def facts_of(spec: HostSpec) -> HostFacts:
            wanted = tuple(each.name for each in stack.components if each.host == spec.name)
            return HostFacts(
                spec=spec, names=hosts.names(spec.name), services=hosts.services(spec.name, wanted)
            )

        known = run_parallel(facts_of, stack.hosts)
        facts = Facts(hosts={each.spec.name: each for each in known}, workspace=str(machine.workspace.root))
        # Without protection and front doors, only the files that an audit needs are read.
        bare_stack = replace(
            stack,
            components=tuple(replace(each, protect=()) for each in stack.components),
            front_doors=(),
        )
        for _ in range(_ROUNDS):
            wanted = planner.wanted_files(bare_stack, facts)
            read = {
                name: _with_files(host, wanted.get(name, ()), hosts) for name, host in facts.hosts.items()
            }
            if read == facts.hosts:
                break
            facts = replace(facts, hosts=read)
    return scanner.scan(stack, facts, machine.dial, emit)


def _with_files(host: HostFacts, wanted: tuple[str, ...], hosts: Hosts) -> HostFacts:
    missing = [path for path in wanted if path not in host.files]
    if not missing or host.spec.connect == "manual":
        return host
    connection = hosts.connection(host.spec.name)
    files: dict[str, FileState | None] = dict(host.files)
    unreadable = dict(host.unreadable)
    for path in missing:
        try:
            files[path] = connection.read(path)
        except HostError as error:
            files[path], unreadable[path] = None, Examined(problem=error.what, where=error.where)
    return replace(host, files=files, unreadable=unreadable)
