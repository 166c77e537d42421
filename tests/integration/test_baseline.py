"""Targets that were up before a run must be up after it, on real programs; those that were down are reported only."""

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

from tests.integration.full_stack import LEVELS, FullStack, full_stack, wait_until
from tests.integration.snapshot import differences, snapshot
from tests.integration.test_existing_configuration import Admin
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
def admin(practice: PracticeStack, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Admin:
    """Returns the administrator of a new practice stack."""
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    return Admin(practice, Engine(Workspace(Path(practice.folder).parent)), cache)


@contextmanager
def relay(target: str) -> Iterator[str]:
    """Runs a relay to another address at host:port: a path to a server that no configuration mentions."""
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


def add_jobs(admin: Admin, text: str) -> None:
    """Adds jobs to Prometheus' configuration and reloads it."""
    admin.config.write_text(f"{admin.config.read_text().rstrip()}\n{text}")
    admin.reload()


def healths(admin: Admin) -> dict[str, str]:
    """Returns the health of each job's target, as the engine reads it."""
    health = admin.engine.inspect(admin.stack("tls")).health["prometheus/prometheus"]
    assert not health.unanswered
    return {each.pool: each.health for each in health.targets}


def all_have_health(admin: Admin, **wanted: str) -> None:
    wait_until(lambda: ((found := healths(admin)) == wanted, found), "its first scrapes")


def job(name: str, target: str, *lines: str) -> str:
    more = "".join(f"    {line}\n" for line in lines)
    return f"  - job_name: {name}\n{more}    static_configs: [{{targets: ['{target}']}}]\n"


@pytest.mark.matrix
def test_a_run_is_rolled_back_when_a_target_outside_the_plan_breaks(admin: Admin) -> None:
    with relay(admin.node) as other:
        add_jobs(admin, job("other-way", other))
        all_have_health(admin, prometheus="up", node="up", **{"other-way": "up"})
        before = snapshot(Path(admin.practice.folder))
        stack = admin.stack("tls", "basic_auth")
        outcome = admin.engine.apply(admin.engine.plan(stack))
        assert outcome.state == "rolled-back"
        error = outcome.error
        assert isinstance(error, VerificationError)
        assert other in error.what and "was up before and is down now" in error.what
        assert "400" in error.what and "other-way" in error.todo and error.where == "prometheus/prometheus"
        assert outcome.health is not None and outcome.health.up_before == 3
        assert differences(before, snapshot(Path(admin.practice.folder))) == []
        all_have_health(admin, prometheus="up", node="up", **{"other-way": "up"})


def test_a_target_that_was_down_before_is_reported_and_does_not_fail_the_run(admin: Admin) -> None:
    admin.job("    metrics_path: /nothing\n")
    add_jobs(admin, job("elsewhere", "nosuch.invalid:9100"))
    all_have_health(admin, prometheus="up", node="down", elsewhere="down")
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    warnings = [each for each in plan.warnings if each.id == "down-before"]
    assert [each.what.partition(" is down already: ")[0] for each in warnings] == [
        "nosuch.invalid:9100 (job elsewhere)",
        f"{admin.node} (job node)",
    ]
    assert "start token" in warnings[1].what, "its landing page is no list of metrics"
    assert all("does not count" in each.why for each in warnings)
    begin = time.monotonic()
    outcome = admin.engine.apply(plan)
    assert (outcome.state, outcome.error) == ("proven", None)
    (up,) = (each for each in outcome.attempts if each.probe.kind == "up")
    assert (up.ok, up.failed, up.outcome) == (False, False, "down")
    assert "was down before" in up.excused and up.excused.count("start token") == 2
    assert time.monotonic() - begin < 60, "nobody waits for what cannot come"
    assert outcome.health is not None
    assert any("nosuch.invalid" in each for each in outcome.health.down_before)
    assert any("was down before" in line for line in outcome.summary)
    # Later runs too: the same error is no failure.
    attempts = admin.engine.run_probes(admin.engine.plan(plan.stack))
    assert [each.probe.kind for each in attempts if not each.ok] == ["up"]
    assert not any(each.failed for each in attempts)


@pytest.mark.matrix
def test_the_health_from_before_a_reload_does_not_count_as_up(admin: Admin) -> None:
    """After a reload Prometheus keeps the health of a target until it scrapes the target again."""

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        return (200, b"up_to_now 1\n") if headers.get("Authorization") == "Bearer x" else (401, b"")

    def guarded() -> TargetHealth:
        health = admin.engine.inspect(admin.stack("tls")).health["prometheus/prometheus"]
        return next(each for each in health.targets if each.pool == "guarded")

    login = "authorization: {credentials: x}"
    with serving(answer) as place:
        add_jobs(admin, job("guarded", place, "scrape_interval: 6s", login))
        all_have_health(admin, prometheus="up", node="up", guarded="up")
        admin.config.write_text(admin.config.read_text().replace(login, ""))
        # The time to the next scrape is longest just after one.
        first = guarded().scraped
        wait_until(lambda: (guarded().scraped > first, "one scrape"), "the next scrape")
        admin.reload()
        plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
        assert guarded().health == "up", "it was not scraped since the reload"
        outcome = admin.engine.apply(plan)
        assert (outcome.state, outcome.error) == ("proven", None)
        assert outcome.health is not None
        (line,) = (each for each in outcome.health.down_before if place in each)
        assert "401" in line


def test_a_target_that_the_run_repairs_must_come_up(admin: Admin) -> None:
    """Half done by hand: the job scrapes by https already, the server still serves http."""
    admin.job("    scheme: https\n")
    all_have_health(admin, prometheus="up", node="down")
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    (warning,) = (each for each in plan.warnings if each.id == "down-before")
    assert "HTTP response to HTTPS client" in warning.what and "repair" in warning.why
    outcome = admin.engine.apply(plan)
    assert (outcome.state, outcome.error) == ("proven", None)
    assert all(each.ok for each in outcome.attempts)


@pytest.mark.matrix
def test_verify_completes_a_postponed_verification(admin: Admin) -> None:
    with relay(admin.node) as other:
        admin.job("    scrape_interval: 20s\n")
        all_have_health(admin, prometheus="up", node="up")
        before = snapshot(Path(admin.practice.folder))
        plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
        outcome = admin.engine.apply(plan, verify_later=True)
        assert (outcome.state, outcome.error, outcome.ok) == ("changed", None, True)
        assert {each.host: each.state for each in outcome.hosts} == {
            "srv1": "changed",
            "prometheus": "changed",
        }
        assert not any(each.probe.kind == "up" for each in outcome.attempts), "they were not waited for"
        assert any("firescreen verify" in line for line in outcome.summary)
        assert admin.engine.history()[0].state == "changed"

        again = admin.engine.plan(plan.stack)
        done = admin.engine.complete(again, admin.engine.run_probes(again))
        assert done is not None and (done.state, done.error) == ("proven", None)
        assert admin.engine.history()[0].state == "proven"
        assert admin.engine.complete(again, ()) is None, "there is nothing left to complete"
        assert admin.engine.undo().state == "undone"
        assert differences(before, snapshot(Path(admin.practice.folder))) == []

        add_jobs(admin, job("other-way", other))
        all_have_health(admin, prometheus="up", node="up", **{"other-way": "up"})
        before = snapshot(Path(admin.practice.folder))
        assert admin.engine.apply(admin.engine.plan(plan.stack), verify_later=True).state == "changed"
        again = admin.engine.plan(plan.stack)
        done = admin.engine.complete(again, admin.engine.run_probes(again))
        assert done is not None and done.state == "changed" and done.error is not None
        assert other in done.error.what and f"undo {done.run} --yes" in done.error.todo
        assert admin.engine.history()[0].state == "changed", (
            "nothing is rolled back unasked, and nothing is verified"
        )
        assert admin.engine.undo().state == "undone"
        assert differences(before, snapshot(Path(admin.practice.folder))) == []


@pytest.mark.matrix
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_with_a_long_interval_is_waited_for_and_the_plan_says_how_long(admin: Admin) -> None:
    """The scrape interval is longer than the former fixed time limit."""
    admin.job("    scrape_interval: 100s\n")
    wait_until(lambda: ((found := healths(admin)).get("node") == "up", found), "its first scrape", limit=120)
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    (warning,) = (each for each in plan.warnings if each.id == "slow-scrape")
    assert (
        "job node every 100 s" in warning.what
        and "up to 116 s" in warning.what
        and "--verify-later" in warning.remediation
    )
    assert plan.longest_wait == 116
    outcome = admin.engine.apply(plan)
    assert (outcome.state, outcome.error) == ("proven", None)


def test_a_wait_of_hours_needs_consent(admin: Admin) -> None:
    admin.job("    scrape_interval: 2h\n")
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    before = snapshot(admin.engine.workspace.root)
    outcome = admin.engine.apply(plan)
    assert isinstance(outcome.error, InputError) and outcome.run == ""
    assert "--verify-later" in outcome.error.todo and "2 h" in outcome.error.what
    assert differences(before, snapshot(admin.engine.workspace.root)) == []
    assert admin.engine.apply(plan, verify_later=True).state == "changed"


# -- Alertmanagers and remote_write, which the plan does not know ----------------------------------------------


@pytest.fixture
def running_stack(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FullStack]:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    with full_stack(tmp_path / "workspace", cache) as running_stack:
        yield running_stack


def reported(running_stack: FullStack) -> PrometheusHealth:
    """Returns what the stack's Prometheus, still unprotected, reports."""
    root = Probe(
        id="",
        host="",
        component="",
        name="",
        client="",
        expect="200",
        url=f"http://{running_stack.listen('prometheus')}",
    )
    return Monitor("prometheus", "prometheus", [root]).look()


def replace_in_config(running_stack: FullStack, old: str, new: str) -> None:
    """Replaces a text in Prometheus' configuration and reloads it."""
    file = running_stack.file("prometheus", "prometheus.yml")
    text = file.read_text()
    assert text.count(old) == 1, text
    file.write_text(text.replace(old, new))
    Admin(running_stack.practice, running_stack.engine, running_stack.root).reload()


@pytest.mark.matrix
def test_an_alertmanager_behind_a_relay_counts_too(running_stack: FullStack) -> None:
    with relay(running_stack.listen("alertmanager")) as other:
        replace_in_config(
            running_stack,
            "alerting:\n  alertmanagers:\n",
            f"alerting:\n  alertmanagers:\n    - static_configs: [{{targets: ['{other}']}}]\n",
        )
        wait_until(
            lambda: (len(found := reported(running_stack).alertmanagers) == 2, found),
            "its discovery finds it",
        )
        stack = running_stack.stack({"alertmanager": LEVELS["password"]})
        outcome = running_stack.engine.apply(running_stack.engine.plan(stack))
        assert outcome.state == "rolled-back" and outcome.error is not None
        assert f"Alertmanager http://{other}" in outcome.error.what
        assert "answered 200 before and answers 400 now" in outcome.error.what


@pytest.mark.matrix
def test_remote_write_through_a_relay_counts_too(running_stack: FullStack) -> None:
    """Prometheus writes to its own receiver through a relay; then the receiver requires https."""
    Admin(running_stack.practice, running_stack.engine, running_stack.root).flags(
        "prometheus", "--web.enable-remote-write-receiver"
    )
    with relay(running_stack.listen("prometheus")) as other:
        replace_in_config(
            running_stack,
            "scrape_configs:\n",
            f"remote_write:\n  - url: http://{other}/api/v1/write\n    write_relabel_configs:\n"
            "      - {source_labels: [__name__, relayed], regex: 'up;', action: keep}\n"
            "      - {target_label: relayed, replacement: 'yes'}\n\nscrape_configs:\n",
        )

        def delivered() -> tuple[bool, object]:
            (each,) = reported(running_stack).remote_writes
            return each.works, each

        wait_until(delivered, "its queue begins to send")
        stack = running_stack.stack({"prometheus": LEVELS["tls"]})
        outcome = running_stack.engine.apply(running_stack.engine.plan(stack))
        assert outcome.state == "rolled-back" and outcome.error is not None
        assert f"remote_write to http://{other}" in outcome.error.what


def wait_for_probes(running_stack: FullStack, *urls: str) -> None:
    """Waits until probes of these targets succeed through the blackbox exporter, and no others are requested."""

    def good() -> tuple[bool, object]:
        found = reported(running_stack).probed
        targets = [each for each in reported(running_stack).targets if each.pool == "blackbox-http"]
        asked = {each.labels["instance"] for each in targets}
        return {each.labels["instance"] for each in found if each.success} == asked == set(urls), found

    wait_until(good, "what is probed")


@pytest.mark.matrix
def test_a_blackbox_probe_through_a_relay_counts_too(running_stack: FullStack) -> None:
    with relay(running_stack.listen("prometheus")) as other:
        own = f"        - targets: ['http://{running_stack.listen('prometheus')}/-/ready']\n"
        replace_in_config(running_stack, own.strip(), f"- targets: ['http://{other}/-/ready']")
        wait_for_probes(running_stack, f"http://{other}/-/ready")
        stack = running_stack.stack({"prometheus": LEVELS["tls"]})
        outcome = running_stack.engine.apply(running_stack.engine.plan(stack))
        assert outcome.state == "rolled-back" and outcome.error is not None
        assert f"a blackbox exporter got through to http://{other}/-/ready" in outcome.error.what


def test_a_job_that_also_probes_others_stays_unchanged_only_with_consent(running_stack: FullStack) -> None:
    own, node = running_stack.listen("prometheus"), running_stack.listen("node_exporter")
    replace_in_config(
        running_stack, f"['http://{own}/-/ready']", f"['http://{own}/-/ready', 'http://{node}/metrics']"
    )
    wait_for_probes(running_stack, f"http://{own}/-/ready", f"http://{node}/metrics")
    stack = running_stack.stack({"prometheus": LEVELS["tls"]})
    plan = running_stack.engine.plan(stack)
    (client,) = plan.unaccepted
    assert client.key == "prometheus/job:blackbox-http/prometheus/prometheus"
    before = snapshot(running_stack.root)
    outcome = running_stack.engine.apply(plan)
    assert isinstance(outcome.error, InputError) and client.key in outcome.error.todo
    assert differences(before, snapshot(running_stack.root)) == []
    question = next(each for each in planner.questions(stack, plan.facts) if each.setting.of == client.key)
    stack = planner.answer(stack, question.setting, "yes")
    assert stack.accept_broken == (client.key,) and parse(dump(stack), source="x").accept_broken == (
        client.key,
    )
    outcome = running_stack.engine.apply(running_stack.engine.plan(stack))
    assert (outcome.state, outcome.error) == ("proven", None)
    assert outcome.health is not None and outcome.health.accepted == (client.key,)
    assert planner.answer(stack, question.setting, "").accept_broken == ()


# -- the command line ------------------------------------------------------------------------------------------


def command(admin: Admin, stack: Stack, *words: str) -> tuple[int, dict[str, Any], str]:
    file = admin.engine.workspace.root / "stack.yaml"
    file.write_text(dump(stack))
    root = str(admin.engine.workspace.root)
    head, *options = words
    argv = [sys.executable, "-m", "wizard.cli", "--workspace", root, head, str(file), "--json", *options]
    ended = run_program(argv, timeout=200)
    return ended.returncode, json.loads(ended.stdout or "{}"), ended.stderr


def test_broken_targets_on_the_command_line(admin: Admin) -> None:
    add_jobs(admin, job("elsewhere", "nosuch.invalid:9100"))
    all_have_health(admin, prometheus="up", node="up", elsewhere="down")
    stack = admin.stack("tls", "basic_auth")
    code, plan, _ = command(admin, stack, "plan")
    assert code == 3 and [each["id"] for each in plan["warnings"] if each["id"] == "down-before"]
    assert plan["broken_clients"] == []
    code, done, errors = command(
        admin, stack, "apply", "--yes", "--accept-broken", "srv1/nginx/node_exporter"
    )
    assert code == 2 and "no client called" in errors and not done
    code, done, errors = command(admin, stack, "apply", "--yes", "--verify-later")
    assert code == 0 and done["state"] == "changed" and done["ok"], errors
    assert "Changed, and not verified yet." in errors and re.search(r"firescreen .*verify ", errors)
    code, done, errors = command(admin, stack, "verify")
    assert code == 0 and done["ok"] and done["state"] == "proven", (done, errors)
    assert done["health"]["up_before"] == 2 and "nosuch.invalid" in done["health"]["down_before"][0]
    assert not any(each["excused"] for each in done["probes"])
    code, done, errors = command(admin, stack, "verify")
    assert code == 0 and "health" not in done and "run" not in done
