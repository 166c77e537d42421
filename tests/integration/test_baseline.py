"""What was up before a run is up after it, on real programs; what was down before is told and does not count."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.snapshot import differences, snapshot
from tests.integration.test_existing import Hand
from tests.integration.whole_stand import LEVELS, Whole, until, whole
from wizard import practice as practice_stack
from wizard.engine import Engine
from wizard.errors import InputError, ProofError
from wizard.model import Event, HostSpec, Protection, Stack
from wizard.practice import PracticeStack
from wizard.stack import dump
from wizard.workspace import Workspace


@pytest.fixture
def hand(practice: PracticeStack, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Hand:
    """A person at a fresh practice stack."""
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    return Hand(practice, Engine(Workspace(Path(practice.folder).parent)), cache)


@contextmanager
def relay(target: str) -> Iterator[str]:
    """host:port that passes every connection on to another: a way to a server that no configuration tells of."""
    host, _, port = target.rpartition(":")
    server = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(one: socket.socket) -> None:
        with closing(one), suppress(OSError), socket.create_connection((host, int(port)), 5) as other:
            back = threading.Thread(target=carry, args=(other, one), daemon=True)
            back.start()
            carry(one, other)
            back.join(5)

    def accept() -> None:
        with suppress(OSError):
            while not ended.is_set():
                one, _ = server.accept()
                threading.Thread(target=serve, args=(one,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        ended.set()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def more_jobs(hand: Hand, text: str) -> None:
    """Adds jobs to Prometheus' configuration and has it read them."""
    hand.config.write_text(f"{hand.config.read_text().rstrip()}\n{text}")
    hand.reload()


def healths(hand: Hand) -> dict[str, str]:
    """What the engine is told of each job's target."""
    health = hand.engine.inspect(hand.stack("tls")).health["prometheus/prometheus"]
    assert not health.unanswered
    return {each.pool: each.health for each in health.targets}


def all_known(hand: Hand, **wanted: str) -> None:
    until(lambda: ((found := healths(hand)) == wanted, found), "its first scrapes")


def job(name: str, target: str, *lines: str) -> str:
    more = "".join(f"    {line}\n" for line in lines)
    return f"  - job_name: {name}\n{more}    static_configs: [{{targets: ['{target}']}}]\n"


def test_a_target_that_the_plan_does_not_know_breaks_and_the_run_is_rolled_back(hand: Hand) -> None:
    with relay(hand.node) as other:
        more_jobs(hand, job("other-way", other))
        all_known(hand, prometheus="up", node="up", **{"other-way": "up"})
        before = snapshot(Path(hand.practice.folder))
        stack = hand.stack("tls", "basic_auth")
        outcome = hand.engine.apply(hand.engine.plan(stack))
        assert outcome.state == "rolled-back"
        error = outcome.error
        assert isinstance(error, ProofError)
        assert other in error.what and "was up before and is down now" in error.what
        assert "400" in error.what and "other-way" in error.todo and error.where == "prometheus/prometheus"
        assert outcome.health is not None and outcome.health.up_before == 3
        assert differences(before, snapshot(Path(hand.practice.folder))) == []
        all_known(hand, prometheus="up", node="up", **{"other-way": "up"})


def test_what_was_down_before_for_its_own_reason_is_told_and_does_not_count(hand: Hand) -> None:
    hand.job("    metrics_path: /nothing\n")
    more_jobs(hand, job("elsewhere", "nosuch.invalid:9100"))
    all_known(hand, prometheus="up", node="down", elsewhere="down")
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    told = [each for each in plan.warnings if each.id == "down-before"]
    assert [each.what.partition(" is down already: ")[0] for each in told] == [
        "nosuch.invalid:9100 (job elsewhere)",
        f"{hand.node} (job node)",
    ]
    assert "start token" in told[1].what, "its landing page is no list of metrics"
    assert all("does not count" in each.why for each in told)
    begin = time.monotonic()
    outcome = hand.engine.apply(plan)
    assert (outcome.state, outcome.error) == ("proven", None)
    (up,) = (each for each in outcome.attempts if each.probe.kind == "up")
    assert (up.ok, up.failed, up.outcome) == (False, False, "down")
    assert "was down before" in up.excused and up.excused.count("start token") == 2
    assert time.monotonic() - begin < 60, "nobody waits for what cannot come"
    assert outcome.health is not None
    assert any("nosuch.invalid" in each for each in outcome.health.down_before)
    assert any("was down before" in line for line in outcome.summary)
    # Later, too: the same reason is no failure.
    attempts = hand.engine.prove(hand.engine.plan(plan.stack))
    assert [each.probe.kind for each in attempts if not each.ok] == ["up"]
    assert not any(each.failed for each in attempts)


def test_what_was_down_for_a_reason_that_the_run_is_to_cure_must_come_up(hand: Hand) -> None:
    """Half done by hand: the job asks by https already, the server does not serve it yet."""
    hand.job("    scheme: https\n")
    all_known(hand, prometheus="up", node="down")
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    (told,) = (each for each in plan.warnings if each.id == "down-before")
    assert "HTTP response to HTTPS client" in told.what and "cure" in told.why
    outcome = hand.engine.apply(plan)
    assert (outcome.state, outcome.error) == ("proven", None)
    assert all(each.ok for each in outcome.attempts)


def test_verification_that_is_left_for_later_is_completed_by_verify(hand: Hand) -> None:
    with relay(hand.node) as other:
        hand.job("    scrape_interval: 20s\n")
        all_known(hand, prometheus="up", node="up")
        before = snapshot(Path(hand.practice.folder))
        plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
        outcome = hand.engine.apply(plan, verify_later=True)
        assert (outcome.state, outcome.error, outcome.ok) == ("changed", None, True)
        assert {each.host: each.state for each in outcome.hosts} == {"srv1": "changed", "prometheus": "changed"}
        assert not any(each.probe.kind == "up" for each in outcome.attempts), "they were not waited for"
        assert any("firescreen verify" in line for line in outcome.summary)
        assert hand.engine.history()[0].state == "changed"

        again = hand.engine.plan(plan.stack)
        done = hand.engine.complete(again, hand.engine.prove(again))
        assert done is not None and (done.state, done.error) == ("proven", None)
        assert hand.engine.history()[0].state == "proven"
        assert hand.engine.complete(again, ()) is None, "there is nothing left to complete"
        assert hand.engine.undo().state == "undone"
        assert differences(before, snapshot(Path(hand.practice.folder))) == []

        more_jobs(hand, job("other-way", other))
        all_known(hand, prometheus="up", node="up", **{"other-way": "up"})
        before = snapshot(Path(hand.practice.folder))
        assert hand.engine.apply(hand.engine.plan(plan.stack), verify_later=True).state == "changed"
        again = hand.engine.plan(plan.stack)
        done = hand.engine.complete(again, hand.engine.prove(again))
        assert done is not None and done.state == "changed" and done.error is not None
        assert other in done.error.what and f"undo {done.run} --yes" in done.error.todo
        assert hand.engine.history()[0].state == "changed", "nothing is rolled back unasked, and nothing is verified"
        assert hand.engine.undo().state == "undone"
        assert differences(before, snapshot(Path(hand.practice.folder))) == []
