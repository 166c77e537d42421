"""What was up before is up after: compares what works now with a baseline, and waits as long as a scrape needs.

What was down before for a reason of its own is told, and does not count. What could not be looked at is told, and
never passes for a success.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from wizard.engine import baseline, vantage
from wizard.engine.hosts import Hosts
from wizard.engine.lanes import side_by_side
from wizard.engine.reaching import is_address
from wizard.errors import ProofError
from wizard.model import (
    Attempt,
    Baseline,
    Event,
    HealthReport,
    Plan,
    PrometheusHealth,
    ProxyAnswer,
    TargetHealth,
    Watched,
)
from wizard.probes import Monitor, cause_of
from wizard.redact import redact
from wizard.steps import healthfindings, layout, monitors
from wizard.steps.healthfindings import SLACK, wait_of

_PAUSE: Final = 0.5
_AGAIN: Final = 2 * SLACK
"""Seconds after which a Prometheus that restarted knows its targets, rules and Alertmanagers again."""
_RULES: Final = 75.0
"""Seconds that a rule's next evaluation is waited for at most; the group's interval counts where it is shorter."""
_PROXY: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """Something that worked before and does not any more; `host` is the one whose change is to be rolled back."""

    host: str
    what: str
    where: str
    todo: str

    def error(self) -> ProofError:
        """As an error that names what broke."""
        return ProofError(self.what, where=self.where, todo=self.todo)


def excuse(before: Baseline | None, attempt: Attempt) -> str:
    """Why a probe of Prometheus' own view does not count, though the target is not up; '' if it counts.

    The target was down before for a reason that no change of protection cures, and is not down for another one now.
    """
    probe = attempt.probe
    if before is None or probe.kind != "up" or attempt.ok or attempt.pending or attempt.outcome != "down":
        return ""
    health = before.of(probe.asker)
    found = [each for each in health.targets if healthfindings.is_of(probe, each)] if health else []
    same = [each for each in found if probe.job in (each.pool, each.labels.get("job"))] or found
    if not same or any(each.health != "down" or cause_of(each.error) != "other" for each in same):
        return ""
    if cause_of(attempt.reason) != "other":
        return ""
    return f"was down before ({same[0].error}), is down after: {attempt.reason}"


@dataclass(slots=True)
class _Told:
    """What a comparison has found, filled by several threads."""

    broken: list[Regression] = field(default_factory=list)
    down_before: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)


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
        self._accepted = tuple(each.key for each in accepted)
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
        told = _Told(accepted=list(self._accepted))
        work: list[Callable[[], None]] = []
        for each in watched:
            health = self._before.of(each.key)
            if health is None:
                continue
            if health.unanswered:
                told.not_checked.append(f"{each.key}: could not be asked before: {health.unanswered}")
                continue
            work.append(_Look(self, each, health, since, told).run)
        work += [_bound(self._proxy, answer, told) for answer in self._before.proxies]
        side_by_side(lambda one: one(), work)
        # Two that ask the same may find the same.
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
        client = next(
            (
                client
                for _, client in monitors.monitors(self._plan.stack, self._plan.facts)
                if client.host.spec.name == asker
            ),
            None,
        )
        servers = layout.servers(self._plan.stack, self._plan.facts)
        if client is not None:
            for server in servers:
                if client.means(endpoint, server):
                    return server.spec.host
        name, _, port = endpoint.rpartition(":")
        bare = name.strip("[]")
        known = (bare,) if is_address(bare) else vantage.addresses(self._hosts, asker, bare)
        for server in servers:
            own = {*server.host.names, server.address.rpartition(":")[0].strip("[]")}
            if str(server.port) == port and own & set(known):
                return server.spec.host
        return asker

    def is_accepted(self, target: TargetHealth) -> bool:
        """Whether the person has accepted that this target goes down."""
        return target.identity in self._accepted_targets

    # -- reverse proxies ----------------------------------------------------------------------------------

    def _proxy(self, before: ProxyAnswer, told: _Told) -> None:
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
            told.not_checked.append(f"{route.where}: {route.url} cannot be asked any more")
            return
        told.broken.append(
            Regression(
                host=self.owner(route.upstream, route.host),
                what=f"{route.url} behind {route.program} answered {before.status} before and "
                + (f"answers {now} now" if now else "gives no answer now"),
                where=route.where,
                todo=f"Let {route.program} ask {route.upstream} as it is protected now, or leave that as it is",
            )
        )

    # -- for _Look ----------------------------------------------------------------------------------------

    @property
    def hosts(self) -> Hosts:
        """The connections of the run."""
        return self._hosts

    def monitor(self, watched: Watched) -> Monitor:
        """A Prometheus as it is asked now."""
        return baseline.monitor(watched, watched.after, self._plan.facts, self._hosts, self._cancel)

    def clock(self, host: str) -> float:
        """Seconds by which a host's clock is ahead."""
        known = self._plan.facts.hosts.get(host)
        return known.clock if known is not None else 0.0

    def idle(self, seconds: float) -> bool:
        """Waits; True if the person stopped the run."""
        return self._cancel.wait(seconds)

    def say(self, host: str, text: str) -> None:
        """A line for whoever watches the run."""
        self._emit(Event(run=self._run, kind="log", host=host, text=text))


