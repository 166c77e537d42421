"""What was up before a run is up after it, on real programs; what was down before is told and does not count."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.integration.snapshot import differences, snapshot
from tests.integration.test_existing import Hand
from tests.integration.whole_stand import LEVELS, Whole, until, whole
from tests.processes import run_program
from tests.unit.engine.loopback import Answer, serving
from wizard import planner
from wizard.engine import Engine
from wizard.errors import InputError, VerificationError
from wizard.inventory.stack_file import dump, parse
from wizard.model import Probe, PrometheusHealth, Stack, TargetHealth
from wizard.practice import PracticeStack
from wizard.probes import Monitor
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


@pytest.mark.matrix
def test_a_target_that_the_plan_does_not_know_breaks_and_the_run_is_rolled_back(hand: Hand) -> None:
    with relay(hand.node) as other:
        more_jobs(hand, job("other-way", other))
        all_known(hand, prometheus="up", node="up", **{"other-way": "up"})
        before = snapshot(Path(hand.practice.folder))
        stack = hand.stack("tls", "basic_auth")
        outcome = hand.engine.apply(hand.engine.plan(stack))
        assert outcome.state == "rolled-back"
        error = outcome.error
        assert isinstance(error, VerificationError)
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
    attempts = hand.engine.run_probes(hand.engine.plan(plan.stack))
    assert [each.probe.kind for each in attempts if not each.ok] == ["up"]
    assert not any(each.failed for each in attempts)


@pytest.mark.matrix
def test_what_was_up_by_the_configuration_of_before_does_not_count_as_up(hand: Hand) -> None:
    """Prometheus keeps what it knew of a target through a reload, until it scrapes it again."""

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        return (200, b"up_to_now 1\n") if headers.get("Authorization") == "Bearer x" else (401, b"")

    def guarded() -> TargetHealth:
        health = hand.engine.inspect(hand.stack("tls")).health["prometheus/prometheus"]
        return next(each for each in health.targets if each.pool == "guarded")

    login = "authorization: {credentials: x}"
    with serving(answer) as place:
        more_jobs(hand, job("guarded", place, "scrape_interval: 6s", login))
        all_known(hand, prometheus="up", node="up", guarded="up")
        hand.config.write_text(hand.config.read_text().replace(login, ""))
        # The longest time to the next scrape is just after one.
        first = guarded().scraped
        until(lambda: (guarded().scraped > first, "one scrape"), "the next scrape")
        hand.reload()
        plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
        assert guarded().health == "up", "it was not scraped since the reload"
        outcome = hand.engine.apply(plan)
        assert (outcome.state, outcome.error) == ("proven", None)
        assert outcome.health is not None
        (told,) = (each for each in outcome.health.down_before if place in each)
        assert "401" in told


def test_what_was_down_for_a_reason_that_the_run_is_to_cure_must_come_up(hand: Hand) -> None:
    """Half done by hand: the job asks by https already, the server does not serve it yet."""
    hand.job("    scheme: https\n")
    all_known(hand, prometheus="up", node="down")
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    (told,) = (each for each in plan.warnings if each.id == "down-before")
    assert "HTTP response to HTTPS client" in told.what and "repair" in told.why
    outcome = hand.engine.apply(plan)
    assert (outcome.state, outcome.error) == ("proven", None)
    assert all(each.ok for each in outcome.attempts)


@pytest.mark.matrix
def test_verification_that_is_left_for_later_is_completed_by_verify(hand: Hand) -> None:
    with relay(hand.node) as other:
        hand.job("    scrape_interval: 20s\n")
        all_known(hand, prometheus="up", node="up")
        before = snapshot(Path(hand.practice.folder))
        plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
        outcome = hand.engine.apply(plan, verify_later=True)
        assert (outcome.state, outcome.error, outcome.ok) == ("changed", None, True)
        assert {each.host: each.state for each in outcome.hosts} == {
            "srv1": "changed",
            "prometheus": "changed",
        }
        assert not any(each.probe.kind == "up" for each in outcome.attempts), "they were not waited for"
        assert any("firescreen verify" in line for line in outcome.summary)
        assert hand.engine.history()[0].state == "changed"

        again = hand.engine.plan(plan.stack)
        done = hand.engine.complete(again, hand.engine.run_probes(again))
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
        done = hand.engine.complete(again, hand.engine.run_probes(again))
        assert done is not None and done.state == "changed" and done.error is not None
        assert other in done.error.what and f"undo {done.run} --yes" in done.error.todo
        assert hand.engine.history()[0].state == "changed", (
            "nothing is rolled back unasked, and nothing is verified"
        )
        assert hand.engine.undo().state == "undone"
        assert differences(before, snapshot(Path(hand.practice.folder))) == []


@pytest.mark.matrix
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_is_scraped_seldom_is_waited_for_and_the_plan_says_how_long(hand: Hand) -> None:
    """Longer than any fixed time limit that there was."""
    hand.job("    scrape_interval: 100s\n")
    until(lambda: ((found := healths(hand)).get("node") == "up", found), "its first scrape", limit=120)
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    (told,) = (each for each in plan.warnings if each.id == "slow-scrape")
    assert (
        "job node every 100 s" in told.what
        and "up to 116 s" in told.what
        and "--verify-later" in told.remediation
    )
    assert plan.longest_wait == 116
    outcome = hand.engine.apply(plan)
    assert (outcome.state, outcome.error) == ("proven", None)


def test_hours_are_not_waited_for_unasked(hand: Hand) -> None:
    hand.job("    scrape_interval: 2h\n")
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    before = snapshot(hand.engine.workspace.root)
    outcome = hand.engine.apply(plan)
    assert isinstance(outcome.error, InputError) and outcome.run == ""
    assert "--verify-later" in outcome.error.todo and "2 h" in outcome.error.what
    assert differences(before, snapshot(hand.engine.workspace.root)) == []
    assert hand.engine.apply(plan, verify_later=True).state == "changed"


# -- Alertmanagers and remote_write, which the plan does not know ----------------------------------------------


@pytest.fixture
def stand(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    with whole(tmp_path / "workspace", cache) as stand:
        yield stand


def reported(stand: Whole) -> PrometheusHealth:
    """What the stack's Prometheus, still open, reports."""
    root = Probe(
        id="",
        host="",
        component="",
        name="",
        client="",
        expect="200",
        url=f"http://{stand.listen('prometheus')}",
    )
    return Monitor("prometheus", "prometheus", [root]).look()


