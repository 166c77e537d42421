"""Scans hosts: finds components, probes how they are protected, and proposes a protection for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from wizard import endpoints, probes
from wizard.components import all_components
from wizard.engine import findings
from wizard.engine.exposure import behind_door, exposure, with_configured_password
from wizard.engine.outcome import Exposure, Scan
from wizard.engine.parallel import run_parallel
from wizard.model import RECOMMENDED, ComponentSpec, Event, Facts, Finding, Service, Stack
from wizard.planner import identity, paths
from wizard.planner.client_facts import Client


def scan(stack: Stack, facts: Facts, dial: probes.Dial, emit: Callable[[Event], None]) -> Scan:
    """Probes every component of a stack, and further instances of these components that the stack does not name.

    Args:
        facts: the facts about the stack's hosts.
        dial: opens connections through another host.
    """
    exposures: list[Exposure] = []
    found: list[Finding] = [findings.away(name, why) for name, why in facts.away.items()]
    found += [
        findings.containers_not_shown(name, known.user)
        for name, known in facts.hosts.items()
        if known.docker_denied
    ]
    named = [
        (component, facts.hosts[component.host].service(component.name, component.unit))
        for component in stack.components
        if component.host not in facts.away
    ]
    others = _unlisted_services(stack, facts)

    def exposure_of(service: Service | None) -> Exposure | None:
        if service is None:
            return None
        state = facts.hosts[service.host].files.get(service.web_config)
        seen = with_configured_password(exposure(service, dial), state.content if state else b"")
        doors = stack.doors_to(service.host, service.component) if not service.instance else ()
        return behind_door(seen, service, facts.hosts[service.host], *doors[0]) if doors else seen

    def tell(seen: Exposure) -> None:
        exposures.append(seen)
        emit(Event(run="", kind="log", host=seen.host, text=f"{seen.component}: {seen.words}"))

    answers = run_parallel(exposure_of, [*(service for _, service in named), *others])
    for (component, service), seen in zip(named, answers, strict=False):
        if service is None or seen is None:
            found.append(findings.not_found(component))
            continue
        found += findings.findings(seen, service)
        tell(seen)
    for service, seen in zip(others, answers[len(named) :], strict=True):
        assert seen is not None
        found.append(findings.not_in_stack(seen, service))
        tell(seen)
    scrapers = _scraped_by(stack, facts)
    scraped = tuple(replace(seen, scraped_by=scrapers.get(seen.key, ())) for seen in exposures)
    return Scan(stack=stack, facts=facts, exposures=scraped, findings=tuple(found))


def proposed_components(services: Iterable[Service]) -> tuple[ComponentSpec, ...]:
    """The components of these services in the standard order, each with the recommended protection."""
    order = [component.name for component in all_components()]
    keys = dict.fromkeys((service.host, service.component, service.instance) for service in services)
    return tuple(
        ComponentSpec(
            host=host,
            name=name,
            unit=unit,
            protect=RECOMMENDED,
        )
        for host, name, unit in sorted(keys, key=lambda key: order.index(key[1]))
    )


def _unlisted_services(stack: Stack, facts: Facts) -> list[Service]:
    """Running instances of the stack's components that the stack does not name: they may be unprotected too."""
    named = {component.key for component in stack.components}
    kinds = {(component.host, component.name) for component in stack.components}
    return [
        service
        for known in facts.hosts.values()
        for service in known.services
        if (service.host, service.component) in kinds and service.active and service.key not in named
    ]


def _scraped_by(stack: Stack, facts: Facts) -> Mapping[str, tuple[str, ...]]:
    """The jobs that scrape each service, by its key, e.g. 'monitor/prometheus (job node)'.

    A configuration that cannot be parsed counts as having no jobs; the plan reports its error.
    """
    listeners: dict[int, list[tuple[Service, identity.Listener]]] = defaultdict(list)
    for host in facts.hosts.values():
        for service in host.services:
            listener = identity.Listener(host, service)
            for port in {port for _, port in listener.sockets}:
                listeners[port].append((service, listener))
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for client in paths.scrapers(stack, facts):
        for name, address, scheme in _targets(client):
            for service, listener in listeners.get(endpoints.split(address, scheme)[1], ()):
                if identity.means(client.host, address, listener, scheme=scheme):
                    found[service.key][name] = None
    return {key: tuple(names) for key, names in found.items()}


def _targets(client: Client) -> Iterator[tuple[str, str, str]]:
    """(client and job, address, scheme) of each target of a client's scrape jobs."""
    for place in client.known_places:
        if place.kind == "job":
            name = f"{client.service.key} (job {place.name})"
            yield from ((name, address, place.scheme) for address in place.addresses)
