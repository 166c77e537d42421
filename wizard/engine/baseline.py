"""Records which targets, rules, Alertmanagers and proxied sites work before a run; stored beside the run's journal."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from wizard import ownfiles, probes
from wizard.engine import vantage_point
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import HostError, JournalError, UnreachableError
from wizard.model import (
    WORKSPACE,
    AlertmanagerHealth,
    Baseline,
    Facts,
    HostFacts,
    Plan,
    Probe,
    ProbedHealth,
    PrometheusHealth,
    Proxies,
    ProxyAnswer,
    ProxyRoute,
    RemoteWriteHealth,
    RuleHealth,
    Stack,
    TargetHealth,
    Watched,
)
from wizard.planner import broken_clients, health_findings, monitors
from wizard.plurals import count_noun
from wizard.service_managers import reverse_proxies

_FILE: Final = "baseline.json"
_MOST_SITES: Final = 50
_HEALTHY: Final = "/-/healthy"
_PAUSE: Final = 0.5
_LONGEST: Final = 60.0
"""Longest wait for the next scrape before a run, in seconds."""


def with_health(stack: Stack, facts: Facts, hosts: Hosts) -> Facts:
    """The facts plus target states, reverse proxies, and which host cannot connect to which server."""
    known = [host for host in facts.hosts.values() if host.spec.name != WORKSPACE]
    if not stack.changes_hosts:
        # Including proxies that cannot serve as a front door: an exporter_exporter, or one that systemd does not run.
        return _with_proxies(facts, known, hosts)
    found = run_parallel(
        lambda pair: _targets(pair[0], pair[1].host.spec.name, monitors.now(stack, facts, pair[1]), hosts),
        monitors.monitors(stack, facts),
    )
    facts = _with_proxies(facts, known, hosts)
    pairs = [
        (client.host.spec.name, server.address)
        for client, server in health_findings.unscraped_servers(stack, facts)
        if server.service.active
    ]
    refusals = run_parallel(lambda pair: vantage_point.refusal(hosts, *pair), pairs)
    return replace(
        facts,
        health={each.key: each for each in found},
        unreachable={pair: why for pair, why in zip(pairs, refusals, strict=True) if why},
    )


def _targets(name: str, host: str, ways: Sequence[Probe], hosts: Hosts) -> PrometheusHealth:
    why, targets = probes.Monitor(host, name, ways, dial=hosts.dial).targets()
    return PrometheusHealth(host=host, component=name, unanswered=why, targets=targets)


def _with_proxies(facts: Facts, known: Sequence[HostFacts], hosts: Hosts) -> Facts:
    behind = run_parallel(lambda host: _proxies(host, hosts), known)
    found = {host.spec.name: mine for host, mine in zip(known, behind, strict=True) if mine != Proxies()}
    return replace(facts, proxies=found) if found else facts


def _proxies(host: HostFacts, hosts: Hosts) -> Proxies:
    # All hosts of a practice stack are this machine, and its proxies do not belong to the stack.
    if not host.spec.is_real:
        return Proxies()
    try:
        return reverse_proxies.discover(hosts.connection(host.spec.name))
    except UnreachableError:
        return Proxies()
    except HostError as error:  # the scan continues, and the audit reports that the proxies were not checked
        return Proxies(unread=(f"its reverse proxies cannot be looked for: {error.what}",))


def take(
    plan: Plan,
    hosts: Hosts,
    cancel: threading.Event,
    say: Callable[[str, str], None] = lambda host, text: None,
) -> Baseline:
    """Records what works before a plan is applied.

    Args:
        say: called with a host and a log line that says which scrape is awaited there.
    """
    taken = time.time()
    found = run_parallel(
        lambda watched: _current(
            look(watched, watched.before, plan.facts, hosts, cancel),
            monitor(watched, watched.before, plan.facts, hosts, cancel),
            cancel,
            partial(say, watched.host),
        ),
        plan.watched,
    )
    answers = run_parallel(
        lambda route: answer(route, hosts), broken_clients.routes(plan.stack, plan.facts)[:_MOST_SITES]
    )
    return Baseline(taken=taken, prometheis=tuple(found), proxies=tuple(answers))


def _current(
    found: PrometheusHealth, prometheus: probes.Monitor, cancel: threading.Event, say: Callable[[str], None]
) -> PrometheusHealth:
    """The health of a Prometheus, after every target was scraped with the configuration that was loaded last."""
    waiting = {each.identity for each in found.outdated}
    if not waiting:
        return found
    wait = min(max(health_findings.wait_of(each.interval, each.timeout) for each in found.outdated), _LONGEST)
    say(
        f"waiting for the next scrape of {count_noun(len(waiting), 'target')}: Prometheus read its configuration "
        f"after the last one (up to {health_findings.format_duration(wait)})"
    )
    end = time.monotonic() + wait
    while waiting and time.monotonic() < end and not cancel.wait(_PAUSE):
        why, targets = prometheus.targets()
        if not why:
            found = replace(found, targets=targets)
            waiting -= {each.identity for each in targets if each.scraped >= found.loaded}
    return found


def monitor(
    watched: Watched, ways: Sequence[Probe], facts: Facts, hosts: Hosts, cancel: threading.Event | None
) -> probes.Monitor:
    """A client for the API of a Prometheus of the stack.

    Args:
        ways: probes with URL and credentials of the API; the first that works is used.
    """
    named = [
        client
        for name, client in monitors.monitors(Stack(hosts=(), components=()), facts)
        if (client.host.spec.name, name) == (watched.host, watched.component)
    ]
    interval: Callable[[str], tuple[float, float]] = (
        monitors.scrape_intervals(named[0]).of if named else lambda job: (60.0, 10.0)
    )
    return probes.Monitor(
        watched.host, watched.component, ways, dial=hosts.dial, cancel=cancel, interval=interval
    )


def look(
    watched: Watched, ways: Sequence[Probe], facts: Facts, hosts: Hosts, cancel: threading.Event | None
) -> PrometheusHealth:
    """The health that a Prometheus reports, with the HTTP status of its Alertmanagers as requested from its host."""
    found = monitor(watched, ways, facts, hosts, cancel).look()
    return replace(found, alertmanagers=with_statuses(found.alertmanagers, watched.host, hosts))


def with_statuses(
    found: Sequence[AlertmanagerHealth], host: str, hosts: Hosts
) -> tuple[AlertmanagerHealth, ...]:
    """The Alertmanagers, each with the HTTP status of its health page as requested from that host (0: no answer)."""

    def with_status(each: AlertmanagerHealth) -> AlertmanagerHealth:
        root = each.url.partition("/api/")[0].rstrip("/")
        return replace(each, status=vantage_point.status(hosts, host, f"{root}{_HEALTHY}") or 0)

    return tuple(run_parallel(with_status, found))


def answer(route: ProxyRoute, hosts: Hosts) -> ProxyAnswer:
    """The HTTP status of a proxied site, requested from the proxy's own host."""
    if route.scheme == "tcp":
        return ProxyAnswer(route=route, status=None)
    return ProxyAnswer(
        route=route, status=vantage_point.status(hosts, route.host, route.url, there="127.0.0.1")
    )


