"""The main workflow on real programs: scan, plan, apply, verify, undo; and each failure is rolled back."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration import loopback_programs
from tests.integration.snapshot import differences, snapshot
from tests.integration.unprotected_prometheus import stack_with_unprotected_prometheus
from tests.processes import run_program
from wizard import passwords
from wizard.config_files import prometheus as scrape
from wizard.engine import Engine, Outcome
from wizard.errors import FileChangedError, ServiceError, ValidationError
from wizard.model import ComponentSpec, ContentKind, Event, HostSpec, RunService, Stack, WriteFile
from wizard.practice import PracticeStack
from wizard.service_managers import supervised as practised
from wizard.workspace import Workspace


@pytest.fixture
def engine(practice: PracticeStack, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Returns an engine on a new practice stack."""
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    return Engine(Workspace(Path(practice.folder).parent))


@pytest.fixture
def stack(engine: Engine) -> Stack:
    """Returns the levels that these tests apply to the practice stack."""
    return stack_with_unprotected_prometheus(engine.workspace.root)


def targets(practice: PracticeStack) -> dict[str, dict[str, str]]:
    """Returns Prometheus' own list of targets, by job."""
    with urllib.request.urlopen(f"http://{practice.host('prometheus').listen}/api/v1/targets") as answer:
        found = json.load(answer)["data"]["activeTargets"]
    return {target["labels"]["job"]: target for target in found}


def file(practice: PracticeStack, host: str, name: str) -> Path:
    """Returns a file in a practice host's etc folder."""
    return next((Path(practice.folder) / host / "etc").rglob(name))


def apply(engine: Engine, stack: Stack) -> Outcome:
    """Plans and applies; a failure is in the outcome."""
    return engine.apply(engine.plan(stack))


def test_a_new_password_is_made_during_the_scan(engine: Engine, stack: Stack) -> None:
    open_stack = replace(stack, components=tuple(replace(one, protect=()) for one in stack.components))
    assert engine.inspect(open_stack).spares == {}, "nothing there asks for a password"
    facts = engine.inspect(stack)
    spare = facts.spares["prometheus"]
    assert passwords.matches(spare.password, spare.hashed)
    plan = engine.plan(stack, facts=facts)
    written = {
        Path(change.path).name: change.after for change in plan.changes if isinstance(change, WriteFile)
    }
    kept, served = written["prometheus.password"], written["web.yml"]
    assert kept is not None and served is not None
    assert kept.content == spare.password.reveal().encode()
    assert spare.hashed.encode() in served.content
    assert spare.password.reveal() not in repr(facts)
    other = engine.inspect(stack).spares["prometheus"]
    assert other.password.reveal() != spare.password.reveal()

    path = engine.workspace.root / "users" / "prometheus.password"
    path.parent.mkdir(mode=0o700)
    path.write_text("one that is there already")
    assert engine.inspect(stack).spares == {}
    given = replace(stack.users[0], password="prompt")
    path.unlink()
    assert engine.inspect(replace(stack, users=(given,))).spares == {}


def test_apply_is_verified_and_undo_restores_every_byte(
    engine: Engine, stack: Stack, practice: PracticeStack
) -> None:
    scan = engine.scan(stack)
    assert {row.component: row.state for row in scan.exposures} == {
        "node_exporter": "open",
        "prometheus": "open",
    }
    before = snapshot(engine.workspace.root)
    events: list[Event] = []
    plan = engine.plan(stack)
    assert snapshot(engine.workspace.root) == before, "a plan writes nothing"

    outcome = engine.apply(plan, events.append)

    assert outcome.error is None
    assert outcome.state == "proven"
    expected = {
        "right client": "200",
        "no TLS": "400",
        "no CA": "untrusted",
        "no password": "401",
        "wrong password": "401",
        "Prometheus itself": "up",
    }
    assert {attempt.probe.client: attempt.outcome for attempt in outcome.attempts} == expected
    assert targets(practice)["node"]["scrapeUrl"].startswith("https://")
    web = file(practice, "srv1", "web.yml")
    assert web.stat().st_mode & 0o777 == 0o640
    assert events[-1].kind == "finished"
    assert {row.component: row.state for row in engine.scan(stack).exposures} == {
        "node_exporter": "secured",
        "prometheus": "open",
    }

    again = engine.plan(stack)
    assert again.changes == (), "applying twice changes nothing"
    assert all(attempt.ok for attempt in engine.verify(stack))

    undone = engine.undo()
    assert undone.error is None
    assert differences(before, snapshot(engine.workspace.root)) == []
    assert engine.scan(stack).exposures[0].state == "open"
    wait_up(practice, "http://")


