"""Drift in the history: differences are listed with their place and can be adopted, by keyboard alone at 80x24."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from screens.app import make_app
from screens.history import HistoryPage
from screens.plan.screen import PlanPage
from tests.screens.helpers import engine, until
from tests.screens.scenes import SceneEngine
from wizard.model import (
    Answers,
    ContentKind,
    Facts,
    FileState,
    Plan,
    PlannedStep,
    RunRecord,
    Stack,
    StepKind,
    WriteFile,
)
from wizard.upkeep import comparison
from wizard.upkeep.comparison import Comparison
from wizard.upkeep.drift import Difference
from wizard.upkeep.restoration import Restoration

RUN = RunRecord(run="7", started=0.0, state="proven", title="TLS: srv1", changes=(), folder="/x")
NOTHING = Plan(stack=Stack(hosts=(), components=()), facts=Facts({}), steps=(), probes=())
FOUND = Difference(
    kind="file",
    host="srv1",
    path="/etc/node_exporter/web.yml",
    line=7,
    what="1 line changed: [red]x[/red]",
)


class OneRun(SceneEngine):
    """A secured stack, and one verified run."""

    def history(self) -> tuple[RunRecord, ...]:
        """Returns that run."""
        return (RUN,)

    def run_details(self, run: str) -> tuple[str, ...]:
        """Returns its diff."""
        return ("+ scheme: https",)


async def test_differences_are_listed_and_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def compare(_: object, stack: Stack, answers: Answers, *, adopt: bool = False) -> Comparison:
        asked.append(adopt)
        assert not answers.renew
        return Comparison(NOTHING.facts, NOTHING, (), () if adopt else (FOUND,), 0.0)

    monkeypatch.setattr(comparison, "compare", compare)
    app: Any = make_app(build=engine(OneRun()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.session.scan is not None)
        app.push_screen(HistoryPage())
        await until(pilot, "scheme: https")
        await pilot.press("d")
        shown = await until(pilot, "1 difference since the last run")
        assert "web.yml:7" in shown and "[red]x[/red]" in shown
        await pilot.press("m")
        await until(pilot, "Adopt the present state?")
        await pilot.press("y")
        await until(pilot, "Nothing differs since")
        await pilot.press("escape")
        await until(pilot, "scheme: https")
    assert asked == [False, True]


async def test_a_plan_restores_the_verified_state(monkeypatch: pytest.MonkeyPatch) -> None:
    change = WriteFile(
        host="srv1",
        path=FOUND.path,
        before=FileState(b"a: 2\n"),
        after=FileState(b"a: 1\n"),
        why="It was so when the stack was last verified.",
        content_kind=ContentKind.BACKUP,
    )
    step = PlannedStep(
        id="restore:srv1/node_exporter",
        kind=StepKind.RESTORE,
        title="Restore the files of srv1/node_exporter",
        host="srv1",
        why=change.why,
        changes=(change,),
    )

    def compare(*_: object, **__: object) -> Comparison:
        return Comparison(NOTHING.facts, NOTHING, (), (FOUND,), 0.0)

    def restoration(_: object, stack: Stack, answers: Answers) -> Restoration:
        return Restoration(replace(NOTHING, stack=stack, steps=(step,)), ())

    monkeypatch.setattr(comparison, "compare", compare)
    monkeypatch.setattr("wizard.upkeep.restoration.restoration", restoration)
    app: Any = make_app(build=engine(OneRun()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.session.scan is not None)
        app.push_screen(HistoryPage())
        await until(pilot, "scheme: https")
        assert "Restore" not in await until(pilot, "Drift")
        await pilot.press("d")
        await until(pilot, "1 difference since the last run")
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, PlanPage))
        await until(pilot, "Restore the files")
        await pilot.press("right")
        await until(pilot, "a: 1")
        assert app.session.plan.steps == (step,)
