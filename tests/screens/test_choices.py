"""The table in which the level of each component is chosen, by keyboard alone on a terminal of 80x24."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.screen import Screen

from screens.app import FirescreenApp, make_app
from screens.choices.level_table import LevelTable, _window
from screens.choices.levels import SHORT, LevelRow
from screens.state_styles import protection_label
from screens.widgets.choice import Choice
from screens.widgets.field import Field
from screens.widgets.level_meanings import LADDER, MEANINGS, level_meaning
from tests.screens import example_stack
from tests.screens.helpers import drawn, engine, until
from tests.unit.planner.test_identity import site
from wizard.engine import Scan
from wizard.model import Stack

WAYS = (("", "keep as is"), ("tls", "TLS"), ("tls+basic_auth", "TLS + password"))


@asynccontextmanager
async def at_the_choices(
    one: example_stack.ExampleEngine | None = None, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[FirescreenApp, Pilot[int]]]:
    """Returns the wizard where levels are chosen."""
    app = make_app(build=engine(one or example_stack.ExampleEngine()))
    async with app.run_test(size=size) as pilot:
        await until(pilot, "5 of 5")
        await pilot.press("s")
        await until(pilot, "Issuer of the certificates")
        await until(pilot, lambda: isinstance(app.focused, LevelTable))
        yield app, pilot


def protection(app: FirescreenApp) -> dict[str, str]:
    """Returns the chosen level of each component."""
    assert app.session.stack is not None
    return {one.name: "+".join(one.protect) for one in app.session.stack.components}


async def test_five_components_are_shown_with_their_present_levels() -> None:
    async with at_the_choices() as (_, pilot):
        lines = drawn(pilot).splitlines()
        for host, name, _ in example_stack.PLACES:
            (line,) = [text for text in lines if name in text and "● none" in text]
            assert "TLS + password" in line
            assert any(host in text for text in lines)
        assert "Clients need       the CA certificate, user and password" in drawn(pilot)
        assert "5 of 5 change" in drawn(pilot)


def typed_in_one_go(app: FirescreenApp, password: str) -> None:
    """Sends Tab and a password as one event, as a terminal does with pasted text: nothing is drawn in between."""
    for key in ("tab", *password):
        app.post_message(Key(key, None if key == "tab" else key))


async def test_a_password_that_is_pasted_with_tab_is_accepted() -> None:
    async with at_the_choices(size=(120, 40)) as (app, pilot):
        typed_in_one_go(app, "correct-horse")
        await until(pilot, "●●○○ fair")
        assert app.screen.query(Field).first().value == "correct-horse"


async def test_keys_typed_before_the_fields_exist_reach_them() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "5 of 5")
        app.open_menu_entry("secure")
        typed_in_one_go(app, "correct-horse")
        await until(pilot, "●●○○ fair")
        assert app.screen.query(Field).first().value == "correct-horse"


async def test_left_and_right_choose_a_level_and_equals_sets_it_everywhere() -> None:
    async with at_the_choices() as (app, pilot):
        await pilot.press("down", "left")
        assert protection(app) == {**dict.fromkeys(protection(app), "tls+basic_auth"), "pushgateway": "tls"}
        await until(pilot, "◂ TLS ▸")
        await pilot.press("equals_sign")
        assert set(protection(app).values()) == {"tls"}
        await until(pilot, lambda: "Password" not in drawn(pilot))
        await pilot.press("left", "left", "left", "left")
        assert protection(app)["pushgateway"] == "", "it stays at the end"
        await until(pilot, "Now, and kept so: none")
        await until(pilot, "4 of 5 change, 1 kept")
        await pilot.press("home", "equals_sign", "end", "right", "up", "right")
        assert protection(app)["prometheus"] == "tls+basic_auth"
        assert protection(app)["node_exporter"] == "tls"


async def test_prometheus_is_preset_with_its_cost_and_space_toggles_a_component() -> None:
    async with at_the_choices() as (app, pilot):
        everything = dict.fromkeys(protection(app), "tls+basic_auth")
        assert protection(app) == everything
        for _ in protection(app):
            if app.screen.query_one(LevelTable).row.name == "prometheus":
                break
            await pilot.press("down")
        await until(pilot, "Prometheus restarts: no scrapes for about 7 s.")
        await until(pilot, "promtool and browsers need new settings too.")
        await pilot.press("left")
        await pilot.press("space")
        assert protection(app) == {**everything, "prometheus": ""}
        await until(pilot, "Now, and kept so")
        await pilot.press("space")
        assert protection(app) == {**everything, "prometheus": "tls"}


async def test_fast_keys_are_not_overtaken_by_slow_questions() -> None:
    async with at_the_choices() as (app, pilot):
        await pilot.press("left", "down", "left", "down", "left", "left", "right")
        wanted = {"node_exporter": "tls", "pushgateway": "tls", "blackbox_exporter": "tls"}
        await pilot.pause(0.3)
        assert {name: level for name, level in protection(app).items() if name in wanted} == wanted
        rows = {row.name: row.value for row in app.screen.query_one(LevelTable).rows}
        assert rows == protection(app), "the table shows what the stack says"


async def test_escape_keeps_the_levels_and_the_help_explains_the_table() -> None:
    async with at_the_choices() as (app, pilot):
        await pilot.press("left", "question_mark")
        await until(pilot, "gives this level to")
        await pilot.press("escape", "escape")
        await until(pilot, "Components on")
        await pilot.press("s")
        await until(pilot, "◂ TLS ▸")
        assert protection(app)["node_exporter"] == "tls"


async def test_the_mouse_chooses_too() -> None:
    async with at_the_choices() as (app, pilot):
        table = app.screen.query_one(LevelTable)
        # The second component is on the third line below the table's head.
        await pilot.click(LevelTable, offset=(20, 2))
        assert table.row.name == "pushgateway"
        assert protection(app)["pushgateway"] == "tls+basic_auth", "the first click only takes it in hand"
        await pilot.click(LevelTable, offset=(table.size.width - 2, 2))
        assert protection(app)["pushgateway"] != "tls+basic_auth"


async def test_without_colour_the_selected_level_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with at_the_choices() as (app, _):
        styles = [
            segment.style
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if "◂ TLS" in segment.text
        ]
        assert len(styles) == 1
        assert styles[0] is not None
        assert styles[0].reverse


async def test_enter_leads_to_the_other_questions() -> None:
    async with at_the_choices() as (app, pilot):
        await pilot.press("enter")
        assert not isinstance(app.focused, LevelTable)


async def test_a_long_table_scrolls_and_shows_the_position() -> None:
    rows = tuple(
        LevelRow(f"k{number}", f"srv{number}", "node_exporter", "", "●", "open", "$error", WAYS, "tls")
        for number in range(40)
    )
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        bare: Screen[None] = Screen()
        await app.push_screen(bare)
        table = LevelTable(rows)
        await bare.mount(table)
        table.styles.height = 12
        table.focus()
        await pilot.press("end")
        text = await until(pilot, "40 of 40")
        assert "srv39" in text
        assert "srv0 " not in text
        await pilot.press("home")
        await until(pilot, "srv0 ")


async def test_one_component_is_asked_as_a_list() -> None:
    one = example_stack.ExampleEngine()
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        session = app.session
        assert session.stack is not None
        single = replace(session.stack, components=session.stack.components[:1])
        app.session = replace(session, stack=single, touched=frozenset({"x"}))
        await pilot.press("s")
        await until(pilot, "Protection of node_exporter")
        await until(pilot, lambda: isinstance(app.focused, Choice))
        assert not app.screen.query(LevelTable)


def test_the_explanation_of_a_level_names_every_part_in_each_width() -> None:
    for width in (36, 76):
        words = " ".join(level_meaning("tls+basic_auth+client_cert", width).plain.split())
        assert "Clients need the CA certificate, a client certificate, user and password" in words
        assert all(len(line) <= width for line in level_meaning("tls", width).plain.splitlines())
    assert "nothing" in level_meaning("", 60).plain
    assert set(LADDER) == {"", *SHORT}, "each level that can be chosen has its meaning"
    assert {SHORT[value] for value in LADDER if value} == {MEANINGS[value].name for value in LADDER if value}


async def test_a_protected_component_is_shown_as_kept() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine(state="secured")))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "All components are secured")
        await pilot.press("s")
        text = await until(pilot, "0 of 5 change, 5 kept")
        assert text.count("keep TLS + password") == 5
        await until(pilot, "Nothing about it is changed.")
        assert "with the password" in drawn(pilot), "what the level that it keeps means"
        assert set(protection(app).values()) == {"tls+basic_auth"}, "and it is verified with the others"


async def test_mutual_tls_is_not_preset_to_anything_weaker() -> None:
    class Mutual(example_stack.ExampleEngine):
        def scan(self, stack: Stack | None = None, **more: object) -> Scan:
            found = super().scan(stack, **more)
            return replace(
                found, exposures=tuple(replace(one, client_certificate=True) for one in found.exposures)
            )

    app = make_app(build=engine(Mutual(state="secured")))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "All components are secured")
        await pilot.press("s")
        text = await until(pilot, "0 of 5 change, 5 kept")
        assert text.count("keep mutual TLS + password") == 5


def test_the_present_level_is_what_the_scan_measured() -> None:
    found = example_stack.exposures("secured")[0]
    assert protection_label(found) == "TLS + password"
    assert protection_label(replace(found, client_certificate=True)) == "mutual TLS + password"
    assert protection_label(replace(found, password=False)) == "TLS"
    assert protection_label(replace(found, tls=False)) == "password only"
    assert protection_label(replace(found, tls=False, password=False)) == "none"
    assert protection_label(replace(found, state="down")) == "no answer"
    assert protection_label(None) == "no answer"


def test_the_table_scrolls_to_the_selected_row() -> None:
    assert _window(0, 5, 10, 0) == 0
    assert _window(9, 10, 4, 0) == 6
    assert _window(5, 10, 4, 6) == 5
    assert _window(9, 10, 4, 9) == 6, "no room is wasted below"


async def test_a_missing_server_name_is_reported_beside_its_field_and_in_the_plan() -> None:
    stack, known = site("node1:9100", on="node1")
    found = Scan(
        stack=stack,
        facts=known,
        exposures=example_stack.exposures()[:1],
        findings=(),
    )

    class Site(example_stack.ExampleEngine):
        def scan(self, stack: Stack | None = None, **_: object) -> Scan:
            return replace(found, stack=stack or found.stack)

    app = make_app(build=engine(Site()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "unprotected")
        await pilot.press("s")
        await until(pilot, lambda: any(each.question.kind == "names" for each in app.screen.query(Field)))
        field = next(each for each in app.screen.query(Field) if each.question.kind == "names")
        field.enter()
        assert "without that name" not in drawn(pilot)
        await pilot.press("ctrl+u", *"else.example.org")
        await until(pilot, lambda: "! Prometheus on monitor (job site) connects to node1" in drawn(pilot))
        assert not field.wrong, "it can be used all the same"
        await pilot.press(*" node1")
        await until(pilot, lambda: "without that name" not in drawn(pilot))
