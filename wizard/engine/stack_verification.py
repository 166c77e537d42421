"""Verifies a stack outside of a run: its probes, and each Prometheus' logins at remote_write endpoints and Alertmanagers.

The login of a scrape job is verified by the state of its targets; the other logins by the counters of Prometheus, which
show what is delivered.
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
"""Prometheus' default for --rules.alert.resend-delay: how long until it sends a firing alert again."""


def verify(
    plan: Plan,
    before: Baseline | None,
    hosts: Hosts,
    emit: Callable[[Event], None],
    cancel: threading.Event,
    *,
    most: int,
) -> tuple[Attempt, ...]:
    """Runs the probes of a plan, and checks each Prometheus' logins at remote_write endpoints and Alertmanagers.

    Args:
        before: what worked before the newest run.
        most: maximum number of machines that are probed at once.
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
    """Returns an attempt for each remote_write endpoint and Alertmanager at which a Prometheus of the plan logs in.

    Waits for the next samples and, if an alert is firing, until it is sent again.
    """
    clients = [each for each in plan.watched if each.remote_writes or each.alertmanagers]
    before = len(plan.probes)
    found: list[Attempt] = []
    for attempts in run_parallel(
        lambda each: tuple(_login_attempts(each, plan, hosts, emit, cancel)), clients
    ):
        for attempt in attempts:
            found.append(attempt)
            emit(
                Event(
                    run="",
                    kind="probe",
                    host=attempt.probe.host,
                    step=attempt.probe.id,
                    state="failed" if attempt.failed else "done",
                    done=before + len(found),
                    total=before + _count(plan),
                    text=attempt.probe.name,
                    attempt=attempt,
                )
            )
    return tuple(found)


class _Surroundings:
    """What a `LoginCheck` needs, outside of a run."""

    def __init__(self, plan: Plan, hosts: Hosts, cancel: threading.Event) -> None:
        self._plan, self._hosts, self._cancel = plan, hosts, cancel

    def idle(self, seconds: float) -> bool:
        return self._cancel.wait(seconds)

    def log(self, watched: Watched) -> Sequence[str]:
        return log_of(watched, self._plan, self._hosts)


def _login_attempts(
    watched: Watched, plan: Plan, hosts: Hosts, emit: Callable[[Event], None], cancel: threading.Event
) -> Iterator[Attempt]:
    """The attempts of one Prometheus; none if the person stopped the check."""
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
    """Seconds after which there are new samples to send; a failed scrape yields samples too (up is 0)."""
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
