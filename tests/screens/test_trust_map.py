"""The trust map: drawn from the plan's connections, coloured by the probes' results, opened from three screens."""

from __future__ import annotations

from dataclasses import replace

from textual.pilot import Pilot

from screens.app import FirescreenApp, make_app
from screens.dialogs.attempt import AttemptDialog
from screens.engine_client.client import EngineClient
from screens.home.screen import HomePage
from screens.plan.screen import PlanPage
from screens.routes import MapView
from screens.run_state import RunState
from screens.trust_map.canvas import connection_text, draw, mark, order_arrows, summary
from screens.trust_map.graph import WAYS, TrustGraph
from screens.trust_map.screen import TrustMapPage
from screens.verification.screen import VerificationPage
from tests.screens import example_stack
from tests.screens.helpers import drawn, engine, until
from wizard.errors import InputError
from wizard.model import Answers, Plan, Stack

HOSTILE = "\x1b[31m[bold]srv[/]\n\u202e"


def by_probe(wrong: frozenset[str] = frozenset()) -> dict[str, object]:
    """Returns the attempts by their probe's id."""
    return {one.probe.id: one for one in example_stack.attempts(wrong=wrong)}


async def wait_until_idle(app: FirescreenApp, pilot: Pilot[int]) -> None:
    """Waits until no probe is running."""
    await until(pilot, lambda: isinstance(app.screen, TrustMapPage) and not app.runs.working)
    await until(pilot, lambda: not app.session.busy)


def test_every_connection_is_drawn_once_in_each_width() -> None:
    arrows = order_arrows(example_stack.arrows())
    assert sorted(arrows, key=repr) == sorted(example_stack.arrows(), key=repr)
    for width in (60, 76, 90, 116, 200):
        for notes, apart in WAYS:
            drawing = draw(arrows, {}, width=width, notes=notes, apart=apart)
            assert len(set(drawing.at)) == len(arrows)
            text = [line.plain for line in drawing.lines]
            assert {len(line) for line in text} == {width}, "every line is as wide as the picture"
            assert sum("▶" in line for line in text) == len(arrows)
            for number, arrow in zip(drawing.at, arrows, strict=True):
                assert arrow.server[:8] in text[number]
            assert sum("╌" in line for line in text) == 1, "only what is plain is drawn so"


def test_a_connection_shows_its_state_by_sign_and_word() -> None:
    arrow = example_stack.arrows()[0]
    (good,) = [one for one in example_stack.attempts() if one.probe.id == arrow.probe]
    assert mark(arrow, None)[:2] == ("·", "not probed")
    assert mark(arrow, good)[:2] == ("✓", "verified")
    assert mark(arrow, replace(good, ok=False))[:2] == ("✗", "failed")
    assert mark(replace(arrow, encrypted=False), good)[:2] == ("●", "unprotected"), (
        "what is plain is never called proven"
    )
    assert "got down" in connection_text(arrow, replace(good, ok=False, outcome="down")).plain


def test_the_text_names_both_certificates_and_their_cas() -> None:
    text = connection_text(example_stack.arrows()[0], None).plain
    for part in (
        "prometheus on monitor → node_exporter on srv1",
        "srv1, 127.0.0.2 (signed by your CA)",
        "/etc/prometheus/firescreen/ca.crt",
        "/etc/prometheus/firescreen/client.crt",
        "/etc/node_exporter/client-ca.crt",
        "prometheus, with a password",
    ):
        assert part in text
    assert "Not encrypted" in connection_text(example_stack.arrows()[-1], None).plain


def test_without_colour_the_selected_connection_is_reversed() -> None:
    arrows = order_arrows(example_stack.arrows())
    drawing = draw(arrows, {}, width=76, selected=2, colourless=True)
    reversed_ = [
        number
        for number, line in enumerate(drawing.lines)
        if any("reverse" in str(span.style) for span in line.spans)
    ]
    assert reversed_ == [drawing.at[2]]


def test_the_summary_counts_each_kind() -> None:
    wrong = frozenset({"srv1/pushgateway/up@monitor/pushgateway"})
    text = summary(example_stack.arrows(), by_probe(wrong)).plain  # type: ignore[arg-type]
    assert text.startswith("6 connections:")
    for part in ("✓ 4 verified", "✗ 1 failed", "● 1 unprotected"):
        assert part in text


def test_hostile_names_neither_style_nor_break_the_map() -> None:
    bad = replace(
        example_stack.arrows()[0],
        client_host=HOSTILE,
        client=HOSTILE,
        server_host=HOSTILE,
        server=HOSTILE,
        how=HOSTILE,
    )
    for notes in (False, True):
        drawing = draw((bad,), {}, width=76, notes=notes)
        assert all("\x1b" not in line.plain and "\n" not in line.plain for line in drawing.lines)
        assert {line.cell_length for line in drawing.lines} == {76}
    assert "\x1b" not in connection_text(bad, None).plain


async def test_from_the_plan_it_shows_planned_connections_without_probes() -> None:
    one = example_stack.ExampleEngine()
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.run_state = RunState(
            attempts=example_stack.attempts()
        )  # They belong to an earlier run, and say nothing about this plan.
        app.push_screen(PlanPage())
        await until(pilot, "Nothing has been written yet")
        await pilot.press("t")
        text = await until(pilot, "As it will be")
        assert "· 5 not probed" in text
        assert "✓" not in text
        await pilot.press("down", "down", "enter")
        await until(pilot, "→ blackbox_exporter on srv2")
        assert isinstance(app.screen, TrustMapPage), "there is nothing to look into yet"
        assert not one.proven
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PlanPage))