def reconfigured(stand: Whole, old: str, new: str) -> None:
    """Another text in Prometheus' configuration, read at once."""
    file = stand.file("prometheus", "prometheus.yml")
    text = file.read_text()
    assert text.count(old) == 1, text
    file.write_text(text.replace(old, new))
    Hand(stand.practice, stand.engine, stand.root).reload()


@pytest.mark.matrix
def test_an_alertmanager_that_is_asked_another_way_counts_too(stand: Whole) -> None:
    with relay(stand.listen("alertmanager")) as other:
        reconfigured(
            stand,
            "alerting:\n  alertmanagers:\n",
            f"alerting:\n  alertmanagers:\n    - static_configs: [{{targets: ['{other}']}}]\n",
        )
        until(lambda: (len(found := reported(stand).alertmanagers) == 2, found), "its discovery finds it")
        stack = stand.stack({"alertmanager": LEVELS["password"]})
        outcome = stand.engine.apply(stand.engine.plan(stack))
        assert outcome.state == "rolled-back" and outcome.error is not None
        assert f"Alertmanager http://{other}" in outcome.error.what
        assert "answered 200 before and answers 400 now" in outcome.error.what


@pytest.mark.matrix
def test_what_remote_write_sends_another_way_counts_too(stand: Whole) -> None:
    """Prometheus writes to its own receiver by a relay; then it turns to https."""
    Hand(stand.practice, stand.engine, stand.root).flags("prometheus", "--web.enable-remote-write-receiver")
    with relay(stand.listen("prometheus")) as other:
        reconfigured(
            stand,
            "scrape_configs:\n",
            f"remote_write:\n  - url: http://{other}/api/v1/write\n    write_relabel_configs:\n"
            "      - {source_labels: [__name__, relayed], regex: 'up;', action: keep}\n"
            "      - {target_label: relayed, replacement: 'yes'}\n\nscrape_configs:\n",
        )

        def delivered() -> tuple[bool, object]:
            (each,) = reported(stand).remote_writes
            return each.works, each

        until(delivered, "its queue begins to send")
        stack = stand.stack({"prometheus": LEVELS["tls"]})
        outcome = stand.engine.apply(stand.engine.plan(stack))
        assert outcome.state == "rolled-back" and outcome.error is not None
        assert f"remote_write to http://{other}" in outcome.error.what


