"""The marks of a list of labs: finished ones with their time, and how far the others are."""

from __future__ import annotations

from pathlib import Path

from wizard import labs
from wizard.labs import finished_labs, state
from wizard.labs.finished_labs import Mark
from wizard.labs.state import LabState, StepState


def progress(*done: str) -> LabState:
    return LabState(started=1.0, steps={name: StepState(done=2.0) for name in done})


def test_a_list_says_which_labs_are_finished_in_which_time_and_how_far_the_others_are(tmp_path: Path) -> None:
    look, tls = labs.find("look"), labs.find("node-tls")
    assert finished_labs.marks(tmp_path, (look,)) == {"look": Mark(" ", "3 steps, about 15 min")}
    state.save(tmp_path / "node-tls.json", progress(tls.steps[0].id))
    state.save(tmp_path / "look.json", progress(*(step.id for step in look.steps)))
    finished_labs.mark(tmp_path, "look", seconds=12 * 60.0)
    assert finished_labs.marks(tmp_path, (look, tls)) == {
        "look": Mark("✓", "3 steps done in 12 min"),
        "node-tls": Mark("▸", "1 of 4 steps done"),
    }


def test_a_finished_lab_stays_marked_when_it_is_restarted(tmp_path: Path) -> None:
    look = labs.find("look")
    finished_labs.mark(tmp_path, "look", seconds=90_000.0)
    assert finished_labs.marks(tmp_path, (look,))["look"] == Mark("✓", "3 steps done"), (
        "over night is no time"
    )
    state.save(tmp_path / "look.json", progress(look.steps[0].id))
    assert finished_labs.marks(tmp_path, (look,))["look"] == Mark("✓", "1 of 3 steps done")


def test_a_file_that_cannot_be_read_marks_nothing(tmp_path: Path) -> None:
    (tmp_path / "finished").write_text("[1, 2")
    assert finished_labs.load(tmp_path) == {}
