"""Queries one Prometheus after a run until it reports the same healthy state as before, or a time limit ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from wizard.engine import baseline
from wizard.engine.hosts import Hosts
from wizard.engine.login_check import LoginCheck
from wizard.errors import VerificationError
from wizard.model import ProbedHealth, PrometheusHealth, RemoteWriteHealth, TargetHealth, Watched
from wizard.planner import health_findings
from wizard.planner.health_findings import SLACK, wait_of
from wizard.plurals import count_noun
from wizard.probes import Monitor, cause_of
from wizard.redact import redact

_PAUSE: Final = 0.5
_AGAIN: Final = 2 * SLACK
"""Seconds within which a restarted Prometheus has its targets, rules and Alertmanagers again."""
_RULES: Final = 75.0
"""Longest wait for a rule's next evaluation in seconds; the group's interval applies if it is shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """Something that worked before the run and does not any more; `host` is the host that has to be rolled back."""

    host: str
    what: str
    where: str
    todo: str

    def error(self) -> VerificationError:
        """The regression as an error."""
        return VerificationError(self.what, where=self.where, todo=self.todo)


@dataclass(slots=True)
class ComparisonResult:
    """The results of a comparison; several threads append to it."""

    broken: list[Regression] = field(default_factory=list)
    down_before: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)


class Surroundings(Protocol):
    """What a `MonitorCheck` needs from the comparison that it belongs to."""

    @property
    def hosts(self) -> Hosts:
        """The connections of the run."""
        ...

    def owner(self, endpoint: str, asker: str) -> str:
        """The host of the server to which `asker` resolves host:port; `asker` if the stack has no such server."""
        ...

    def is_protected(self, endpoint: str, asker: str) -> bool:
        """Whether `asker` resolves host:port to a server that the stack protects."""
        ...

    def is_accepted(self, target: TargetHealth) -> bool:
        """Whether the person has accepted that this target goes down."""
        ...

    def is_accepted_probe(self, probed: ProbedHealth) -> bool:
        """Whether the person has accepted that a probe of a blackbox exporter fails."""
        ...

    def monitor(self, watched: Watched) -> Monitor:
        """A client for the API of a Prometheus, with the credentials that it requires now."""
        ...

    def clock(self, host: str) -> float:
        """Seconds by which a host's clock is ahead of this machine's."""
        ...

    def idle(self, seconds: float) -> bool:
        """Waits; returns True if the person stopped the run."""
        ...

    def say(self, host: str, text: str) -> None:
        """Emits a log line of the run."""
        ...

    def log(self, watched: Watched) -> Sequence[str]:
        """The last log lines of a Prometheus."""
        ...


