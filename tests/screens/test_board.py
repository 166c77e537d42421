"""The class board, and the class as a student's wizard shows it: both read real files of a shared folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import pytest
from textual.widgets import OptionList

from screens.app import make_app
from screens.board.screen import BoardPage
from screens.dialogs.line import LineDialog
from screens.labs.class_page import ClassBar
from screens.labs.screen import LabPage
from screens.routes import Route
from tests.screens.helpers import QuietEngine, drawn, engine, until
from tests.screens.test_lab import FakeSession
from wizard.engine import Outcome
from wizard.labs import LabSession, find, finished_labs, labs, state
from wizard.labs.board import member
from wizard.labs.board.board import Board
from wizard.labs.board.class_news import News
from wizard.labs.state import LabState
from wizard.workspace import Workspace


def _student(folder: Path, *done: str, **wishes: object) -> Workspace:
    workspace = Workspace(folder).ensure()
    known = LabState(started=time.time() - 90)
    for step in done:
        known = known.with_step(step, done=time.time() - 30, hints=1, checks=2)
    known = known.with_step("scrape", checked=time.time(), said="up is 0 for srv1", checks=1)
    state.save(workspace.labs / "node-tls.json", known)
    if wishes:
        member.wish(workspace, **wishes)
    return workspace


def _at(workspace: Workspace) -> QuietEngine:
    one = QuietEngine()
    one.workspace = workspace
    return one


async def _open(app: object, pilot: object, board: Board) -> None:
    await until(pilot, "What to do next")  # type: ignore[arg-type]
    app.open_page(Route.BOARD, board)  # type: ignore[attr-defined]
    await until(pilot, lambda: isinstance(app.screen, BoardPage))  # type: ignore[arg-type, attr-defined]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_students_who_need_help_are_listed_first_and_get_a_message(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    _student(tmp_path / "class" / "01", "certificate", "web-config")
    student = _student(tmp_path / "class" / "02", "certificate", name="Ada", signal="help")
    _student(tmp_path / "class" / "03", name="Eve", shown=False)
    board = Board(tmp_path / "board", [tmp_path / "class"], labs(), name="Monday")
    app = make_app(build=engine(_at(Workspace(tmp_path / "teacher"))))
    async with app.run_test(size=size) as pilot:
        await _open(app, pilot, board)
        text = await until(pilot, "2 Ada")
        assert text.index("2 Ada") < text.index("\n│  1 ") < text.index("3 Eve")
        for part in ("1 needs help", "3 students", "? needs help", "○ not shown", "all steps are open"):
            assert part in text, part
        await pilot.press("m")
        await until(pilot, "Message to 2 Ada")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, LineDialog), "an empty message is not sent"
        await until(pilot, "✗ Nothing is written yet")
        await pilot.press(*"look at the SAN", "enter")
        await until(pilot, lambda: bool((member.news(student) or News()).messages))
        news = member.news(student)
        assert news is not None and news.messages[0].text == "look at the SAN"
        await pilot.press("o")
        await until(pilot, "open: 1 of 4 steps")
        if size[0] < 120:
            await pilot.press("t")
        text = await until(pilot, "Steps of the class")
        await until(pilot, "2 done")


async def test_progress_of_a_student_is_on_the_board_within_two_seconds(tmp_path: Path) -> None:
    _student(tmp_path / "class" / "01")
    board = Board(tmp_path / "board", [tmp_path / "class"], labs())
    app = make_app(build=engine(_at(Workspace(tmp_path / "teacher"))))
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(app, pilot, board)
        await until(pilot, "1 working")
        _student(tmp_path / "class" / "01", "certificate", "web-config", "start", "scrape")
        await until(pilot, "★ finished")


async def test_invalid_minutes_are_corrected_in_their_field(tmp_path: Path) -> None:
    _student(tmp_path / "class" / "01", name="Theodora Papadopoulou-Smith")
    board = Board(tmp_path / "board", [tmp_path / "class"], labs())
    app = make_app(build=engine(_at(Workspace(tmp_path / "teacher"))))
    async with app.run_test(size=(120, 40)) as pilot:
        await _open(app, pilot, board)
        await until(pilot, "1 Theodora Papadopoulou-Smith  ▸ working")
        await pilot.press("c", *"9000", "enter")
        await until(pilot, "at most 12 hours")
        await pilot.press("backspace", "backspace", "x", "enter")
        text = await until(pilot, "✗ Give whole minutes")
        assert "90x" in text
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: isinstance(app.screen, BoardPage))
        await until(pilot, "min left")


async def test_one_command_reopens_the_board(tmp_path: Path) -> None:
    from screens.board_app import BoardApp

    _student(tmp_path / "class" / "01")
    board = Board(tmp_path / "board", [tmp_path / "class"], labs())
    app = BoardApp(board, tmp_path / "teacher")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, BoardPage))
        await until(pilot, "1 student ")
        await pilot.press("escape")
        await until(pilot, "What to do next")
        await pilot.press("ctrl+p", *"class board")
        await until(pilot, "How far each student of the class is")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, BoardPage))


async def test_an_empty_class_says_how_students_join(tmp_path: Path) -> None:
    app = make_app(build=engine(_at(Workspace(tmp_path / "teacher"))))
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(app, pilot, Board(tmp_path / "board", [], labs()))
        text = await until(pilot, "No student is here yet")
        assert "firescreen serve --students 20" in text
        assert not any(key in text for key in ("m Message", "o Open next step"))


async def test_a_student_sees_the_class_and_replies_without_losing_the_focus(tmp_path: Path) -> None:
    workspace = _student(tmp_path / "class" / "01", "certificate")
    board = Board(tmp_path / "board", [tmp_path / "class"], labs(), name="Monday")
    board.view()
    board.set_pace("node-tls", 2)
    app = make_app(build=engine(_at(workspace)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "What to do next")
        app.push_screen(LabPage(cast("LabSession", FakeSession(find("node-tls")))))
        text = await until(pilot, "Your instructor sees your progress")
        assert text.count("opens later") == 2
        steps = app.screen.query_one("#steps", OptionList)
        assert [steps.get_option_at_index(at).disabled for at in range(1, 5)] == [False, False, True, True]
        focused = app.focused
        board.send("Ten minutes **left** [b]now[/b]")
        text = await until(pilot, "Ten minutes")
        assert "**left** [b]now[/b]" in text, "a message is no markup"
        assert app.focused is focused
        await pilot.press("exclamation_mark")
        await until(pilot, "you asked for help")
        assert board.view().rows[0].state == "help"
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "you asked for help" not in drawn(pilot))
        await pilot.press("y")
        await until(pilot, "you are ready")
        assert board.view().rows[0].state == "ready"
        board.set_pace("", 0)
        await until(pilot, lambda: "opens later" not in drawn(pilot))
        await pilot.press("v")
        await until(pilot, "does not show your progress")
        hidden = board.view().rows[0]
        assert (hidden.state, hidden.student.progress.labs) == ("not shown", ())
        assert app.screen.check_action("signal", ("help",)) is False
        await pilot.press("v")
        await until(pilot, "sees your progress")
        board.close()
        await until(pilot, lambda: not app.screen.query_one(ClassBar).display)


async def test_without_a_class_nothing_about_classes_is_shown(tmp_path: Path) -> None:
    app = make_app(build=engine(_at(Workspace(tmp_path / "alone").ensure())))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "What to do next")
        app.push_screen(LabPage(cast("LabSession", FakeSession(find("node-tls")))))
        await until(pilot, "About this lab")
        assert not app.screen.query_one(ClassBar).display
        assert app.screen.check_action("signal", ("help",)) is False


async def test_home_says_how_many_labs_are_finished(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "student").ensure()
    finished_labs.mark(workspace.labs, "look", seconds=60.0)
    app = make_app(build=engine(_at(workspace)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, f"1 of {len(labs())} labs finished")


async def test_a_key_does_the_steps_before_the_selected_one(tmp_path: Path) -> None:
    shown = FakeSession(find("node-tls"))
    asked: list[str] = []

    def jump(step_id: str, *_: object) -> Outcome:
        asked.append(step_id)
        shown.done = frozenset(step.id for step in shown.lab.steps[:2])
        return Outcome(run="", state="applied")

    shown.jump = jump  # type: ignore[attr-defined]
    app = make_app(build=engine(_at(Workspace(tmp_path / "student").ensure())))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "What to do next")
        app.push_screen(LabPage(cast("LabSession", shown)))
        await until(pilot, "About this lab")
        await pilot.press("down")
        assert app.screen.check_action("jump", ()) is False, "nothing stands before the first step"
        await pilot.press("down", "down")
        await until(pilot, "Step 3 of 4")
        await pilot.press("j")
        text = await until(pilot, "The steps before this one are done")
        assert "2 of 4 done" in text
        assert asked == [shown.lab.steps[2].id]
