"""One host's failure is its own, and one host goes before many: on a whole practice stack of real programs."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.snapshot import differences, snapshot
from tests.integration.whole_stand import LEVELS, START, Whole, lost, whole
from wizard import practice
from wizard.engine import Outcome
from wizard.engine.canary import canary_of
from wizard.errors import InputError, LockedError, PartialFailureError, ServiceError
from wizard.model import WORKSPACE, Event, Plan, Stack, WriteFile

OTHERS = ("srv1", "prometheus", "alertmanager", "blackbox")


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Whole]:
    with whole(tmp_path_factory.mktemp("rollout") / "workspace", cache) as stand:
        yield stand


@pytest.fixture(autouse=True)
def apart(stand: Whole) -> Iterator[None]:
    """What a test that failed left applied is put back, so that it is the only one that fails."""
    yield
    _put_back(stand)


@pytest.fixture
def stack(stand: Whole) -> Stack:
    return stand.stack(dict.fromkeys(practice.WHOLE, LEVELS["both"]))


@pytest.fixture
def without_password(stand: Whole) -> Stack:
    return stand.stack(dict.fromkeys(practice.WHOLE, LEVELS["certificate"]))


def misdirected(plan: Plan, stand: Whole, component: str) -> Plan:
    """The plan with a flag by which that component wants a port that is taken: it will not come up."""
    path = str(stand.arguments(component))
    mine, taken = stand.listen(component).encode(), stand.listen("prometheus").encode()

    def bent(change: WriteFile) -> WriteFile:
        assert change.after is not None
        return replace(change, after=replace(change.after, content=change.after.content.replace(mine, taken)))

    steps = tuple(
        replace(
            step,
            changes=tuple(
                bent(change) if isinstance(change, WriteFile) and change.path == path else change
                for change in step.changes
            ),
        )
        for step in plan.steps
    )
    return replace(plan, steps=steps)


def restarts(events: list[Event], host: str) -> int:
    """How often a service of that host was restarted by its plan."""
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
    """How long its restarts took in all, from the moments at which each event came."""
    told = [
        (at, event.state)
        for at, event in events
        if event.kind == "change" and event.host == host and event.text.startswith("restart")
    ]
    assert [state for _, state in told] == ["running", "done"], told
    return told[1][0] - told[0][0]


def _put_back(stand: Whole) -> None:
    for run in stand.engine.history():
        if run.state in ("proven", "partly"):
            assert stand.engine.undo(run.run).error is None
    stand.now = {}


def back_to(stand: Whole, before: dict[str, tuple[int, bytes]]) -> None:
    _put_back(stand)
    assert differences(before, snapshot(stand.root)) == []


@pytest.mark.matrix
def test_a_host_that_does_not_come_up_is_put_back_and_harms_no_other(stand: Whole, stack: Stack) -> None:
    before = snapshot(stand.root)
    events: list[Event] = []
    plan = misdirected(stand.engine.plan(stack), stand, "pushgateway")
    begin = time.time()
    outcome = stand.engine.apply(plan, events.append, canary="none")

    assert outcome.state == "partly" and not outcome.ok
    assert isinstance(outcome.error, PartialFailureError) and "pushgateway" in outcome.error.what
    failed = next(each for each in outcome.hosts if each.host == "pushgateway")
    assert failed.state == "rolled-back" and isinstance(failed.error, ServiceError)
    assert states(outcome) == {**dict.fromkeys(OTHERS, "proven"), "pushgateway": "rolled-back"}
    assert all(attempt.ok for attempt in outcome.attempts)
    assert {attempt.probe.host for attempt in outcome.attempts} == set(OTHERS)
    assert {host: restarts(events, host) for host in OTHERS} == dict.fromkeys(OTHERS, 1)
    untouched = [
        path for path in differences(before, snapshot(stand.root)) if "/practice/pushgateway/" in path
    ]
    assert untouched == [], "the host that failed is as it was"
    stand.now = {name: LEVELS["both"] for name in practice.WHOLE if name != "pushgateway"}
    stand.all_up(begin)  # Prometheus asks each as it is now, the one that was put back by http

    again = stand.engine.plan(stack)
    assert {change.host for change in again.changes} <= {"pushgateway", "prometheus", WORKSPACE}
    assert stand.engine.apply(again).state == "proven"
    back_to(stand, before)


def test_a_host_that_another_firescreen_works_on_is_left_to_it(stand: Whole, stack: Stack) -> None:
    before = snapshot(stand.root)
    plan = stand.engine.plan(stack)
    mark = stand.root / "practice/srv1/firescreen.lock"
    mark.write_text(
        json.dumps({"who": "anna@laptop", "workspace": "another", "since": int(time.time()) - 300})
    )
    refused = stand.engine.apply(plan)
    mark.unlink()
    assert refused.state == "failed" and isinstance(refused.error, LockedError)
    assert "anna@laptop" in refused.error.what and "5 min" in refused.error.what
    assert differences(before, snapshot(stand.root)) == []
    assert stand.engine.interrupted_run() is None


def test_clocks_that_disagree_are_told_before_a_certificate_is_made(stand: Whole, stack: Stack) -> None:
    facts = stand.engine.inspect(stack)

    def planned(seconds: float) -> Plan:
        behind = replace(facts.hosts["srv1"], clock=seconds)
        return stand.engine.plan(stack, facts=replace(facts, hosts={**facts.hosts, "srv1": behind}))

    assert not [each for each in planned(-20).warnings if each.id == "clocks-disagree"]
    told = [each for each in planned(90).warnings if each.id == "clocks-disagree"]
    assert [(each.host, "90 s ahead" in each.what) for each in told] == [("srv1", True)]
    with pytest.raises(InputError, match="not be valid there yet"):
        planned(-4000)


@pytest.mark.matrix
@pytest.mark.parametrize("level", ["certificate", "both"])
def test_a_canary_is_proven_before_the_others_are_touched(stand: Whole, level: str) -> None:
    before = snapshot(stand.root)
    told: list[tuple[float, Event]] = []
    stack = stand.stack(dict.fromkeys(practice.WHOLE, LEVELS[level]))
    plan = stand.engine.plan(stack)
    begin = time.time()
    outcome = stand.engine.apply(plan, lambda event: told.append((time.time(), event)), canary="alertmanager")
    assert outcome.state == "proven", outcome.error
    events = [event for _, event in told]
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
    stand.took(outcome, stack)
    found = lost(stand, begin, end)["alertmanager"]
    # One scrape a second: those that met its own restart, however slow the machine, and one for the turn to https.
    met = math.ceil(seconds_of_restart(told, "alertmanager"))
    assert found.failed <= 1 + met, "it is scraped while the others turn"
    assert found.widest <= START, "but while Prometheus starts"
    written = {
        (change.host, change.path): change.after for change in plan.changes if isinstance(change, WriteFile)
    }
    for (_, path), after in written.items():
        assert after is not None and Path(path).read_bytes() == after.content, "not what the preview showed"
    assert not stand.engine.plan(stack).changes
    back_to(stand, before)


def test_a_practice_stack_is_one_machine_and_nobody_in_it_goes_first_unasked(
    stand: Whole, stack: Stack
) -> None:
    plan = stand.engine.plan(stack)
    assert canary_of(plan) == ""
    assert canary_of(plan, "srv1") == "srv1"
    with pytest.raises(InputError, match="prometheus cannot be the canary"):
        canary_of(plan, "prometheus")
    hosts = tuple(replace(spec, connect="ssh") for spec in plan.stack.hosts)
    assert canary_of(replace(plan, stack=replace(plan.stack, hosts=hosts))) == "srv1"


@pytest.mark.matrix
def test_a_canary_that_fails_is_put_back_and_nothing_else_was_touched(
    stand: Whole, without_password: Stack
) -> None:
    before = snapshot(stand.root)
    events: list[Event] = []
    plan = misdirected(stand.engine.plan(without_password), stand, "node_exporter")
    outcome = stand.engine.apply(plan, events.append, canary="srv1")
    assert outcome.state == "rolled-back" and isinstance(outcome.error, ServiceError)
    touched = {event.host for event in events if event.kind == "change"}
    assert touched <= {"srv1", "prometheus", "blackbox", WORKSPACE}
    assert differences(before, snapshot(stand.root)) == []


@pytest.mark.matrix
def test_a_host_that_is_not_proven_is_put_back_alone(stand: Whole, stack: Stack) -> None:
    before = snapshot(stand.root)
    plan = stand.engine.plan(stack)
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
        outcome = stand.engine.apply(replace(plan, probes=probes), canary="none")
    assert outcome.state == "partly", outcome.error
    assert states(outcome)["alertmanager"] == "rolled-back"
    assert all(state == "proven" for host, state in states(outcome).items() if host != "alertmanager")
    assert all(attempt.ok for attempt in outcome.attempts)
    back_to(stand, before)
