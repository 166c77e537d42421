"""Commands copied from the screen at 80x24 work when they are pasted into a real shell."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import OptionList

from screens.app import make_app
from screens.labs.screen import LabPage
from screens.plan.screen import PlanPage
from screens.state import Session
from tests.integration.full_stack import LEVELS, full_stack
from tests.integration.lab_plays import practice_labs
from tests.processes import run_program
from tests.screens.helpers import until
from wizard import binaries, practice
from wizard.engine import Engine
from wizard.labs import LabSession
from wizard.workspace import Workspace

SIZE = (80, 24)
MOST = 400
"""Screens that a text may have."""


async def cells_on_screen(pilot: Pilot[int], text: Widget, pane: VerticalScroll) -> str:
    """Returns the cells of a text in a pane, scrolled from its beginning to its end, without blanks at line ends."""
    rows: dict[int, str] = {}
    pane.scroll_home(animate=False)
    for _ in range(MOST):
        await pilot.pause()
        top, seen = text.region.y, pane.region
        strips = pilot.app.screen._compositor.render_strips()
        for y in range(max(top, seen.y), min(top + text.region.height, seen.bottom)):
            line = "".join(segment.text for segment in strips[y])
            rows.setdefault(y - top, line[text.content_region.x : text.content_region.right].rstrip())
        if pane.scroll_offset.y >= pane.max_scroll_y:
            return "\n".join(rows[row] for row in sorted(rows)) + "\n"
        pane.scroll_relative(y=max(seen.height - 1, 1), animate=False)
    raise AssertionError("the text has no end")


def paste(text: str, *, before: str) -> None:
    """Pastes the text into an interactive shell."""
    done = run_program(["bash", "-eu", "-c", f"{before}\n{text}"], timeout=120)
    assert done.returncode == 0, f"{text}\n---\n{done.stdout}{done.stderr}"


@pytest.mark.matrix
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [lab.id for lab in practice_labs()])
async def test_each_step_of_a_lab_is_done_by_pasting_from_the_screen(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin")
    workspace = Workspace(tmp_path / "workspace")
    engine = Engine(workspace)
    try:
        session = LabSession.open(engine, name)
        app = make_app(workspace=workspace.root, build=lambda: engine)
        async with app.run_test(size=SIZE) as pilot:
            page = LabPage(session)
            app.push_screen(page)
            await until(pilot, "About this lab")
            for number, step in enumerate(session.lab.steps, start=1):
                if not session.has_begun(step.id):
                    session.begin(step.id)
                for _ in step.hints:
                    session.hint(step.id)
                page._begun |= {step.id}
                page._lab = session.lab
                page.query_one("#steps", OptionList).highlighted = 0
                await pilot.pause()
                page.query_one("#steps", OptionList).highlighted = number
                await pilot.pause()
                text = await cells_on_screen(
                    pilot, page.query_one("#commands"), page.query_one("#detail", VerticalScroll)
                )
                known = practice.status(workspace.root)
                folder = known.host(step.host).folder if known and step.host else workspace.root
                paste(text, before=f". '{session.shell_file}'\ncd '{folder}'")
                result = session.check(step.id, patience=60)
                assert result.ok, f"{step.id}: {result.what}\n{text}"
    finally:
        engine.close()
        practice.down(workspace.root, remove=True)


@pytest.mark.matrix
@pytest.mark.timeout(600)
@pytest.mark.parametrize("level", LEVELS)
async def test_a_plan_is_done_by_pasting_from_the_screen(level: str, tmp_path: Path, cache: Path) -> None:
    """Pastes the commands of each step for every component at that level, in their order, then runs every probe."""
    htpasswd = Path(binaries.find("htpasswd", cache=cache).path).parent
    path = f"export PATH='{Path(sys.executable).parent}:{htpasswd}':$PATH"
    with full_stack(tmp_path / "workspace", cache) as running_stack:
        stack = running_stack.stack(dict.fromkeys(practice.WHOLE, LEVELS[level]))
        plan = running_stack.engine.plan(stack)
        app = make_app(workspace=running_stack.root, build=lambda: running_stack.engine)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: not app.session.busy)
            app.session = Session(place="practice", stack=stack, plan=plan)
            page = PlanPage()
            app.push_screen(page)
            await until(pilot, "Nothing has been written")
            await pilot.press("3", "n")
            for step in plan.steps:
                await until(pilot, lambda step=step: page.steps == (step,))  # type: ignore[misc]
                text = await cells_on_screen(
                    pilot, page.query_one("#commands"), page.query_one("#detail", VerticalScroll)
                )
                if any(change.commands() for change in step.changes):
                    paste(text, before=path)
                await pilot.press("n")
        left = running_stack.engine.plan(stack)
        assert [change.diff() for change in left.changes] == []
        attempts = running_stack.engine.verify(stack)
        assert [(each.probe.id, each.outcome, each.reason) for each in attempts if not each.ok] == []
