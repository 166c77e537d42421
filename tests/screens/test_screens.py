"""The wizard in unusual situations: hostile text, errors, small terminals, interrupted runs, lost terminals."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from textual import events

from screens.app import FirescreenApp, make_app
from screens.dialogs.attempt import AttemptDialog
from screens.dialogs.error import ErrorDialog
from screens.run.screen import RunPage
from screens.run_state import advance, begin
from screens.state import ErrorMessage
from screens.verification.screen import VerificationPage
from tests.screens.helpers import QuietEngine, drawn, engine, svg_text, until
from wizard.engine import Difference, Remains, Scan
from wizard.model import (
    Attempt,
    CertificateSummary,
    ComponentSpec,
    Event,
    Facts,
    HostFacts,
    HostSpec,
    Plan,
    Probe,
    RunRecord,
    Stack,
    TlsReport,
)

HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link\x1b]8;;\x07 \x1b]52;c;aGk=\x07 [bold red]markup[/] "
    "[@click=app.quit]quit[/] \u202edesrever\u202c \x9b2J \r\nsecond line"
)
NOTHING = Plan(stack=Stack(hosts=(), components=()), facts=Facts({}), steps=(), probes=())


def quiet(one: QuietEngine | None = None, **options: Any) -> FirescreenApp:
    """Returns the wizard on an engine that finds nothing."""
    return make_app(build=engine(one), **options)


def hostile_attempt() -> Attempt:
    """Returns a probe's result from a hostile server."""
    certificate = CertificateSummary(
        subject=f"CN={HOSTILE}",
        issuer=HOSTILE * 2000,
        names=(HOSTILE,),
        not_before=0,
        not_after=time.time(),
        key="EC P-256",
        usage=("server",),
        fingerprint="AA",
    )
    return Attempt(
        probe=Probe(
            id="p",
            host=HOSTILE,
            component="node_exporter",
            name=HOSTILE,
            client="no CA",
            expect="untrusted",
            url="https://127.0.0.1:1/",
        ),
        ok=True,
        outcome="untrusted",
        reason=HOSTILE,
        detail=HOSTILE + "x",
        tls=TlsReport(version="TLS 1.3", cipher=HOSTILE, chain=(certificate,), steps=(HOSTILE,)),
        body=HOSTILE * 10_000,
        curl=f"curl {HOSTILE}",
    )


def assert_harmless(app: FirescreenApp, text: str) -> None:
    """Fails if the text sets a style, moves the cursor or is missing."""
    for bad in ("\x1b", "\x9b", "\x07", "\u202e"):
        assert bad not in text
    assert "[bold red]markup[/]" in text.replace("\n", ""), "markup is shown, not obeyed"
    assert "[@click" in text
    assert "desrever" in text
    assert "\x1b" not in svg_text(app.export_screenshot())


async def test_hostile_text_in_an_attempt_is_plain() -> None:
    app = quiet()
    async with app.run_test(size=(120, 60)) as pilot:
        await until(pilot, "Follow a lab")
        app.push_screen(AttemptDialog(hostile_attempt()))
        text = await until(pilot, "Command")
        assert_harmless(app, text)


async def test_hostile_text_in_the_log_and_the_matrix_is_plain() -> None:
    app = quiet()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "Follow a lab")
        state = begin("apply")
        for line in (HOSTILE, "y" * 1_000_000):
            state = advance(state, Event(run="7", kind="log", text=line))
        state = advance(state, Event(run="7", kind="probe", attempt=hostile_attempt()))
        error = ("Title " + HOSTILE, HOSTILE, HOSTILE, HOSTILE)
        state = advance(state, Event(run="7", kind="finished", state="failed", error=error))
        app.run_state = state
        app.push_screen(RunPage())
        assert_harmless(app, await until(pilot, "Where"))
        app.push_screen(VerificationPage())
        text = await until(pilot, "client")
        assert "\x1b" not in text
        assert "\u202e" not in text


async def test_hostile_text_in_an_error_is_plain() -> None:
    app = quiet()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        app.show_error(ErrorMessage(HOSTILE, HOSTILE, HOSTILE, HOSTILE))
        assert_harmless(app, await until(pilot, "Where"))
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)


async def test_a_bad_stack_file_is_explained_and_nothing_is_touched(tmp_path: Path) -> None:
    stack = tmp_path / "firescreen.yaml"
    stack.write_text("version: 1\nhosts: {here: {connect: local}}\ncomponentz: []\n")
    workspace = tmp_path / "workspace"
    app = make_app(stack=stack, workspace=workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, lambda: isinstance(app.screen, ErrorDialog))
        assert "componentz" in text
        assert "firescreen.yaml" in "".join(line.strip(" │") for line in text.splitlines())
        assert "Traceback" not in text
        await pilot.press("escape")
        await until(pilot, "Practise")
    assert stack.read_text().endswith("componentz: []\n")


