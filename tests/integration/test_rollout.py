"""Roll-out on a practice stack of all components: one host's failure stays its own, and a canary goes first."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.full_stack import LEVELS, START, FullStack, full_stack, lost_scrapes_by_job
from tests.integration.snapshot import differences, snapshot
from wizard import practice
from wizard.engine import Outcome
from wizard.engine.canary import canary_of
from wizard.errors import InputError, LockedError, PartialFailureError, ServiceError
from wizard.model import WORKSPACE, Event, Plan, Stack, WriteFile

OTHERS = ("srv1", "prometheus", "alertmanager", "blackbox")


@pytest.fixture(scope="module")
def practice_bed(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[FullStack]:
    with full_stack(tmp_path_factory.mktemp("rollout") / "workspace", cache) as practice_bed:
        yield practice_bed


@pytest.fixture(autouse=True)
def clean_up(practice_bed: FullStack) -> Iterator[None]:
    """Undoes what a failed test left applied, so that the next test does not fail too."""
    yield
    _undo_all(practice_bed)


@pytest.fixture
def stack(practice_bed: FullStack) -> Stack:
    return practice_bed.stack(dict.fromkeys(practice.WHOLE, LEVELS["both"]))


@pytest.fixture
def without_password(practice_bed: FullStack) -> Stack:
    return practice_bed.stack(dict.fromkeys(practice.WHOLE, LEVELS["certificate"]))


def with_port_in_use(plan: Plan, practice_bed: FullStack, component: str) -> Plan:
    """Returns the plan with a flag by which that component needs a port that is in use: it does not start."""
    path = str(practice_bed.arguments(component))
    mine, taken = practice_bed.listen(component).encode(), practice_bed.listen("prometheus").encode()

    def with_wrong_port(change: WriteFile) -> WriteFile:
        assert change.after is not None
        return replace(change, after=replace(change.after, content=change.after.content.replace(mine, taken)))

    steps = tuple(
        replace(
            step,
            changes=tuple(
                with_wrong_port(change) if isinstance(change, WriteFile) and change.path == path else change
                for change in step.changes
            ),
        )
        for step in plan.steps
    )
    return replace(plan, steps=steps)


def restarts(events: list[Event], host: str) -> int:
    """Returns how often a service of that host was restarted."""
    return sum(
        event.kind == "change"
        and event.host == host
        and event.state == "done"
        and event.text.startswith("restart")
        for event in events
    )


def states(outcome: Outcome) -> dict[str, str]:
    return {each.host: each.state for each in outcome.hosts}


def seconds_of_restart(events: list[tuple[float, Event]], host: str) -> float:
    """Returns the seconds of the host's restarts, from the times of their events."""
    seconds = [
        (at, event.state)
        for at, event in events
        if event.kind == "change" and event.host == host and event.text.startswith("restart")
    ]
    assert [state for _, state in seconds] == ["running", "done"], seconds
    return seconds[1][0] - seconds[0][0]


def _undo_all(practice_bed: FullStack) -> None:
    for run in practice_bed.engine.history():
        if run.state in ("proven", "partly"):
            assert practice_bed.engine.undo(run.run).error is None
    practice_bed.levels = {}


def check_restored(practice_bed: FullStack, before: dict[str, tuple[int, bytes]]) -> None:
    _undo_all(practice_bed)
    assert differences(before, snapshot(practice_bed.root)) == []


@pytest.mark.matrix
def test_a_host_that_does_not_start_is_rolled_back_and_no_other_fails(
    practice_bed: FullStack, stack: Stack
) -> None:
    before = snapshot(practice_bed.root)
    events: list[Event] = []
    plan = with_port_in_use(practice_bed.engine.plan(stack), practice_bed, "pushgateway")
    begin = time.time()
    outcome = practice_bed.engine.apply(plan, events.append, canary="none")

    assert outcome.state == "partly" and not outcome.ok
    assert isinstance(outcome.error, PartialFailureError) and "pushgateway" in outcome.error.what
    failed = next(each for each in outcome.hosts if each.host == "pushgateway")
    assert failed.state == "rolled-back" and isinstance(failed.error, ServiceError)
    assert states(outcome) == {**dict.fromkeys(OTHERS, "proven"), "pushgateway": "rolled-back"}
    assert all(attempt.ok for attempt in outcome.attempts)
    assert {attempt.probe.host for attempt in outcome.attempts} == set(OTHERS)
    assert {host: restarts(events, host) for host in OTHERS} == dict.fromkeys(OTHERS, 1)
    untouched = [
        path for path in differences(before, snapshot(practice_bed.root)) if "/practice/pushgateway/" in path
    ]
    assert untouched == [], "the host that failed is as it was"
    practice_bed.levels = {name: LEVELS["both"] for name in practice.WHOLE if name != "pushgateway"}
    # Prometheus scrapes each as it is now, the one that was rolled back by http.
    practice_bed.wait_until_all_up(begin)

    again = practice_bed.engine.plan(stack)
    assert {change.host for change in again.changes} <= {"pushgateway", "prometheus", WORKSPACE}
    assert practice_bed.engine.apply(again).state == "proven"
    check_restored(practice_bed, before)