class MonitorCheck:
    """Queries one Prometheus until it reports the same healthy state as before, or a time limit ends.

    Args:
        surroundings: the comparison that the check belongs to.
        before: what Prometheus reported before the run.
        since: unix time; only scrapes and rule evaluations after it count. 0 for all.
        result: regressions and remarks are added to it.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        watched: Watched,
        before: PrometheusHealth,
        since: float,
        result: ComparisonResult,
    ) -> None:
        self._surroundings, self._watched, self._before = surroundings, watched, before
        self._result = result
        self._since = since + surroundings.clock(watched.host) if since else 0.0
        self._began = time.monotonic()
        self._monitor = surroundings.monitor(watched)

    def run(self) -> None:
        """Compares targets, blackbox results, Alertmanagers, rules, remote_write and logins."""
        if not self._targets():
            return
        self._check_blackbox_results()
        self._alertmanagers()
        self._rules()
        self._remote_writes()
        self._logins()
        if self._before.reloaded and self._monitor.last_reload_succeeded() is False:
            self._record_regression(
                "its configuration was reloaded before, and the last reload failed", "See its log"
            )

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    @property
    def _sampled(self) -> float:
        """Seconds after which there are new samples to send; a failed scrape yields samples too (up is 0)."""
        return min((each.interval for each in self._before.targets), default=60.0)

    def _record_regression(self, what: str, todo: str, *, endpoint: str = "") -> None:
        host = self._watched.host
        self._result.broken.append(
            Regression(
                host=self._surroundings.owner(endpoint, host) if endpoint else host,
                what=f"{self._watched.key}: {redact(what)}",
                where=self._watched.key,
                todo=todo,
            )
        )

    # -- targets ------------------------------------------------------------------------------------------

    def _targets(self) -> bool:
        """Compares the targets; returns whether Prometheus answered."""
        waiting = [
            each
            for each in self._before.targets
            if each.health == "up" and not self._surroundings.is_accepted(each)
        ]
        is_announced = False
        while True:
            why, now = self._monitor.targets()
            if why and self._elapsed > _AGAIN:
                self._record_regression(f"it answered before and does not now: {why}", "See its log")
                return False
            if not why:
                waiting = [each for each in waiting if not self._check_target(each, now)]
                if not waiting:
                    self._tell_down(now)
                    return True
            if not is_announced and self._elapsed > 2:
                is_announced = True
                longest = max((wait_of(each.interval, each.timeout) for each in waiting), default=_AGAIN)
                self._surroundings.say(
                    self._watched.host,
                    f"waiting for the next scrape of {count_noun(len(waiting), 'target')} that Prometheus reported as up "
                    f"(up to {health_findings.format_duration(longest)})",
                )
            # A response with thousands of targets is expensive for Prometheus, so it is queried less often.
            if self._surroundings.idle(max(_PAUSE, min(len(now) / 500, 5.0))):
                return False

    def _check_target(self, before: TargetHealth, now: Sequence[TargetHealth]) -> bool:
        """Whether the result for a target is final; a regression is then recorded."""
        match = find(before, now)
        wait = wait_of(before.interval, before.timeout)
        if match is None:
            if before.discovered:
                self._result.not_checked.append(f"{before.name}: its discovery does not find it any more")
                return True
            if self._elapsed < _AGAIN:
                return False
            self._record_regression(
                f"{before.name} was up before and is no target any more",
                "See the log of Prometheus, and its configuration",
                endpoint=before.endpoint,
            )
            return True
        scraped = match.scraped >= self._since and match.health != "unknown"
        if scraped and match.health == "up":
            return True
        if not scraped:
            if self._elapsed < wait:
                return False
            self._record_regression(
                f"{before.name} was up before and was not scraped again within {health_findings.format_duration(wait)}",
                "See the log of Prometheus",
                endpoint=before.endpoint,
            )
            return True
        cause = cause_of(match.error)
        # Prometheus may use the old scheme for some more seconds. A failure for another reason gets a second scrape.
        final = (
            match.scraped >= self._since + SLACK
            if cause != "other"
            else self._elapsed > wait + before.interval
        )
        if not final and self._elapsed < wait + before.interval:
            return False
        self._record_regression(
            f"{before.name} was up before and is down now: {match.error}",
            "Find out why it went down, then apply again"
            if cause == "other"
            else f"Give job {match.pool} the scheme, CA and login of what it scrapes, or keep that as is",
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
                self._result.down_before.append(
                    f"{each.name} was down before ({each.error}), is down after: {after}"
                )

    def _check_blackbox_results(self) -> None:
        """Compares probe_success of blackbox exporters; every target was scraped again by now, so the results are new."""
        waiting = [
            each
            for each in self._before.probed
            if each.success and not self._surroundings.is_accepted_probe(each)
        ]
        longest = max((each.interval for each in self._before.targets if each.health == "up"), default=60.0)
        limit = self._elapsed + _AGAIN + longest
        while waiting:
            good = {each.identity for each in self._monitor.probe_results() if each.success}
            waiting = [each for each in waiting if each.identity not in good]
            if not waiting or self._elapsed > limit:
                break
            if self._surroundings.idle(1.0):
                return
        for each in waiting:
            self._record_regression(
                f"a blackbox exporter got through to {each.name} before and does not now",
                "Give its target an https URL, and its module the CA and login, or keep the server as is",
                endpoint=each.endpoint,
            )

    # -- Alertmanagers, rules, remote_write ---------------------------------------------------------------

    def _alertmanagers(self) -> None:
        before = {each.place: each for each in self._before.alertmanagers}
        while before:
            found = baseline.with_statuses(
                self._monitor.alertmanagers(), self._watched.host, self._surroundings.hosts
            )
            for each in found:
                was = before.get(each.place)
                has_new_url = was is not None and was.url != each.url
                if was is not None and (
                    has_new_url
                    or not was.status
                    or was.status // 100 == each.status // 100
                    # A protected one may require a login or a certificate now; the plan's own probes verify that.
                    or self._surroundings.is_protected(each.place.partition("/")[0], self._watched.host)
                ):
                    del before[each.place]
            if not before or self._elapsed > _AGAIN:
                break
            if self._surroundings.idle(1.0):
                return
        for was in before.values():
            now = next((each for each in found if each.place == was.place), None)
            self._record_regression(
                f"Alertmanager {was.url} answered {was.status} before and "
                + (f"answers {now.status or 'nothing'} now" if now else "is not used any more"),
                "Give it the scheme, CA and login in the alerting section, or keep it as is",
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
                self._record_regression(
                    f"rule {name} of {group} was loaded before and is not now ({len(missing)} in all)",
                    "See the log of Prometheus",
                )
                return
            open_ = []
            for each in waiting:
                now = found.get((each.group, each.name))
                if now is None or (now.evaluated < self._since and now.health != "err"):
                    if self._elapsed < min(each.interval + SLACK, _RULES) or now is None:
                        open_.append(each)
                    else:
                        self._result.not_checked.append(f"rule {each.name} was not evaluated again yet")
                elif now.health == "err":
                    self._record_regression(
                        f"rule {each.name} of {each.group} was evaluated before and fails now: {now.error}",
                        "Look at what its expression finds now",
                    )
            waiting = open_
            if waiting and self._surroundings.idle(1.0):
                return

    def _remote_writes(self) -> None:
        waiting = [each for each in self._before.remote_writes if each.works]
        limit = self._elapsed + self._sampled + _AGAIN
        first: dict[str, RemoteWriteHealth] = {}
        while waiting:
            now = {each.place: each for each in self._monitor.remote_writes()}
            # A restart resets the counters, so deliveries count from the first values that are read here.
            first = first or now
            waiting = [each for each in waiting if not _delivers(now.get(each.place), first.get(each.place))]
            if not waiting:
                return
            if self._elapsed > limit:
                break
            if self._surroundings.idle(1.0):
                return
        for each in waiting:
            self._record_regression(
                f"remote_write to {each.url} was delivering before and has delivered nothing since the change",
                "See the log of Prometheus; give that remote_write the scheme, CA and login",
                endpoint=each.place.partition("/")[0],
            )

    def _logins(self) -> None:
        """Checks the remote_write endpoints and Alertmanagers for which Prometheus got a login."""
        check = LoginCheck(self._surroundings, self._watched, self._monitor)
        for each in check.run(self._sampled + _AGAIN):
            if each.todo:
                self._record_regression(each.what, each.todo)
            elif each.what:
                self._result.not_checked.append(each.what)


def find(before: TargetHealth, now: Sequence[TargetHealth]) -> TargetHealth | None:
    """Finds the same target in a later list: by its labels, or by address and labels except `job` if a job was split."""
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


def _delivers(now: RemoteWriteHealth | None, was: RemoteWriteHealth | None) -> bool:
    """Whether a remote_write queue has delivered samples since its counters were first read."""
    return now is not None and (now.works if was is None else now.is_ahead_of(was))
