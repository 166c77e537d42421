"""Drift in the history: what differs is listed with its place, and can be adopted; by keyboard alone, at 80x24."""

from __future__ import annotations

from typing import Any

import pytest

from screens.app import make_app
from screens.history import HistoryPage
from tests.screens.helpers import QuietEngine, engine, until
from wizard.model import Answers, Facts, Plan, RunRecord, Stack
from wizard.upkeep import comparison
from wizard.upkeep.comparison import Comparison
from wizard.upkeep.drift import Difference

RUN = RunRecord(run="7", started=0.0, state="proven", title="TLS: srv1", changes=(), folder="/x")
NOTHING = Plan(stack=Stack(hosts=(), components=()), facts=Facts({}), steps=(), probes=())
FOUND = Difference(
    kind="file",
    host="srv1",
    path="/etc/node_exporter/web.yml",
    line=7,
    what="1 line changed: [red]x[/red]",
)


class OneRun(QuietEngine):
    """One run that stands."""

    def history(self) -> tuple[RunRecord, ...]:
        """It."""
        return (RUN,)

    def run_details(self, run: str) -> tuple[str, ...]:
        """Its diff."""
        return ("+ scheme: https",)


async def test_what_differs_is_listed_and_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def compare(_: object, stack: Stack, answers: Answers, *, adopt: bool = False) -> Comparison:
        asked.append(adopt)
        assert not answers.renew
        return Comparison(NOTHING.facts, NOTHING, (), () if adopt else (FOUND,), 0.0)

    monkeypatch.setattr(comparison, "compare", compare)
    app: Any = make_app(build=engine(OneRun()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.session.stack is not None)
        app.push_screen(HistoryPage())
        await until(pilot, "scheme: https")
        await pilot.press("d")
        shown = await until(pilot, "1 difference since the last run")
        assert "web.yml:7" in shown and "[red]x[/red]" in shown
        await pilot.press("m")
        await until(pilot, "Is it meant so?")
        await pilot.press("enter")
        await until(pilot, "Nothing differs since")
        await pilot.press("d")
        await until(pilot, "scheme: https")
    assert asked == [False, True]
