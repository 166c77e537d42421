"""What Prometheus reported before a run must be true again in time; each difference has its own error text."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from wizard.engine import baseline, stack_verification
from wizard.engine.hosts import Hosts
from wizard.engine.prometheus_recovery import ComparisonResult, MonitorCheck
from wizard.model import (
    AlertmanagerHealth,
    Attempt,
    Event,
    Facts,
    NotificationHealth,
    Plan,
    Probe,
    ProbedHealth,
    PrometheusHealth,
    RemoteWriteHealth,
    RuleHealth,
    Stack,
    TargetHealth,
    Watched,
)
from wizard.planner.health_findings import SLACK
from wizard.probes import Monitor

SINCE = 1000.0
UP = TargetHealth(
    pool="node",
    labels={"job": "node", "instance": "srv1:9100"},
    address="srv1:9100",
    url="http://srv1:9100/metrics",
    health="up",
    scraped=SINCE + 1,
    interval=5.0,
    timeout=5.0,
)
RULE = RuleHealth(group="rules.yml a", name="Down", health="ok", evaluated=SINCE + 1, interval=10.0)
QUEUE = RemoteWriteHealth(name="a", url="http://far:9090/api/v1/write", delivered=5, failed=0, newest=SINCE)
MANAGER = AlertmanagerHealth(url="http://am:9093/api/v2/alerts", status=200)
WATCHED = Watched(host="prom")
LOGINS = replace(WATCHED, remote_writes=(QUEUE.place,), alertmanagers=("am:9093",))
REFUSED = (
    'level=warn component=remote remote_name=a url=http://far:9090/api/v1/write msg="Failed to send batch, retrying" '
    'err="Post \\"http://far:9090/api/v1/write\\": oauth2: cannot fetch token: 401 Unauthorized"'
)
PROBED = ProbedHealth(labels={"job": "probes", "instance": "http://srv1:9091"}, success=True, at=SINCE)


@dataclass
class Prometheus:
    """A Prometheus after the run; each list contains successive answers, of which the last is repeated."""

    why: str = ""
    target_lists: list[tuple[TargetHealth, ...]] = field(default_factory=lambda: [(UP,)])
    manager_lists: list[tuple[AlertmanagerHealth, ...]] = field(default_factory=lambda: [(MANAGER,)])
    rule_lists: list[tuple[RuleHealth, ...]] = field(default_factory=lambda: [(RULE,)])
    queue_lists: list[tuple[RemoteWriteHealth, ...]] = field(default_factory=lambda: [(QUEUE,)])
    probed_lists: list[tuple[ProbedHealth, ...]] = field(default_factory=lambda: [(PROBED,)])
    notification_lists: list[tuple[NotificationHealth, ...]] = field(default_factory=lambda: [()])
    last_reload: bool | None = True
    alerting: bool = True

    @staticmethod
    def _next(answers: list[Any]) -> Any:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def targets(self) -> tuple[str, tuple[TargetHealth, ...]]:
        """An error or '', and the targets."""
        return self.why, () if self.why else self._next(self.target_lists)

    def alertmanagers(self) -> tuple[AlertmanagerHealth, ...]:
        """The Alertmanagers that it sends alerts to."""
        found: tuple[AlertmanagerHealth, ...] = self._next(self.manager_lists)
        return found

    def rules(self) -> tuple[RuleHealth, ...]:
        """The loaded rules."""
        found: tuple[RuleHealth, ...] = self._next(self.rule_lists)
        return found

    def remote_writes(self) -> tuple[RemoteWriteHealth, ...]:
        """The remote_write queues."""
        found: tuple[RemoteWriteHealth, ...] = self._next(self.queue_lists)
        return found

    def probe_results(self) -> tuple[ProbedHealth, ...]:
        """The results of blackbox probes."""
        found: tuple[ProbedHealth, ...] = self._next(self.probed_lists)
        return found

    def notifications(self) -> tuple[NotificationHealth, ...]:
        """The counters of sent alerts."""
        found: tuple[NotificationHealth, ...] = self._next(self.notification_lists)
        return found

    def is_alerting(self) -> bool:
        """Whether an alert fires."""
        return self.alerting

    def last_reload_succeeded(self) -> bool | None:
        """Whether the last reload succeeded."""
        return self.last_reload


@dataclass
class FakeComparison:
    """The comparison that a check belongs to, with its own clock."""

    prometheus: Prometheus
    now: float = 0.0
    stop_at: float = float("inf")
    accepted: frozenset[str] = frozenset()
    messages: list[str] = field(default_factory=list)
    protected: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def hosts(self) -> Hosts:
        """No hosts: the functions that use them are replaced."""
        return cast(Hosts, None)

    def owner(self, endpoint: str, asker: str) -> str:
        """The host name of the endpoint."""
        return endpoint.partition(":")[0] if endpoint.startswith("srv") else asker

    def is_protected(self, endpoint: str, asker: str) -> bool:
        """Whether the test lists the endpoint as protected."""
        return endpoint in self.protected

    def is_accepted(self, target: TargetHealth) -> bool:
        """Whether the test accepts the scrape pool."""
        return target.pool in self.accepted

    def is_accepted_probe(self, probed: ProbedHealth) -> bool:
        """Whether the test accepts the job."""
        return probed.labels["job"] in self.accepted

    def monitor(self, watched: Watched) -> Monitor:
        """The Prometheus of the test."""
        return cast(Monitor, self.prometheus)

    def clock(self, host: str) -> float:
        """The clock of this machine."""
        return 0.0

    def idle(self, seconds: float) -> bool:
        """Lets time pass at once."""
        self.now += seconds
        return self.now > self.stop_at

    def say(self, host: str, text: str) -> None:
        """Records a message."""
        self.messages.append(text)

    def log(self, watched: Watched) -> tuple[str, ...]:
        """The log lines that the test has set."""
        return self.lines


def run_check(
    monkeypatch: pytest.MonkeyPatch,
    prometheus: Prometheus,
    before: PrometheusHealth,
    watched: Watched = WATCHED,
    **more: Any,
) -> tuple[ComparisonResult, FakeComparison]:
    """Runs a check; returns its report and the comparison that it belonged to."""
    comparison = FakeComparison(prometheus, **more)
    monkeypatch.setattr(time, "monotonic", lambda: comparison.now)
    monkeypatch.setattr(
        baseline,
        "with_statuses",
        lambda found, host, hosts: tuple(found) if isinstance(found, Sequence) else (),
    )
    result = ComparisonResult()
    MonitorCheck(comparison, watched, before, SINCE, result).run()
    return result, comparison


def health(**more: Any) -> PrometheusHealth:
    """The state before the run: one target, and what the test adds."""
    return replace(PrometheusHealth(host="prom", targets=(UP,), reloaded=True), **more)


def texts(result: ComparisonResult) -> list[str]:
    return [each.what for each in result.broken]


ALL = {"alertmanagers": (MANAGER,), "rules": (RULE,), "remote_writes": (QUEUE,), "probed": (PROBED,)}


def test_an_unchanged_state_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    later = replace(QUEUE, delivered=9, newest=SINCE + 3)
    prometheus = Prometheus(queue_lists=[(QUEUE,), (later,)])
    result, comparison = run_check(monkeypatch, prometheus, health(**ALL))
    assert (result.broken, result.not_checked, result.down_before) == ([], [], [])
    assert comparison.now <= 1.0


def test_a_target_is_awaited_until_its_next_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    early = replace(UP, scraped=SINCE - 1)
    result, comparison = run_check(monkeypatch, Prometheus(target_lists=[*[(early,)] * 8, (UP,)]), health())
    assert result.broken == []
    assert comparison.now >= 4
    assert "the next scrape of 1 target that" in comparison.messages[0]


@pytest.mark.parametrize(
    ("now", "what", "todo"),
    [
        (
            (
                replace(
                    UP,
                    health="down",
                    error="server returned HTTP status 401 Unauthorized",
                    scraped=SINCE + SLACK,
                ),
            ),
            "srv1:9100 (job node) was up before and is down now: server returned HTTP status 401",
            "Give job node the scheme, CA and login",
        ),
        (
            (replace(UP, health="down", error="connection refused", scraped=SINCE + 1),),
            "was up before and is down now: connection refused",
            "Find out why it went down",
        ),
        ((replace(UP, scraped=SINCE - 1),), "was not scraped again within", "See the log of Prometheus"),
        ((), "was up before and is no target any more", "See the log of Prometheus, and its configuration"),
    ],
    ids=["rejected", "down", "not scraped", "gone"],
)
def test_a_target_that_stays_down_is_reported(
    now: tuple[TargetHealth, ...], what: str, todo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = run_check(monkeypatch, Prometheus(target_lists=[now]), health())
    (broken,) = result.broken
    assert what in broken.what
    assert broken.what.startswith("prom/prometheus: ")
    assert broken.todo.startswith(todo)
    assert (broken.host, broken.where) == ("srv1", "prom/prometheus")
    assert broken.error().where == "prom/prometheus"


def test_a_rejection_in_the_first_seconds_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    early = replace(UP, health="down", error="server returned HTTP status 400 Bad Request", scraped=SINCE + 1)
    result, _ = run_check(monkeypatch, Prometheus(target_lists=[(early,), (early,), (UP,)]), health())
    assert result.broken == []


def test_a_target_that_discovery_lost_is_only_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = run_check(
        monkeypatch,
        Prometheus(target_lists=[()]),
        health(targets=(replace(UP, discovered=True),)),
    )
    assert result.broken == []
    assert "discovery does not find it" in result.not_checked[0]


def test_targets_that_were_down_before_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    down = replace(
        UP, health="down", error="no route", labels={"job": "x", "instance": "other"}, url="http://other/"
    )
    result, _ = run_check(monkeypatch, Prometheus(target_lists=[(UP, down)]), health(targets=(UP, down)))
    assert result.broken == []
    assert result.down_before == ["other (job x) was down before (no route), is down after: no route"]
    gone, _ = run_check(monkeypatch, Prometheus(), health(targets=(UP, down)))
    assert "no target any more" in gone.down_before[0]


def test_accepted_failures_are_not_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    down = replace(UP, health="down", error="server returned HTTP status 400 Bad Request")
    result, comparison = run_check(
        monkeypatch, Prometheus(target_lists=[(down,)]), health(), accepted=frozenset({"node"})
    )
    assert (result.broken, comparison.now) == ([], 0)


def test_a_prometheus_that_became_unreachable_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = run_check(monkeypatch, Prometheus(why="connection refused"), health(**ALL))
    assert texts(result) == ["prom/prometheus: it answered before and does not now: connection refused"]


def test_every_wait_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    for prometheus in (
        Prometheus(target_lists=[(replace(UP, scraped=0.0),)]),
        Prometheus(probed_lists=[()]),
        Prometheus(manager_lists=[()]),
        Prometheus(rule_lists=[(replace(RULE, evaluated=0.0),)]),
        Prometheus(queue_lists=[(QUEUE,)]),
    ):
        result, _ = run_check(monkeypatch, prometheus, health(**ALL), stop_at=0.0)
        assert result.broken == []


def test_a_failed_reload_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = run_check(monkeypatch, Prometheus(last_reload=False), health())
    assert "the last reload failed" in texts(result)[0]


def test_a_failing_blackbox_probe_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Prometheus(probed_lists=[(replace(PROBED, success=False),)])
    result, _ = run_check(monkeypatch, failed, health(probed=(PROBED,)))
    assert "got through to http://srv1:9091 (job probes) before and does not now" in texts(result)[0]
    assert result.broken[0].host == "srv1"
    again = Prometheus(probed_lists=[(), (PROBED,)])
    assert run_check(monkeypatch, again, health(probed=(PROBED,)))[0].broken == []
    accepted, _ = run_check(monkeypatch, failed, health(probed=(PROBED,)), accepted=frozenset({"probes"}))
    assert accepted.broken == []


@pytest.mark.parametrize(
    ("now", "what"),
    [
        ((replace(MANAGER, status=500),), "answered 200 before and answers 500 now"),
        ((replace(MANAGER, status=0),), "answered 200 before and answers nothing now"),
        ((), "answered 200 before and is not used any more"),
    ],
)
def test_an_alertmanager_with_another_status_is_reported(
    now: tuple[AlertmanagerHealth, ...], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = run_check(monkeypatch, Prometheus(manager_lists=[now]), health(alertmanagers=(MANAGER,)))
    assert what in texts(result)[0]


@pytest.mark.parametrize(
    ("before", "now", "protected"),
    [
        (MANAGER, replace(MANAGER, url="https://am:9093/api/v2/alerts", status=401), ()),
        (replace(MANAGER, status=0), replace(MANAGER, status=0), ()),
        (MANAGER, replace(MANAGER, status=401), ("am:9093",)),
    ],
    ids=["turned to https", "never answered", "protected by the plan"],
)
def test_an_accepted_alertmanager_may_change_its_status(
    before: AlertmanagerHealth,
    now: AlertmanagerHealth,
    protected: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result, _ = run_check(
        monkeypatch,
        Prometheus(manager_lists=[(now,)]),
        health(alertmanagers=(before,)),
        protected=protected,
    )
    assert result.broken == []


def test_failing_missing_and_unevaluated_rules_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = replace(RULE, health="err", error="no such metric")
    result, _ = run_check(monkeypatch, Prometheus(rule_lists=[(failing,)]), health(rules=(RULE,)))
    assert "rule Down of rules.yml a was evaluated before and fails now: no such metric" in texts(result)[0]
    result, _ = run_check(monkeypatch, Prometheus(rule_lists=[()]), health(rules=(RULE,)))
    assert "rule Down of rules.yml a was loaded before and is not now (1 in all)" in texts(result)[0]
    late = replace(RULE, evaluated=0.0)
    result, _ = run_check(monkeypatch, Prometheus(rule_lists=[(late,)]), health(rules=(RULE,)))
    assert (result.broken, result.not_checked) == ([], ["rule Down was not evaluated again yet"])
    result, _ = run_check(monkeypatch, Prometheus(rule_lists=[(), (late,), (RULE,)]), health(rules=(RULE,)))
    assert (result.broken, result.not_checked) == ([], [])


def test_a_remote_write_that_delivers_nothing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    result, comparison = run_check(monkeypatch, Prometheus(), health(remote_writes=(QUEUE,)))
    assert "remote_write to http://far:9090/api/v1/write was delivering before" in texts(result)[0]
    assert comparison.now > 5
    gone, _ = run_check(monkeypatch, Prometheus(queue_lists=[()]), health(remote_writes=(QUEUE,)))
    assert len(gone.broken) == 1
    idle, _ = run_check(
        monkeypatch, Prometheus(queue_lists=[()]), health(remote_writes=(replace(QUEUE, delivered=0),))
    )
    assert idle.broken == [], "it delivered nothing before either"


def test_failed_scrapes_produce_samples_to_send_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failed scrape produces a sample, so the wait is not longer if no target is up."""
    before = health(remote_writes=(QUEUE,), targets=(replace(UP, health="down"),))
    for watched in (WATCHED, LOGINS):
        result, comparison = run_check(monkeypatch, Prometheus(), before, watched)
        assert result.broken
        assert comparison.now < 80


