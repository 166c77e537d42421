"""The upkeep timer from the wizard: found in the palette and previewed as a plan, by keyboard alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from screens.app import make_app
from screens.dialogs.line import LineDialog
from screens.plan.screen import PlanPage
from tests.screens.helpers import engine, until
from tests.screens.scenes import SceneEngine
from wizard.engine import Engine
from wizard.inventory import stack_file
from wizard.model import HostSpec
from wizard.upkeep.timer import HERE
from wizard.workspace import Workspace


class LocalTimerEngine(SceneEngine):
    """A secured stack, and the real files of this machine where the timer is installed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(state="secured")
        self.workspace = Workspace(folder)

    def connections(self, specs: Iterable[HostSpec]) -> AbstractContextManager[Any]:
        """Returns connections to this machine only."""
        specs = tuple(specs)
        assert [spec.name for spec in specs] == [HERE]
        return Engine(self.workspace).connections(specs)


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretends to be root, who gets a system timer or cron job; nothing is written."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("as_root")
async def test_the_palette_opens_the_plan_of_the_timer(tmp_path: Path) -> None:
    wanted = tmp_path / "firescreen.yaml"
    (tmp_path / "taken.yaml").write_text("no: stack\n")
    app = make_app(build=engine(LocalTimerEngine(tmp_path / "workspace")))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "secured")
        await pilot.press("ctrl+p", *"timer")
        await until(pilot, "A plan that installs a timer")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LineDialog))
        await until(pilot, "~/firescreen.yaml")
        await pilot.press(*["backspace"] * len("~/firescreen.yaml"), "enter")
        await until(pilot, "Type the name of a file")
        await pilot.press(*str(tmp_path / "taken.yaml"), "enter")
        text = await until(pilot, "✗ ")
        assert "taken.yaml" in text, "what was typed stays"
        await pilot.press(*["backspace"] * len("taken.yaml"), *wanted.name, "enter")
        await until(pilot, lambda: isinstance(app.screen, PlanPage))
        await until(pilot, "Install the timer that")
        await pilot.press("down", "down", "2")
        await until(pilot, "firescreen upkeep")
    assert {one.name for one in stack_file.load(wanted).components} >= {"prometheus", "node_exporter"}


async def test_without_a_secured_component_there_is_nothing_to_renew() -> None:
    from screens.navigation.upkeep_timer import install_timer
    from tests.screens.helpers import QuietEngine

    app = make_app(build=engine(QuietEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "What to do next")
        notices: list[str] = []
        app.notify = lambda text, **_: notices.append(text)  # type: ignore[method-assign]
        install_timer(app)
        assert notices == ["Nothing is secured yet, so nothing expires. Choose Secure first."]
