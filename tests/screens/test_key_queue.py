"""Keys that are typed together with the key that opens a page reach that page once it has the focus."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList, TextArea

from screens.app import FirescreenApp, make_app
from screens.audit.screen import AuditPage
from screens.base_screen import Page
from screens.choices.level_table import LevelTable
from screens.choices.screen import ChoicesPage
from screens.dialogs.base import Dialog
from screens.engine_client import audits
from screens.home.screen import HomePage
from screens.inventory import InventoryPage
from screens.plan.screen import PlanPage
from tests.bench.drawn_terminal import DrawnTerminal
from tests.screens.helpers import drawn, engine, until
from tests.screens.scenes import SceneEngine, audit_report
from wizard.errors import InputError
from wizard.model import RunRecord

SLOW = 0.3
"""Seconds that a thread takes for what a page shows: nobody types so slowly in one go."""


class SlowEngine(SceneEngine):
    """Answers after the keys were typed."""

    refuses = False

    def history(self) -> tuple[RunRecord, ...]:
        """Returns five runs."""
        time.sleep(SLOW)
        return super().history()

    def inventory(self, *stack: object) -> Any:
        """Returns certificates and users."""
        time.sleep(SLOW)
        return super().inventory(*stack)

    def plan(self, *wanted: Any, **more: Any) -> Any:
        """Returns a plan, or raises an error."""
        time.sleep(SLOW)
        if self.refuses:
            raise InputError("no plan today")
        return super().plan(*wanted, **more)


class GatedEngine(SceneEngine):
    """Reads the inventory when the test sets the gate."""

    def inventory(self, *stack: object) -> Any:
        """Returns certificates and users."""
        self.gate.wait(60)
        return super().inventory(*stack)


def _selected(app: FirescreenApp, name: str = "#list") -> object:
    found = app.screen.query(name)
    return found.first(OptionList).highlighted if found else None


def _pasted(app: FirescreenApp) -> str:
    found = app.screen.query(TextArea)
    return found.first().text if found else ""


def _typed(app: FirescreenApp) -> str:
    found = app.screen.query(Input)
    return found.first().value if found else ""


def _level_row(app: FirescreenApp) -> object:
    found = app.screen.query(LevelTable)
    return found.first().at if found and isinstance(app.screen, ChoicesPage) else None


BURSTS: dict[str, tuple[tuple[str, ...], Callable[[FirescreenApp], bool]]] = {
    "history": (("h", "down", "down"), lambda app: _selected(app) == 2),
    "audit": (("f", "down"), lambda app: _place(app) == "Audit" and _selected(app) == 1),
    "labs-from-the-menu": (
        ("end", "up", "up", "up", "enter", "down"),
        lambda app: _title(app) == "Follow a lab" and _selected(app, "OptionList") == 1,
    ),
    "inventory": (("c", "down", "down", "down", "up"), lambda app: _selected(app) == 2),
    "labs": (("l", "down", "down"), lambda app: _selected(app, "OptionList") == 2),
    "choices": (("s", "down", "down"), lambda app: _level_row(app) == 2),
    "diagnosis": (("x", *"no such"), lambda app: _pasted(app) == "no such"),
    "palette": (("ctrl+p", *"history"), lambda app: _typed(app) == "history"),
    "console": (("a", *"/x"), lambda app: "/x" in _typed(app)),
    "help-of-help": (
        ("question_mark", "g", "down"),
        lambda app: _title(app) == "Glossary" and _selected(app, "OptionList") == 1,
    ),
    "plan": (
        ("s", "ctrl+s", "down", "down"),
        lambda app: isinstance(app.screen, PlanPage) and _selected(app, "#steps") == 2,
    ),
    "back-and-forth": (
        ("h", "escape", "c", "down"),
        lambda app: _place(app) == "Certificates and users" and _selected(app) == 1,
    ),
}


def _place(app: FirescreenApp) -> str:
    return app.screen.PLACE if isinstance(app.screen, Page) else ""


def _title(app: FirescreenApp) -> str:
    return app.screen.title_text() if isinstance(app.screen, Dialog) else ""


@pytest.fixture(autouse=True)
def audited(monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit gives the report of the scenes: its checks need connections, and the order of keys does not."""
    monkeypatch.setattr(audits, "run", lambda *_: audit_report())


