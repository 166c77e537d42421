"""The marks of a list of labs: finished ones with their time, and how far the others are."""

from __future__ import annotations

from pathlib import Path

from wizard import labs
from wizard.labs import finished_labs, state
from wizard.labs.finished_labs import Mark
from wizard.labs.state import LabState, StepState


def progress(*done: str) -> LabState:
    return LabState(started=1.0, steps={name: StepState(done=2.0) for name in done})


def test_the_list_of_labs_shows_times_and_progress(tmp_path: Path) -> None:
    look, tls = labs.find("look"), labs.find("node-tls")
    assert finished_labs.marks(tmp_path, (look,)) == {"look": Mark(" ", "3 steps, about 15 min")}
    state.save(tmp_path / "node-tls.json", progress(tls.steps[0].id))
    state.save(tmp_path / "look.json", progress(*(step.id for step in look.steps)))
    finished_labs.mark(tmp_path, "look", seconds=12 * 60.0)
    assert finished_labs.marks(tmp_path, (look, tls)) == {
        "look": Mark("✓", "3 steps done in 12 min"),
        "node-tls": Mark("▸", "1 of 4 steps done"),
    }


def test_a_finished_lab_stays_marked_after_a_restart(tmp_path: Path) -> None:
    look = labs.find("look")
    finished_labs.mark(tmp_path, "look", seconds=90_000.0)
    assert finished_labs.marks(tmp_path, (look,))["look"] == Mark("✓", "3 steps done"), (
        "over night is no time"
    )
    state.save(tmp_path / "look.json", progress(look.steps[0].id))
    assert finished_labs.marks(tmp_path, (look,))["look"] == Mark("✓", "1 of 3 steps done")


def test_an_unreadable_state_file_marks_nothing(tmp_path: Path) -> None:
    (tmp_path / "finished").write_text("[1, 2")
    assert finished_labs.load(tmp_path) == {}
