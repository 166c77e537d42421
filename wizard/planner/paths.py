"""The paths and permissions of all files that a plan may read or write. Pure.

They are decided in one place, so that the planner, the list of files to read and the texts for people agree.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import replace

from wizard.errors import ConfigError, InputError
from wizard.model import (
    MANUAL,
    WORKSPACE,
    ComponentSpec,
    Facts,
    FlagPlace,
    HostFacts,
    OwnFiles,
    Service,
    Stack,
    UserSpec,
)
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import exporter_door_facts
from wizard.planner.server_facts import Server

LOOPBACK = ("localhost", "127.0.0.1", "::1")
TOOLS = ("prometheus", "alertmanager")
"""The components with a query tool of their own: promtool, amtool."""


def by_host(found: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """Merges (host, paths) pairs by host."""
    together: dict[str, tuple[str, ...]] = {}
    for host, paths in found:
        together[host] = (*together.get(host, ()), *paths)
    return together


def servers(stack: Stack, facts: Facts) -> tuple[Server, ...]:
    """The components to protect, and each exporter_exporter that is a front door.

    Raises:
        InputError: one of them was not found on its host.
    """
    found = list(exporter_door_facts.servers(stack, facts))
    for spec in stack.components:
        if not spec.protect or spec.host in facts.away:
            continue
        host = facts.hosts[spec.host]
        service = host.service(spec.name, spec.unit)
        if service is None:
            unit = f" in a unit {spec.unit}" if spec.unit else ""
            raise InputError(
                f"there is no {spec.name}{unit} on {spec.host}",
                where=stack.source or spec.host,
                todo=f"Install and start it (unmask its unit, where that is masked), or take {spec.key} out of the stack",
            )
        if not spec.means(service.container):
            which = " of the project ".join(part for part in (spec.container, spec.project) if part)
            raise InputError(
                f"{spec.name} on {spec.host} runs in no container{f' {which}' if which else ''}",
                where=stack.source or spec.host,
                todo="Start it, or correct service, project and container in its entry: firescreen scan --json names them",
            )
        # A unit that starts its program through something else gives Firescreen no way to set a flag.
        unset = not service.is_manual and service.flags.kind == "manual" and not service.web_config
        if spec.service == "manual" or unset:
            service = replace(
                service, manager=MANUAL, kind=service.kind or "process", flags=FlagPlace("manual")
            )
        found.append(Server(spec, host, service))
    return tuple(found)


def known_hosts(facts: Facts) -> tuple[HostFacts, ...]:
    """The hosts of the stack that could be read, without the workspace."""
    return tuple(host for name, host in facts.hosts.items() if name != WORKSPACE)


def as_server(client: Client) -> Server:
    """A client as a server, to tell whether an address means it."""
    spec = ComponentSpec(
        host=client.host.spec.name, name=client.service.component, unit=client.service.instance
    )
    return Server(spec, client.host, client.service)


def scrapers(stack: Stack, facts: Facts) -> tuple[Client, ...]:
    """Every Prometheus of the stack's hosts with a known configuration that runs or is named in the stack."""
    return _clients(stack, facts, "prometheus")


def probers(stack: Stack, facts: Facts) -> tuple[Client, ...]:
    """Every blackbox exporter of the stack's hosts with a known configuration that runs or is named in the stack."""
    return _clients(stack, facts, "blackbox_exporter")


def _clients(stack: Stack, facts: Facts, component: str) -> tuple[Client, ...]:
    files_by_key = {spec.key: spec.files for spec in stack.components if spec.name == component}
    found: dict[tuple[str, str], Client] = {}
    for host in facts.hosts.values():
        instances = dict.fromkeys(each.instance for each in host.services if each.component == component)
        for instance in sorted(instances):
            service = host.service(component, instance)
            if service is None or not service.config_file:
                continue
            if not service.active and service.key not in files_by_key:
                continue  # left over from a package, say: it connects to nothing
            place = host.spec.name, service.config_file
            first = found.get(place)
            found[place] = (
                Client(host, service, files_by_key.get(service.key, OwnFiles()))
                if first is None
                else replace(first, beside=(*first.beside, service))
            )
    return tuple(found.values())


def workspace_path(facts: Facts, *parts: str) -> str:
    """A path in the workspace."""
    return posixpath.join(facts.workspace, *parts)


def ca_pair(facts: Facts) -> tuple[str, str]:
    """Certificate and key of the person's own CA."""
    return workspace_path(facts, "ca", "ca.crt"), workspace_path(facts, "ca", "ca.key")


def user_files(facts: Facts, user: UserSpec) -> tuple[str, str]:
    """Password and curl config of a user."""
    return (
        workspace_path(facts, "users", f"{user.name}.password"),
        workspace_path(facts, "users", f"{user.name}.curl"),
    )


def wrong_user_file(facts: Facts, user: UserSpec) -> str:
    """A curl config with a wrong password, for the probe that must be rejected."""
    return workspace_path(facts, "users", f"{user.name}-wrong.curl")


def probe_pair(facts: Facts) -> tuple[str, str]:
    """Certificate and key that the probes present if a server requires one."""
    return workspace_path(facts, "clients", "firescreen.crt"), workspace_path(
        facts, "clients", "firescreen.key"
    )


def stranger_pair(facts: Facts) -> tuple[str, str]:
    """A certificate and key that no server trusts, for the probe that must be rejected."""
    return workspace_path(facts, "clients", "stranger.crt"), workspace_path(facts, "clients", "stranger.key")


def other_pair(facts: Facts) -> tuple[str, str]:
    """A pair of the person's own CA with a name that no server allows, for the probe that must be rejected."""
    return workspace_path(facts, "clients", "other.crt"), workspace_path(facts, "clients", "other.key")


def shared_pair(facts: Facts) -> tuple[str, str]:
    """The pair that all nodes share, if the person chose that."""
    return workspace_path(facts, "shared", "node.crt"), workspace_path(facts, "shared", "node.key")


def tools_file(facts: Facts, server: Server) -> str:
    """The --http.config.file with which promtool or amtool queries a server."""
    return workspace_path(facts, "tools", f"{server.label}.yml")


def trust_copy(facts: Facts, server: Server) -> str:
    """The CA file with which the probes verify a server."""
    return workspace_path(facts, "trust", f"{server.label}.crt")


def config_files(facts: Facts, service: Service) -> tuple[str, ...]:
    """A service's configuration files: the main one, and those that it includes."""
    try:
        found = tuple(Client(facts.hosts[service.host], service, OwnFiles()).texts)
    except ConfigError:
        found = ()
    return found or (service.config_file,)
