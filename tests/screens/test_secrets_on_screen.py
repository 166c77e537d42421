"""A typed password, a private key and a hash appear on no screen and in no picture of one."""

from __future__ import annotations

import html
import re
from pathlib import Path

from screens.app import make_app
from screens.choices.level_table import LevelTable
from tests.screens.helpers import until
from wizard.practice import PracticeStack

CANARY = "kanarienvogel4711XyZ"


async def test_a_typed_password_is_on_no_picture(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    app = make_app(workspace=workspace)
    pictures: list[str] = []

    async with app.run_test(size=(120, 40)) as pilot:

        def keep() -> None:
            svg = re.sub(r"<[^>]*>", "", pilot.app.export_screenshot())
            pictures.append(html.unescape(svg).replace("\xa0", " "))

        await until(pilot, "Practise")
        await pilot.press("p")
        await until(pilot, "components are unprotected")
        await pilot.press("s")
        await until(pilot, "Leave it empty to generate a strong one")
        await until(pilot, lambda: isinstance(pilot.app.focused, LevelTable))
        await pilot.press("tab", *CANARY)
        await until(pilot, "●●●● strong")
        keep()
        await pilot.press("ctrl+s")
        await until(pilot, "Nothing has been written")
        for tab in ("1", "2", "3"):
            await pilot.press(tab)
            await pilot.pause()
            keep()
        await pilot.press("a")
        await until(pilot, "Apply this plan")
        await pilot.press("enter")
        await until(pilot, "Verify again")
        keep()
        await pilot.press("enter")
        await until(pilot, "Handshake")
        keep()
        await pilot.press("escape", "escape")
        await until(pilot, "Certificates and users")
        await pilot.press("c")
        await until(pilot, "signed by")
        keep()

    kept = (workspace / "users" / "prometheus.password").read_text()
    assert kept == CANARY, "the password that was typed is the one that is used"
    web = next((Path(practice.folder) / "srv1" / "etc").rglob("web.yml")).read_text()
    found = re.search(r"\$2[aby]\$\d\d\$(\S{53})", web)
    assert found is not None
    keys = [path.read_text().splitlines()[1] for path in workspace.rglob("*.key")]
    assert len(keys) == 3
    assert len(pictures) == 7
    for picture in pictures:
        assert len(picture) > 500
        for secret in (CANARY, found.group(1), *keys):
            assert secret not in picture
