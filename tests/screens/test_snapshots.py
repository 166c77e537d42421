"""Every screen equals its snapshot: cells in three sizes, styles in dark and light.

After a change of the look: `make snapshots`, then read the output of `git diff`.
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets._footer import FooterKey

from screens.app import make_app
from screens.base_screen import FOOTER_KEYS
from tests.screens.dialog_scenes import MORE
from tests.screens.helpers import engine
from tests.screens.scenes import NOW, SCENES
from tests.screens.snapshot import SIZES, picture

FOLDER = Path(__file__).parent / "snapshots"
RENEW = bool(os.environ.get("FIRESCREEN_RENEW_SNAPSHOTS"))


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sets a clock that stands still, in UTC."""
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: NOW)
        # Under load a scene takes ten seconds, one cell wider than nine.
        patch.setattr("screens.run.progress_panel.format_elapsed", lambda _: "0 s")
        # This is measured on each machine.
        patch.setattr("wizard.passwords._seconds_at_eight", lambda: 0.0175)
        patch.setenv("TZ", "UTC")
        patch.delenv("NO_COLOR", raising=False)
        patch.delenv("COLORFGBG", raising=False)
        time.tzset()
        yield
    time.tzset()


ALL = SCENES | MORE


# Texts and dialogs change seldom: they are compared in the matrix runs.
@pytest.mark.parametrize("name", [*SCENES, *(pytest.param(name, marks=pytest.mark.matrix) for name in MORE)])
async def test_a_screen_looks_as_before(name: str) -> None:
    scene = ALL[name]
    app = make_app(build=engine(scene.engine()))
    async with app.run_test(size=SIZES[0]) as pilot:
        await scene.show(pilot)
        assert len(app.screen.query(FooterKey)) <= FOOTER_KEYS
        taken = await picture(pilot, box=scene.box)
    file = FOLDER / f"{name}.txt"
    if RENEW:
        FOLDER.mkdir(exist_ok=True)
        file.write_text(taken, encoding="utf-8")
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    difference = difflib.unified_diff(kept.splitlines(), taken.splitlines(), "kept", "now", lineterm="", n=1)
    assert taken == kept, "\n".join([*difference, "If this is wanted: make snapshots"])


def test_no_snapshot_is_without_its_scene() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(ALL)