# -- the file of a run --------------------------------------------------------------------------------------


def keep(folder: Path, baseline: Baseline) -> None:
    """Writes a baseline beside a run's journal.

    Raises:
        JournalError: it cannot be written.
    """
    try:
        ownfiles.replace(folder / _FILE, json.dumps(asdict(baseline)))
    except OSError as error:
        raise JournalError(
            f"what worked before cannot be written down: {error.strerror or error}",
            where=str(folder),
            todo="Make room on the disk, then apply again",
        ) from error


def read_baseline(folder: Path) -> Baseline | None:
    """Reads the baseline of a run; None if it is missing or unreadable."""
    try:
        found = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return Baseline(
            taken=found["taken"],
            prometheis=tuple(map(_health, found["prometheis"])),
            proxies=tuple(
                ProxyAnswer(route=ProxyRoute(**each["route"]), status=each["status"])
                for each in found["proxies"]
            ),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _health(found: Mapping[str, Any]) -> PrometheusHealth:
    lists = {
        "targets": TargetHealth,
        "alertmanagers": AlertmanagerHealth,
        "rules": RuleHealth,
        "remote_writes": RemoteWriteHealth,
        "probed": ProbedHealth,
    }
    fields: dict[str, Any] = {
        name: tuple(map(partial(_build, lists[name]), value)) if name in lists else value
        for name, value in found.items()
    }
    return PrometheusHealth(**fields)


def _build(kind: Callable[..., Any], fields: Mapping[str, Any]) -> Any:
    return kind(**fields)