def wait_up(practice: PracticeStack, scheme: str) -> None:
    """Waits until Prometheus scrapes the exporter by that scheme; fails after a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        target = targets(practice).get("node", {"health": "unknown", "scrapeUrl": ""})
        if target["health"] == "up" and target["scrapeUrl"].startswith(scheme):
            return
        threading.Event().wait(0.05)
    pytest.fail(f"Prometheus does not scrape by {scheme}: {target}")


@pytest.mark.parametrize("key", [pytest.param("rsa-2048", marks=pytest.mark.matrix), "ed25519"])
def test_self_signed_certificates_and_each_kind_of_key_with_tls_then_a_password(
    engine: Engine, stack: Stack, practice: PracticeStack, key: str
) -> None:
    before = snapshot(engine.workspace.root)
    pinned = replace(stack, certificates=replace(stack.certificates, issued_by="self-signed", key=key))  # type: ignore[arg-type]
    tls_only = replace(
        pinned, components=(replace(pinned.components[0], protect=("tls",)), pinned.components[1])
    )
    first = apply(engine, tls_only)
    assert first.error is None
    second = engine.plan(pinned)
    assert not [change for change in second.restarts if change.action == "restart"], (
        "a password needs no restart"
    )
    assert engine.apply(second).error is None
    assert engine.plan(pinned).changes == ()
    for _ in range(2):
        assert engine.undo().error is None
    assert differences(before, snapshot(engine.workspace.root)) == []


def test_prometheus_itself_can_be_secured_too(engine: Engine, stack: Stack, practice: PracticeStack) -> None:
    before = snapshot(engine.workspace.root)
    both = replace(
        stack, components=tuple(replace(each, protect=("tls", "basic_auth")) for each in stack.components)
    )
    outcome = apply(engine, both)
    assert outcome.error is None
    assert {attempt.probe.component for attempt in outcome.attempts} == {"node_exporter", "prometheus"}
    assert engine.plan(both).changes == ()
    assert engine.undo().error is None
    assert differences(before, snapshot(engine.workspace.root)) == []


# -- faults: each is rolled back, with what, where and what to do


def check_rolled_back(engine: Engine, outcome: Outcome, before: dict[str, tuple[int, bytes]]) -> None:
    """Checks that everything is as before, the services run, and the error is complete."""
    assert outcome.state in ("rolled-back", "cancelled", "failed")
    assert outcome.error is not None
    assert outcome.error.what
    assert outcome.error.where
    assert outcome.error.todo
    assert differences(before, snapshot(engine.workspace.root)) == []
    assert engine.interrupted_run() is None


def test_a_file_changed_since_the_plan_is_not_overwritten(
    engine: Engine, stack: Stack, practice: PracticeStack
) -> None:
    plan = engine.plan(stack)
    config = file(practice, "prometheus", "prometheus.yml")
    config.write_bytes(config.read_bytes() + b"# mine\n")
    before = snapshot(engine.workspace.root)
    outcome = engine.apply(plan)
    assert isinstance(outcome.error, FileChangedError)
    check_rolled_back(engine, outcome, before)


def test_a_file_changed_during_a_run(engine: Engine, stack: Stack, practice: PracticeStack) -> None:
    plan = engine.plan(stack)
    config = file(practice, "prometheus", "prometheus.yml")
    before = snapshot(engine.workspace.root)

    def meddle(event: Event) -> None:
        if event.kind == "change" and event.done == 3 and event.state == "done":
            config.write_bytes(config.read_bytes() + b"# mine\n")

    outcome = engine.apply(plan, meddle)
    assert isinstance(outcome.error, FileChangedError)
    config.write_bytes(config.read_bytes().removesuffix(b"# mine\n"))
    check_rolled_back(engine, outcome, before)


def test_cancel_between_changes_rolls_everything_back(engine: Engine, stack: Stack) -> None:
    before = snapshot(engine.workspace.root)
    cancel = threading.Event()

    def stop(event: Event) -> None:
        if event.kind == "change" and event.state == "done" and event.done == 6:
            cancel.set()

    outcome = engine.apply(engine.plan(stack), stop, cancel)
    assert outcome.state == "cancelled"
    assert outcome.error is not None
    assert differences(before, snapshot(engine.workspace.root)) == []


def test_a_web_config_that_the_program_rejects(engine: Engine, stack: Stack, practice: PracticeStack) -> None:
    plan = engine.plan(stack)
    # It sets a field that an older program rejects and that our own checks accept.
    steps = []
    for step in plan.steps:
        changes = tuple(
            replace(
                change,
                content_kind=ContentKind.SERVICE_FLAGS,
                after=replace(change.after, content=change.after.content + b"nonsense: 1\n"),
            )
            if isinstance(change, WriteFile) and change.path.endswith("web.yml") and change.after
            else change
            for change in step.changes
        )
        steps.append(replace(step, changes=changes))
    before = snapshot(engine.workspace.root)
    outcome = engine.apply(replace(plan, steps=tuple(steps)))
    assert isinstance(outcome.error, ServiceError)
    assert any("nonsense" in line for line in outcome.error.log)
    check_rolled_back(engine, outcome, before)
    wait_up(practice, "http://")


def test_an_invalid_new_file_does_not_replace_the_old_one(
    engine: Engine, stack: Stack, practice: PracticeStack
) -> None:
    plan = engine.plan(stack)
    steps = tuple(
        replace(
            step,
            changes=tuple(
                replace(change, after=replace(change.after, content=b"basic_auth_users: {}\n"))
                if isinstance(change, WriteFile) and change.check == "web-config" and change.after
                else change
                for change in step.changes
            ),
        )
        for step in plan.steps
    )
    before = snapshot(engine.workspace.root)
    outcome = engine.apply(replace(plan, steps=steps))
    assert isinstance(outcome.error, ValidationError)
    assert differences(before, snapshot(engine.workspace.root)) == []


def test_prometheus_refusing_its_new_configuration(
    engine: Engine, stack: Stack, practice: PracticeStack
) -> None:
    plan = engine.plan(stack)
    steps = tuple(
        replace(
            step,
            changes=tuple(
                replace(
                    change,
                    content_kind=ContentKind.SERVICE_FLAGS,
                    after=replace(change.after, content=change.after.content + b"bogus: 1\n"),
                )
                if isinstance(change, WriteFile) and change.check == "prometheus-config" and change.after
                else change
                for change in step.changes
            ),
        )
        for step in plan.steps
    )
    before = snapshot(engine.workspace.root)
    outcome = engine.apply(replace(plan, steps=steps))
    assert isinstance(outcome.error, ServiceError)
    check_rolled_back(engine, outcome, before)
    wait_up(practice, "http://")


def test_a_port_that_is_taken_while_it_restarts(
    engine: Engine, stack: Stack, practice: PracticeStack
) -> None:
    plan = engine.plan(stack)
    arguments = Path(practice.host("srv1").service_folder) / "arguments"
    taken = practice.host("prometheus").listen
    before = snapshot(engine.workspace.root)
    steps = tuple(
        replace(
            step,
            changes=tuple(
                replace(
                    change,
                    after=replace(
                        change.after,
                        content=change.after.content.replace(
                            practice.host("srv1").listen.encode(), taken.encode()
                        ),
                    ),
                )
                if isinstance(change, WriteFile) and change.path == str(arguments) and change.after
                else change
                for change in step.changes
            ),
        )
        for step in plan.steps
    )
    outcome = engine.apply(replace(plan, steps=steps))
    assert isinstance(outcome.error, ServiceError)
    assert any("address already in use" in line for line in outcome.error.log)
    check_rolled_back(engine, outcome, before)


def test_a_probe_that_times_out_rolls_back(engine: Engine, stack: Stack, practice: PracticeStack) -> None:
    plan = engine.plan(stack)
    # 127.0.0.0/8 answers everywhere: a port that accepts and never answers stands for a host that hangs.
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        address = f"https://127.0.0.1:{silent.getsockname()[1]}/metrics"
        hanging = replace(plan.probes[0], url=address, timeout=0.5)
        before = snapshot(engine.workspace.root)
        outcome = engine.apply(replace(plan, probes=(hanging, *plan.probes[1:])))
    assert outcome.state == "rolled-back"
    check_rolled_back(engine, outcome, before)


def test_the_run_of_another_firescreen_is_not_disturbed(engine: Engine, stack: Stack) -> None:
    plan = engine.plan(stack)
    with engine.workspace.lock("a test"):
        outcome = engine.apply(plan)
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "in use by a test" in outcome.error.what


def test_at_most_one_scrape_is_lost(engine: Engine, stack: Stack, practice: PracticeStack) -> None:
    wait_up(practice, "http://")
    begin = time.time()
    assert apply(engine, stack).error is None
    time_after = time.time()
    wait_up(practice, "https://")
    # Two more scrapes, so that samples end the window.
    deadline = time.monotonic() + 60
    query = "up{job=%22node%22}[1m]"
    values: list[tuple[float, str]] = []
    while time.monotonic() < deadline:
        with urllib.request.urlopen(
            f"http://{practice.host('prometheus').listen}/api/v1/query?query={query}"
        ) as answer:
            result = json.load(answer)["data"]["result"]
        values = [(float(at), value) for series in result for at, value in series["values"]]
        if sum(at > time_after for at, _ in values) >= 2:
            break
        threading.Event().wait(0.1)
    window = [(at, value) for at, value in values if at >= begin - 1]
    failed = sum(value == "0" for _, value in window)
    times = sorted(at for at, _ in window)
    widest = max(later - earlier for earlier, later in itertools.pairwise(times))
    # A lost scrape without a sample shows as a gap: over 2.5 s at an interval of one second.
    lost_scrapes = failed + max(0, round(widest) - 2)
    assert lost_scrapes <= 1, f"{failed} failed scrapes, widest gap {widest:.2f} s in {window}"


def test_secret_files_are_readable_only_by_their_owner(
    engine: Engine, stack: Stack, practice: PracticeStack
) -> None:
    assert apply(engine, stack).error is None
    for path in engine.workspace.root.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        content = path.read_bytes()
        if b"PRIVATE KEY" in content or b"$2y$" in content or path.suffix in (".password", ".curl"):
            assert path.stat().st_mode & 0o027 == 0, f"{path} is {path.stat().st_mode & 0o777:o}"
    runs = [path for path in engine.workspace.runs.rglob("*") if path.is_dir()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in runs)


def test_the_curl_commands_run_as_printed(engine: Engine, stack: Stack) -> None:
    outcome = apply(engine, stack)
    asked = [attempt for attempt in outcome.attempts if attempt.probe.kind == "http"]
    assert len(asked) == 5
    for attempt in asked:
        ended = run_program(["sh", "-c", attempt.curl], timeout=30, env={"PATH": os.environ["PATH"]})
        if attempt.outcome == "untrusted":
            assert ended.returncode == 60, ended
        else:
            assert ended.stdout.strip() == attempt.outcome, ended


# -- restarts by the user


def test_a_windows_host_gets_manual_commands_and_is_waited_for(
    engine: Engine, practice: PracticeStack, node_exporter: str, tmp_path: Path
) -> None:
    """A node_exporter that is reached by its port only stands for a Windows host; the test plays the user."""
    address = loopback_programs.free_address(9100)
    listen = f"{address}:9100"
    host = HostSpec(name="winbox", connect="manual", address=address, os="windows")
    stack = Stack(
        hosts=(host,),
        components=(ComponentSpec(host="winbox", name="node_exporter", protect=("tls", "basic_auth")),),
    )
    running = [subprocess.Popen([node_exporter, f"--web.listen-address={listen}"], stderr=subprocess.DEVNULL)]
    try:
        wait_for_connection(listen)
        plan = engine.plan(stack)
        typed = plan.restarts[0].commands()
        assert typed[0].startswith("# On winbox, in PowerShell")
        assert "--web.config.file=C:\\Program Files\\windows_exporter\\web.yml" in "\n".join(typed)
        assert not any(word in line for line in typed for word in ("install ", "openssl", "htpasswd"))
        # The commands that make the files run on this machine.
        made = [
            change
            for change in plan.changes
            if change.host == "winbox" and not isinstance(change, RunService)
        ]
        assert made
        assert all(
            change.typed_here and change.commands()[0].startswith("# On the machine") for change in made
        )
        before = snapshot(engine.workspace.root)
        waited: list[Event] = []
        log_file, engine_cancel = tmp_path / "node_exporter.log", threading.Event()

        def person(event: Event) -> None:
            if event.kind != "waiting" or waited:
                return
            waited.append(event)
            folder = engine.workspace.outbox / "winbox" / "node_exporter"
            running[0].terminate()
            running[0].wait(60)
            # As a user does: it is started again until it stays up, and its output is kept.
            for _ in range(10):
                with log_file.open("a") as log:
                    started = subprocess.Popen(
                        [node_exporter, f"--web.listen-address={listen}", "--web.config.file=web.yml"],
                        cwd=folder,
                        stderr=log,
                    )
                running.append(started)
                if accepts_connections(listen, started):
                    return
                started.wait(60)
            engine_cancel.set()

        outcome = engine.apply(plan, person, cancel=engine_cancel)
        assert outcome.error is None, log_file.read_text()
        assert "web.config.file" in waited[0].text
        assert len([attempt for attempt in outcome.attempts if attempt.ok]) == 5
        assert engine.plan(stack).changes == ()
        assert engine.undo().error is None
        assert differences(before, snapshot(engine.workspace.root)) == []
    finally:
        for process in running:
            process.terminate()
            process.wait(60)


def test_a_manual_reload_of_prometheus_is_waited_for(
    engine: Engine, stack: Stack, practice: PracticeStack
) -> None:
    facts = engine.inspect(stack)
    known = facts.hosts["prometheus"]
    by_hand = tuple(replace(each, manager="manual", kind="process") for each in known.services)
    facts = replace(facts, hosts={**facts.hosts, "prometheus": replace(known, services=by_hand)})
    (supervised,) = known.services
    connection = practice.host("prometheus").connection()
    asked: list[str] = []

    def person(event: Event) -> None:
        if event.kind == "waiting":
            asked.append(event.state)
            practised.reload(connection, supervised)

    outcome = engine.apply(engine.plan(stack, facts=facts), person)
    assert outcome.error is None
    assert len(asked) == 2  # https first, the login when the server restarts with it
    assert all(each.startswith("reload") for each in asked)
    assert all(attempt.ok for attempt in outcome.attempts)


def accepts_connections(place: str, process: subprocess.Popen[bytes]) -> bool:
    """Waits until a process accepts connections at an address; returns whether it did so before it ended."""
    name, _, port = place.rpartition(":")
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((name, int(port)), 1).close()
        except OSError:
            threading.Event().wait(0.02)
        else:
            return process.poll() is None
    return False


def wait_for_connection(place: str) -> None:
    """Waits until something accepts connections at an address; fails after a minute."""
    name, _, port = place.rpartition(":")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection((name, int(port)), 1).close()
        except OSError:
            threading.Event().wait(0.02)
        else:
            return
    pytest.fail(f"nothing answers on {place}")


def test_cancel_during_a_manual_step_rolls_everything_back(
    engine: Engine, practice: PracticeStack, node_exporter: str
) -> None:
    address = loopback_programs.free_address(9100)
    host = HostSpec(name="dockerbox", connect="manual", address=address)
    stack = Stack(
        hosts=(host,), components=(ComponentSpec(host="dockerbox", name="node_exporter", protect=("tls",)),)
    )
    process = subprocess.Popen(
        [node_exporter, f"--web.listen-address={address}:9100"], stderr=subprocess.DEVNULL
    )
    try:
        wait_for_connection(f"{address}:9100")
        plan = engine.plan(stack)
        before = snapshot(engine.workspace.root)
        cancel = threading.Event()
        outcome = engine.apply(plan, lambda event: cancel.set() if event.kind == "waiting" else None, cancel)
        assert outcome.state == "cancelled"
        assert differences(before, snapshot(engine.workspace.root)) == []
    finally:
        process.terminate()
        process.wait(60)


def test_removing_the_practice_stack_leaves_nothing_of_it(
    engine: Engine, stack: Stack, practice: PracticeStack
) -> None:
    assert apply(engine, stack).error is None
    config = file(practice, "prometheus", "prometheus.yml")
    config.write_bytes(config.read_bytes() + b"# mine\n")
    engine.practice_down()
    assert not Path(practice.folder).exists()
    assert not (engine.workspace.root / "ca").exists()
    assert not list(engine.workspace.root.rglob("*.password"))
    assert engine.interrupted_run() is None
    assert engine.undo().state == "failed"


# -- crashes while restoring, and what must not be lost


@pytest.mark.parametrize("at", [1, 4, 7, 12])
def test_recover_finishes_an_interrupted_undo(
    engine: Engine, stack: Stack, practice: PracticeStack, at: int
) -> None:
    before = snapshot(engine.workspace.root)
    assert apply(engine, stack).error is None
    child = os.fork()
    if child == 0:
        rollbacks = 0

        def die(event: Event) -> None:
            nonlocal rollbacks
            rollbacks += event.kind == "rollback"
            if rollbacks == at:
                os._exit(9)

        engine.undo(emit=die)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert engine.interrupted_run() is not None
    assert [outcome.error for outcome in engine.recover()] == [None]
    assert differences(before, snapshot(engine.workspace.root)) == []
    assert engine.interrupted_run() is None


def test_an_error_in_the_event_callback_does_not_fail_the_run(engine: Engine, stack: Stack) -> None:
    def broken(event: Event) -> None:
        raise BrokenPipeError(event.kind)

    with pytest.raises(BrokenPipeError):
        engine.apply(engine.plan(stack), broken)
    assert [run.state for run in engine.history()] == ["proven"]


def test_an_undo_that_cannot_finish_does_not_start(engine: Engine, stack: Stack) -> None:
    assert apply(engine, stack).error is None
    after = snapshot(engine.workspace.root)
    images = sorted(engine.workspace.runs.glob("*/before/*"))
    assert images
    images[0].unlink()  # the former content of the service's arguments
    outcome = engine.undo()
    assert outcome.state == "failed"
    assert differences(after, snapshot(engine.workspace.root)) == []
    assert all(attempt.ok for attempt in engine.verify(stack))


def test_a_damaged_journal_is_not_deleted(engine: Engine, stack: Stack) -> None:
    assert apply(engine, stack).error is None
    journal = next(engine.workspace.runs.glob("*/journal.jsonl"))
    journal.write_bytes(b"{" + journal.read_bytes().lstrip(b"\n{"))
    assert engine.apply(engine.plan(stack)).state == "nothing"
    assert list(engine.workspace.runs.glob("*/before/*")), "the only copies of what was there"


def test_removing_the_practice_stack_keeps_the_ca_of_a_real_stack(
    engine: Engine, stack: Stack, practice: PracticeStack, node_exporter: str
) -> None:
    assert apply(engine, stack).error is None
    address = loopback_programs.free_address(9100)
    host = HostSpec(name="box", connect="manual", address=address)
    real = Stack(
        hosts=(host,), components=(ComponentSpec(host="box", name="node_exporter", protect=("tls",)),)
    )
    folder = engine.workspace.outbox / "box" / "node_exporter"
    flags = [f"--web.listen-address={address}:9100"]
    running = [subprocess.Popen([node_exporter, *flags], stderr=subprocess.DEVNULL)]

    def person(event: Event) -> None:
        if event.kind == "waiting":
            running[-1].terminate()
            running[-1].wait(60)
            argv = [node_exporter, *flags, f"--web.config.file={folder}/web.yml"]
            running.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))

    try:
        wait_for_connection(f"{address}:9100")
        assert engine.apply(engine.plan(real), person).error is None
        engine.practice_down()
        assert (engine.workspace.authority / "ca.key").exists()
        assert all(attempt.ok for attempt in engine.verify(real))
    finally:
        for process in running:
            process.terminate()
            process.wait(60)


def test_a_job_with_foreign_targets_is_split_and_they_get_no_password(
    engine: Engine, stack: Stack, practice: PracticeStack
) -> None:
    config = file(practice, "prometheus", "prometheus.yml")
    place = practice.host("srv1").listen
    text = config.read_text().replace(f"- '{place}'", f"- '{place}'\n          - 'other.invalid:9100'")
    assert "other.invalid" in text
    config.write_text(text)
    plan = engine.plan(stack)
    edits = [each for each in plan.changes if isinstance(each, WriteFile) and each.path == str(config)]
    by_https, change = edits
    assert by_https.after is not None and change.after is not None
    assert not any(job.basic_auth for job in scrape.jobs(by_https.after.content)), (
        "it goes there by http until then"
    )
    jobs = {job.name: job for job in scrape.jobs(change.after.content)}
    assert jobs["node"].targets == ("other.invalid:9100",)
    assert not jobs["node"].basic_auth
    assert jobs["node-https"].targets == (place,)
    assert jobs["node-https"].basic_auth["username"] == "prometheus"
