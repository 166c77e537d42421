"""The plain mode with answers from a pipe: scan, plan, apply, verify and undo, and the first lab."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.command_line import firescreen
from tests.integration.snapshot import differences, snapshot
from tests.processes import run_program
from wizard import practice as practice_stack
from wizard.cli.plain_dialog import MOST_TRIES
from wizard.practice import PracticeStack

Shell = subprocess.CompletedProcess[str]
Converse = Callable[..., Shell]

DEFAULTS = ("", "", "", "", "", "", "")
"""Enter for every question about the practice stack: two levels, password, certificates, names twice, and no more."""


def in_a_process(*words: str, stdin: str) -> Shell:
    """Runs `firescreen` with a real pipe on its standard input."""
    return run_program([sys.executable, "-m", "screens", *words], input=stdin, timeout=180)


@pytest.fixture
def plain(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Converse:
    """Returns a function that runs `firescreen` in the practice fixture's workspace, with these lines on
    standard input.
    """
    monkeypatch.setenv("COLUMNS", "1000")  # one sentence per line

    def call(
        *lines: str,
        words: tuple[str, ...] = ("--plain", "--practice"),
        start: Callable[..., Shell] = firescreen,
    ) -> Shell:
        typed = "".join(f"{line}\n" for line in lines)
        ended = start("--workspace", str(tmp_path / "workspace"), *words, stdin=typed)
        for text in (ended.stdout, ended.stderr):
            assert "\x1b" not in text
            assert "\r" not in text
            assert "Traceback" not in text
        return ended

    return call


def test_a_stack_is_secured_verified_and_undone(
    plain: Converse, practice: PracticeStack, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    before = snapshot(workspace)
    done = plain(*DEFAULTS, "?", "d 3", "d 13", "c 5", "p", "yes", "2")
    assert "lines of base64)" in done.stdout and not re.search(
        r"^\+[A-Za-z0-9+/]{64}$", done.stdout, re.MULTILINE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "2 of 2 components unprotected." in lines
    assert sum(text.startswith("srv1/node_exporter at ") for text in lines) == 1, (
        "its protection is said once"
    )
    assert any("Grafana, promtool and browsers need new settings too." in text for text in lines)
    assert any(line.startswith("The plan has 17 steps on 2 hosts: it writes 20 files") for line in lines)
    assert sum(line.startswith("Step 17 of 17, on prometheus: ") for line in lines) == 2, (
        "p shows the plan again"
    )
    assert "+    scheme: https" in lines
    assert any(line.startswith("install -d -m 0700 ") for line in lines)
    assert any(line.startswith("Done, 28 of 28, ") for line in lines)
    assert lines.count("srv1 is verified.") == 1
    assert sum(line.startswith("As expected: srv1/node_exporter, ") for line in lines) == 6
    assert sum(line.startswith("As expected: prometheus/prometheus, ") for line in lines) == 6
    assert "Verified: 12 probes ended as expected." in lines
    assert lines.index("Applied and verified.") < lines.index("Undoing.") < lines.index("Undone.")
    assert differences(before, snapshot(workspace)) == []


def test_typed_answers_are_planned_and_the_result_can_be_verified(
    plain: Converse, practice: PracticeStack, tmp_path: Path
) -> None:
    # Level TLS + password, Prometheus left out; own password; self-signed; the names as they are; defaults.
    done = plain("3", "1", "long enough for a test", "2", "", "", "", "yes", "")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "long enough for a test" not in done.stdout + done.stderr
    assert (tmp_path / "workspace/users/prometheus.password").read_text().strip() == "long enough for a test"
    assert "The applied changes are kept." in done.stdout
    history = plain(words=("history", "--json"))
    assert [run["state"] for run in json.loads(history.stdout)] == ["proven"]
    again = plain("3", "3", *DEFAULTS[2:], "", words=("--plain", "practice"))
    assert "TLS + password" in again.stdout


@pytest.mark.parametrize("end", ["q", None])
def test_quitting_at_any_question_changes_nothing(
    plain: Converse, practice: PracticeStack, tmp_path: Path, end: str | None
) -> None:
    workspace = tmp_path / "workspace"
    before = snapshot(workspace)
    answers = [*DEFAULTS, "d 1"]
    for count in range(len(answers) + 1):
        left = plain(*answers[:count], *([end] if end else []))
        assert left.returncode == (0 if end else 2), left.stdout
        assert left.stdout.endswith("\nNothing was changed.\n")
        assert ("Standard input has ended." in left.stdout) is (end is None)
    assert "Apply this plan?" in left.stdout
    assert differences(before, snapshot(workspace)) == []


def test_an_invalid_answer_is_asked_again_a_few_times(
    plain: Converse, practice: PracticeStack, tmp_path: Path
) -> None:
    before = snapshot(tmp_path / "workspace")
    ended = plain(*["9"] * 100)
    assert ended.returncode == 2
    assert ended.stdout.count("This answer cannot be used: there is no choice '9'.") == MOST_TRIES
    assert ended.stdout.endswith("Nothing was changed.\n")
    ended = plain(*DEFAULTS, *["maybe"] * 100)
    assert ended.returncode == 2
    assert ended.stdout.count("'maybe' does nothing here") == MOST_TRIES
    assert differences(before, snapshot(tmp_path / "workspace")) == []


def test_a_question_mark_explains_a_question(plain: Converse, practice: PracticeStack) -> None:
    asked = plain("?", "q").stdout
    assert "user name and password" in asked, "each level is explained"
    assert asked.count("Type a number, or press Enter for the default.") == 2, "what to type is said again"


def test_the_practice_stack_is_started_only_after_a_yes(plain: Converse, tmp_path: Path) -> None:
    assert plain("q").returncode == 0
    assert plain("2").returncode == 0, "the choice not to start it"
    assert plain("2", "2", words=("--plain",)).returncode == 0
    assert practice_stack.status(tmp_path / "workspace") is None


def test_the_first_lab_from_a_pipe(plain: Converse, tmp_path: Path) -> None:
    steps = (
        "check",
        "hint",
        "solve",
        "next",
        "solve",
        "repeat",
        "back",
        "next",
        "next",
        "solve",
        "check",
        "q",
    )
    try:
        ended = plain("4", "1", *steps, words=("--plain",), start=in_a_process)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        again = plain("4", "1", "nonsense", "q", words=("--plain",))
    finally:
        practice_stack.down(tmp_path / "workspace", remove=True)
    lines = ended.stdout.splitlines()
    assert any(line.startswith("Not done yet: ") for line in lines)
    assert any(line.startswith("Hint: ") for line in lines)
    for number in (1, 2, 3):
        assert any(line.startswith(f"Step {number} of 3, on host ") for line in lines)
    assert "This step is done, and with it all steps of the lab." in lines
    assert "3 of 3 steps done. Your progress is kept." in lines
    assert "**" not in ended.stdout
    assert again.returncode == 0
    assert "'nonsense' does nothing here" in again.stdout


def test_plain_needs_no_command_and_names_an_invalid_stack_file(plain: Converse, tmp_path: Path) -> None:
    wrong = plain(words=("--plain", "scan"))
    assert wrong.returncode == 2
    assert "--plain goes without a command" in wrong.stderr
    missing = plain(words=("--plain", str(tmp_path / "none.yaml")))
    assert missing.returncode == 2
    assert missing.stdout.endswith("Nothing was changed.\n")
    assert missing.stderr == ""
