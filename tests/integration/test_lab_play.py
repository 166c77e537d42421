"""The labs on the real practice stack: each step is not done before and done after, by hand and by the engine."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.command_line import firescreen
from tests.integration.snapshot import differences, snapshot
from tests.processes import run_program
from wizard import practice as practice_stack
from wizard.engine import Engine
from wizard.errors import HostError, ProgramUnavailableError
from wizard.labs import Lab, LabSession, find, labs, play, shell, state
from wizard.labs.environment import LabInProgressError
from wizard.labs.play import Line
from wizard.model import Event
from wizard.practice import PracticeStack
from wizard.workspace import Workspace

PATIENCE = 30.0


@pytest.fixture
def engine(practice: PracticeStack, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Returns an engine on a new practice stack."""
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    return Engine(Workspace(Path(practice.folder).parent).ensure())


@pytest.fixture
def session(engine: Engine) -> LabSession:
    """Returns the lab on TLS for node_exporter, just begun, with the tools for a terminal."""
    return LabSession.open(engine, "node-tls")


def silent(_: str) -> None:
    """Ignores progress messages."""


def by_hand(session: LabSession, step_id: str, workspace: Workspace) -> list[shell.Typed]:
    typed = list(shell.run(session.lab.step(step_id), workspace))
    assert [each for each in typed if each.code] == []
    assert len(typed) == len(session.lab.step(step_id).typed)
    return typed


