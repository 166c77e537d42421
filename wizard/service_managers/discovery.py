"""Finds the services on a host, however they were started: units, bare processes, containers.

It runs a few short commands. Without root it finds less: some configuration files and flags cannot be read.
"""

from __future__ import annotations

import re

from wizard.components import Component, all_components, component
from wizard.connections.base import Connection
from wizard.model import MANUAL, FlagPlace, Service, Stack
from wizard.service_managers import (
    container_engines,
    grafana_service,
    instances,
    other_supervisors,
    plain_http_clients,
    process_list,
    program_facts,
    proxy_services,
    reverse_proxies,
    systemd_discovery,
)
from wizard.service_managers.process_list import Process
from wizard.service_managers.registry import all_managers

# Processes that listen for containers whose own process is not visible from here.
_PROXIES = re.compile(f'"({process_list.PROXIES})')


def requests(stack: Stack) -> tuple[tuple[str, ...], ...]:
    """The scripts that every host of a stack needs to run: see `Connection.ask_ahead`."""
    protects = any(each.protect for each in stack.components)
    return (
        process_list.request(all_components()),
        # If something is to be protected, the script runs again to find Grafana in containers.
        *([container_engines.REQUEST] * (2 if protects else 1)),
        container_engines.DENIED_REQUEST,
        systemd_discovery.request(),
        plain_http_clients.request(usual_ports()),
        reverse_proxies.REQUEST,
        grafana_service.request(),
        *([proxy_services.request()] if wants_proxies(stack) else []),
    )


def wants_proxies(stack: Stack) -> bool:
    """Whether to find the reverse proxies of the hosts: they belong to the stack, or nothing is protected yet.

    Each installed one is run to get its version, which takes the host longer than everything else.
    """
    return bool(stack.front_doors) or not any(each.protect for each in stack.components)


def usual_ports() -> set[int]:
    """The default ports of the components."""
    return {known.default_port for known in all_components()}


def discover(connection: Connection, *, practice_folder: str = "") -> tuple[Service, ...]:
    """The components on a host, those with a service manager first.

    Args:
        connection: the host.
        practice_folder: processes started from this folder belong to the practice stack, not to the host.
    """
    known, proxies = process_list.look(connection)
    running = tuple(process for process in known if not _practice(process, practice_folder))
    managed = [service for each in all_managers() for service in each.discover(connection, running)]
    covered = {(f"{service.unit}.service", service.pid) for service in managed}
    pids = {service.pid for service in managed}
    bare = [
        _bare(connection, process)
        for process in running
        # An `apart` process belongs to its container, which counts as a host of its own; published ports are found
        # below.
        if not process.apart
        and process.pid not in pids
        and covered.isdisjoint(
            (process.unit, pid) for pid in (process.pid, *(each.pid for each in process.parents))
        )
    ]
    found = list(instances.with_distinct_units([*managed, *bare]))
    if not proxies:
        return instances.label_instances(found)
    # For known containers, the published ports are known already.
    published = {each.port for service in found if service.container for each in service.container.published}
    missing = [
        each
        for each in all_components()
        if each.default_port not in published
        and not any(service.component == each.name and service.active for service in found)
    ]
    return instances.label_instances([*found, *_behind_proxies(connection, missing)])


def _practice(process: Process, folder: str) -> bool:
    return bool(folder) and any(
        folder.rstrip("/") + "/" in word for word in (process.program, *process.arguments)
    )


def _bare(connection: Connection, process: Process) -> Service:
    known = component(process.component)
    # A container's program is in another file system: neither the program nor its files can be read from outside.
    program = "" if process.container else process.program
    sockets = () if process.container else process.sockets
    folder = _folder(connection, process)
    arguments = (
        process.arguments
        if process.container
        else program_facts.expand_arguments(connection, process.arguments, folder=folder)
    )
    config = (
        ""
        if process.container
        else program_facts.config_file(connection, known, program, arguments, folder=folder)
    )
    web = program_facts.web_config(known, arguments, folder=folder)
    supervision = None if process.container else other_supervisors.find(connection, process)
    named = supervision is not None and supervision.kind not in ("unit", "monit", "tmux", "screen")
    return Service(
        host=connection.name,
        component=known.name,
        manager=MANUAL,
        kind="container" if process.container else "process",
        unit=supervision.name if supervision is not None and named else known.name,
        program=process.program,
        version=program_facts.version(connection, program) if program else "",
        arguments=arguments,
        listen=program_facts.served_at(known, arguments, sockets),
        sockets=program_facts.web_sockets(known, arguments, sockets),
        user=process.user,
        group=process.group,
        active=True,
        flags=FlagPlace("manual"),
        config_file=config,
        web_config=web,
        home=program_facts.home(known, web, config),
        pid=process.pid,
        supervision=supervision,
    )


def _folder(connection: Connection, process: Process) -> str:
    """The working directory of a process; '' without the right to read it."""
    return connection.run(["readlink", f"/proc/{process.pid}/cwd"], timeout=5).stdout.strip()


def _behind_proxies(connection: Connection, missing: list[Component]) -> list[Service]:
    """Components of which only a container's published port is visible."""
    if not missing:
        return []
    ended = connection.run(["ss", "-Hltnp"], timeout=5)
    found: list[Service] = []
    for known in missing:
        for line in ended.stdout.splitlines():
            columns = line.split()
            if len(columns) > 5 and columns[3].endswith(f":{known.default_port}") and _PROXIES.search(line):
                found.append(
                    Service(
                        host=connection.name,
                        component=known.name,
                        manager=MANUAL,
                        kind="container",
                        unit=known.name,
                        listen=f"127.0.0.1:{known.default_port}",
                        active=True,
                        home=known.home,
                    )
                )
                break
    return found