def test_a_remote_write_with_only_rejected_batches_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart, a batch was dropped and the next is being sent: an attempt is counted when it begins."""
    anew = replace(QUEUE, delivered=0, newest=0)
    going = replace(QUEUE, delivered=4, failed=4, pending=4, newest=SINCE + 3)
    result, _ = run_check(
        monkeypatch, Prometheus(queue_lists=[(anew,), (going,)]), health(remote_writes=(QUEUE,))
    )
    assert len(result.broken) == 1
    more = replace(going, delivered=4, pending=0)
    result, _ = run_check(
        monkeypatch, Prometheus(queue_lists=[(anew,), (more,)]), health(remote_writes=(QUEUE,))
    )
    assert len(result.broken) == 1, "more is dropped than can have arrived"
    well = replace(QUEUE, delivered=9, pending=3, newest=SINCE + 3)
    result, _ = run_check(
        monkeypatch, Prometheus(queue_lists=[(anew,), (well,)]), health(remote_writes=(QUEUE,))
    )
    assert result.broken == []


def sent_counters(alerts: float, errors: float) -> tuple[NotificationHealth, ...]:
    """The counters of alerts sent to one Alertmanager."""
    return (NotificationHealth(url="https://am:9093/api/v2/alerts", sent=alerts, errors=errors),)


def test_accepted_logins_are_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = replace(QUEUE, delivered=0, newest=0)
    prometheus = Prometheus(
        queue_lists=[(begun,), (begun,), (QUEUE,)],
        notification_lists=[sent_counters(3, 3), sent_counters(4, 4), sent_counters(5, 4)],
    )
    result, comparison = run_check(monkeypatch, prometheus, health(), LOGINS)
    assert (result.broken, result.not_checked) == ([], [])
    assert comparison.now < 5


def test_rejected_logins_are_found_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = replace(QUEUE, delivered=0, newest=0)
    counters = [sent_counters(number, number) for number in range(90)]
    prometheus = Prometheus(queue_lists=[(begun,)], notification_lists=counters)
    result, comparison = run_check(
        monkeypatch, prometheus, health(), LOGINS, lines=(REFUSED, "level=info msg=x")
    )
    written, alerted = texts(result)
    assert "remote_write to far:9090/api/v1/write delivers nothing with its login" in written
    assert "does not accept client_id or client_secret" in written
    assert result.broken[0].todo.startswith("Correct them")
    assert "Alertmanager am:9093 rejects alerts with its login" in alerted
    assert comparison.now > 30


def test_an_alertmanager_that_receives_nothing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    prometheus = Prometheus(notification_lists=[sent_counters(3, 0)])
    result, _ = run_check(monkeypatch, prometheus, health(), LOGINS)
    assert result.broken == []
    assert result.not_checked == ["no alert was sent to am:9093 yet, so its login could not be looked at"]
    stopped, comparison = run_check(
        monkeypatch, Prometheus(notification_lists=[()]), health(), LOGINS, stop_at=2.0
    )
    assert (stopped.broken, stopped.not_checked, comparison.now) == ([], [], 3.0)


def run_verification(
    monkeypatch: pytest.MonkeyPatch, prometheus: Prometheus, *, lines: tuple[str, ...] = ()
) -> dict[str, Attempt]:
    """Runs a verification that follows no change; returns its report by setting."""
    prometheus_at = Probe(
        id="x",
        host="prom",
        component="prometheus",
        name="x",
        client="x",
        expect="200",
        url="http://prom:9090",
    )
    comparison = FakeComparison(prometheus, lines=lines)
    monkeypatch.setattr(baseline, "monitor", lambda *_: prometheus)
    monkeypatch.setattr(stack_verification, "_Surroundings", lambda *_: comparison)
    stack = Stack(hosts=(), components=())
    watched = replace(LOGINS, after=(prometheus_at,))
    plan = Plan(stack=stack, facts=Facts(hosts={}), steps=(), probes=(), watched=(WATCHED, watched))
    events: list[Event] = []
    found = stack_verification.verify(
        plan, None, cast(Hosts, SimpleNamespace(dial=None)), events.append, threading.Event(), most=1
    )
    assert [(each.done, each.total) for each in events if each.attempt] == [(1, 2), (2, 2)]
    return {each.probe.client.split()[-1]: each for each in found}


def test_logins_are_verified_again_by_new_requests_only(monkeypatch: pytest.MonkeyPatch) -> None:
    later = replace(QUEUE, delivered=9, newest=SINCE + 3)
    works = Prometheus(
        queue_lists=[(QUEUE,), (later,)], notification_lists=[sent_counters(3, 3), sent_counters(4, 3)]
    )
    found = run_verification(monkeypatch, works)
    assert {each.outcome for each in found.values()} == {"accepted"}
    assert found["remote_write"].curl.endswith(
        "http://prom:9090/metrics | grep -E 'remote_storage_.*samples'"
    )

    revoked = Prometheus(
        queue_lists=[(QUEUE,)], notification_lists=[sent_counters(number, number) for number in range(90)]
    )
    found = run_verification(monkeypatch, revoked, lines=(REFUSED,))
    assert {each.failed for each in found.values()} == {True}
    assert "does not accept client_id or client_secret" in found["remote_write"].reason


def test_a_login_for_alerts_is_not_awaited_if_no_alert_fires(monkeypatch: pytest.MonkeyPatch) -> None:
    later = replace(QUEUE, delivered=9, newest=SINCE + 3)
    quiet = Prometheus(
        queue_lists=[(QUEUE,), (later,)], notification_lists=[sent_counters(3, 0)], alerting=False
    )
    found = run_verification(monkeypatch, quiet)["alertmanagers"]
    assert (found.outcome, found.ok, found.failed) == ("unknown", False, False)
    assert "no alert was sent to am:9093 in the meantime" in found.excused
