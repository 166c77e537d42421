"""Lab packs in the wizard: shown completely before they are added, and drawn as plain text whatever they contain."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import pytest
from textual.widgets import Input

from screens.app import make_app
from screens.dialogs.labs import LabsDialog
from screens.dialogs.packs import PackDialog
from screens.labs.screen import LabPage
from tests.screens.helpers import QuietEngine, drawn, engine, until
from tests.screens.test_lab import FakeSession
from wizard import assets, labs
from wizard.labs import LabSession, packs
from wizard.workspace import Workspace

MARKUP = "[@click=app.quit]a key[/] [red]of[/red] $primary {{x}} [link=http://x]srv1[/link]"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Returns the pack that `lab new` makes, with Textual's and Rich's markup in its texts."""
    folder = Path(shutil.copytree(assets.path("examples/lab-pack"), tmp_path / "my-pack"))
    file = folder / "010-open-key" / "lab.yaml"
    text = file.read_text().replace("A private key that everybody can read", f"'{MARKUP}'")
    file.write_text(
        text.replace("title: Restrict the mode of the key", f"title: '{MARKUP}'").replace(
            "ls -l node.key", "ls '[red]x'"
        )
    )
    return folder


async def test_a_pack_is_shown_then_added_by_keyboard_alone(pack: Path, tmp_path: Path) -> None:
    quiet = QuietEngine()
    quiet.workspace = Workspace(tmp_path / "w")
    app = make_app(build=engine(quiet))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await app.push_screen(LabsDialog())
        await until(pilot, "See what is unprotected")
        await pilot.press("tab", "right", "enter")
        await until(pilot, lambda: isinstance(app.screen, PackDialog))
        app.screen.query_one(Input).value = str(tmp_path / "nothing")
        await pilot.press("enter")
        await until(pilot, "cannot be read")
        app.screen.query_one(Input).value = str(pack)
        await pilot.press("enter")
        await until(pilot, "can run these commands as your user")
        seen = drawn(pilot)
        for _ in range(5):
            await pilot.press("pagedown")
            await pilot.pause()
            seen += drawn(pilot)
        assert "[@click=app.quit]a key[/] [red]of[/red]" in seen and "$ ls '[red]x'" in seen
        assert not (tmp_path / "w" / "packs").exists(), "nothing is kept before the yes"
        await pilot.press("left", "enter")
        await until(pilot, "2 steps, about 10 min")
        assert "[@click=app.quit]a key" in drawn(pilot)
    assert packs.names(quiet.workspace) == {"my-pack": ("open-key",)}


async def test_a_pack_with_errors_cannot_be_added(pack: Path, tmp_path: Path) -> None:
    file = pack / "010-open-key" / "lab.yaml"
    file.write_text(file.read_text().replace("minutes:", "minuts:"))
    quiet = QuietEngine()
    quiet.workspace = Workspace(tmp_path / "w")
    app = make_app(build=engine(quiet))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await app.push_screen(PackDialog())
        app.screen.query_one(Input).value = str(pack)
        await pilot.press("enter")
        text = await until(pilot, "unknown key 'minuts'")
        assert "Did you mean 'minutes'?" in text and "Add these labs" not in text
        await pilot.press("escape")
        await until(pilot, "Follow a lab")


async def test_markup_of_a_pack_is_plain_text_on_the_page_of_a_lab(pack: Path) -> None:
    (lab,) = packs.read(pack, taken=()).labs
    session = FakeSession(lab)
    app = make_app(build=engine())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "Follow a lab")
        await app.push_screen(LabPage(cast("LabSession", session)))
        await until(pilot, "About this lab")
        await pilot.press("n")
        text = await until(pilot, "ls '[red]x'")
        assert "[@click=app.quit]a key" in text
        await pilot.click("#text", offset=(3, 0))
        await pilot.pause()
        assert app.is_running and isinstance(app.screen, LabPage)
    assert labs.labs()
