"""The reducer behind the screens of a run, a pure function, tested without a screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from screens.controllers.run_controller import EventQueue
from screens.run_state import MAX_LINES, RunState, advance, begin, stop
from screens.state import ErrorMessage, Session, of_same_kind
from screens.state_styles import run_diff, tail
from tests.screens import example_stack
from wizard.model import (
    Answers,
    Attempt,
    Authorization,
    ClientLogin,
    Event,
    Facts,
    Plan,
    PlannedStep,
    Probe,
    StepKind,
)
from wizard.redact import MASK

STEPS = (
    PlannedStep(id="ca", kind=StepKind.CA, title="Make a CA", host="workspace", why="", changes=()),
    PlannedStep(
        id="web:srv1", kind=StepKind.WEB_CONFIG, title="Ask for a password", host="srv1", why="", changes=()
    ),
)
PROBE = Probe(
    id="srv1/node_exporter/no-TLS",
    host="srv1",
    component="node_exporter",
    name="without TLS it is rejected",
    client="no TLS",
    expect="400",
    url="http://127.0.0.1:9100/metrics",
)


def advance_all(*events: Event, state: RunState | None = None) -> RunState:
    """Returns the state after these events."""
    now = state or begin("apply", STEPS)
    for event in events:
        now = advance(now, event)
    return now


def change(step: str, state: str, **rest: object) -> Event:
    """Returns the event of a changed step."""
    return Event(run="7", kind="change", step=step, state=state, **rest)  # type: ignore[arg-type]


def test_steps_follow_the_events_of_the_engine() -> None:
    state = advance_all(
        change("ca", "running"), change("ca", "done"), change("web:srv1", "running", done=1, total=2)
    )
    assert [step.state for step in state.steps] == ["done", "running"]
    assert (state.run, state.current, state.done, state.total) == ("7", "web:srv1", 1, 2)
    assert state.busy


def test_a_step_that_is_in_no_plan_is_shown() -> None:
    state = advance_all(change("late", "running", host="srv1", text="something more"))
    assert state.steps[-1].title == "something more"


def test_only_the_finished_event_ends_a_run() -> None:
    state = stop(advance_all(change("ca", "running")))
    assert state.phase == "stopping"
    assert state.busy
    state = advance_all(change("ca", "done"), Event(run="7", kind="rollback", text="put back a"), state=state)
    assert state.busy
    state = advance_all(Event(run="7", kind="finished", state="cancelled"), state=state)
    assert (state.phase, state.result) == ("finished", "cancelled")
    assert [step.state for step in state.steps] == ["undone", ""]
    assert advance_all(change("ca", "running"), state=state) == state, "nothing moves after the end"


def test_a_failure_keeps_its_error() -> None:
    error = ("A service did not come up", "node_exporter ended", "srv1", "read its log")
    state = advance_all(
        change("ca", "done"),
        change("web:srv1", "failed", error=error),
        Event(run="7", kind="rollback", state="running"),
        Event(run="7", kind="finished", state="rolled-back"),
    )
    assert state.error == ErrorMessage(*error)
    assert [step.state for step in state.steps] == ["undone", "failed"]


def test_a_probe_replaces_its_predecessor_and_up_is_remembered() -> None:
    up = replace(
        PROBE, id="up", kind="up", expect="up", client="Prometheus itself", instance="127.0.0.1:9100"
    )

    down = Attempt(probe=up, ok=False, outcome="down", scrape_url="https://127.0.0.1:9100/metrics")

    def probe(attempt: Attempt) -> Event:
        return Event(run="7", kind="probe", attempt=attempt)

    state = advance_all(
        probe(Attempt(probe=PROBE, ok=False, outcome="200")),
        probe(Attempt(probe=up, ok=False, outcome="down", detail="no target")),
        probe(replace(down, detail="last scraped 9:00", pending=True)),
        probe(replace(down, detail="last scraped 9:01")),
        probe(replace(down, detail="last scraped 9:01")),
        probe(Attempt(probe=PROBE, ok=True, outcome="400")),
        probe(replace(down, ok=True, outcome="up", detail="last scraped 9:02")),
    )
    assert [(one.probe.id, one.ok) for one in state.attempts] == [(PROBE.id, True), ("up", True)]
    assert state.ups == (("127.0.0.1:9100", ("down", "up")),)
    assert state.activity == "verifying"


def test_waiting_for_manual_commands_ends_with_the_next_change() -> None:
    state = advance_all(Event(run="7", kind="waiting", host="srv1", text="systemctl restart it"))
    assert (state.waiting, state.waiting_host) == ("systemctl restart it", "srv1")
    assert advance_all(change("ca", "done"), state=state).waiting == ""


def test_the_steps_of_an_undo_are_the_restored_files() -> None:
    state = advance_all(
        Event(run="7", kind="rollback", state="undone", text="put back a", host="h"), state=begin("undo")
    )
    assert [(step.title, step.state) for step in state.steps] == [("put back a", "undone")]


def test_the_log_is_bounded() -> None:
    state = advance_all(*(Event(run="7", kind="log", text=str(number)) for number in range(MAX_LINES + 50)))
    assert len(state.lines) == MAX_LINES
    assert state.lines[-1].text == str(MAX_LINES + 49)


@pytest.mark.parametrize("kind", ["change", "probe", "rollback", "finished", "waiting", "started"])
def test_the_feed_wakes_for_important_events(kind: str) -> None:
    woken: list[int] = []
    feed = EventQueue(lambda: woken.append(1))
    feed.emit(Event(run="7", kind="log", text="quiet"))
    assert not woken
    feed.emit(Event(run="7", kind=kind))  # type: ignore[arg-type]
    assert woken
    assert [event.kind for event in feed.take()] == ["log", kind]
    assert feed.take() == ()


def test_the_feed_drops_no_important_event_and_bounds_the_log() -> None:
    feed = EventQueue(lambda: None)
    for _ in range(5000):
        feed.emit(Event(run="7", kind="log", text="x"))
    feed.emit(Event(run="7", kind="change", step="ca", state="done"))
    feed.emit(Event(run="7", kind="finished", state="proven"))
    taken = feed.take()
    assert len(taken) < 2500
    assert [event.kind for event in taken[-2:]] == ["change", "finished"]


def test_the_feed_makes_text_harmless() -> None:
    feed = EventQueue(lambda: None)
    line = "\x1b]52;c;aGk=\x07$2y$10$abcdefghijklmnopqrstuv" + "x" * 1_000_000
    feed.emit(Event(run="7", kind="log", text=line))
    (event,) = feed.take()
    assert "\x1b" not in event.text
    assert "abcdefghijklmnopqrstuv" not in event.text
    assert MASK in event.text
    assert len(event.text) < 1000


def test_a_long_path_is_cut_at_a_folder_and_keeps_its_end() -> None:
    assert tail("/etc/prometheus/", 20) == "/etc/prometheus/"
    assert tail("/srv/firescreen/practice/prometheus/etc/", 24) == "…/prometheus/etc/"
    assert tail("/srv/firescreen/runs/20261130-031329-cdfefc6c", 24) == "20261130-031329-cdfefc6c"
    assert tail("/" + "x" * 30, 10) == "…" + "x" * 9


def test_the_files_of_a_run_are_listed_below_their_folder() -> None:
    lines = (
        "# srv1: Write the web configuration",
        "--- /dev/null",
        "+++ /etc/node_exporter/web.yml",
        "@@ -0,0 +1 @@",
        "+tls_server_config:",
        "--- /etc/node_exporter/old.yml",
        "+++ /dev/null",
        "--- /etc/default/node",
        "+++ /etc/default/node",
        "-a",
    )
    assert run_diff(lines, 40).plain.splitlines() == [
        "# srv1: Write the web configuration",
        "/etc/node_exporter/",
        "+ web.yml  created",
        "@@ -0,0 +1 @@",
        "+tls_server_config:",
        "- old.yml  removed",
        "/etc/default/",
        "~ node",
        "-a",
    ]


def test_the_present_level_is_kept_until_one_is_chosen() -> None:
    engine = example_stack.ExampleEngine(state="open")
    session = Session(stack=example_stack.five(), scan=engine.scan())
    assert session.standing is not None
    assert not any(one.protect for one in session.standing.components), "recommended is not what stands"
    assert replace(session, place="file").standing == session.stack
    assert replace(session, touched=frozenset({"x"})).standing == session.stack
    assert replace(session, scan=None).standing == session.stack


def test_retrying_plans_what_the_run_should_have_done() -> None:
    session = Session(stack=example_stack.five(), scan=example_stack.ExampleEngine().scan())
    assert session.stack is not None
    made = Plan(stack=session.stack, facts=Facts({}), steps=(), probes=())
    assert of_same_kind(session, made) == session
    renewal = of_same_kind(session, replace(made, answers=Answers(renew=frozenset({"ca"}))))
    assert renewal.renew == {"ca"}
    login = ClientLogin(
        host="monitor", place="job", name="node", way=Authorization(credentials_file="/etc/prometheus/token")
    )
    tokens = of_same_kind(session, replace(made, stack=replace(session.stack, client_logins=(login,))))
    assert tokens.wanted is not None
    assert tokens.wanted.client_logins == (login,)
    assert not any(one.protect for one in tokens.wanted.components), "the levels stay as they are"


def test_an_empty_page_of_the_practice_stack_does_not_advise_to_practise() -> None:
    assert "Practise" in Session(place="here").first_step
    assert Session(place="practice").first_step == "Press s to secure what is found here."