async def test_a_small_terminal_shows_a_notice_and_can_be_used() -> None:
    app = quiet()
    async with app.run_test(size=(60, 16)) as pilot:
        assert "80x24" in await until(pilot, "The terminal is too small")
        await pilot.press("escape")
        await until(pilot, "Practise")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        await pilot.resize_terminal(70, 20)
        await until(pilot, "The terminal is too small")
        await pilot.resize_terminal(90, 30)
        await until(pilot, lambda: "The terminal is too small" not in drawn(pilot))


async def test_home_is_shown_before_the_scan_ends() -> None:
    one = QuietEngine()
    held = threading.Event()

    def scan(stack: Stack | None = None, **_: object) -> Any:
        held.wait(30)
        return QuietEngine.scan(one, stack)

    one.scan = scan  # type: ignore[method-assign]
    app = quiet(one)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "scanning this machine")
        assert "Follow a lab" in text
        held.set()
        await until(pilot, "No Prometheus component was found")


async def test_only_one_run_at_a_time_and_leaving_waits_for_it() -> None:
    one = QuietEngine()
    app = quiet(one)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        assert app.runs.start(begin("apply"), lambda emit, cancel: one.apply(NOTHING, emit, cancel))
        app.push_screen(RunPage())
        await until(pilot, "still at it")
        assert not app.runs.start(begin("apply"), lambda emit, cancel: one.apply(NOTHING, emit, cancel))
        await pilot.press("escape")
        assert isinstance(app.screen, RunPage), "there is no way out of a run but stopping it"
        await pilot.press("ctrl+q")
        await until(pilot, "Stop the run?")
        await pilot.press("escape")
        await pilot.pause()
        assert app.runs.working
        await pilot.press("ctrl+q")
        await until(pilot, "Stop the run?")
        await pilot.press("y")
        deadline = time.monotonic() + 20
        while app.is_running and time.monotonic() < deadline:
            await pilot.pause(0.01)
    assert one.cancelled == [True]
    assert app.return_value == 0


async def test_a_stopped_run_shows_its_result() -> None:
    one = QuietEngine()
    app = quiet(one)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        app.runs.start(begin("apply"), lambda emit, cancel: one.apply(NOTHING, emit, cancel))
        app.push_screen(RunPage())
        await until(pilot, "still at it")
        await pilot.press("x")
        await until(pilot, "Enter or y stops the run")
        await pilot.press("enter")
        await until(pilot, "stopped, rolled back")
        await until(pilot, lambda: not app.runs.working)
        assert one.cancelled == [True]


async def test_an_interrupted_run_is_offered_for_recovery_at_the_start() -> None:
    one = QuietEngine()
    record = RunRecord(run="7", started=0.0, state="cut-off", title="secure srv1", changes=(), folder="/x")
    one.interrupted_run = lambda: record  # type: ignore[method-assign]
    app = quiet(one)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "A run was interrupted")
        assert "secure srv1" in text
        await pilot.press("escape")
        await until(pilot, "Practise")


async def test_a_bug_is_reported_without_a_traceback() -> None:
    one = QuietEngine()

    def scan(stack: Stack | None = None, **_: object) -> Any:
        raise RuntimeError(f"password: hunter2secret {HOSTILE}")

    one.scan = scan  # type: ignore[method-assign]
    app = quiet(one)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "Internal error")
        assert "hunter2secret" not in text
        assert "Traceback" not in text
        assert "test_screens.py" in text


@pytest.mark.parametrize(
    "key",
    ["s", "c", "h", "l", "question_mark", "ctrl+p"],
    ids=["secure", "inventory", "history", "lab", "help", "all"],
)
async def test_each_page_opens_and_escape_returns(key: str) -> None:
    one = QuietEngine()
    app = quiet(one)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        await pilot.press(key)
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)


async def test_no_colour_still_shows_the_focus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = quiet()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        strips = app.screen._compositor.render_strips()
        styles = {
            name: segment.style
            for strip in strips
            for segment in strip
            for name in ("Practise   ", "History")
            if name in segment.text
        }
        chosen, other = styles["Practise   "], styles["History"]
        assert chosen is not None
        assert other is not None
        assert chosen.reverse != other.reverse or chosen.underline != other.underline


