"""The widgets that all pages use: panels, cards, badges, gauges, and the stages in the title bar."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.widgets import Input

from screens import themes
from screens.app import make_app
from screens.choices.screen import ChoicesPage
from screens.home.screen import HomePage
from screens.plan.screen import PlanPage
from screens.run.status import short_path
from screens.widgets.badges import WIDTH, badges, exposure_badges
from screens.widgets.cards import Card, Cards
from screens.widgets.gauge import DAY, days_left, expiry, expiry_colour, gauge
from screens.widgets.panel import Panel
from tests.screens import example_stack
from tests.screens.helpers import drawn, engine, until


class Parts(App[None]):
    """A page with two panels below a row of cards."""

    def __init__(self) -> None:
        super().__init__()
        for theme in themes.OWN:
            self.register_theme(theme)
        self.theme = themes.DARK.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.extra_variables(self.current_theme)

    def compose(self) -> ComposeResult:
        yield Cards(
            Card("12", "files", "3 created, 9 edited"),
            Card("3", "restarts"),
            Card("[b]0", "warnings"),
            id="cards",
        )
        yield Panel(Input(id="one"), title="Left [of two]", id="left")
        yield Panel(Input(id="two"), title="Right", id="right")


def test_a_gauge_is_full_only_at_100_percent_and_empty_only_at_0() -> None:
    for share, filled in ((0.0, 0), (0.001, 1), (0.5, 5), (0.999, 9), (1.0, 10), (7.0, 10), (-1.0, 0)):
        shown = gauge(share, 10).plain
        assert shown == "━" * filled + "─" * (10 - filled), share


def test_an_expiry_says_the_days_beside_its_bar_and_keeps_its_width() -> None:
    for left in (364 * DAY, 20 * DAY, 3 * 3600.0, -5.0):
        for width in (8, 12, 20):
            assert expiry(left, 365 * DAY, width).cell_length == width
            assert days_left(left) in expiry(left, 365 * DAY, width).plain
    assert expiry_colour(200 * DAY, 365 * DAY) == "$success"
    assert expiry_colour(100 * DAY, 365 * DAY) == "$warning"
    assert expiry_colour(0, 365 * DAY) == "$error"


@pytest.mark.parametrize("no_color", [False, True])
def test_badges_keep_their_columns_and_are_readable_without_colour(no_color: bool) -> None:
    shown = badges(tls=True, password=True, client_certificate=True, no_color=no_color)
    assert shown.cell_length == WIDTH
    only = badges(tls=False, password=True, client_certificate=False, no_color=no_color)
    assert only.cell_length == WIDTH
    assert only.plain.index("PASSWORD") == shown.plain.index("PASSWORD")
    assert "TLS" not in only.plain
    for state, word in (("open", "plain HTTP"), ("secured", "PASSWORD"), ("down", "")):
        found = replace(example_stack.exposures("open" if state != "secured" else "secured")[0], state=state)  # type: ignore[arg-type]
        drawn_badges = exposure_badges(found, no_color=no_color)
        assert drawn_badges.cell_length == WIDTH
        assert word in drawn_badges.plain
        assert bool(word) or not drawn_badges.plain.strip()


async def test_cards_are_boxes_where_there_is_room_and_one_line_elsewhere() -> None:
    app = Parts()
    async with app.run_test(size=(120, 40)) as pilot:
        text = await until(pilot, "12 files")
        assert "3 created, 9 edited" in text
        assert app.query_one(Cards).size.height == 4
        assert "[b]0 warnings" in text
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: app.query_one(Cards).size.height == 1)
        assert "12 files │ 3 restarts │ [b]0 warnings" in drawn(pilot)


async def test_a_panel_shows_its_title_unchanged_and_marks_the_focus() -> None:
    app = Parts()
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "Left [of two]")
        assert "Right" in text
        left, right = app.query_one("#left", Panel), app.query_one("#right", Panel)
        app.query_one("#one").focus()
        await until(pilot, lambda: left.styles.border_top != right.styles.border_top)
        focused = left.styles.border_top
        app.query_one("#two").focus()
        await until(pilot, lambda: right.styles.border_top == focused)
        left.set_subtitle(Content("3 of 5"))
        await until(pilot, "3 of 5")


async def test_a_click_on_a_finished_stage_opens_it() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "5 of 5")
        assert "Scan ─" not in text, "nothing is being secured yet"
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ChoicesPage))
        await until(pilot, "✓ Scan ─  Choose  ─ Plan ─ Apply ─ Verify")
        await until(pilot, "Set all")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, PlanPage))
        text = await until(pilot, "✓ Scan ─ ✓ Choose ─  Plan  ─ Apply ─ Verify")
        bar = text.splitlines()[0]
        await pilot.click(offset=(bar.index("Apply"), 0))
        await pilot.pause()
        assert isinstance(app.screen, PlanPage), "that is not done yet"
        await pilot.click(offset=(bar.index("Choose"), 0))
        await until(pilot, lambda: isinstance(app.screen, ChoicesPage))
        await pilot.click(offset=(bar.index("Scan"), 0))
        await until(pilot, lambda: isinstance(app.screen, HomePage))


def test_a_long_path_keeps_its_end() -> None:
    text = "create /home/me/.local/share/firescreen/practice/srv1/etc/node_exporter/web.yml"
    assert short_path(text, 80) == text
    assert short_path(text, 40) == "create …/srv1/etc/node_exporter/web.yml"
    assert short_path(text, 17) == "create …/web.yml"
    assert short_path("waits for the canary srv1", 8) == "waits for the canary srv1"
