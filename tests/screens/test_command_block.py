"""A block of commands has a control that copies all of them, by Tab and Enter and by mouse."""

from __future__ import annotations

from typing import cast

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from screens.app import FirescreenApp, make_app
from screens.labs.screen import LabPage
from screens.widgets.button import ActionButton
from screens.widgets.command_block import CommandBlock
from tests.screens.helpers import drawn, engine, until
from tests.screens.test_lab import FakeSession
from tests.screens.test_plan import at_the_plan
from wizard import labs
from wizard.labs import LabSession


async def copies(app: FirescreenApp, pilot: Pilot[int], *, mouse: bool) -> None:
    """Presses the control; the commands are in the clipboard then, and the control says so."""
    app._clipboard = ""
    if mouse:
        await pilot.click("CommandBlock ActionButton")
    else:
        app.screen.query_one("CommandBlock ActionButton", ActionButton).focus()
        await pilot.press("enter")
    await until(pilot, "Copied")
    assert app.clipboard.endswith("\n")


@pytest.mark.parametrize("mouse", [False, True], ids=["keyboard", "mouse"])
@pytest.mark.parametrize(
    "size", [(80, 24), pytest.param((120, 40), marks=pytest.mark.matrix)], ids=["80x24", "120x40"]
)
async def test_the_commands_of_a_plan_are_copied(size: tuple[int, int], mouse: bool) -> None:
    async with at_the_plan(size) as (app, pilot):
        await pilot.press("3", "n")
        await until(pilot, "# ")
        await copies(app, pilot, mouse=mouse)
        assert app.clipboard.splitlines()[0] in drawn(pilot)


@pytest.mark.parametrize("mouse", [False, True], ids=["keyboard", "mouse"])
async def test_the_commands_of_a_lab_are_copied(mouse: bool) -> None:
    session = FakeSession(labs.labs()[0])
    app = make_app(build=engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await app.push_screen(LabPage(cast("LabSession", session)))
        await until(pilot, "About this lab")
        await pilot.press("n")
        app.screen.query_one(CommandBlock).scroll_visible(animate=False, top=True)
        await until(pilot, "Copy ")
        await copies(app, pilot, mouse=mouse)
        step = session.lab.steps[0]
        assert app.clipboard == "\n".join((*step.commands, *step.answer)) + "\n"


async def test_commands_use_the_full_width_of_a_small_terminal_and_step_keys_still_work() -> None:
    async with at_the_plan((80, 24)) as (app, pilot):
        await pilot.press("3", "n")
        await until(pilot, "step 1 of")
        assert not app.screen.query_one("#left").display
        await pilot.press("n")
        await until(pilot, "step 2 of")
        await pilot.press("1")
        await until(pilot, lambda: app.screen.query_one("#left").display)
        await until(pilot, lambda: isinstance(app.focused, OptionList))
