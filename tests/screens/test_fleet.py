"""A run on many hosts: a line for each, failures first and with their reason; keys are answered all the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from screens.app import FirescreenApp, make_app
from screens.plan.screen import PlanPage
from screens.plan.text import canary_candidates, choose_canary
from screens.run.actions import actions_after
from screens.run.host_table import HostTable
from screens.run.screen import RunPage
from screens.run.status import (
    SPINNER,
    group_line,
    group_steps,
    headline,
    host_details,
    host_line,
    host_summary,
    order_hosts,
    run_cards,
    step_lines,
)
from screens.run.step_list import StepList
from screens.run_state import HostRow, RunState, advance, begin, final_rows
from screens.state import ErrorMessage
from screens.themes import HOST_COLOURS, host_colours
from screens.verification.screen import VerificationPage
from screens.widgets.title_bar import TitleBar
from tests.screens import many_hosts
from tests.screens.helpers import drawn, engine, until
from wizard.engine import HostOutcome
from wizard.model import Attempt, Event, HostState, Probe

ERROR = ("A service did not come up", "node_exporter ended at once", "srv1", "read its log")


def advance_all(state: RunState, *events: Event) -> RunState:
    for event in events:
        state = advance(state, event)
    return state


def event_of(kind: str, host: str, **rest: object) -> Event:
    return Event(run="7", kind=kind, host=host, **rest)  # type: ignore[arg-type]


def started() -> RunState:
    made = many_hosts.plan(4, away=("srv003",))
    return begin("apply", made.steps, away=made.facts.away, canary="srv001")


# -- the state ------------------------------------------------------------------------------------------------


def test_a_run_begins_with_a_row_for_each_host_and_none_for_the_workspace() -> None:
    state = started()
    assert [(row.host, row.state, row.done, row.total) for row in state.hosts] == [
        ("srv001", "waiting", 0, 5),
        ("srv002", "waiting", 0, 5),
        ("monitor", "waiting", 0, 6),
        ("srv003", "away", 0, 0),
    ]
    unreachable = state.row("srv003")
    assert unreachable is not None and unreachable.error is not None
    assert "did not answer" in unreachable.error.what


def test_a_row_counts_its_own_changes_and_keeps_its_own_log() -> None:
    state = advance_all(
        started(),
        event_of("host", "srv001", state="working"),
        event_of("change", "workspace", step="ca", state="done", text="create /ca"),
        event_of("change", "srv001", step="web:srv001", state="running", text="create /etc/key"),
    )
    row = state.row("srv001")
    assert row is not None and (row.state, row.done, row.now) == ("working", 0, "create /etc/key")
    state = advance_all(
        state,
        event_of("change", "srv001", step="web:srv001", state="done", text="create /etc/key"),
        event_of("log", "srv002", text="a line of its own"),
    )
    row, other = state.row("srv001"), state.row("srv002")
    assert row is not None and other is not None
    assert (row.done, row.lines) == (1, ("create /etc/key",))
    assert (other.done, other.lines) == (0, ("a line of its own",))


def test_a_row_never_counts_more_changes_than_its_total() -> None:
    restart = event_of("change", "srv002", step="switch:srv002", state="done", text="restart")
    row = advance_all(started(), *[restart] * 7).row("srv002")
    assert row is not None and (row.done, row.total) == (7, 7)


def test_one_failed_host_does_not_fail_the_whole_run() -> None:
    state = advance_all(
        started(),
        event_of("change", "srv002", step="switch:srv002", state="failed", text="restart node_exporter"),
        event_of("rollback", "srv002", state="undone", text="put back /etc/web.yml"),
        event_of("host", "srv002", state="rolled-back", error=ERROR),
    )
    row = state.row("srv002")
    assert row is not None and row.error == ErrorMessage(*ERROR)
    assert state.error is None
    assert state.busy
    state = advance_all(
        state, event_of("host", "srv001", state="proven"), Event(run="7", kind="finished", state="partly")
    )
    assert state.result == "partly"
    assert {row.host: row.state for row in state.hosts} == {
        "srv001": "proven",
        "srv002": "rolled-back",
        "monitor": "waiting",
        "srv003": "away",
    }


def test_a_rolled_back_run_marks_every_reachable_host_as_rolled_back() -> None:
    state = advance_all(
        started(),
        event_of("host", "srv001", state="working"),
        event_of("host", "srv002", state="stuck", error=ERROR),
        Event(run="7", kind="finished", state="rolled-back"),
    )
    assert [row.state for row in state.hosts] == ["rolled-back", "stuck", "rolled-back", "away"]


def test_hosts_of_an_undo_are_undone_not_rolled_back() -> None:
    state = advance_all(
        started(),
        event_of("host", "srv001", state="working"),
        Event(run="7", kind="finished", state="undone"),
    )
    assert [row.label for row in state.hosts] == ["undone", "undone", "undone", "away"]


def test_the_engines_final_host_states_replace_those_of_the_events() -> None:
    outcomes = (
        HostOutcome(host="srv001", state="proven"),
        HostOutcome(host="srv002", state="rolled-back", error=many_hosts.WHY),
        HostOutcome(host="late", state="changed"),
    )
    rows = {row.host: row for row in final_rows(started().hosts, outcomes)}
    assert rows["srv001"].state == "proven"
    why = rows["srv002"].error
    assert why is not None and why.what.startswith(many_hosts.WHY.what)
    assert "cannot open web.yml" in why.what.splitlines()[-1], "the service's last words are kept"
    assert rows["late"].state == "changed"
    assert rows["srv003"].error is not None, "why it was out of reach stays known"


def test_an_undo_adds_a_row_for_each_host_that_it_reaches() -> None:
    state = advance_all(
        begin("undo"),
        event_of("rollback", "workspace", state="undone", text="put back /ca"),
        event_of("rollback", "srv001", state="undone", text="put back a"),
        event_of("rollback", "srv002", state="undone", text="put back b"),
        event_of("rollback", "srv001", state="undone", text="put back c"),
    )
    assert [(row.host, row.done, row.now) for row in state.hosts] == [
        ("srv001", 2, "put back c"),
        ("srv002", 1, "put back b"),
    ]


# -- its lines ------------------------------------------------------------------------------------------------


def test_failed_hosts_are_listed_first_then_running_ones_then_others() -> None:
    error = ErrorMessage(*ERROR)
    rows = (
        HostRow(host="a", state="proven"),
        HostRow(host="b", state="waiting"),
        HostRow(host="c", state="rolled-back", error=error),
        HostRow(host="d", state="working"),
        HostRow(host="e", state="stuck", error=error),
        HostRow(host="f", state="away", error=error),
        HostRow(host="g", state="rolled-back"),
    )
    assert [row.host for row in order_hosts(rows)] == ["e", "c", "f", "d", "b", "a", "g"]
    text = host_summary(rows).plain
    assert text == (
        "7 hosts: ✓ 1 verified, ✗ 1 failed, ✗ 1 needs recovery, – 1 unreachable, ↶ 1 rolled back, ▸ 1 running, "
        "· 1 pending"
    )


def test_lines_fit_their_width_and_a_failed_host_says_why() -> None:
    rows = (
        HostRow(host="srv1", state="working", done=3, total=12, now="edit /etc/x" * 30),
        HostRow(host="s" * 90, state="rolled-back", done=2, total=3, error=ErrorMessage(*ERROR)),
        HostRow(host="\x1b[31mred", state="waiting", total=9),
    )
    for width in (76, 118):
        for row in rows:
            text = host_line(row, width=width, names=24, canary="srv1")
            assert text.cell_length == width
            assert "\x1b" not in text.plain
    assert "node_exporter ended at once" in host_line(rows[1], width=76, names=24).plain
    assert "✗ failed" in host_line(rows[1], width=76, names=24).plain
    assert "waits for the canary srv1" in host_line(rows[2], width=76, names=24, canary="srv1").plain
    words = host_details(rows[1]).plain
    assert all(part in words for part in ERROR)


# -- the colours ----------------------------------------------------------------------------------------------


def test_a_hosts_colour_depends_only_on_its_name() -> None:
    names = ("srv1", "prometheus", "monitor", "web", "db", "gate")
    colours = host_colours(names)
    assert host_colours(reversed(names)) == colours
    assert len(set(colours.values())) == len(HOST_COLOURS) == len(names), "as long as there are enough"
    assert len(host_colours(many_hosts.names(200))) == 200


def test_white_text_is_readable_on_every_host_colour() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colour in HOST_COLOURS:
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5, colour


# -- the canary -----------------------------------------------------------------------------------------------


def test_from_four_hosts_there_is_a_canary_that_scrapes_no_other_host() -> None:
    assert choose_canary(many_hosts.plan(3)) == ""
    assert choose_canary(many_hosts.plan(4)) == "srv001"
    assert choose_canary(many_hosts.plan(4), "none") == ""
    assert choose_canary(many_hosts.plan(4), "srv003") == "srv003"
    assert choose_canary(many_hosts.plan(3), "srv002") == "srv002", (
        "asked for, one goes first also before few"
    )
    assert choose_canary(many_hosts.plan(4), "monitor") == "srv001", "what cannot be is no choice"
    assert choose_canary(many_hosts.plan(4), "gone") == "srv001"
    assert canary_candidates(many_hosts.plan(4)) == ("srv001", "srv002", "srv003")
    assert canary_candidates(many_hosts.plan(1)) == ()


# -- the screens ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def at_the_plan(
    fake_engine: many_hosts.ManyEngine, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[FirescreenApp, Pilot[int]]]:
    app = make_app(build=engine(fake_engine))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.session.scan is not None and not app.session.busy)
        app.push_screen(PlanPage())
        await until(pilot, "Nothing has been written yet")
        try:
            yield app, pilot
        finally:
            fake_engine.begin.set()
            fake_engine.gate.set()  # a failing test must not leave its thread waiting


async def apply(pilot: Pilot[int]) -> None:
    await pilot.press("a")
    await until(pilot, "Apply this plan?")
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunPage))


async def wait_for_end(app: FirescreenApp, pilot: Pilot[int]) -> str:
    await until(pilot, lambda: app.run_state.phase == "finished" and not app.runs.working)
    await until(pilot, lambda: not app.session.busy)
    await pilot.pause()
    return drawn(pilot)


async def test_the_plan_names_the_canary_and_the_unreachable_hosts_and_the_canary_can_be_changed() -> None:
    fake_engine = many_hosts.ManyEngine(6, away=("srv004",))
    async with at_the_plan(fake_engine) as (app, pilot):
        text = drawn(pilot)
        assert "Canary: srv001" in text
        assert "srv004 is unreachable and left alone" in text
        await pilot.press("f")
        await until(pilot, "Choose the canary")
        await pilot.press("end", "enter")
        await until(pilot, "Canary: srv005")
        assert app.session.canary == "srv005"
        await pilot.press("f")
        await until(pilot, "• srv005")
        await pilot.press("home", "down", "enter")
        await until(pilot, lambda: "Canary:" not in drawn(pilot))
        await pilot.press("f")
        await until(pilot, "Choose the canary")
        await pilot.press("escape")
        await until(pilot, "Nothing has been written yet")
        assert app.session.canary == "none", "leaving it changes nothing"
        await apply(pilot)
        await wait_for_end(app, pilot)
        assert fake_engine.canaries == ["none"]


async def test_a_few_hosts_are_listed_above_the_steps_and_a_failed_one_can_be_opened() -> None:
    fake_engine = many_hosts.ManyEngine(4, many_hosts.Script(failing=("srv003",)))
    async with at_the_plan(fake_engine) as (app, pilot):
        await apply(pilot)
        text = await wait_for_end(app, pilot)
        assert fake_engine.canaries == ["srv001"]
        assert "3 verified, ✗ 1 failed" in text
        assert "◐ partly verified" in text
        assert app.screen.query_one(HostTable).listed[0].host == "srv003", "the one that failed stands first"
        assert "node_exporter ended at once" in text
        assert "Retry failed hosts" in text and "Undo all" in text and "Show verification" in text
        await pilot.press("down", "enter")
        text = await until(pilot, "journalctl -u node_exporter")
        for part in ("A service did not come up", "permission denied", "put back /etc/web.yml"):
            assert part in text
        assert app.screen.query_one(TitleBar).hosts == (
            ("srv003", host_colours(app.session.hosts)["srv003"]),
        )
        await pilot.press("escape")
        await until(pilot, lambda: not app.screen.has_class("-aside"))
        planned = fake_engine.planned
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, PlanPage))
        await until(pilot, "Nothing has been written yet")
        assert fake_engine.planned == planned + 1, "it is planned anew, for the same stack"
        assert app.session.stack == many_hosts.stack_of(4)


async def test_after_a_partial_run_the_verification_does_not_say_verified() -> None:
    fake_engine = many_hosts.ManyEngine(4, many_hosts.Script(failing=("srv003",)))
    async with at_the_plan(fake_engine) as (app, pilot):
        await apply(pilot)
        await wait_for_end(app, pilot)
        await pilot.press("p")
        text = await until(pilot, lambda: isinstance(app.screen, VerificationPage))
        text = await until(pilot, "partly verified")
        assert "Not changed: srv003" in text
        assert "✓ verified" not in text


async def test_a_host_that_needs_recovery_is_offered_before_another_run() -> None:
    fake_engine = many_hosts.ManyEngine(4, many_hosts.Script(stuck=("srv002",)))
    async with at_the_plan(fake_engine) as (app, pilot):
        await apply(pilot)
        text = await wait_for_end(app, pilot)
        assert "✗ needs recovery" in text
        assert "Recover" in text
        assert "Retry failed hosts" not in text
        await pilot.press("t")
        await pilot.pause()
        assert isinstance(app.screen, RunPage)


async def test_the_selected_host_is_named_while_it_runs_and_stays_selected() -> None:
    fake_engine = many_hosts.ManyEngine(8, many_hosts.Script(pause_at="srv005"))
    async with at_the_plan(fake_engine) as (app, pilot):
        await apply(pilot)
        await until(
            pilot, lambda: app.run_state.row("srv004") is not None and _state(app, "srv004") == "changed"
        )
        fleet = app.screen.query_one(HostTable)
        assert fleet.has_focus
        await pilot.press("end")
        assert fleet.selected == "srv001", "what is proven stands last"
        assert [name for name, _ in app.screen.query_one(TitleBar).hosts] == ["srv001"]
        await pilot.press("home")
        chosen = fleet.selected
        assert chosen in ("srv005", "srv006", "srv007", "monitor")
        fake_engine.gate.set()
        await wait_for_end(app, pilot)
        assert fleet.selected == chosen, "it goes where its line goes"


def _state(app: FirescreenApp, host: str) -> str:
    row = app.run_state.row(host)
    return row.state if row else ""


async def test_a_host_that_is_selected_by_key_is_scrolled_into_view() -> None:
    fake_engine = many_hosts.ManyEngine(200)
    async with at_the_plan(fake_engine) as (app, pilot):
        fake_engine.begin.clear()
        await apply(pilot)
        fleet = app.screen.query_one(HostTable)
        await until(pilot, lambda: len(fleet.listed) == 200)
        fleet.focus()
        last = fleet.listed[-1].host
        await pilot.press("end")
        await until(pilot, lambda: fleet.scroll_offset.y > 0 and last in drawn(pilot))
        await pilot.press("home")
        await until(pilot, lambda: fleet.scroll_offset.y == 0)
        fake_engine.begin.set()
        await wait_for_end(app, pilot)


async def test_keys_are_answered_while_two_hundred_hosts_report() -> None:
    script = many_hosts.Script(failing=("srv042", "srv137"), pause_at="srv150", pace=0.005)
    fake_engine = many_hosts.ManyEngine(200, script)
    async with at_the_plan(fake_engine) as (app, pilot):
        fake_engine.begin.clear()
        await apply(pilot)
        draws: list[float] = []
        app.screen.watch(app, "run_state", lambda _: draws.append(time.monotonic()), init=False)
        fleet = app.screen.query_one(HostTable)
        pressed, began = 0, time.monotonic()
        fake_engine.begin.set()
        while _state(app, "srv149") != "changed":
            before = app.screen.has_class("-aside")
            app.simulate_key("question_mark")
            pressed += 1
            while (
                app.screen.has_class("-aside") == before
            ):  # each key is answered, however many events come in
                await asyncio.sleep(0.002)
                assert time.monotonic() - began < 60
        most = (time.monotonic() - began) / 0.09 + 2
        assert len(draws) <= most, f"{len(draws)} redraws where {most:.0f} are enough"
        assert len(draws) > 3, "and it is live"
        # On a slow machine a key takes as long as a redraw: it may wait for one or two redraws, not for all.
        assert pressed > len(draws) / 3, "keys do not wait for redraws"
        assert "200 hosts:" in drawn(pilot)
        if app.screen.has_class("-aside"):
            await pilot.press("question_mark")
        fake_engine.gate.set()
        text = await wait_for_end(app, pilot)
        assert "198 verified, ✗ 2 failed" in text
        assert {row.host for row in fleet.listed[:2]} == {"srv042", "srv137"}
        await pilot.press("up", "home", "enter")
        await until(pilot, "journalctl -u node_exporter")


async def test_a_selected_step_shows_its_changes_and_its_log_and_a_running_one_spins() -> None:
    fake_engine = many_hosts.ManyEngine(3, many_hosts.Script(pause_at="srv002"))
    async with at_the_plan(fake_engine, (120, 40)) as (app, pilot):
        await apply(pilot)
        await until(pilot, " s · x stops")
        await until(pilot, lambda: _state(app, "srv001") == "changed")
        steps = app.screen.query_one(StepList)
        steps.focus()
        await pilot.press("home")
        # Which host that is depends on how many events came before the first drawing.
        followed = steps.selected.rpartition(":")[2]
        assert followed == app.screen._host(app.run_state) != ""  # type: ignore[attr-defined]
        text = await until(pilot, "• create /etc/key")
        assert "▸ running" in text, "the run goes on"
        step = [each.id for each in app.run_state.steps if each.host == followed][-1]  # its restart
        app.run_state = advance(
            app.run_state, event_of("change", followed, step=step, state="running", text="restart")
        )
        await until(pilot, lambda: bool(_spinners(pilot)))
        first = _spinners(pilot)
        await until(pilot, lambda: _spinners(pilot) != first)
        fake_engine.gate.set()
        await wait_for_end(app, pilot)


def _spinners(pilot: Pilot[int]) -> str:
    return "".join(sign for sign in drawn(pilot) if sign in SPINNER)


def test_steps_stand_under_their_host_and_component_with_their_count() -> None:
    planned = many_hosts.plan(3).steps
    first = next(step.id for step in planned if step.host == "srv001")
    state = advance_all(
        begin("apply", planned),
        event_of("change", "srv001", step=first, state="done", text="create /etc/key"),
    )
    groups = group_steps(state.steps)
    assert [name for name, _ in groups][:2] == ["workspace", "srv001 · node_exporter"]
    line = group_line(*groups[1], width=40)
    assert line.cell_length == 40
    assert line.plain.endswith("1/2")
    lines = step_lines(replace(groups[1][1][0], title="Write " * 20), current=False, width=30)
    assert all(each.cell_length <= 30 for each in lines)
    assert len(lines) > 3, "a long title is broken, not cut"


@pytest.mark.parametrize(("error", "failed"), [(None, "0"), (ERROR, "1")])
def test_a_change_that_the_stop_interrupts_does_not_count_as_failed(
    error: tuple[str, str, str, str] | None, failed: str
) -> None:
    state = advance_all(
        started(),
        event_of("change", "srv002", step="switch:srv002", state="failed", text="restart node_exporter"),
        event_of("host", "srv002", state="rolled-back", error=error),
        Event(run="7", kind="finished", state="cancelled"),
    )
    row = state.row("srv002")
    assert row is not None
    cards = run_cards(replace(state, hosts=(row,)))
    assert {card.label: card.number for card in cards}["failed"] == failed


def test_an_undo_counts_neither_verified_hosts_nor_probes() -> None:
    state = replace(begin("undo", ()), done=3, total=3)
    assert [(card.number, card.label) for card in run_cards(state)] == [
        ("3/3", "changes undone"),
        ("0", "failed"),
    ]


def test_verification_names_the_target_that_it_waits_for() -> None:
    probe = Probe(
        id="p",
        host="h",
        component="prometheus",
        name="p",
        client="Prometheus",
        expect="up",
        url="",
        kind="up",
    )
    state = replace(begin("apply", ()), activity="verifying")
    assert "running every probe" in headline(state).plain
    late = Attempt(probe=replace(probe, instance="srv1:9100", job="node"), outcome="down", ok=False)
    waits = replace(state, attempts=(late,))
    assert headline(waits).plain == "▸ verifying: Prometheus does not report srv1:9100 (job node) as up yet"
    assert headline(replace(waits, attempts=(late, late))).plain == headline(waits).plain, "two probes of one"
    other = replace(late, probe=replace(late.probe, instance="srv2:9100"))
    assert "and 1 more as up yet" in headline(replace(waits, attempts=(late, other))).plain
    gone: HostState
    for gone in ("rolled-back", "stuck"):
        lost = replace(waits, hosts=(HostRow(host="h", state=gone),))
        assert "as up yet" not in headline(lost).plain, "the run waits for it no more"


def test_a_recovery_that_reached_no_host_can_be_tried_again() -> None:
    state = replace(begin("recover", ()), phase="finished", result="failed")
    assert actions_after(state) == {"recover"}
    assert [(card.number, card.label) for card in run_cards(state)][-1] == ("1", "failed")
    assert actions_after(replace(state, result="undone")) == set()
