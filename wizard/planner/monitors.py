"""How to query the API of each Prometheus of a stack, before and after a plan. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from wizard.components import component as find_component
from wizard.config_files.prometheus.intervals import Intervals, intervals
from wizard.errors import ConfigError
from wizard.model import WORKSPACE, Facts, HostFacts, OwnFiles, Probe, Service, Stack, Watched
from wizard.planner import paths
from wizard.planner.client_facts import Client
from wizard.redact import Secret


def monitors(stack: Stack, facts: Facts) -> tuple[tuple[str, Client], ...]:
    """Every Prometheus on the hosts of a stack with its name: the component, or the unit."""
    del stack
    return tuple(
        ("prometheus" if service == host.service("prometheus") else service.unit, _client(host, service))
        for host in facts.hosts.values()
        for service in host.services
        if service.component == "prometheus" and service.active
    )


def _client(host: HostFacts, service: Service) -> Client:
    return Client(host, service, OwnFiles())


def now(stack: Stack, facts: Facts, client: Client) -> tuple[Probe, ...]:
    """The probes that reach a Prometheus before the plan; () if this machine cannot reach it.

    A password is sent only over TLS that was verified.
    """
    service = client.service
    if service.out_of_reach:
        return ()
    plain = _root(client, "http")
    blind = replace(_root(client, "https"), insecure=True)
    trusted = _root(client, "https", **_workspace_access(stack, facts, client))
    encrypted = (trusted, blind) if trusted.ca_file else (blind,)
    return (*encrypted, plain) if service.web_config else (plain, *encrypted)


def monitored_prometheus(
    stack: Stack, facts: Facts, access: Callable[[Client], tuple[str, dict[str, Any]]]
) -> tuple[Watched, ...]:
    """Every Prometheus of a stack, with the probes to query it before and after a plan.

    Args:
        access: scheme and options of a client that the plan protects, as after the plan; ('http', {}) for
            one that it does not change.
    """
    found = []
    for name, client in monitors(stack, facts):
        before = now(stack, facts, client)
        scheme, options = access(client)
        after = (_root(client, scheme, **options),) if scheme == "https" and before else before
        found.append(Watched(host=client.host.spec.name, component=name, before=before, after=after))
    return tuple(found)


def scrape_intervals(client: Client) -> Intervals:
    """The scrape intervals of a Prometheus' jobs, by its configuration."""
    try:
        main = intervals(client.content)
        jobs = dict(main.jobs)
        for text in client.texts.values():
            jobs = {**intervals(text, main.usual).jobs, **jobs}
    except ConfigError:
        return Intervals()  # the planner reports the error with its place
    return Intervals(main.usual, jobs)


def _root(client: Client, scheme: str, **options: Any) -> Probe:
    service = client.service
    prefix = find_component(service.component).prefix(service.flag)
    return Probe(
        id=f"{client.key}/health",
        host=client.host.spec.name,
        component=service.component,
        name="what it reports",
        client="Firescreen",
        expect="200",
        url=f"{scheme}://{service.listen}{prefix}",
        forward=service.forward,
        timeout=10.0,
        **options,
    )


def _workspace_access(stack: Stack, facts: Facts, client: Client) -> dict[str, Any]:
    """The probe options from the workspace: CA file, user and password, client certificate."""
    kept = facts.hosts[WORKSPACE].files
    trust = paths.trust_copy(facts, paths.as_server(client))
    if kept.get(trust) is None:
        return {}
    found: dict[str, Any] = {"ca_file": trust}
    user = stack.users[0]
    password = kept.get(paths.user_files(facts, user)[0])
    if password is not None:
        found |= {"user": user.name, "password": Secret(password.content.decode("utf-8", "replace").strip())}
    pair = paths.probe_pair(facts)
    if all(kept.get(path) is not None for path in pair):
        found |= {"cert_file": pair[0], "key_file": pair[1]}
    return found
