"""Verifies a stack when no run is under way: its probes, and the logins of each Prometheus elsewhere.

A job's login is verified by the state of its targets; of remote_write endpoints and Alertmanagers, the counters of
Prometheus tell what arrives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from wizard.config_files import durations
from wizard.engine import baseline, regressions, verification
from wizard.engine.hosts import Hosts
from wizard.engine.login_check import LoginCheck, LoginResult, log_of
from wizard.engine.parallel import run_parallel
from wizard.model import Attempt, Baseline, Event, Plan, Watched
from wizard.planner import monitors
from wizard.planner.health_findings import SLACK
from wizard.probes import curl
from wizard.redact import redact

_RESENT: Final = "1m"
"""After which Prometheus sends a firing alert again, where --rules.alert.resend-delay does not say."""


def verify(
    plan: Plan,
    before: Baseline | None,
    hosts: Hosts,
    emit: Callable[[Event], None],
    cancel: threading.Event,
    *,
    most: int,
) -> tuple[Attempt, ...]:
    """The probes of a plan, made now, and what Prometheus tells of its logins elsewhere.

    Args:
        before: what worked before the newest run.
        most: machines that are probed at once.
    """
    attempts = verification.run_probes(
        plan.probes,
        run="",
        emit=emit,
        cancel=cancel,
        most=most,
        dial=hosts.dial,
        excuse=lambda attempt: regressions.excuse(before, attempt),
        beside=_count(plan),
    )
    return (*attempts, *verify_logins(plan, hosts, emit, cancel))


def _count(plan: Plan) -> int:
    return sum(len(each.remote_writes) + len(each.alertmanagers) for each in plan.watched)


def verify_logins(
    plan: Plan, hosts: Hosts, emit: Callable[[Event], None], cancel: threading.Event
) -> tuple[Attempt, ...]:
    """An attempt for each remote_write endpoint and Alertmanager that a Prometheus of the plan logs in at.

    It waits for the next samples, and where an alert is firing, until that is sent again.
    """
    having = [each for each in plan.watched if each.remote_writes or each.alertmanagers]
    asked = len(plan.probes)
    found: list[Attempt] = []
    for mine in run_parallel(lambda each: tuple(_of(each, plan, hosts, emit, cancel)), having):
        for attempt in mine:
            found.append(attempt)
            emit(
                Event(
                    run="",
                    kind="probe",
                    host=attempt.probe.host,
                    step=attempt.probe.id,
                    state="failed" if attempt.failed else "done",
                    done=asked + len(found),
                    total=asked + _count(plan),
                    text=attempt.probe.name,
                    attempt=attempt,
                )
            )
    return tuple(found)


class _Surroundings:
    """What a check needs, where there is no run."""

    def __init__(self, plan: Plan, hosts: Hosts, cancel: threading.Event) -> None:
        self._plan, self._hosts, self._cancel = plan, hosts, cancel

    def idle(self, seconds: float) -> bool:
        return self._cancel.wait(seconds)

    def log(self, watched: Watched) -> Sequence[str]:
        return log_of(watched, self._plan, self._hosts)


def _of(
    watched: Watched, plan: Plan, hosts: Hosts, emit: Callable[[Event], None], cancel: threading.Event
) -> Iterator[Attempt]:
    """The attempts of one Prometheus; none for those that the person did not wait for."""
    monitor = baseline.monitor(watched, watched.after, plan.facts, hosts, cancel)
    check = LoginCheck(
        _Surroundings(plan, hosts, cancel),
        watched,
        monitor,
        from_now=True,
        tell=lambda text: emit(Event(run="", kind="log", host=watched.host, text=text)),
    )
    for each in check.run(max(_sent_again(watched, plan), _scraped_again(watched, plan)) + SLACK):
        if watched.after:
            yield _attempt(watched, each)


def _sent_again(watched: Watched, plan: Plan) -> float:
    """Seconds after which a Prometheus sends a firing alert again."""
    for name, client in monitors.monitors(plan.stack, plan.facts):
        if (client.host.spec.name, name) == (watched.host, watched.component):
            return durations.seconds(client.service.flag("rules.alert.resend-delay") or _RESENT)
    return durations.seconds(_RESENT)


def _scraped_again(watched: Watched, plan: Plan) -> float:
    """Seconds after which there are new samples to send: a scrape that fails yields some too (up is 0 then)."""
    health = plan.facts.health.get(watched.key)
    return min((each.interval for each in health.targets), default=0.0) if health else 0.0


def _attempt(watched: Watched, found: LoginResult) -> Attempt:
    way = watched.after[0]
    samples = found.kind == "remote_write"
    probe = replace(
        way,
        id=f"{watched.key}/login/{found.kind}/{found.place}",
        name=f"Prometheus logs in at {found.place} ({found.kind})",
        client=f"Prometheus, {found.kind}",
        kind="login",
        expect="accepted",
        url=f"{way.url.rstrip('/')}/metrics",
        instance=found.place,
        asker=watched.key,
        holds="remote_storage_.*samples" if samples else "notifications_(sent|errors)",
    )
    outcome = "accepted" if not found.what else "error" if found.todo else "unknown"
    return Attempt(
        probe=probe,
        ok=outcome == "accepted",
        outcome=outcome,
        reason=redact(f"{found.what}. {found.todo}") if found.todo else "",
        excused=redact(found.what) if outcome == "unknown" else "",
        curl=curl(probe),
    )
