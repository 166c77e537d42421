"""Findings about the state before a plan: what is down, what cannot be checked, how long verification takes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from wizard.components import component as find_component
from wizard.config_files.prometheus.intervals import USUAL
from wizard.model import Facts, Finding, Probe, Stack, TargetHealth
from wizard.planner import paths
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server
from wizard.probes.causes import cause_of

SLACK = 15.0
"""Seconds that Prometheus' discovery and scrape manager may take until a job's first scrape with new settings."""
TOLD_FROM = 90.0
"""If verification waits longer than this many seconds, the plan says how long."""
_MOST = 10
"""The number of targets that a finding names one by one."""


def wait_of(interval: float, timeout: float) -> float:
    """Seconds after a change until a target's next scrape must have ended."""
    return interval + timeout + SLACK


def longest_wait(facts: Facts, probes: Sequence[Probe]) -> float:
    """The longest time, in seconds, that verification waits until each target has been scraped again."""
    planned = (probe.timeout for probe in probes if probe.kind == "up")
    # Verification does not wait for targets that are down already.
    others = (
        wait_of(each.interval, each.timeout)
        for health in facts.health.values()
        for each in health.targets
        if each.health == "up"
    )
    return max(chain(planned, others), default=0.0)


def format_duration(seconds: float) -> str:
    """A time as people write it: 45 s, 5 min, 1 h 30 min."""
    total = int(seconds + 0.5)
    if total < 120:
        return f"{total} s"
    minutes, remainder = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes else "",
        f"{remainder} s" if remainder else "",
    ]
    return " ".join(part for part in parts if part)


def findings(stack: Stack, facts: Facts, probes: Sequence[Probe]) -> tuple[Finding, ...]:
    """All findings about the state before anything is changed."""
    return (*_unread_api_findings(facts), *_down(facts, probes), *_unreachable(facts), *_slow(stack, facts))


def unscraped_servers(stack: Stack, facts: Facts) -> tuple[tuple[Client, Server], ...]:
    """(Prometheus, server on another host) for each server that no Prometheus of the stack scrapes yet.

    Before such a server gets a job, its address must be tested from that Prometheus' host.
    """
    scrapers = paths.scrapers(stack, facts)
    return tuple(
        (client, server)
        for server in paths.servers(stack, facts)
        if find_component(server.spec.name).scraped
        and not any(
            asking.means(address, server)
            for asking in scrapers
            for place in asking.places()
            if place.kind == "job"
            for address in place.addresses
        )
        for client in scrapers
        if client.host.spec.name != server.spec.host
    )


def _unread_api_findings(facts: Facts) -> list[Finding]:
    found = [
        Finding(
            id="health-unknown",
            host=health.host,
            component=health.component,
            what=f"the API of {health.component} on {health.host} cannot be read: {health.unanswered}",
            why="Whether its targets stay up cannot be checked. Verification covers the components of the plan only.",
            remediation="Make its API reachable from this machine, or check its targets page before and after",
        )
        for health in facts.health.values()
        if health.unanswered
    ]
    found += [
        Finding(
            id="proxy-unread",
            host=host,
            what=f"{host}: {reason}",
            why="Whether it passes requests to a component of the plan is not known.",
            remediation="Check whether it does: its requests are rejected once that component is protected",
        )
        for host, known in facts.proxies.items()
        for reason in known.unread
    ]
    return found


def _down(facts: Facts, probes: Sequence[Probe]) -> list[Finding]:
    found = []
    planned = [probe for probe in probes if probe.kind == "up"]
    for key, health in facts.health.items():
        down = [each for each in health.targets if each.health == "down"]
        for each in down[:_MOST]:
            cured = cause_of(each.error) != "other" and any(
                probe.asker == key and is_of(probe, each) for probe in planned
            )
            found.append(
                Finding(
                    id="down-before",
                    host=health.host,
                    component=health.component,
                    what=f"{each.name} is down already: {each.error or 'no reason given'}",
                    why="This run should repair it, and verification demands that."
                    if cured
                    else "It was down before this run and does not count against it, unless its reason changes.",
                    remediation="Nothing to do" if cured else "Repair it first if it is to be verified too",
                )
            )
        if len(down) > _MOST:
            found.append(
                Finding(
                    id="down-before",
                    host=health.host,
                    component=health.component,
                    what=f"{len(down) - _MOST} more targets of {health.component} on {health.host} are down already",
                    why="They were down before this run and do not count against it, unless their reasons change.",
                    remediation="See its targets page",
                )
            )
    return found


def is_of(probe: Probe, target: TargetHealth) -> bool:
    """Whether an 'up' probe is about a target; the caller compares the Prometheus."""
    return probe.instance in (target.endpoint, target.address, target.labels.get("instance"))


def _unreachable(facts: Facts) -> list[Finding]:
    return [
        Finding(
            id="unreachable-from-prometheus",
            host=host,
            component="prometheus",
            what=f"prometheus on {host} cannot connect to {address}: {why}",
            why="It gets no scrape job for this target, which would be down.",
            remediation="Allow the connection (firewall, route, DNS), or use a Prometheus that can connect to it",
        )
        for (host, address), why in facts.unreachable.items()
    ]


def _slow(stack: Stack, facts: Facts) -> list[Finding]:
    """The jobs for whose next scrape verification waits long."""
    found = []
    for key, health in facts.health.items():
        jobs: dict[str, float] = {}
        for each in health.targets:
            if each.health == "up" and each.interval > USUAL[0]:
                jobs[each.pool] = max(jobs.get(each.pool, 0.0), each.interval)
        if not jobs:
            continue
        job, interval = max(jobs.items(), key=lambda one: one[1])
        wait = max(
            (wait_of(each.interval, each.timeout) for each in health.targets if each.pool == job), default=0.0
        )
        if wait <= TOLD_FROM:
            continue
        others = f" (and {len(jobs) - 1} more jobs rarely)" if len(jobs) > 1 else ""
        source = stack.source or "STACK"
        found.append(
            Finding(
                id="slow-scrape",
                host=health.host,
                component=health.component,
                what=f"{key} scrapes job {job} every {format_duration(interval)}{others}: verification takes up to {format_duration(wait)}",
                why="Only the next scrape shows whether a target is up.",
                remediation=f"Wait, or use --verify-later and run firescreen verify {source} afterwards",
            )
        )
    return found