def fire(*arguments: str, workspace: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_program(
        [sys.executable, "-m", "wizard.cli", "--workspace", str(workspace), *arguments],
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.mark.matrix
def test_without_a_name_the_first_labs_are_played_in_sequence(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    lines: list[Line] = []
    progress: list[str] = []
    workspace = Workspace(tmp_path)
    assert play.play(workspace, [], by_hand=False, keep=False, say=lines.append, progress=progress.append)
    assert sum(line.kind == "title" for line in lines) == 3
    assert not [line for line in lines if line.kind == "bad"]
    assert sum("goes on where" in text for text in progress) == 2
    assert any("the request of Prometheus is accepted: 200" in line.text for line in lines)
    assert not (tmp_path / "play").exists()
    assert practice_stack.status(tmp_path / "play") is None


def hints_used(session: LabSession, engine: Engine) -> dict[str, int]:
    kept = state.load(engine.workspace.labs / f"{session.lab.id}.json")
    return {name: step.hints for name, step in kept.steps.items() if step.hints} if kept else {}


def with_useless_check(monkeypatch: pytest.MonkeyPatch, lab: Lab) -> None:
    monkeypatch.setattr(play, "find", lambda *_: lab)
    monkeypatch.setattr("wizard.labs.session.find", lambda *_: lab)


def test_a_lab_whose_check_always_passes_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    source = find()
    first = replace(source.steps[0], checks=source.steps[0].checks[:1])
    with_useless_check(monkeypatch, replace(source, steps=(first, *source.steps[1:])))
    lines: list[Line] = []
    assert not play.play(
        Workspace(tmp_path), ["look"], by_hand=False, keep=False, say=lines.append, progress=silent
    )
    assert "it checks nothing" in lines[-1].text
    assert not (tmp_path / "play").exists()


@pytest.mark.parametrize("by_hand", [False, True], ids=["done-for-you", "by-hand"])
def test_a_command_that_fails_ends_the_play(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    source = find()
    broken = replace(source.steps[0], commands=("echo one", "cat /nonexistent/file", "echo three"))
    with_useless_check(monkeypatch, replace(source, steps=(broken, *source.steps[1:])))
    lines: list[Line] = []
    assert not play.play(
        Workspace(tmp_path), ["look"], by_hand=by_hand, keep=False, say=lines.append, progress=silent
    )
    texts = " ".join(line.text for line in lines)
    assert "$ cat /nonexistent/file" in texts
    assert "$ echo three" not in texts
    assert [line.kind for line in lines[-2:]].count("bad") == 1


def test_play_does_not_touch_a_started_lab(engine: Engine, session: LabSession) -> None:
    session.solve("certificate")
    session.check("certificate")
    done = session.done
    before = snapshot(engine.workspace.practice)

    assert play.play(
        engine.workspace, ["look"], by_hand=False, keep=False, say=lambda _: None, progress=silent
    )

    assert differences(before, snapshot(engine.workspace.practice)) == []
    assert LabSession(engine, find("node-tls")).done == done != frozenset()
    known = practice_stack.status(engine.workspace.root)
    assert known is not None and known.active


def test_steps_by_hand_and_steps_done_for_you_can_be_mixed(engine: Engine, session: LabSession) -> None:
    for number, step in enumerate(session.lab.steps):
        assert not session.check(step.id).ok
        if number % 2:
            by_hand(session, step.id, engine.workspace)
        else:
            assert session.solve(step.id).error is None
        result = session.check(step.id, patience=PATIENCE)
        assert result.ok, (step.id, result)


@pytest.mark.matrix
def test_each_lab_starts_alone_and_doing_the_last_step_does_the_missing_ones(
    engine: Engine,
) -> None:
    lines: list[str] = []
    session = LabSession.open(engine, "node-password", progress=lines.append)
    assert any("uses TLS already" in line for line in lines)
    before = snapshot(engine.workspace.practice)
    secrets = engine.workspace.users / "prometheus.password"
    events: list[Event] = []
    session.hint("close")

    outcome = session.solve("close", events.append)

    assert outcome.error is None
    assert session.check("close", patience=PATIENCE).ok
    assert session.current is None, "every step before it counts as done"
    assert [event.kind for event in events].count("finished") == 1
    report = session.report()
    assert report.stat().st_mode & 0o777 == 0o600
    text = report.read_text()
    assert "•••" not in text, "nothing in it had to be masked"
    assert "done by Firescreen" in text and "1 hint)" in text
    assert secrets.read_text() not in text
    assert secrets.read_text() not in (engine.workspace.labs / "node-password.json").read_text()

    session.reset()

    assert differences(before, snapshot(engine.workspace.practice)) == []
    assert not secrets.exists()
    assert session.done == frozenset() and hints_used(session, engine) == {}
    assert {run.state for run in engine.history()} == {"undone"}
    assert not session.check("password").ok


def test_reset_undoes_steps_by_hand_and_steps_done_for_me(engine: Engine, session: LabSession) -> None:
    before = snapshot(engine.workspace.practice)
    by_hand(session, "certificate", engine.workspace)
    assert session.solve("start").error is None
    web = next(engine.workspace.practice.rglob("web.yml"))
    web.write_text(web.read_text() + "# mine\n")
    assert session.check("start", patience=PATIENCE).ok

    session.reset()

    assert differences(before, snapshot(engine.workspace.practice)) == []
    assert {run.state for run in engine.history()} == {"undone"}
    assert session.done == frozenset()
    assert not session.check("start").ok


def test_a_starting_state_stored_as_a_folder_by_an_earlier_version_is_restored(
    engine: Engine, session: LabSession
) -> None:
    root = engine.workspace.practice
    before = snapshot(root)
    kept = engine.workspace.labs / "node-tls.beginning"
    kept.unlink()
    for pattern in ("*/etc/**/*", "*/services/*/arguments", "notes/*"):
        for path in filter(Path.is_file, root.glob(pattern)):
            (kept / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, kept / path.relative_to(root))
    by_hand(session, "certificate", engine.workspace)
    next(root.glob("prometheus/etc/prometheus/prometheus.yml")).write_text("scrape_configs: []\n")
    (root / "notes" / "mine").write_text("x")

    session.reset()

    assert differences(before, snapshot(root)) == []
    assert session.done == frozenset()


def test_progress_is_stored_and_each_hint_says_more(engine: Engine) -> None:
    session = LabSession.open(engine, "look")
    assert session.current is not None and session.current.id == "metrics"
    by_hand(session, "metrics", engine.workspace)
    assert session.check("metrics", patience=PATIENCE).ok
    hints = [session.hint("prometheus") for _ in range(4)]
    assert hints[:3] == list(session.lab.step("prometheus").hints)
    assert hints[3] == hints[2]

    again = LabSession.open(engine, "look", tools=False)

    assert again.done == {"metrics"}
    assert hints_used(again, engine) == {"prometheus": 3}
    assert again.current is not None and again.current.id == "prometheus"


def test_a_lab_does_not_start_while_another_is_in_progress(engine: Engine, session: LabSession) -> None:
    assert session.solve("certificate").error is None
    assert session.check("certificate").ok
    with pytest.raises(LabInProgressError, match="1 of 4 steps done"):
        LabSession.open(engine, "mutual-tls", tools=False)
    refused = fire("lab", "start", "mutual-tls", workspace=engine.workspace.root)
    assert refused.returncode == 2 and "--anew" in refused.stderr
    assert LabSession.open(engine, "node-tls", tools=False).done == {"certificate"}

    other = LabSession.open(engine, "mutual-tls", tools=False, anew=True)

    assert not list(engine.workspace.practice.rglob("*.crt"))
    assert other.done == frozenset()
    assert LabSession.open(engine, "node-tls", tools=False).done == frozenset(), "it begins afresh as well"


def test_an_undone_or_recreated_step_counts_as_not_done(engine: Engine, session: LabSession) -> None:
    assert session.solve("web-config").error is None
    assert session.check("web-config").ok
    assert LabSession(engine, find("node-tls")).done == {"certificate", "web-config"}
    while any(run.state == "applied" for run in engine.history()):
        assert engine.undo().error is None
    assert LabSession(engine, find("node-tls")).done == frozenset()


def test_a_student_may_stop_the_stack_during_a_lab(engine: Engine, session: LabSession) -> None:
    practice_stack.down(engine.workspace.root)
    result = session.check("start")
    assert not result.ok
    practice_stack.down(engine.workspace.root, remove=True)
    with pytest.raises(HostError, match="no node_exporter"):
        session.check("start")
    again = LabSession.open(engine, "node-tls", tools=False)
    assert "still answers plain HTTP" in again.check("start", patience=2.0).what


def test_a_cancelled_play_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "wizard.cli", "--workspace", str(tmp_path), "lab", "play", "node-tls"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "FIRESCREEN_CACHE": str(cache)},
    )
    assert child.stdout is not None
    with child.stdout:
        for line in child.stdout:
            if line.startswith("3/4"):
                child.terminate()
                break
        child.stdout.read()
    assert child.wait(60) == 130
    assert not (tmp_path / "play").exists()


def test_a_student_may_choose_other_names(engine: Engine, session: LabSession) -> None:
    by_hand(session, "certificate", engine.workspace)
    home = next(engine.workspace.practice.glob("srv1/etc/node_exporter"))
    (home / "node_exporter.crt").rename(home / "mine.pem")
    (home / "node_exporter.key").rename(home / "secret.pem")
    assert session.check("certificate").ok
    (home / "tls.yaml").write_text("tls_server_config: {cert_file: mine.pem, key_file: ./secret.pem}\n")
    (home / "tls.yaml").chmod(0o600)
    assert session.check("web-config").ok
    arguments = next(engine.workspace.practice.glob("srv1/services/*/arguments"))
    arguments.write_text(f"{arguments.read_text()}--web.config.file={home}/tls.yaml\n")
    assert "restart" in session.check("start").todo
    assert fire("practice", "restart", "node_exporter", workspace=engine.workspace.root).returncode == 0
    assert session.check("start", patience=PATIENCE).ok
    assert session.solve("scrape").error is None
    assert session.check("scrape", patience=PATIENCE).ok
    following = LabSession.open(engine, "node-password", tools=False)
    assert following.solve("close").error is None
    assert following.check("close", patience=PATIENCE).ok
    assert not list(home.glob("web.yml")), "the engine and the next lab went on with the student's own file"


def test_an_almost_right_step_is_not_done_and_says_what_is_missing(
    engine: Engine, session: LabSession
) -> None:
    by_hand(session, "certificate", engine.workspace)
    home = next(engine.workspace.practice.glob("srv1/etc/node_exporter"))
    (home / "node_exporter.key").chmod(0o644)
    assert "more users can read" in session.check("certificate").what
    (home / "node_exporter.key").chmod(0o640)
    request = "req -x509 -new -key node_exporter.key -days 9 -subj /CN=127.0.10.1 -out node_exporter.crt"
    subprocess.run(["openssl", *request.split()], cwd=home, check=True, capture_output=True, timeout=30)
    result = session.check("certificate")
    assert not result.ok and "SAN" in result.what
    (home / "node_exporter.crt").unlink()
    assert session.solve("scrape").error is None
    assert session.check("scrape", patience=PATIENCE).ok
    config = next(engine.workspace.practice.glob("prometheus/etc/prometheus/prometheus.yml"))
    text = config.read_text()
    config.write_text(
        text.replace("    tls_config:\n", "    tls_config:\n      insecure_skip_verify: true\n")
    )
    assert fire("practice", "reload", "prometheus", workspace=engine.workspace.root).returncode == 0
    assert "does not verify the certificate" in session.check("scrape").what
    config.write_text(text)

    following = LabSession.open(engine, "node-password", tools=False, anew=True)
    web = next(engine.workspace.practice.glob("srv1/etc/node_exporter/web.yml"))
    whole = web.read_text()
    web.write_text(f"{whole}basic_auth_users:\n")
    assert "no basic_auth_users" in following.check("close").todo
    web.write_text(f"{whole}basic_auth_users:\n  prometheus: $apr1$abcdefgh$0123456789abcdefghijkl\n")
    assert not following.check("close").ok


def test_a_forgotten_reload_is_reported_and_done(engine: Engine) -> None:
    session = LabSession.open(engine, "node-password", tools=False)
    config = next(engine.workspace.practice.glob("prometheus/etc/prometheus/prometheus.yml"))
    (config.parent / "pw").write_text("a password that is long")
    (config.parent / "pw").chmod(0o600)
    text = config.read_text()
    config.write_text(
        text.replace(
            "- job_name: node\n",
            "- job_name: node\n    basic_auth: {username: me, password_file: pw}\n",
        )
    )
    result = session.check("password")
    assert not result.ok and "reload" in result.todo
    assert fire("practice", "reload", "prometheus", workspace=engine.workspace.root).returncode == 0
    assert session.check("password", patience=PATIENCE).ok


def test_a_fault_is_made_on_request_and_the_next_one_starts_on_a_healthy_stack(engine: Engine) -> None:
    session = LabSession.open(engine, "faults")
    home = next(engine.workspace.practice.glob("srv1/etc/node_exporter"))
    whole = (home / "node.crt").read_bytes()
    not_in = session.check("fault-2")
    assert not not_in.ok and "not placed yet" in not_in.what
    session.begin("fault-2")
    assert (home / "node.crt").read_bytes() != whole
    result = session.check("fault-2")
    assert not result.ok and "x509" in result.what
    assert session.answer("fault-2") == ()
    assert [session.hint("fault-2") for _ in range(3)] and session.answer("fault-2")

    session.begin("fault-6")

    assert (home / "node.crt").read_bytes() == whole, "the fault before was not mended, and is gone"
    assert "more users can read or write node.key" in session.check("fault-6", patience=PATIENCE).what
    (home / "node.key").chmod(0o600)
    assert session.check("fault-6", patience=PATIENCE).ok, "mended in another way than the answer's"
    assert LabSession.open(engine, "faults", tools=False).done == {"fault-6"}


@pytest.mark.matrix
def test_doing_the_step_repairs_a_wrong_fix(engine: Engine) -> None:
    session = LabSession.open(engine, "faults")
    home = next(engine.workspace.practice.glob("srv1/etc/node_exporter"))
    session.begin("fault-2")
    (home / "web.yml").write_text("tls_server_config: [")
    next(engine.workspace.practice.glob("prometheus/etc/prometheus/ca/node.ext")).unlink()
    assert session.solve("fault-2").ok
    result = session.check("fault-2", patience=PATIENCE)
    assert result.ok and result.found == "The certificate of srv1 had no SAN."
    hints = session.hint("fault-2")
    assert hints == "This step is done: it needs no hint."
    session.begin("fault-6")
    assert session.has_begun("fault-2"), "it is done, and stays so"
    session.begin("fault-4")
    assert not session.has_begun("fault-6"), "its fault went with the repair"


def test_the_command_line_follows_a_lab(engine: Engine) -> None:
    typed = functools.partial(firescreen, "--workspace", str(engine.workspace.root))
    listed = typed("lab", "list")
    assert listed.returncode == 0 and len(listed.stdout.splitlines()) == len(labs())
    started = typed("lab", "start")
    assert started.returncode == 0, started.stderr
    assert "Read the metrics without credentials" in started.stdout and "\x1b" not in started.stdout
    missing = typed("lab", "check")
    assert missing.returncode == 1 and "not done yet" in missing.stdout
    assert "without a user name" in typed("lab", "hint", "look").stdout
    assert typed("lab", "solve", "1").returncode == 0
    assert typed("lab", "check", "metrics").returncode == 0
    assert "1 of 3" in typed("lab", "list").stdout
    assert typed("lab", "check", "nonsense").returncode == 2
    assert typed("lab", "play", "look", "--all").returncode == 2
    assert typed("lab", "reset").returncode == 0
    assert "(3 steps, about" in typed("lab", "list").stdout
    shown = typed("lab", "start", "node-tls", "2").stdout
    assert " <<END\n" in shown and "\nEND\n" in shown, "a here-document can be copied as it stands"


def test_an_answer_in_a_terminal_is_kept_by_an_open_wizard(engine: Engine) -> None:
    session = LabSession.open(engine, "look", tools=False)
    root = engine.workspace.root
    assert fire("lab", "answer", "look", "1", "Because of *this*.", workspace=root).returncode == 0
    assert fire("lab", "answer", "look", "9", "x", workspace=root).returncode == 2
    assert not session.check("metrics").ok
    session.respond(1, "And this.")
    assert session.answers == ("Because of *this*.", "And this.")
    session.reset()
    reported = fire("lab", "report", "--html", "-o", "-", workspace=root)
    assert (
        reported.returncode == 0
        and "Because of *this*." in reported.stdout
        and "And this." in reported.stdout
    )
    assert "done by" not in reported.stdout
    assert session.report().with_suffix(".html").stat().st_mode & 0o777 == 0o600


def test_without_programs_and_network_it_fails_and_leaves_nothing(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    done = fire(
        "lab",
        "play",
        workspace=tmp_path / "w",
        PATH=str(tools),
        FIRESCREEN_CACHE=str(tmp_path / "cache"),
        FIRESCREEN_DOWNLOADS="http://127.0.0.1:9",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert ProgramUnavailableError.title in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "w" / "play").exists()
