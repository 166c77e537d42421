"""The main workflow in the real app, by keyboard alone on a terminal of 80x24, with real programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import FirescreenApp, make_app
from screens.choices.level_table import LevelTable
from tests.screens.helpers import drawn, until
from wizard import labs
from wizard.practice import PracticeStack

OWN_RUN = {"log", "lock", "state.json", "practice.lock"}
"""What the programs and their supervisor write while they run; every other file is a person's."""


@pytest.fixture
def workspace(practice: PracticeStack) -> Path:
    """Returns the workspace of a running practice stack."""
    return Path(practice.folder).parent


@pytest.fixture
def app(workspace: Path) -> FirescreenApp:
    """Returns the wizard as started without arguments."""
    return make_app(workspace=workspace)


def files(workspace: Path) -> dict[str, tuple[bytes, int]]:
    """Returns bytes and mode of every file of the user: configuration, keys, arguments."""
    return {
        str(path.relative_to(workspace)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(workspace.rglob("*"))
        if path.is_file()
        and path.name not in OWN_RUN
        and not {"data", "runs"} & set(path.relative_to(workspace).parts)
    }


async def to_practice(pilot: Pilot[int]) -> str:
    """Opens the practice stack from the first frame, by its key."""
    await until(pilot, "Follow a lab")
    await pilot.press("p")
    return await until(pilot, "components are unprotected")


async def test_secure_verify_and_undo_by_keyboard(app: FirescreenApp, workspace: Path) -> None:
    before = files(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        home = await to_practice(pilot)
        assert "node_exporter" in home
        assert "● unprotected" in home

        await pilot.press("enter")
        await until(pilot, "TLS + password")
        await until(pilot, lambda: isinstance(pilot.app.focused, LevelTable))
        await pilot.press("left", "left", "right", "right")
        await until(pilot, "Password")
        await pilot.press("ctrl+s")
        plan = await until(pilot, "Nothing has been written yet")
        assert "2 restarts" in plan
        assert files(workspace) == before, "a plan writes nothing"

        await pilot.press("3")
        await until(pilot, "openssl")
        await pilot.press("2", "a")
        await until(pilot, "Apply this plan?")
        await pilot.press("enter")
        await until(pilot, "✓ verified")
        verification = await until(pilot, "Prometheus reports")
        assert "Prometheus reports" in verification
        assert verification.count("✓ 401") == 4
        assert "✗" not in verification

        await pilot.press("down", "enter")
        inside = await until(pilot, "Command")
        assert "curl" in inside
        await pilot.press("escape")

        await pilot.press("u")
        await until(pilot, "Undo this run?")
        await pilot.press("enter")
        await until(pilot, "Every file is as it was")
        await until(pilot, "│ remove ")
        await pilot.press("enter")
        await until(pilot, "components are unprotected")
    assert files(workspace) == before


async def test_a_plan_whose_file_changed_meanwhile_is_refused(app: FirescreenApp, workspace: Path) -> None:
    config = workspace / "practice/prometheus/etc/prometheus/prometheus.yml"
    async with app.run_test(size=(80, 24)) as pilot:
        await to_practice(pilot)
        await pilot.press("enter")
        await until(pilot, "TLS + password")
        await pilot.press("ctrl+s")
        await until(pilot, "Nothing has been written yet")
        config.write_bytes(config.read_bytes() + b"# somebody was here\n")
        mine = files(workspace)
        await pilot.press("a")
        await until(pilot, "Apply this plan?")
        await pilot.press("enter")
        failed = await until(pilot, "Where ")
        assert "✗" in failed
        assert "A file changed since the preview" in failed
        assert app.run_state.error is not None
        assert app.run_state.error.where.endswith("prometheus.yml")
        assert "Verification" not in drawn(pilot).splitlines()[0]
        assert files(workspace) == mine, "nothing but what somebody else wrote is different"
        await pilot.press("enter")
        await until(pilot, "Nothing has been written yet")


async def test_escape_keeps_the_answers(app: FirescreenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await to_practice(pilot)
        await pilot.press("enter")
        await until(pilot, "TLS + password")
        await until(pilot, lambda: isinstance(pilot.app.focused, LevelTable))
        await pilot.press("left", "equals_sign")
        await until(pilot, lambda: "Password" not in drawn(pilot))
        await pilot.press("escape")
        await until(pilot, "Components of the practice stack")
        await pilot.press("enter")
        text = await until(pilot, "Names and addresses")
        assert "TLS ▸" in text
        assert "TLS + password" not in text


async def test_an_invalid_answer_is_explained_beside_its_field(app: FirescreenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await to_practice(pilot)
        await pilot.press("enter")
        await until(pilot, "TLS + password")
        await until(pilot, lambda: isinstance(pilot.app.focused, LevelTable))
        await pilot.press("ctrl+t")
        await until(pilot, "User name")
        await pilot.press("end", "colon")
        await until(pilot, "✗ a user name")
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert "✓ Scan ─  Choose  ─" in drawn(pilot), "it does not go on"


async def test_a_lab_is_followed_checked_and_its_steps_done_by_a_key(
    app: FirescreenApp, workspace: Path
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("l")
        await until(pilot, "about 15 min")
        await pilot.press("down", "enter")
        await until(pilot, "About this lab")
        await pilot.press("n")
        await until(pilot, "TLS needs two files")
        await pilot.press("k")
        await until(pilot, "✗ not done")
        await pilot.press("h")
        await until(pilot, "Hint ")
        await pilot.press("d")
        await until(pilot, "✓ done")
        await until(pilot, "1 of 4 done")
        await pilot.press("n")
        await until(pilot, "from a small file")
        home = workspace / "practice" / "srv1" / "etc" / "node_exporter"
        (key,), (certificate,) = home.rglob("*.key"), home.rglob("*.crt")
        written = home / "web.yml"
        written.touch(mode=0o640)
        written.write_text(f"tls_server_config:\n  cert_file: {certificate}\n  key_file: {key}\n")
        await until(pilot, "2 of 4 done")  # the step was done in another terminal, and is recognised
        await pilot.press("escape")
        await until(pilot, "Components of the practice stack")


async def test_a_lab_asks_before_it_ends_what_was_set_up_on_practice(
    app: FirescreenApp, workspace: Path
) -> None:
    mine = workspace / "practice" / "srv1" / "etc" / "node_exporter" / "mine.yml"
    mine.write_text("# my own\n")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("l")
        await until(pilot, "about 15 min")
        await pilot.press("enter")
        await until(pilot, "Start this lab?")
        await pilot.press("enter")
        await until(pilot, "Follow a lab")
        assert mine.exists(), "the careful answer comes first"


@pytest.mark.matrix
async def test_a_key_makes_the_fault_of_a_step(app: FirescreenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("l")
        await until(pilot, "about 15 min")
        at = [lab.id for lab in labs.labs()].index("faults")
        await pilot.press("home", *["down"] * at, "enter")
        await until(pilot, "About this lab")
        await pilot.press("n")
        await until(pilot, "b Break it")
        await pilot.press("b")
        await until(pilot, "The fault is in")
        await pilot.press("k")
        await until(pilot, "✗ not done")
        await pilot.press("d")
        await until(pilot, "✓ Unknown authority")
