"""The board reads the progress in students' workspaces, and follows no symbolic links."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from wizard.labs import find, labs, state
from wizard.labs.board import member
from wizard.labs.board.board import Board
from wizard.labs.board.class_news import News
from wizard.labs.board.own_folder import open_folder
from wizard.labs.board.student_folder import StudentFolder, own_progress
from wizard.labs.state import LabState
from wizard.workspace import Workspace


def _student(root: Path, *done: str) -> Workspace:
    workspace = Workspace(root).ensure()
    known = LabState(started=time.time() - 60)
    for step in done:
        known = known.with_step(step, done=time.time(), checks=1)
    state.save(workspace.labs / "node-tls.json", known)
    return workspace


def test_a_change_is_noticed_and_an_unchanged_folder_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = _student(tmp_path / "01", "certificate")
    folder = StudentFolder(workspace.root, labs())
    assert folder.read().progress.labs[0].steps[0].state == "done"
    before = folder.read()
    assert folder.read() is before
    _student(tmp_path / "01", "certificate", "web-config")
    assert folder.read().progress.labs[0].steps[1].state == "done"


def test_the_board_reads_what_the_student_would_send(tmp_path: Path) -> None:
    workspace = _student(tmp_path / "01", "certificate")
    member.wish(workspace, name="Ada", signal="help")
    board = Board(tmp_path / "board", [tmp_path], labs())
    shown = board.view().rows[0].student
    assert shown.progress == own_progress(workspace.root, labs())
    assert (shown.name, shown.progress.signal) == ("Ada", "help")


def test_no_symbolic_link_is_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    state.save(secret, LabState(started=1.0).with_step("certificate", done=2.0))
    workspace = Workspace(tmp_path / "01").ensure()
    (workspace.labs / "node-tls.json").symlink_to(secret)
    (workspace.labs / "class").symlink_to(tmp_path)
    folder = StudentFolder(workspace.root, labs())
    assert folder.read().progress.labs == ()
    with pytest.raises(OSError, match=r"directory|symbolic links"):
        folder.tell(News())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01", "secret.json"]


def test_a_pipe_or_a_huge_file_does_not_block_the_board(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "01").ensure()
    os.mkfifo(workspace.labs / "node-tls.json")
    (workspace.labs / "look.json").write_bytes(b"[" * 2_000_000)
    assert StudentFolder(workspace.root, labs()).read().progress.labs == ()
    with open_folder(workspace.labs) as folder, pytest.raises(OSError, match="regular file"):
        folder.read("node-tls.json")


def test_messages_pace_and_time_reach_the_student(tmp_path: Path) -> None:
    one, two = _student(tmp_path / "class" / "01"), _student(tmp_path / "class" / "02")
    board = Board(tmp_path / "board", [tmp_path / "class"], labs(), name="Monday")
    rows = {row.student.number: row.student.id for row in board.view().rows}
    assert board.send("Look at the SAN", rows[2]) == 1
    assert board.send("Break until ten") == 2
    board.set_pace("node-tls", 2)
    board.set_clock(10)
    first, second = member.news(one), member.news(two)
    assert first is not None and second is not None
    assert [message.text for message in first.messages] == ["Break until ten"]
    assert [message.text for message in second.messages] == ["Look at the SAN", "Break until ten"]
    assert (first.open_in("node-tls"), first.open_in("look")) == (2, None)
    assert 590 < first.clock_until - time.time() <= 600
    assert member.is_watched(first) and first.class_name == "Monday"
    board.close()
    closed = member.news(one)
    assert closed is not None and not member.is_watched(closed)


def test_a_student_who_opted_out_is_not_shown(tmp_path: Path) -> None:
    workspace = _student(tmp_path / "01", "certificate")
    member.wish(workspace, name="Ada", shown=False)
    row = Board(tmp_path / "board", [tmp_path], labs()).view().rows[0]
    assert row.state == "not shown"
    assert row.student.progress.labs == ()


def test_an_unreadable_workspace_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _student(tmp_path / "01")
    board = Board(tmp_path / "board", [tmp_path], labs())

    def refuse(_self: StudentFolder) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(StudentFolder, "read", refuse)
    assert board.view().rows == ()
    assert board.unreadable == (f"{tmp_path / '01'}: Permission denied",)


def test_the_pace_survives_a_restart_of_the_board(tmp_path: Path) -> None:
    Board(tmp_path / "board", [], labs()).set_pace("node-tls", 1)
    again = Board(tmp_path / "board", [], labs())
    assert (again.pace.lab, again.pace.open_steps) == ("node-tls", 1)
    assert len(find("node-tls").steps) == 4