def probed_well(stand: Whole, *urls: str) -> None:
    """The blackbox exporter gets through to these, and is asked for no other."""

    def good() -> tuple[bool, object]:
        found = reported(stand).probed
        targets = [each for each in reported(stand).targets if each.pool == "blackbox-http"]
        asked = {each.labels["instance"] for each in targets}
        return {each.labels["instance"] for each in found if each.success} == asked == set(urls), found

    until(good, "what is probed")


@pytest.mark.matrix
def test_what_a_blackbox_exporter_probes_another_way_counts_too(stand: Whole) -> None:
    with relay(stand.listen("prometheus")) as other:
        own = f"        - targets: ['http://{stand.listen('prometheus')}/-/ready']\n"
        reconfigured(stand, own.strip(), f"- targets: ['http://{other}/-/ready']")
        probed_well(stand, f"http://{other}/-/ready")
        stack = stand.stack({"prometheus": LEVELS["tls"]})
        outcome = stand.engine.apply(stand.engine.plan(stack))
        assert outcome.state == "rolled-back" and outcome.error is not None
        assert f"a blackbox exporter got through to http://{other}/-/ready" in outcome.error.what


def test_a_job_that_probes_others_too_is_left_as_it_is_only_with_a_yes(stand: Whole) -> None:
    own, node = stand.listen("prometheus"), stand.listen("node_exporter")
    reconfigured(stand, f"['http://{own}/-/ready']", f"['http://{own}/-/ready', 'http://{node}/metrics']")
    probed_well(stand, f"http://{own}/-/ready", f"http://{node}/metrics")
    stack = stand.stack({"prometheus": LEVELS["tls"]})
    plan = stand.engine.plan(stack)
    (client,) = plan.unaccepted
    assert client.key == "prometheus/job:blackbox-http/prometheus/prometheus"
    before = snapshot(stand.root)
    outcome = stand.engine.apply(plan)
    assert isinstance(outcome.error, InputError) and client.key in outcome.error.todo
    assert differences(before, snapshot(stand.root)) == []
    question = next(each for each in planner.questions(stack, plan.facts) if each.setting.of == client.key)
    stack = planner.answer(stack, question.setting, "yes")
    assert stack.accept_broken == (client.key,) and parse(dump(stack), source="x").accept_broken == (
        client.key,
    )
    outcome = stand.engine.apply(stand.engine.plan(stack))
    assert (outcome.state, outcome.error) == ("proven", None)
    assert outcome.health is not None and outcome.health.accepted == (client.key,)
    assert planner.answer(stack, question.setting, "").accept_broken == ()


# -- the command line ------------------------------------------------------------------------------------------


def command(hand: Hand, stack: Stack, *words: str) -> tuple[int, dict[str, Any], str]:
    file = hand.engine.workspace.root / "stack.yaml"
    file.write_text(dump(stack))
    root = str(hand.engine.workspace.root)
    head, *options = words
    argv = [sys.executable, "-m", "wizard.cli", "--workspace", root, head, str(file), "--json", *options]
    ended = run_program(argv, timeout=200)
    return ended.returncode, json.loads(ended.stdout or "{}"), ended.stderr


def test_the_same_on_the_command_line(hand: Hand) -> None:
    more_jobs(hand, job("elsewhere", "nosuch.invalid:9100"))
    all_known(hand, prometheus="up", node="up", elsewhere="down")
    stack = hand.stack("tls", "basic_auth")
    code, plan, _ = command(hand, stack, "plan")
    assert code == 3 and [each["id"] for each in plan["warnings"] if each["id"] == "down-before"]
    assert plan["broken_clients"] == []
    code, done, said = command(hand, stack, "apply", "--yes", "--accept-broken", "srv1/nginx/node_exporter")
    assert code == 2 and "no client called" in said and not done
    code, done, said = command(hand, stack, "apply", "--yes", "--verify-later")
    assert code == 0 and done["state"] == "changed" and done["ok"], said
    assert "Changed, and not verified yet." in said and re.search(r"firescreen .*verify ", said)
    code, done, said = command(hand, stack, "verify")
    assert code == 0 and done["ok"] and done["state"] == "proven", (done, said)
    assert done["health"]["up_before"] == 2 and "nosuch.invalid" in done["health"]["down_before"][0]
    assert not any(each["excused"] for each in done["probes"])
    code, done, said = command(hand, stack, "verify")
    assert code == 0 and "health" not in done and "run" not in done
