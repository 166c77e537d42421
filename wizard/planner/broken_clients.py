"""Clients that a plan breaks and cannot repair: reverse proxies, and targets from service discovery. Pure.

Each one needs the person's consent: without it, the plan must not be applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wizard import endpoints
from wizard.components import component as find_component
from wizard.config_files import proxies, web_config
from wizard.errors import ConfigError
from wizard.model import (
    EXPORTERS,
    BrokenClient,
    Facts,
    Finding,
    HostFacts,
    OwnFiles,
    Plan,
    ProxyRoute,
    Stack,
    TargetHealth,
)
from wizard.planner import blackbox, monitors, paths
from wizard.planner.certificate_names import certificate_names
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import door_facts, exporter_door_facts
from wizard.planner.server_facts import Server

BREAKS = "client-breaks"
"""Id of the finding about a client that will be rejected."""


@dataclass(frozen=True, slots=True)
class _Demands:
    """What a server will require of its clients and does not require now."""

    tls: bool
    password: bool
    certificate: bool

    def reject(self, route: ProxyRoute) -> bool:
        """Whether a proxy with its present configuration will be rejected."""
        lacks_login = self.password and not route.authorization
        return (self.tls and route.scheme != "https") or lacks_login or self.certificate


def broken_clients(stack: Stack, facts: Facts) -> tuple[BrokenClient, ...]:
    """The clients that will be rejected after the plan, one entry for each client and server."""
    found = []
    doors = door_facts.doors(stack, facts)
    for server in paths.servers(stack, facts):
        demands = _demands(server)
        if demands is None:
            continue
        for host, known in facts.proxies.items():
            if host in facts.hosts:
                # The plan itself rewrites front doors whose components change.
                routes = [each for each in known.routes if not any(door.holds(host, each) for door in doors)]
                found += _proxies(stack, facts, facts.hosts[host], routes, server, demands)
        for name, client in monitors.monitors(stack, facts):
            health = facts.health.get(f"{client.host.spec.name}/{name}")
            if health is not None:
                found += _unknown_scrape_jobs(client, health.targets, server)
    return (*found, *_mixed_blackbox_jobs(stack, facts))


def routes(stack: Stack, facts: Facts) -> tuple[ProxyRoute, ...]:
    """The routes of the hosts' reverse proxies that may lead to a server of the stack: they name one of its ports.

    Whether the name in a route means a host of the stack is checked only if the route stops answering.
    """
    ports = {str(server.port) for server in paths.servers(stack, facts)}
    return tuple(
        route
        for proxies in facts.proxies.values()
        for route in proxies.routes
        if route.upstream.rpartition(":")[2] in ports
    )


def findings(broken: Sequence[BrokenClient], stack: Stack) -> tuple[Finding, ...]:
    """The findings about broken clients."""
    return tuple(
        Finding(
            id=BREAKS,
            host=each.host,
            component=each.component,
            what=f"{each.client} on {each.host} asks {each.server} ({', '.join(each.where)}) and will be rejected",
            why=(
                "Firescreen does not change it. You have accepted that it is rejected until you do."
                if each.key in stack.accept_broken
                else "Firescreen does not change it, and does nothing until you accept that it is rejected."
            )
            + "".join(f"\n{line}" for line in each.lines),
            remediation=f"Change it when the run is done: {'; '.join(each.lines)}"
            + ("" if each.key in stack.accept_broken else f". Accept it with: --accept-broken '{each.key}'"),
        )
        for each in broken
    )


def accept_broken_clients(plan: Plan) -> Plan:
    """Accepts all the clients that the plan breaks."""
    keys = (*plan.stack.accept_broken, *(each.key for each in plan.unaccepted))
    stack = replace(plan.stack, accept_broken=keys)
    others = tuple(each for each in plan.warnings if each.id != BREAKS)
    return replace(plan, stack=stack, warnings=(*findings(plan.broken_clients, stack), *others))


def _demands(server: Server) -> _Demands | None:
    """The new requirements of a server; None if it will require no more than it does now."""
    state = server.host.files.get(server.web_file) if server.service.web_config else None
    try:
        config = web_config.parse(state.content) if state is not None else web_config.WebConfig()
    except ConfigError:
        return None  # the planner reports the error with its place
    if server.component == EXPORTERS:
        config = exporter_door_facts.settings(server.service)
    wanted = server.spec.protect
    found = _Demands(
        tls="tls" in wanted and not config.encrypted,
        password="basic_auth" in wanted and not config.users,
        certificate="client_cert" in wanted and not config.client_ca_file,
    )
    return found if found.tls or found.password or found.certificate else None


def _proxies(
    stack: Stack,
    facts: Facts,
    host: HostFacts,
    routes: Sequence[ProxyRoute],
    server: Server,
    demands: _Demands,
) -> list[BrokenClient]:
    asking = Client(host, server.service, OwnFiles())
    mine = [each for each in routes if asking.means(each.upstream, server) and demands.reject(each)]
    names = certificate_names(stack, facts, server)
    name = next((each for each in names if not endpoints.is_address(each)), "<DNS name of its certificate>")
    found = []
    for program in dict.fromkeys(each.program for each in mine):
        own = tuple(each for each in mine if each.program == program)
        found.append(
            BrokenClient(
                key=f"{host.spec.name}/{program}/{_server_name(host, server)}",
                host=host.spec.name,
                client=program,
                server=server.key,
                component=server.spec.name,
                where=tuple(dict.fromkeys(each.where for each in own)),
                lines=proxies.cure(
                    own[0],
                    ca_file=_client_trust_file(stack, facts, host, server),
                    name=name,
                    password="basic_auth" in server.spec.protect,
                    certificate="client_cert" in server.spec.protect,
                ),
                routes=own,
            )
        )
    return found


def _client_trust_file(stack: Stack, facts: Facts, host: HostFacts, server: Server) -> str:
    """The CA file with which a client on that host can verify the server after the plan."""
    for client in paths.scrapers(stack, facts):
        if client.host.spec.name == host.spec.name:
            return client.trust_file(server, own_ca=stack.certificates.issued_by == "ca")
    return f"<copy of {paths.trust_copy(facts, server)}>"


def _unknown_scrape_jobs(
    client: Client, targets: Sequence[TargetHealth], server: Server
) -> list[BrokenClient]:
    """Jobs that scrape the server by addresses that the plan does not know, e.g. from service discovery."""
    known_addresses = {
        place.name
        for place in client.places()
        if place.kind == "job" and any(client.means(address, server) for address in place.addresses)
    }
    mine = [
        each
        for each in targets
        if each.health == "up" and each.pool not in known_addresses and client.means(each.endpoint, server)
    ]
    host, config = client.host.spec.name, client.service.config_file
    title = find_component(server.spec.name).title
    return [
        BrokenClient(
            key=f"{host}/job:{pool}/{_server_name(client.host, server)}",
            host=host,
            client=f"job {pool}",
            server=server.key,
            component=server.spec.name,
            where=(f"{host}:{config}",),
            lines=(f"give job {pool} the scheme, CA and login that the other job of {title} has",),
            job=pool,
            targets=tuple(each for each in mine if each.pool == pool),
        )
        for pool in dict.fromkeys(each.pool for each in mine)
    ]


def _mixed_blackbox_jobs(stack: Stack, facts: Facts) -> list[BrokenClient]:
    """Jobs that probe a server through a blackbox exporter and that the plan cannot change."""
    servers = [each for each in paths.servers(stack, facts) if (known := _demands(each)) and known.tls]
    return [
        BrokenClient(
            key=f"{mixed.host}/job:{mixed.job}/{mixed.server.key}",
            host=mixed.host,
            client=f"job {mixed.job} (through a blackbox exporter)",
            server=mixed.server.key,
            component=mixed.server.spec.name,
            where=(mixed.where,),
            lines=("give the protected servers a job and a module of their own, with https URLs",),
            job=mixed.job,
        )
        for mixed in blackbox.mixed_jobs(stack, facts, servers)
    ]


def _server_name(host: HostFacts, server: Server) -> str:
    return server.spec.name if server.spec.host == host.spec.name else server.key
