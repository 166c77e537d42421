"""Compares what works after a run with the baseline from before, and waits as long as the next scrapes take.

A target that was down before for a reason of its own is reported but is no regression. Something that could not be
checked is reported as such, never as a success.
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
    """Why a target that is not up does not count as a failure; '' if it counts.

    It is excused if it was down before for a reason that has nothing to do with TLS or logins, and still is.
    """
    probe = attempt.probe
    if before is None or probe.kind != "up" or attempt.ok or attempt.pending or attempt.outcome != "down":
        return ""
    health = before.of(probe.asker)
    targets = [each for each in health.targets if health_findings.is_of(probe, each)] if health else []
    same = [each for each in targets if probe.job in (each.pool, each.labels.get("job"))] or targets
    if not same or any(each.health != "down" or cause_of(each.error) != "other" for each in same):
        return ""
    if cause_of(attempt.reason) != "other":
        return ""
    return f"was down before ({same[0].error}), is down after: {attempt.reason}"


class Comparison:
    """Compares the current state with the baseline of one run.

    Args:
        plan: the complete plan of the run, which says on which host a server is.
        before: what worked before the run.
        cancel: ends the waiting early.
        run: the run that log lines belong to; '' for none.
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
        """The result of the last comparison."""

    def regressions(
        self, watched: Sequence[Watched], *, since: float, lost: Collection[str] = ()
    ) -> tuple[Regression, ...]:
        """Waits until everything works as before or the time limits end; returns what is broken.

        Args:
            watched: the Prometheus servers to query.
            since: unix time after the last change; earlier scrapes do not count.
            lost: hosts that were rolled back or are unreachable; regressions there are left out.
        """
        result = ComparisonResult(accepted=[each.key for each in self._accepted_clients])
        work: list[Callable[[], None]] = []
        for each in watched:
            health = self._before.of(each.key)
            if health is None:
                continue
            if health.unanswered:
                result.not_checked.append(f"{each.key}: did not answer before: {health.unanswered}")
                continue
            work.append(MonitorCheck(self, each, health, since, result).run)
        work += [_bind_work(self._proxy, answer, result) for answer in self._before.proxies]
        run_parallel(lambda check: check(), work)
        # Two Prometheus servers with the same targets report the same regressions.
        found = tuple(dict.fromkeys(each for each in result.broken if each.host not in lost))
        self.report = HealthReport(
            up_before=sum(
                target.health == "up" for each in self._before.prometheis for target in each.targets
            ),
            broken=tuple(each.what for each in found),
            down_before=tuple(dict.fromkeys(result.down_before)),
            accepted=tuple(result.accepted),
            not_checked=tuple(dict.fromkeys(result.not_checked)),
        )
        return found

    # -- the server of an address -------------------------------------------------------------------------

    def owner(self, endpoint: str, asker: str) -> str:
        """The host of the server to which `asker` resolves host:port; `asker` if the stack has no such server."""
        return self._server_host(endpoint, asker) or asker

    def is_protected(self, endpoint: str, asker: str) -> bool:
        """Whether `asker` resolves host:port to a server that the stack protects."""
        return bool(self._server_host(endpoint, asker))

    def _server_host(self, endpoint: str, asker: str) -> str:
        """The host of the protected server to which `asker` resolves host:port, or ''."""
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
        """Whether the person has accepted that a probe of a blackbox exporter fails."""
        job = probed.labels.get("job", "")
        return any(
            each.job == job and each.server.partition("/")[0] == self.owner(probed.endpoint, each.host)
            for each in self._accepted_clients
        )

    # -- reverse proxies ----------------------------------------------------------------------------------

    def _proxy(self, before: ProxyAnswer, result: ComparisonResult) -> None:
        route = before.route
        if route in self._accepted_routes:
            return
        if not before.status:
            result.not_checked.append(f"{route.where}: {route.url} gave no answer before")
            return
        end = time.monotonic() + _PROXY
        while True:
            now = baseline.answer(route, self._hosts).status
            if now and now // 100 == before.status // 100:
                return
            if time.monotonic() > end or self._cancel.wait(_PAUSE):
                break
        if now is None:
            result.not_checked.append(f"{route.where}: {route.url} cannot be probed any more")
            return
        result.broken.append(
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
        """A client for the API of a Prometheus, with the credentials that it requires now."""
        return baseline.monitor(watched, watched.after, self._plan.facts, self._hosts, self._cancel)

    def clock(self, host: str) -> float:
        """Seconds by which a host's clock is ahead of this machine's."""
        known = self._plan.facts.hosts.get(host)
        return known.clock if known is not None else 0.0

    def idle(self, seconds: float) -> bool:
        """Waits; returns True if the person stopped the run."""
        return self._cancel.wait(seconds)

    def log(self, watched: Watched) -> Sequence[str]:
        """The last log lines of a Prometheus; () if its host cannot provide them."""
        return log_of(watched, self._plan, self._hosts)

    def say(self, host: str, text: str) -> None:
        """Emits a log line of the run."""
        self._emit(Event(run=self._run, kind="log", host=host, text=text))


def _bind_work(
    work: Callable[[ProxyAnswer, ComparisonResult], None], answer: ProxyAnswer, result: ComparisonResult
) -> Callable[[], None]:
    return lambda: work(answer, result)
