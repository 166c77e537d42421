"""What was up before is up after: compares what works now with a baseline, and waits as long as a scrape needs.

What was down before for a reason of its own is told, and does not count. What could not be looked at is told, and
never passes for a success.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from wizard.endpoints import is_address
from wizard.engine import baseline, vantage_point
from wizard.engine.hosts import Hosts
from wizard.engine.login_check import log_of
from wizard.engine.parallel import run_parallel
from wizard.engine.prometheus_recovery import ComparisonResult, MonitorCheck, Regression
from wizard.model import (
    Attempt,
    Baseline,
    Event,
    HealthReport,
    Plan,
    ProbedHealth,
    ProxyAnswer,
    TargetHealth,
    Watched,
)
from wizard.planner import health_findings, monitors, paths
from wizard.probes import Monitor, cause_of

_PAUSE: Final = 0.5
_PROXY: Final = 10.0
"""Seconds in which a site behind a reverse proxy must answer as before."""


def excuse(before: Baseline | None, attempt: Attempt) -> str:
    """Why a probe of Prometheus' own view does not count, though the target is not up; '' if it counts.

    The target was down before for a reason that no change of protection cures, and is not down for another one now.
    """
    probe = attempt.probe
    if before is None or probe.kind != "up" or attempt.ok or attempt.pending or attempt.outcome != "down":
        return ""
    health = before.of(probe.asker)
    found = [each for each in health.targets if health_findings.is_of(probe, each)] if health else []
    same = [each for each in found if probe.job in (each.pool, each.labels.get("job"))] or found
    if not same or any(each.health != "down" or cause_of(each.error) != "other" for each in same):
        return ""
    if cause_of(attempt.reason) != "other":
        return ""
    return f"was down before ({same[0].error}), is down after: {attempt.reason}"


class Comparison:
    """Compares with one baseline, for one plan.

    Args:
        plan: the whole plan of the run: whose servers and hosts they are.
        before: what worked before it.
        cancel: ends the waiting early.
    """

    def __init__(
        self,
        plan: Plan,
        before: Baseline,
        hosts: Hosts,
        emit: Callable[[Event], None],
        cancel: threading.Event,
        *,
        run: str,
    ) -> None:
        self._plan, self._before, self._hosts = plan, before, hosts
        self._emit, self._cancel, self._run = emit, cancel, run
        accepted = [each for each in plan.broken_clients if each.key in plan.stack.accept_broken]
        self._accepted_targets = {target.identity for each in accepted for target in each.targets}
        self._accepted_routes = {route for each in accepted for route in each.routes}
        self._accepted_clients = tuple(accepted)
        self.report = HealthReport()
        """How the last comparison ended."""

    def regressions(
        self, watched: Sequence[Watched], *, since: float, lost: Collection[str] = ()
    ) -> tuple[Regression, ...]:
        """What is broken; back when all is well, or when what is not has had its time.

        Args:
            watched: each Prometheus, as it is asked now.
            since: unix time after the last change; scrapes before it say nothing.
            lost: hosts that were rolled back or are unreachable: what is broken there is known.
        """
        told = ComparisonResult(accepted=[each.key for each in self._accepted_clients])
        work: list[Callable[[], None]] = []
        for each in watched:
            health = self._before.of(each.key)
            if health is None:
                continue
            if health.unanswered:
                told.not_checked.append(f"{each.key}: did not answer before: {health.unanswered}")
                continue
            work.append(MonitorCheck(self, each, health, since, told).run)
        work += [_bind_work(self._proxy, answer, told) for answer in self._before.proxies]
        run_parallel(lambda one: one(), work)
        # Two Prometheus servers with the same targets find the same.
        found = tuple(dict.fromkeys(each for each in told.broken if each.host not in lost))
        self.report = HealthReport(
            up_before=sum(
                target.health == "up" for each in self._before.prometheis for target in each.targets
            ),
            broken=tuple(each.what for each in found),
            down_before=tuple(dict.fromkeys(told.down_before)),
            accepted=tuple(told.accepted),
            not_checked=tuple(dict.fromkeys(told.not_checked)),
        )
        return found

    # -- whose it is --------------------------------------------------------------------------------------

    def owner(self, endpoint: str, asker: str) -> str:
        """The host whose server host:port is, as `asker` reaches it; `asker` itself if it is nobody's of the stack."""
        return self._server_host(endpoint, asker) or asker

    def is_protected(self, endpoint: str, asker: str) -> bool:
        """Whether host:port, as `asker` reaches it, is a server that the stack protects."""
        return bool(self._server_host(endpoint, asker))

    def _server_host(self, endpoint: str, asker: str) -> str:
        """The host of the protected server that host:port means, or ''."""
        client = next(
            (
                client
                for _, client in monitors.monitors(self._plan.stack, self._plan.facts)
                if client.host.spec.name == asker
            ),
            None,
        )
        servers = paths.servers(self._plan.stack, self._plan.facts)
        if client is not None:
            for server in servers:
                if client.means(endpoint, server):
                    return server.spec.host
        name, _, port = endpoint.rpartition(":")
        bare = name.strip("[]")
        known = (bare,) if is_address(bare) else vantage_point.addresses(self._hosts, asker, bare)
        for server in servers:
            own = {*server.host.names, server.address.rpartition(":")[0].strip("[]")}
            if str(server.port) == port and own & set(known):
                return server.spec.host
        return ""

    def is_accepted(self, target: TargetHealth) -> bool:
        """Whether the person has accepted that this target goes down."""
        return target.identity in self._accepted_targets

    def is_accepted_probe(self, probed: ProbedHealth) -> bool:
        """Whether the person has accepted that a blackbox exporter does not get through any more."""
        job = probed.labels.get("job", "")
        return any(
            each.job == job and each.server.partition("/")[0] == self.owner(probed.endpoint, each.host)
            for each in self._accepted_clients
        )

    # -- reverse proxies ----------------------------------------------------------------------------------

    def _proxy(self, before: ProxyAnswer, told: ComparisonResult) -> None:
        route = before.route
        if route in self._accepted_routes:
            return
        if not before.status:
            told.not_checked.append(f"{route.where}: {route.url} gave no answer before")
            return
        end = time.monotonic() + _PROXY
        while True:
            now = baseline.answer(route, self._hosts).status
            if now and now // 100 == before.status // 100:
                return
            if time.monotonic() > end or self._cancel.wait(_PAUSE):
                break
        if now is None:
            told.not_checked.append(f"{route.where}: {route.url} cannot be probed any more")
            return
        told.broken.append(
            Regression(
                host=self.owner(route.upstream, route.host),
                what=f"{route.url} behind {route.program} answered {before.status} before and "
                + (f"answers {now} now" if now else "gives no answer now"),
                where=route.where,
                todo=f"Configure {route.program} for {route.upstream} as it is protected now, or keep that as is",
            )
        )

    # -- for MonitorCheck ----------------------------------------------------------------------------------------

    @property
    def hosts(self) -> Hosts:
        """The connections of the run."""
        return self._hosts

    def monitor(self, watched: Watched) -> Monitor:
        """A Prometheus as it can be queried now."""
        return baseline.monitor(watched, watched.after, self._plan.facts, self._hosts, self._cancel)

    def clock(self, host: str) -> float:
        """Seconds by which a host's clock is ahead."""
        known = self._plan.facts.hosts.get(host)
        return known.clock if known is not None else 0.0

    def idle(self, seconds: float) -> bool:
        """Waits; True if the person stopped the run."""
        return self._cancel.wait(seconds)

    def log(self, watched: Watched) -> Sequence[str]:
        """The last lines that a Prometheus has logged; none where its host does not say."""
        return log_of(watched, self._plan, self._hosts)

    def say(self, host: str, text: str) -> None:
        """A log line of the run."""
        self._emit(Event(run=self._run, kind="log", host=host, text=text))


def _bind_work(
    work: Callable[[ProxyAnswer, ComparisonResult], None], answer: ProxyAnswer, told: ComparisonResult
) -> Callable[[], None]:
    return lambda: work(answer, told)