def test_a_host_with_a_run_of_another_firescreen_is_left_unchanged(
    practice_bed: FullStack, stack: Stack
) -> None:
    before = snapshot(practice_bed.root)
    plan = practice_bed.engine.plan(stack)
    mark = practice_bed.root / "practice/srv1/firescreen.lock"
    mark.write_text(
        json.dumps({"who": "anna@laptop", "workspace": "another", "since": int(time.time()) - 300})
    )
    refused = practice_bed.engine.apply(plan)
    mark.unlink()
    assert refused.state == "failed" and isinstance(refused.error, LockedError)
    assert "anna@laptop" in refused.error.what and "5 min" in refused.error.what
    assert differences(before, snapshot(practice_bed.root)) == []
    assert practice_bed.engine.interrupted_run() is None


def test_wrong_clocks_are_reported_before_a_certificate_is_made(
    practice_bed: FullStack, stack: Stack
) -> None:
    facts = practice_bed.engine.inspect(stack)

    def planned(seconds: float) -> Plan:
        behind = replace(facts.hosts["srv1"], clock=seconds)
        return practice_bed.engine.plan(stack, facts=replace(facts, hosts={**facts.hosts, "srv1": behind}))

    assert not [each for each in planned(-20).warnings if each.id == "clocks-disagree"]
    warnings = [each for each in planned(90).warnings if each.id == "clocks-disagree"]
    assert [(each.host, "90 s ahead" in each.what) for each in warnings] == [("srv1", True)]
    with pytest.raises(InputError, match="not be valid there yet"):
        planned(-4000)


@pytest.mark.matrix
@pytest.mark.parametrize("level", ["certificate", "both"])
def test_the_canary_is_verified_before_other_hosts_are_changed(practice_bed: FullStack, level: str) -> None:
    before = snapshot(practice_bed.root)
    timed_events: list[tuple[float, Event]] = []
    stack = practice_bed.stack(dict.fromkeys(practice.WHOLE, LEVELS[level]))
    plan = practice_bed.engine.plan(stack)
    begin = time.time()
    outcome = practice_bed.engine.apply(
        plan, lambda event: timed_events.append((time.time(), event)), canary="alertmanager"
    )
    assert outcome.state == "proven", outcome.error
    events = [event for _, event in timed_events]
    proven = next(
        place
        for place, event in enumerate(events)
        if event.kind == "host" and (event.host, event.state) == ("alertmanager", "proven")
    )
    touched = {event.host for event in events[:proven] if event.kind == "change"}
    assert touched == {"alertmanager", "prometheus", "blackbox", WORKSPACE}, "itself and who asks it"
    assert not any(restarts(events[:proven], host) for host in ("prometheus", "blackbox"))
    assert {event.host for event in events[proven:] if event.kind == "change"} >= {"srv1", "pushgateway"}
    assert restarts(events, "alertmanager") == 1
    end = time.time()
    practice_bed.check_verified(outcome, stack)
    found = lost_scrapes_by_job(practice_bed, begin, end)["alertmanager"]
    # One scrape a second: those during its own restart, however slow the machine, and one for the change to https.
    met = math.ceil(seconds_of_restart(timed_events, "alertmanager"))
    assert found.failed <= 1 + met, "it is scraped while the others turn"
    assert found.widest <= START, "but while Prometheus starts"
    written = {
        (change.host, change.path): change.after for change in plan.changes if isinstance(change, WriteFile)
    }
    for (_, path), after in written.items():
        assert after is not None and Path(path).read_bytes() == after.content, "not what the preview showed"
    assert not practice_bed.engine.plan(stack).changes
    check_restored(practice_bed, before)


def test_a_practice_stack_has_no_canary_by_default(practice_bed: FullStack, stack: Stack) -> None:
    plan = practice_bed.engine.plan(stack)
    assert canary_of(plan) == ""
    assert canary_of(plan, "srv1") == "srv1"
    with pytest.raises(InputError, match="prometheus cannot be the canary"):
        canary_of(plan, "prometheus")
    hosts = tuple(replace(spec, connect="ssh") for spec in plan.stack.hosts)
    assert canary_of(replace(plan, stack=replace(plan.stack, hosts=hosts))) == "srv1"


@pytest.mark.matrix
def test_a_failed_canary_is_rolled_back_and_nothing_else_has_changed(
    practice_bed: FullStack, without_password: Stack
) -> None:
    before = snapshot(practice_bed.root)
    events: list[Event] = []
    plan = with_port_in_use(practice_bed.engine.plan(without_password), practice_bed, "node_exporter")
    outcome = practice_bed.engine.apply(plan, events.append, canary="srv1")
    assert outcome.state == "rolled-back" and isinstance(outcome.error, ServiceError)
    touched = {event.host for event in events if event.kind == "change"}
    assert touched <= {"srv1", "prometheus", "blackbox", WORKSPACE}
    assert differences(before, snapshot(practice_bed.root)) == []


@pytest.mark.matrix
def test_only_the_host_that_fails_its_verification_is_rolled_back(
    practice_bed: FullStack, stack: Stack
) -> None:
    before = snapshot(practice_bed.root)
    plan = practice_bed.engine.plan(stack)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        address = f"https://127.0.0.1:{silent.getsockname()[1]}/metrics"
        probes = tuple(
            replace(probe, url=address, timeout=0.5)
            if probe.id == "alertmanager/alertmanager/right-client"
            else probe
            for probe in plan.probes
        )
        outcome = practice_bed.engine.apply(replace(plan, probes=probes), canary="none")
    assert outcome.state == "partly", outcome.error
    assert states(outcome)["alertmanager"] == "rolled-back"
    assert all(state == "proven" for host, state in states(outcome).items() if host != "alertmanager")
    assert all(attempt.ok for attempt in outcome.attempts)
    check_restored(practice_bed, before)
