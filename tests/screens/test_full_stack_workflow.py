"""Five components in the real app: levels, plan, apply, verification, trust map and undo, by keyboard at 80x24."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from screens.app import FirescreenApp, make_app
from screens.choices.level_table import LevelTable
from screens.verification.screen import VerificationPage
from tests.screens.helpers import drawn, until
from wizard import practice as practice_stack

PROGRAMS = ("node_exporter", "prometheus", "alertmanager", "pushgateway", "blackbox_exporter")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """Returns a workspace; a practice stack that the test starts there is ended after it."""
    folder = tmp_path / "workspace"
    try:
        yield folder
    finally:
        practice_stack.down(folder, remove=True)


def configurations(workspace: Path) -> dict[str, bytes]:
    """Returns every file of the user."""
    return {
        str(path.relative_to(workspace)): path.read_bytes()
        for path in sorted((workspace / "practice").glob("*/etc/**/*"))
        if path.is_file()
    }


async def test_five_components_with_mutual_tls_and_passwords_and_undo(workspace: Path) -> None:
    app: FirescreenApp = make_app(workspace=workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("w")
        home = await until(pilot, "● 5 of 5 components are unprotected")
        assert all(name in home for name in PROGRAMS)
        before = configurations(workspace)

        await pilot.press("t")
        await until(pilot, lambda: not app.runs.working)
        trust_map = await until(pilot, "● 8 unprotected")
        assert "alertmanagers" in trust_map
        await pilot.press("escape")
        await until(pilot, lambda: not app.session.busy)

        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.focused, LevelTable))
        await pilot.press("right", "right", "equals_sign")
        chosen = await until(pilot, "◂ mutual TLS + password")
        assert chosen.count("mutual TLS + password") == 6, "in each row, and where it is explained"
        await pilot.press("ctrl+s")
        plan = await until(pilot, "Nothing has been written yet")
        assert "5 restarts" in plan
        assert "canary" not in plan, "with a password, all of them turn together"
        await pilot.press("j")
        distribution = await until(pilot, "copied to 7 files")
        assert "Not copied yet" in distribution
        assert "✗" not in distribution
        await pilot.press("escape")
        await until(pilot, "Nothing has been written yet")
        await pilot.press("t")
        await until(pilot, "· 8 not probed")
        assert configurations(workspace) == before, "neither a plan nor its picture writes anything"
        await pilot.press("escape")

        await pilot.press("a")
        await until(pilot, "Apply this plan?")
        await pilot.press("enter")
        await until(pilot, lambda: app.run_state.phase == "finished" and not app.runs.working)
        verification = await until(pilot, lambda: isinstance(app.screen, VerificationPage))
        verification = await until(pilot, "✓ verified")
        assert "✗" not in verification
        assert verification.count("✓ 401") >= 8, "two for each component whose column is in view"
        assert sum(one.outcome == "401" for one in app.run_state.attempts) == 10
        assert verification.count("✓ TLS aler") >= 8, "the last column in view is cut"
        assert sum(one.outcome == "refused" for one in app.run_state.attempts) == 10
        assert "✓ 5 of 5 targets are scraped" in verification
        assert app.run_state.canary == "", "with a password, all of them turn together"
        rows = {row.host: row for row in app.run_state.hosts}
        assert {host: row.state for host, row in rows.items()} == dict.fromkeys(app.session.hosts, "proven")
        assert all(row.done == row.total and row.error is None for row in rows.values())
        await pilot.press("j")
        await until(pilot, "✓ 14 in place, identical")
        await pilot.press("end")
        keys = await until(pilot, "Private keys")
        assert "is in the workspace only" in " ".join(keys.replace("│", " ").split())
        assert "✗" not in keys
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, VerificationPage))
        await pilot.press("t")
        await until(pilot, "✓ 8 verified")
        assert "●" not in drawn(pilot)
        await pilot.press("enter")
        await until(pilot, "Command")
        await pilot.press("escape", "escape")

        await until(pilot, lambda: isinstance(app.screen, VerificationPage))
        await pilot.press("u")
        await until(pilot, "Undo this run?")
        await pilot.press("enter")
        await until(pilot, "Every file is as it was")
        assert configurations(workspace) == before
