"""The plan of five components: hosts, components, steps, and a short text on how long each target is down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from textual.pilot import Pilot
from textual.widgets import OptionList

from screens.app import FirescreenApp, make_app
from screens.plan.outline import (
    WHOLE,
    component_of,
    folded_at_first,
    outline,
    parents,
    visible,
)
from screens.plan.screen import PlanPage
from screens.plan.text import (
    MOST,
    counts,
    differences,
    group_gaps,
    manual_commands,
    overview,
    scrape_gap_lines,
)
from tests.screens import example_stack, many_hosts
from tests.screens.helpers import drawn, engine, until
from wizard.engine import Outcome
from wizard.inventory.stack_file import dump
from wizard.model import BrokenClient, Gap, MakeFolder, ManualCommand, PlannedStep, Role, StepKind


@asynccontextmanager
async def at_the_plan(size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[FirescreenApp, Pilot[int]]]:
    """Returns the wizard on a plan with 42 steps."""
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=size) as pilot:
        await until(pilot, "5 of 5")
        app.push_screen(PlanPage())
        await until(pilot, "Nothing has been written yet")
        yield app, pilot


def selected(app: FirescreenApp) -> str:
    """Returns the id of the selected line."""
    option = app.screen.query_one("#steps", OptionList).highlighted_option
    return (option.id or "") if option else ""


def left_of(text: str) -> list[str]:
    """Returns the lines of the left panel."""
    return [line.split("││")[0] for line in text.splitlines() if "││" in line]


def right_of(text: str) -> list[str]:
    """Returns the lines of the right panel."""
    return [line.split("││")[1] for line in text.splitlines() if "││" in line]


def test_every_step_is_listed_once_under_its_host_and_component() -> None:
    plan = example_stack.plan()
    lines = outline(plan)
    steps = [line.steps[0] for line in lines if line.is_step]
    assert sorted(steps) == list(range(42))
    host = component = ""
    for line in lines:
        if line.id.startswith("host:"):
            host, component = line.id.removeprefix("host:"), ""
        elif line.id.startswith("component:"):
            component = line.id.rpartition("/")[2]
            host = line.id.partition(":")[2].partition("/")[0] if line.depth == 0 else host
            assert f"component:{host}/" in line.id
        elif line.is_step:
            step = plan.steps[line.steps[0]]
            assert step.host == host
            assert component_of(step) == component
    prometheus = next(line for line in lines if line.id == "component:monitor/prometheus")
    assert {plan.steps[number].id for number in prometheus.steps} >= {
        "job:monitor",
        "reload:monitor",
        "switch:monitor/prometheus",
        "trust:monitor:/prometheus/ca.crt",
    }


def test_steps_for_a_client_are_listed_with_that_client() -> None:
    step = PlannedStep(
        id="trust:srv2:/etc/ca.crt",
        kind=StepKind.TRUST,
        title="Give it the CA",
        host="srv2",
        why="",
        changes=(),
        role=Role.CLIENT,
        component="prometheus",
    )
    assert component_of(step) == "prometheus"
    assert component_of(replace(step, instance="prometheus@b")) == "prometheus/prometheus@b"
    assert component_of(replace(step, component="")) == "", "it is about no component"


def test_folding_a_line_hides_only_the_lines_below_it() -> None:
    lines = outline(example_stack.plan())
    assert visible(lines, ()) == lines
    shown = visible(lines, {"host:srv1"})
    assert [line.id for line in shown if "srv1" in line.id] == ["host:srv1"]
    assert len(shown) == len(lines) - 16
    assert folded_at_first(lines, 100) == frozenset()
    few = visible(lines, folded_at_first(lines, 16))
    assert [line.depth for line in few if line.id.startswith("component:")] == [1, 1, 0, 1, 1]
    assert visible(lines, folded_at_first(lines, 6))[0].id == WHOLE
    number = next(line.steps[0] for line in lines if line.depth == 2)
    assert parents(lines, number) == {"host:srv1", "component:srv1/node_exporter"}


async def test_the_outline_fits_and_opens_with_enter() -> None:
    async with at_the_plan() as (app, pilot):
        text = drawn(pilot)
        for name in ("srv1", "srv2", "monitor", "node_exporter", "blackbox_exporter", "prometheus"):
            assert name in text
        assert "42 of 42 steps" in text
        await pilot.press("down", "down", "down", "down", "down")
        assert selected(app) == "component:srv1/node_exporter"
        text = await until(pilot, "7 of 42 steps")
        assert "srv1/node_exporter is down for about" in text
        listed = app.screen.query_one("#steps", OptionList)
        folded = listed.option_count
        await pilot.press("enter")
        await until(pilot, "Make a client certificate")
        assert selected(app) == "component:srv1/node_exporter", "it stays where it was"
        await pilot.press("down")
        await until(pilot, "step 3 of 42")
        await pilot.press("up", "enter")
        await until(pilot, lambda: listed.option_count == folded)
        assert "Write the web configuration" not in "".join(left_of(drawn(pilot)))


async def test_n_and_b_go_through_the_steps_in_their_order() -> None:
    async with at_the_plan() as (app, pilot):
        plan = app.session.plan
        assert plan is not None
        for number in range(42):
            await pilot.press("n")
            assert selected(app) == f"step:{number}"
        await until(pilot, "step 42 of 42")
        await pilot.press("n")
        assert selected(app) == "step:41", "there is none behind the last"
        await pilot.press("b")
        assert selected(app) == "step:40"
        await pilot.press("2")
        await until(pilot, plan.steps[40].changes[0].title())


async def test_a_selected_component_shows_the_commands_of_all_its_steps() -> None:
    async with at_the_plan((120, 60)) as (app, pilot):
        while selected(app) != "component:srv2/blackbox_exporter":
            await pilot.press("down")
        await pilot.press("3")
        text = await until(pilot, "systemctl restart blackbox_exporter")
        assert "srv1" not in "".join(right_of(text))
        await pilot.press("c")
        assert "/etc/web/srv2/blackbox_exporter" in app.clipboard
        assert "pushgateway" not in app.clipboard


def test_equal_downtimes_are_listed_once_and_none_is_lost() -> None:
    gaps = (
        *example_stack.plan().gaps,
        Gap(message="is scraped by no Prometheus of this stack", host="srv1", component="x"),
        Gap(message="something else, of nobody"),
    )
    groups = dict(group_gaps(gaps))
    restart = "is down for about 1 s: at most one scrape is lost"
    assert groups[restart] == [f"{host}/{name}" for host, name, _ in example_stack.PLACES[:4]]
    text = "\n".join(line.plain for line in scrape_gap_lines(gaps))
    assert text.count(restart) == 1
    for host, name, _ in example_stack.PLACES:
        assert f"{host}/{name}" in text
    assert "srv1/x is scraped by no Prometheus of this stack" in text
    assert "something else, of nobody" in text


def test_many_services_are_counted_in_the_plan_and_named_before_apply() -> None:
    short = " ".join(part.plain for part in counts(example_stack.plan()))
    assert "Restarts  5 services" in short
    named = " ".join(part.plain for part in counts(example_stack.plan(), listed=True))
    assert "blackbox_exporter on srv2" in named


def test_a_plan_for_200_hosts_groups_equal_steps_and_draws_only_what_is_visible() -> None:
    plan = many_hosts.plan(200)
    words = overview(plan).plain.splitlines()
    assert len(words) < 20
    assert any(line.startswith("200 targets, each: srv001/node_exporter, srv002/") for line in words)
    assert "  ⊘ without TLS it is rejected" in words
    made = MakeFolder(
        host="h",
        path="/etc/x",
        mode=0o755,
        owner="a",
        group="a",
        why="",
        by_hand=(ManualCommand(argv=("mkdir", "/etc/x")),),
    )
    steps = (PlannedStep(id="", kind=StepKind.WEB_CONFIG, title="t", host="h", why="", changes=(made,)),) * (
        MOST + 7
    )
    for draw in (differences, manual_commands):
        assert draw(steps).plain.splitlines()[-1].startswith("… and 7 more steps")
        assert "more steps" not in draw(steps[:MOST]).plain


BROKEN = BrokenClient(
    key="monitor/nginx/prometheus",
    host="monitor",
    client="nginx",
    server="monitor/prometheus",
    component="prometheus",
    where=("monitor:/etc/nginx/sites-enabled/monitor:5",),
    lines=("proxy_pass https://127.0.0.1:9090;", "proxy_ssl_verify on;"),
)


async def test_apply_asks_about_a_client_that_will_be_rejected() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.session = replace(
            app.session,
            plan=replace(example_stack.plan(), stack=example_stack.five(), broken_clients=(BROKEN,)),
        )
        app.push_screen(PlanPage())
        await until(pilot, "nginx on monitor will be rejected, and 'a' asks whether you accept that")
        await pilot.press("a")
        text = await until(pilot, "These clients will be rejected")
        assert "/etc/nginx/sites-enabled/monitor:5" in text.replace("\n", "").replace("│", "").replace(
            " ", ""
        )
        assert "proxy_pass https://127.0.0.1:9090;" in text
        await pilot.press("enter")
        await until(pilot, "Nothing has been written yet")
        assert app.session.plan is not None
        assert app.session.plan.unaccepted == (BROKEN,), "the harmless button has the focus"


async def test_after_yes_the_apply_starts_and_the_answer_is_remembered() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.session = replace(
            app.session,
            plan=replace(example_stack.plan(), stack=example_stack.five(), broken_clients=(BROKEN,)),
        )
        app.push_screen(PlanPage())
        await until(pilot, "Nothing has been written yet")
        await pilot.press("a")
        await until(pilot, "These clients will be rejected")
        await pilot.press("right", "enter")
        await until(pilot, "Apply this plan?")
        assert app.session.plan is not None and app.session.plan.unaccepted == ()
        assert app.session.stack is not None and app.session.stack.accept_broken == (BROKEN.key,)
        assert dump(app.session.stack).endswith("accept_broken:\n- monitor/nginx/prometheus\n")


async def test_a_long_verification_can_be_postponed() -> None:
    class Later(example_stack.ExampleEngine):
        def apply(self, plan: object, *words: Any, **settings: Any) -> Outcome:
            taken.append(settings["verify_later"])
            return super().apply(plan, *words, **settings)

    taken: list[object] = []
    app = make_app(build=engine(quiet := Later()))
    quiet.gate.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.session = replace(
            app.session, plan=replace(example_stack.plan(), stack=example_stack.five(), longest_wait=325.0)
        )
        app.push_screen(PlanPage())
        await until(pilot, "Nothing has been written yet")
        await pilot.press("a")
        await until(pilot, "up to 5 min 25")
        await pilot.press("right", "enter")
        await until(pilot, lambda: bool(taken))
    assert taken == [True]