@pytest.mark.parametrize("name", BURSTS)
async def test_keys_typed_after_the_key_that_opens_a_page_reach_that_page(name: str) -> None:
    keys, arrived = BURSTS[name]
    app = make_app(build=engine(SlowEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Posture")
        await until(pilot, lambda: app.session.scan is not None)
        for key in keys:
            app.simulate_key(key)
        await until(pilot, lambda: arrived(app))


@pytest.mark.parametrize(
    ("page", "fill", "key"), [(InventoryPage, "_list", "c"), (AuditPage, "_draw_list", "f")]
)
async def test_keys_wait_for_a_list_that_is_filled_late(
    page: type[Page], fill: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that was hidden is filled once it has its width, which can be after the next refresh."""
    usual = page.call_after_refresh

    def late(self: Page, callback: Callable[..., Any], *args: Any, **more: Any) -> bool:
        if callback.__name__ != fill:
            return usual(self, callback, *args, **more)
        self.set_timer(SLOW, callback)
        return True

    monkeypatch.setattr(page, "call_after_refresh", late)
    app = make_app(build=engine(SceneEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Posture")
        await until(pilot, lambda: app.session.scan is not None)
        for each in (key, "down"):
            app.simulate_key(each)
        await until(pilot, lambda: isinstance(app.screen, page) and _selected(app) == 1)


async def test_keys_for_a_plan_that_cannot_be_made_do_not_close_its_error() -> None:
    one = SlowEngine()
    one.refuses = True
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Posture")
        await until(pilot, lambda: app.session.scan is not None)
        for key in ("s", "ctrl+s", "a", "enter"):
            app.simulate_key(key)
        await until(pilot, "no plan today")
        await pilot.pause(0.2)
        assert "no plan today" in drawn(pilot)


async def test_escape_closes_a_loading_page_and_drops_its_queued_keys() -> None:
    one = GatedEngine()
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Posture")
        await until(pilot, lambda: app.session.scan is not None)
        await pilot.press("c", "n", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomePage))
        one.gate.set()
        await pilot.pause(SLOW)
        assert isinstance(app.screen, HomePage)


async def test_a_page_takes_keys_while_it_reloads() -> None:
    one = GatedEngine()
    one.gate.set()
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Posture")
        await until(pilot, lambda: app.session.scan is not None)
        await pilot.press("c")
        await until(pilot, lambda: _selected(app) == 0)
        one.gate.clear()
        await pilot.press("r", "down")
        await until(pilot, lambda: _selected(app) == 1)
        one.gate.set()


@pytest.mark.matrix
def test_keys_pasted_on_a_real_terminal(tmp_path: Path) -> None:
    terminal = DrawnTerminal([sys.executable, "-m", "screens", "--workspace", str(tmp_path)])
    try:
        terminal.until("Follow a lab")
        terminal.until(lambda shown: "scanning" not in shown)
        terminal.press(b"xno route to host", lambda shown: "no route to host" in shown)
        terminal.press(b"\x1b", lambda shown: "no route to host" not in shown)
        terminal.press(b"\x10history", lambda shown: "history" in shown)
        # The menu can be read beside the palette. An Escape with a byte right behind it would be read as another key.
        terminal.press(b"\x1b", lambda shown: "history" not in shown and "Follow a lab" in shown)
        terminal.press(b"?g\x1b[B\x1b[B", lambda shown: "Glossary" in shown)
    finally:
        terminal.close()


@pytest.mark.parametrize("reads_only", [False, True])
async def test_a_worker_of_a_closed_page_still_has_its_app(reads_only: bool) -> None:
    app = make_app(build=engine(SceneEngine()))
    found: list[object] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Posture")
        await pilot.press("h")
        await until(pilot, lambda: _place(app) == "History")
        page = app.screen
        assert isinstance(page, Page)
        await pilot.press("escape")
        await until(pilot, lambda: not page.is_attached)
        wanted = (lambda: True) if reads_only else None
        app.ask(lambda: page.firescreen, found.append, found.append, wanted=wanted)
        await until(pilot, lambda: bool(found))
    assert found == [app]