class _Look:
    """One Prometheus, asked again and again until what it reported before is so again or has had its time."""

    def __init__(
        self, whole: Comparison, watched: Watched, before: PrometheusHealth, since: float, told: _Told
    ) -> None:
        self._whole, self._watched, self._before, self._told = whole, watched, before, told
        self._since = since + whole.clock(watched.host) if since else 0.0
        self._began = time.monotonic()
        self._monitor = whole.monitor(watched)

    def run(self) -> None:
        """Compares all of it."""
        if not self._targets():
            return
        self._alertmanagers()
        self._rules()
        self._remote_writes()
        if self._before.reloaded and self._monitor.reloaded() is False:
            self._lost("its configuration was reloaded before, and the last reload failed", "see its log")

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _lost(self, what: str, todo: str, *, endpoint: str = "") -> None:
        host = self._watched.host
        self._told.broken.append(
            Regression(
                host=self._whole.owner(endpoint, host) if endpoint else host,
                what=f"{self._watched.key}: {redact(what)}",
                where=self._watched.key,
                todo=f"{todo[:1].upper()}{todo[1:]}",
            )
        )

    # -- targets ------------------------------------------------------------------------------------------

    def _targets(self) -> bool:
        """Whether it could be asked."""
        waiting = [
            each for each in self._before.targets if each.health == "up" and not self._whole.is_accepted(each)
        ]
        said = False
        while True:
            why, now = self._monitor.targets()
            if why and self._elapsed > _AGAIN:
                self._lost(f"it could be asked before, and cannot be now: {why}", "see its log")
                return False
            if not why:
                waiting = [each for each in waiting if not self._settled(each, now)]
                if not waiting:
                    self._tell_down(now)
                    return True
            if not said and self._elapsed > 2:
                said = True
                longest = max((wait_of(each.interval, each.timeout) for each in waiting), default=_AGAIN)
                self._whole.say(
                    self._watched.host,
                    f"waiting until {len(waiting)} targets that were up before are scraped again "
                    f"(up to {healthfindings.shown(longest)})",
                )
            # A Prometheus with thousands of targets is not asked all the time.
            if self._whole.idle(max(_PAUSE, min(len(now) / 500, 5.0))):
                return False

    def _settled(self, before: TargetHealth, now: Sequence[TargetHealth]) -> bool:
        """Whether it is decided; what is broken is told then."""
        match = find(before, now)
        wait = wait_of(before.interval, before.timeout)
        if match is None:
            if before.discovered:
                self._told.not_checked.append(f"{before.name}: its discovery does not find it any more")
                return True
            if self._elapsed < _AGAIN:
                return False
            self._lost(
                f"{before.name} was up before and is no target any more",
                "see the log of Prometheus, and its configuration",
                endpoint=before.endpoint,
            )
            return True
        scraped = match.scraped >= self._since and match.health != "unknown"
        if scraped and match.health == "up":
            return True
        if not scraped:
            if self._elapsed < wait:
                return False
            self._lost(
                f"{before.name} was up before and was not scraped again within {healthfindings.shown(wait)}",
                "see the log of Prometheus",
                endpoint=before.endpoint,
            )
            return True
        cause = cause_of(match.error)
        # Prometheus may ask by the old scheme for some seconds more; what fails by itself has a second chance.
        final = (
            match.scraped >= self._since + SLACK
            if cause != "other"
            else self._elapsed > wait + before.interval
        )
        if not final and self._elapsed < wait + before.interval:
            return False
        self._lost(
            f"{before.name} was up before and is down now: {match.error}",
            "find out why it went down, then apply again"
            if cause == "other"
            else f"give job {match.pool} the scheme, CA and login of what it scrapes, or leave that as it is",
            endpoint=before.endpoint,
        )
        return True

    def _tell_down(self, now: Sequence[TargetHealth]) -> None:
        for each in self._before.targets:
            if each.health != "down":
                continue
            match = find(each, now)
            if match is None or match.health != "up":
                after = match.error or match.health if match is not None else "it is no target any more"
                self._told.down_before.append(
                    f"{each.name} was down before ({each.error}), is down after: {after}"
                )

    # -- the rest -----------------------------------------------------------------------------------------

    def _alertmanagers(self) -> None:
        before = {each.place: each for each in self._before.alertmanagers}
        while before:
            found = baseline.answering(self._monitor.alertmanagers(), self._watched.host, self._whole.hosts)
            for each in found:
                was = before.get(each.place)
                turned = was is not None and was.url != each.url  # its own probes say whether that holds
                if was is not None and (turned or not was.status or was.status // 100 == each.status // 100):
                    del before[each.place]
            if not before or self._elapsed > _AGAIN:
                break
            if self._whole.idle(1.0):
                return
        for was in before.values():
            now = next((each for each in found if each.place == was.place), None)
            self._lost(
                f"Alertmanager {was.url} answered {was.status} before and "
                + (f"answers {now.status or 'nothing'} now" if now else "is not used any more"),
                "give it the scheme, CA and login in the alerting section, or leave it as it is",
                endpoint=was.place.partition("/")[0],
            )

    def _rules(self) -> None:
        waiting = [each for each in self._before.rules if each.health == "ok"]
        loaded = {(each.group, each.name) for each in self._before.rules}
        while waiting:
            found = {(each.group, each.name): each for each in self._monitor.rules()}
            missing = loaded - set(found)
            late = self._elapsed > _AGAIN
            if missing and late:
                group, name = min(missing)
                self._lost(
                    f"rule {name} of {group} was loaded before and is not now ({len(missing)} in all)",
                    "see the log of Prometheus",
                )
                return
            open_ = []
            for each in waiting:
                now = found.get((each.group, each.name))
                if now is None or (now.evaluated < self._since and now.health != "err"):
                    if self._elapsed < min(each.interval + SLACK, _RULES) or now is None:
                        open_.append(each)
                    else:
                        self._told.not_checked.append(f"rule {each.name} was not evaluated again yet")
                elif now.health == "err":
                    self._lost(
                        f"rule {each.name} of {each.group} was evaluated before and fails now: {now.error}",
                        "look at what its expression finds now",
                    )
            waiting = open_
            if waiting and self._whole.idle(1.0):
                return

    def _remote_writes(self) -> None:
        waiting = [each for each in self._before.remote_writes if each.works]
        scrapes = [each.interval for each in self._before.targets if each.health == "up"]
        limit = self._elapsed + min(scrapes, default=60.0) + _AGAIN
        first: dict[str, float] = {}
        while waiting:
            now = {each.place: each.delivered for each in self._monitor.remote_writes()}
            # A restart begins to count anew: what is delivered from here on counts.
            first = first or now
            waiting = [each for each in waiting if now.get(each.place, 0.0) <= first.get(each.place, 0.0)]
            if not waiting:
                return
            if self._elapsed > limit:
                break
            if self._whole.idle(1.0):
                return
        for each in waiting:
            self._lost(
                f"remote_write to {each.url} was delivering before and has delivered nothing since the change",
                "see the log of Prometheus; give that remote_write the scheme, CA and login",
                endpoint=each.place.partition("/")[0],
            )


def find(before: TargetHealth, now: Sequence[TargetHealth]) -> TargetHealth | None:
    """The same target later: by its labels, and where a job was divided, by its labels and address."""
    same = [each for each in now if each.identity == before.identity]
    if not same:
        bare = [pair for pair in before.identity if pair[0] != "job"]
        same = [
            each
            for each in now
            if each.place == before.place and [pair for pair in each.identity if pair[0] != "job"] == bare
        ]
    if not same:
        return None
    return max(same, key=lambda each: (each.pool == before.pool, each.place == before.place))


def _bound(
    work: Callable[[ProxyAnswer, _Told], None], answer: ProxyAnswer, told: _Told
) -> Callable[[], None]:
    return lambda: work(answer, told)