async def test_from_a_plan_without_steps_it_probes_the_present_connections() -> None:
    one = example_stack.ExampleEngine(state="secured", planned_steps=())
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await until(pilot, lambda: not app.session.busy)
        app.push_screen(PlanPage())
        await until(pilot, "There is nothing to change")
        await pilot.press("t")
        await wait_until_idle(app, pilot)
        text = await until(pilot, "✓ 5 verified")
        assert "As it is now" in text
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PlanPage))
        await until(pilot, "Verify")


def test_a_password_is_named_beside_a_client_certificate() -> None:
    one = example_stack.ExampleEngine()
    seen = tuple(
        replace(each, tls=True, client_certificate=True, state="secured")
        for each in example_stack.exposures()
    )
    scan = replace(one.scan(), exposures=seen)
    both = example_stack.five(("tls", "basic_auth", "client_cert"))
    EngineClient(None, engine(one)).current_connections(scan, both, Answers())
    assert {component.protect for component in one.planned[1].components} == {
        ("tls", "basic_auth", "client_cert")
    }
    one.planned.clear()
    EngineClient(None, engine(one)).current_connections(scan, example_stack.five(("tls",)), Answers())
    assert {component.protect for component in one.planned[1].components} == {("tls", "client_cert")}


async def test_from_the_verification_it_is_coloured_by_the_results_and_enter_opens_the_console() -> None:
    wrong = frozenset({"srv2/blackbox_exporter/up@monitor/blackbox_exporter"})
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.run_state = RunState(
            phase="finished",
            result="failed",
            attempts=example_stack.attempts(wrong=wrong),
            arrows=example_stack.arrows(),
        )
        app.push_screen(VerificationPage())
        await until(pilot, "not verified")
        await pilot.press("t")
        await until(pilot, "✗ 1 failed")
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, AttemptDialog))
        assert "blackbox_exporter" in drawn(pilot)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, VerificationPage))


async def test_from_home_it_runs_only_the_probes_of_its_connections() -> None:
    one = example_stack.ExampleEngine(state="secured", planned_steps=())
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await until(pilot, lambda: not app.session.busy)
        await pilot.press("t")
        await wait_until_idle(app, pilot)
        text = await until(pilot, "✓ 5 verified")
        assert "As it is now" in text
        assert one.proven == [tuple(sorted(arrow.probe for arrow in example_stack.arrows() if arrow.probe))]
        await pilot.press("r")
        await until(pilot, lambda: len(one.proven) == 2)
        await wait_until_idle(app, pilot)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomePage))


async def test_a_level_that_is_only_chosen_is_not_drawn_as_present() -> None:
    one = example_stack.ExampleEngine()
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        await pilot.press("t")
        await wait_until_idle(app, pilot)
        text = drawn(pilot)
    assert [component.protect for component in one.planned[1].components] == [()] * 5, "what the wire said"
    assert one.proven == [tuple(sorted(arrow.probe for arrow in example_stack.arrows() if arrow.probe))]
    assert "5 verified" in text, "this engine's plans have the same arrows whatever is asked of them"


def test_an_unprotected_component_is_drawn_as_unprotected() -> None:
    class SelectiveEngine(example_stack.ExampleEngine):
        """Plans connections only for components that are to be protected, as the real engine does."""

        def plan(self, wanted: Stack, answers: Answers | None = None, **_: object) -> Plan:
            made = super().plan(wanted, answers)
            kept = {component.key for component in wanted.components if component.protect}
            return replace(
                made, arrows=tuple(one for one in made.arrows if f"{one.server_host}/{one.server}" in kept)
            )

    one = SelectiveEngine()
    client = EngineClient(None, engine(one))
    plan = client.current_connections(one.scan(), example_stack.five(), Answers())
    assert len(plan.arrows) == 6
    assert not any(
        arrow.encrypted or arrow.probe or arrow.user or arrow.server_shows for arrow in plan.arrows
    )
    assert plan.probes == (), "nobody is asked for what is seen to be open"


def test_an_impossible_level_does_not_hide_the_present_connections() -> None:
    class TokenLoginEngine(example_stack.ExampleEngine):
        """Fails to plan, as for a job that logs in by token, whose server cannot require a password."""

        def plan(self, wanted: Stack, answers: Answers | None = None, **_: object) -> Plan:
            if any("basic_auth" in component.protect for component in wanted.components):
                raise InputError("job node authenticates with authorization")
            return super().plan(wanted, answers)

    one = TokenLoginEngine()
    plan = EngineClient(None, engine(one)).current_connections(one.scan(), example_stack.five(), Answers())
    assert plan.arrows


async def test_the_last_connection_scrolls_into_view_and_a_wide_screen_shows_certificates() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine(state="secured", planned_steps=())))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await until(pilot, lambda: not app.session.busy)
        await pilot.press("t")
        await wait_until_idle(app, pilot)
        await pilot.press("end")
        await until(pilot, "module http_2xx")
        await until(pilot, "blackbox_exporter on srv2 → pushgateway on srv1")
        assert app.screen.query_one(TrustGraph).at == 5
        await pilot.resize_terminal(120, 40)
        text = await until(pilot, "◂ srv1, 127.0.0.2 (signed by your CA)")
        assert "node_exporter :9100" in text


async def test_a_stack_without_connections_says_so() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.push_screen(TrustMapPage(MapView.PLAN, ()))
        await until(pilot, "No component of this stack connects to another")
        await pilot.press("enter", "down", "up", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomePage))