async def test_without_root_sudo_is_offered_and_declining_changes_nothing() -> None:
    one = QuietEngine()
    here = HostSpec(name="here", connect="local")
    mine = Stack(hosts=(here,), components=(ComponentSpec(host="here", name="node_exporter"),))
    facts = Facts({"here": HostFacts(spec=here, root=False, user="me")})

    def scan(stack: Stack | None = None, **_: object) -> Scan:
        return Scan(stack=mine, facts=facts, exposures=(), findings=())

    one.scan = scan  # type: ignore[method-assign]
    app = quiet(one)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        await pilot.press("s")
        text = await until(pilot, "Root privileges are needed")
        assert "never sees" in text
        await pilot.press("enter")
        await until(pilot, "sudo cannot ask for a password")
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.session.stack == mine


def test_the_first_frame_imports_nothing_heavy() -> None:
    code = (
        "import sys, screens.app; print(*sorted({name.split('.')[0] for name in sys.modules}), *sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "cryptography",
        "bcrypt",
        "ruamel",
        "paramiko",
        "jsonschema",
        "click",
        "wizard.engine",
        "wizard.model",
    }
    assert not heavy & set(loaded)


@pytest.mark.parametrize("shown", [b"\x1b", b"Home"], ids=["before the first frame", "later"])
def test_a_closed_terminal_ends_the_wizard(tmp_path: Path, shown: bytes) -> None:
    """Ends it also where its parent ignored SIGHUP: it would try to read its terminal for ever otherwise."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [
            "sh",
            "-c",
            "trap '' HUP; exec \"$@\"",
            "sh",
            sys.executable,
            "-m",
            "screens",
            "--workspace",
            str(tmp_path),
        ],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(follower)
    try:
        drawn = b""
        while shown not in drawn:
            assert select.select([leader], [], [], 30)[0], drawn
            drawn += os.read(leader, 65536)
        if shown == b"Home":
            time.sleep(4)  # it has read its terminal at least once
        assert process.poll() is None
        os.close(leader)
        assert process.wait(30) == 128 + signal.SIGHUP
    finally:
        process.kill()
        process.wait()


async def test_keys_work_at_once_in_a_window_that_gets_the_focus_late() -> None:
    async with quiet().run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        pilot.app.post_message(events.AppBlur())
        await until(pilot, lambda: pilot.app.screen.focused is None)
        pilot.app.push_screen(ErrorDialog(ErrorMessage("A title", "what")))
        await until(pilot, "A title")
        assert pilot.app.screen.focused is None
        pilot.app.post_message(events.AppFocus())
        await until(pilot, lambda: pilot.app.screen.focused is not None)
        await pilot.press("enter")
        await until(pilot, "No Prometheus component was found")
        assert len(pilot.app.screen_stack) == 1


RUN = RunRecord(run="7", started=0.0, state="cut-off", title="secure srv1", changes=(), folder="/x")


async def test_an_interrupted_run_without_differences_is_forgotten() -> None:
    one = QuietEngine()
    asked: list[bool] = []
    left = Remains(run="7", title="secure srv1", started=0.0, hosts=("srv1",), differences=())
    one.interrupted_run = lambda: RUN  # type: ignore[method-assign]
    one.remains = lambda: (left,)  # type: ignore[attr-defined]

    def forget(*, as_it_is: bool) -> tuple[()]:
        asked.append(as_it_is)
        return ()

    one.forget = forget  # type: ignore[attr-defined]
    app = quiet(one)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "A run was interrupted")
        await pilot.click("#compare")
        await until(pilot, "every file is as before the run")
        assert asked == [], "comparing changes nothing"
        await pilot.click("#forget")
        await until(pilot, lambda: asked == [False])


async def test_differences_are_shown_and_kept_only_by_a_separate_choice() -> None:
    one = QuietEngine()
    asked: list[bool] = []
    differences = (
        Difference(host="srv1", path="/etc/x/web.yml", what="it is as the run left it", copy="/w/0001"),
    )
    left = Remains(run="7", title="secure srv1", started=0.0, hosts=("srv1",), differences=differences)
    one.interrupted_run = lambda: RUN  # type: ignore[method-assign]
    one.remains = lambda: (left,)  # type: ignore[attr-defined]

    def forget(*, as_it_is: bool) -> tuple[()]:
        asked.append(as_it_is)
        return ()

    one.forget = forget  # type: ignore[attr-defined]
    app = quiet(one)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "A run was interrupted")
        await pilot.click("#compare")
        for shown in ("srv1: it is as the run left it", "/etc/x/web.yml", "/w/0001"):
            await until(pilot, shown)
        await pilot.press("enter")  # the harmless button has the focus
        await until(pilot, "Practise")
        assert asked == []
