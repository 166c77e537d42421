"""Notices: an interrupted run after 'Decide later', a running practice stack, a run of another window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from screens.app import make_app
from screens.controllers import workspace_watch
from screens.history import HistoryPage
from screens.plan.screen import PlanPage
from screens.state import Notices, Session
from screens.widgets.notice_bar import practice_words
from tests.screens.helpers import QuietEngine, engine, until
from wizard.engine import Remains, Scan
from wizard.model import Facts, Plan, RunRecord, Stack
from wizard.workspace import Workspace

RUN = RunRecord(run="7", started=0.0, state="cut-off", title="TLS: srv1", changes=(), folder="/x")
NOTHING = Plan(stack=Stack(hosts=(), components=()), facts=Facts({}), steps=(), probes=())
SAID = "TLS: srv1 was interrupted. i roll back or compare"


class InterruptedEngine(QuietEngine):
    """An engine with an interrupted run, until that is forgotten."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.workspace = Workspace(folder).ensure()
        self.journal(RUN.run, "begun\n")
        self.left: RunRecord | None = RUN
        self.scans = 0

    def journal(self, run: str, text: str) -> None:
        """Writes a journal, as another process does."""
        folder = self.workspace.runs / run
        folder.mkdir(exist_ok=True)
        (folder / "journal.jsonl").write_text(text)

    def interrupted_run(self) -> RunRecord | None:
        """Returns the interrupted run until it is forgotten."""
        return self.left

    def history(self) -> tuple[RunRecord, ...]:
        """Returns a run for each journal."""
        return tuple(
            replace(RUN, run=each.name, title=f"Run {each.name}", state="proven")
            for each in sorted(self.workspace.runs.iterdir())
        )

    def run_details(self, run: str) -> tuple[str, ...]:
        """Returns no changes."""
        return ()

    def remains(self) -> tuple[Remains, ...]:
        """Returns no differences."""
        return (Remains(run="7", title="", started=0.0, hosts=("srv1",), differences=()),)

    def forget(self, **_: object) -> tuple[()]:
        """Forgets the interrupted run."""
        self.left = None
        self.journal(RUN.run, "begun\nforgotten\n")
        return ()

    def scan(self, stack: Stack | None = None, **more: object) -> Scan:
        """Counts its calls."""
        self.scans += 1
        return super().scan(stack, **more)


def app_of(one: QuietEngine) -> Any:
    return make_app(build=engine(one))


async def test_an_interrupted_run_is_announced_until_it_is_resolved(tmp_path: Path) -> None:
    app = app_of(InterruptedEngine(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Decide later")
        await pilot.press("escape")
        await until(pilot, SAID)
        app.session = replace(app.session, plan=NOTHING)
        for page, shown in ((HistoryPage(), "Run 7"), (PlanPage(), "There is nothing to change")):
            app.push_screen(page)
            await until(pilot, shown)
            await until(pilot, SAID)
            await pilot.press("i")
            await until(pilot, "Compare")
            await pilot.press("escape")
            await until(pilot, shown)
            await pilot.press("escape")
        await until(pilot, SAID)
        await pilot.press("i")
        await until(pilot, "Compare")
        await pilot.click("#compare")
        await until(pilot, "every file is as before the run")
        await pilot.click("#forget")
        await until(pilot, lambda: app.notices.interrupted is None)
        assert "was interrupted" not in await until(pilot, "Components on this machine")


async def test_a_second_window_shows_a_run_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_watch, "EVERY", 0.05)
    one = InterruptedEngine(tmp_path)
    one.left = None
    app = app_of(one)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: bool(app.notices.runs))
        app.push_screen(HistoryPage())
        await until(pilot, "Run 7")
        scans = one.scans
        with one.workspace.lock("an apply"):
            one.journal("8", "begun\n")
            one.journal("8", "begun\nproven\n")
        await until(pilot, "Run 8")
        await until(pilot, lambda: one.scans > scans)


def test_a_running_practice_stack_is_announced_only_on_this_machine() -> None:
    runs = Notices(practice=True)
    assert practice_words(runs, Session()).plain == "▸ The practice stack is running. p opens it"
    assert not practice_words(runs, Session(place="practice"))
    assert not practice_words(Notices(), Session())
