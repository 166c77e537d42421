"""Joining a class and reporting: the code cannot be guessed, and a token allows only its own student's reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wizard.errors import InputError
from wizard.labs.board import progress
from wizard.labs.board.members import ALL_GUESSES, GUESSES, MOST, REPORTS, SHUT_OUT, Members, TooManyError
from wizard.labs.board.progress import LARGEST_REPORT, Progress


def _report(name: str = "", signal: progress.Signal = "") -> bytes:
    return json.dumps(progress.to_json(Progress(name=name, signal=signal))).encode()


def test_the_code_is_accepted_in_any_spelling(tmp_path: Path) -> None:
    members = Members(tmp_path)
    token = members.join(f" {members.code.lower().replace('-', ' ')} ", "Ada", "192.0.2.1")
    assert members.report(token, _report("Ada")) == 1
    assert [student.name for student in members.students()] == ["Ada"]


def test_a_thousand_guesses_are_rejected(tmp_path: Path) -> None:
    members = Members(tmp_path)
    outcomes = []
    for guess in range(1000):
        try:
            members.join(f"AAAA-{guess:04}", "Eve", "192.0.2.66", now=1000.0 + guess / 100)
        except TooManyError:
            outcomes.append("shut out")
        except InputError:
            outcomes.append("wrong")
    assert outcomes == ["wrong"] * GUESSES + ["shut out"] * (1000 - GUESSES)
    with pytest.raises(TooManyError):  # after too many guesses, the right code is rejected, too
        members.join(members.code, "Eve", "192.0.2.66", now=1011.0)
    assert members.join(members.code, "Ada", "192.0.2.1", now=1011.0)
    assert members.join(members.code, "Eve", "192.0.2.66", now=1011.0 + SHUT_OUT)


def test_guesses_from_many_addresses_are_rejected_too(tmp_path: Path) -> None:
    members = Members(tmp_path)
    for guess in range(ALL_GUESSES):
        with pytest.raises(InputError):
            members.join("AAAA-AAAA", "Eve", f"192.0.2.{guess}", now=1000.0)
    with pytest.raises(TooManyError):
        members.join(members.code, "Ada", "198.51.100.1", now=1001.0)


def test_a_token_is_required_and_never_stored(tmp_path: Path) -> None:
    members = Members(tmp_path)
    token = members.join(members.code, "Ada", "192.0.2.1")
    for wrong in ("", "x", token[:-1], token + "x", "\udcff"):
        with pytest.raises(PermissionError):
            members.report(wrong, _report())
    assert all(token not in path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_ten_thousand_reports_are_rejected(tmp_path: Path) -> None:
    members = Members(tmp_path)
    token = members.join(members.code, "Ada", "192.0.2.1")
    taken = 0
    for at in range(10_000):
        try:
            members.report(token, _report(f"Ada {at}"), now=1000.0 + at / 10_000)
            taken += 1
        except TooManyError:
            pass
    assert taken == REPORTS
    assert len(list(tmp_path.iterdir())) == 2  # the code, and one member


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * (LARGEST_REPORT + 1)])
def test_a_forged_report_changes_nothing(tmp_path: Path, content: bytes) -> None:
    members = Members(tmp_path)
    token = members.join(members.code, "Ada", "192.0.2.1")
    members.report(token, _report("Ada", "help"))
    with pytest.raises(InputError):
        members.report(token, content)
    assert [(student.name, student.progress.signal) for student in members.students()] == [("Ada", "help")]


def test_a_restarted_board_remembers_its_class(tmp_path: Path) -> None:
    first = Members(tmp_path)
    token = first.join(first.code, "Ada", "192.0.2.1", now=1000.0)
    first.report(token, _report("Ada", "ready"), now=1001.0)
    again = Members(tmp_path)
    assert again.code == first.code
    assert again.students() == first.students()
    assert again.report(token, _report("Ada", "ready")) == 1


def test_another_process_reads_the_reports(tmp_path: Path) -> None:
    server, screen = Members(tmp_path), Members(tmp_path)
    token = server.join(server.code, "Ada", "192.0.2.1", now=1000.0)
    server.report(token, _report("Ada", "help"), now=1001.0)
    screen.refresh()
    assert screen.students() == server.students()
    server.report(token, _report("Ada", "help"), now=1009.0)
    screen.refresh()
    assert screen.students()[0].seen_at == 1009.0


def test_a_student_who_left_is_marked_and_can_return(tmp_path: Path) -> None:
    members = Members(tmp_path)
    token = members.join(members.code, "Ada", "192.0.2.1")
    members.leave(token)
    assert members.students()[0].left
    members.report(token, _report("Ada"))
    assert not members.students()[0].left


def test_a_class_has_a_maximum_number_of_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.labs.board.members.MOST", 3)
    members = Members(tmp_path)
    for at in range(3):
        members.join(members.code, f"{at}", "192.0.2.1")
    with pytest.raises(TooManyError):
        members.join(members.code, "one more", "192.0.2.1")
    assert MOST >= 100
