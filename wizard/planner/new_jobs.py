"""Scrape jobs for servers that no Prometheus of the stack scrapes: which one gets the job, and the findings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from wizard.components import component as find_component
from wizard.config_files import prometheus as scrape
from wizard.model import Facts, Finding
from wizard.planner import identity_warnings
from wizard.planner.client_endpoints import locate_errors
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server


@dataclass(frozen=True, slots=True)
class NewJobs:
    """The servers for which each Prometheus gets a job, by the Prometheus' host/component."""

    servers: Mapping[str, tuple[Server, ...]] = field(default_factory=dict)
    warnings: tuple[Finding, ...] = ()

    def of(self, client: Client) -> tuple[Server, ...]:
        """The servers of one Prometheus."""
        return self.servers.get(client.key, ())


def assign(
    facts: Facts,
    scrapers: Sequence[Client],
    texts: Mapping[str, Mapping[str, bytes]],
    servers: Sequence[Server],
) -> NewJobs:
    """Assigns each unscraped server to one Prometheus: the one on its own host, or else the first of the stack.

    A server counts as scraped by a job of any kind, even one that federates.

    Args:
        texts: each Prometheus' configuration, by its host/component.

    Raises:
        ConfigError: a configuration cannot be parsed.
    """
    found: dict[str, list[Server]] = {}
    warnings: list[Finding] = []
    jobs = {
        client.key: [place for place in client.places(texts[client.key]) if place.kind == "job"]
        for client in scrapers
    }
    for server in servers:
        if not scrapers or not find_component(server.spec.name).scraped:
            continue
        is_scraped = any(
            client.means(address, server)
            for client in scrapers
            for place in jobs[client.key]
            for address in place.addresses
        )
        if is_scraped:
            continue
        reachable = [
            client for client in scrapers if (client.host.spec.name, server.address) not in facts.unreachable
        ]
        if not reachable:
            continue  # its target would be down: `health_findings` reports that
        local = [client for client in reachable if client.host.spec.name == server.spec.host]
        chosen = (local or reachable)[0]
        found.setdefault(chosen.key, []).append(server)
        if len(scrapers) > 1:
            warnings.append(_new_job_finding(server, chosen, same=bool(local)))
        for client in scrapers:
            warnings += identity_warnings.of_jobs(facts, client, jobs[client.key], server, chosen)
    return NewJobs({key: tuple(each) for key, each in found.items()}, tuple(warnings))


def add(texts: Mapping[str, bytes], client: Client, servers: Sequence[Server]) -> dict[str, bytes]:
    """The configuration with a job for each of these servers, in the Prometheus' main file.

    Raises:
        ConfigError: its list of jobs cannot be extended.
    """
    found = dict(texts)
    path = client.service.config_file
    for server in servers:
        component = server.spec.name
        names = {place.name for place in client.places(found) if place.kind == "job"}
        name = free_name(component, f"{component}-{server.spec.host}", names)
        with locate_errors(client.host.spec.name, path):
            found[path] = scrape.add_job(
                found[path], job=name, target=client.target_of(server), scheme="https"
            )
    return found


def free_name(first: str, second: str, taken: set[str]) -> str:
    """A free job name: the first, the second, or the second with a number."""
    numbered = (f"{second}-{number}" for number in count(2))
    return next(name for name in chain((first, second), numbered) if name not in taken)


def _new_job_finding(server: Server, chosen: Client, *, same: bool) -> Finding:
    reason = "it runs on the same host" if same else "it is the first of the stack"
    return Finding(
        id="job-added",
        host=chosen.host.spec.name,
        component="prometheus",
        what=f"no Prometheus of the stack scrapes {server.key}: {chosen.key} gets a job for it, because {reason}",
        why="A server is scraped by one Prometheus; the others are left as they are.",
        remediation="If another one is to scrape it, add a job there first, then plan again",
    )
