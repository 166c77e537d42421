"""Draws the scenes as pictures to look at: `python -m tests.screens.pictures FOLDER [SCENE …]`.

SVG files, and PNG beside them where rsvg-convert is installed; 80x24, 120x40 and 200x50, dark and light.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from pathlib import Path

from screens import themes
from screens.app import make_app
from tests.screens.dialog_scenes import MORE
from tests.screens.helpers import engine
from tests.screens.scenes import NOW, SCENES
from tests.screens.snapshot import SIZES, resized, settled


async def draw(name: str, folder: Path) -> None:
    """Draws all pictures of one scene."""
    scene = (SCENES | MORE)[name]
    app = make_app(build=engine(scene.engine()))
    async with app.run_test(size=SIZES[0]) as pilot:
        await scene.show(pilot)
        for theme in (themes.DARK, themes.LIGHT):
            app.theme = theme.name
            await settled(pilot)
            for size in SIZES:
                await resized(pilot, size)
                kind = "dark" if theme.dark else "light"
                file = folder / f"{name}-{size[0]}x{size[1]}-{kind}.svg"
                # SVG drops blanks at either end of a text otherwise.
                svg = app.export_screenshot().replace("<text ", '<text xml:space="preserve" ')
                file.write_text(svg, encoding="utf-8")


def main() -> None:
    """Draws the scenes that are named on the command line, or all."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    time.time = lambda: NOW
    converter = shutil.which("rsvg-convert")
    for name in sys.argv[2:] or SCENES | MORE:
        asyncio.run(draw(name, folder))
        for file in folder.glob(f"{name}-*.svg") if converter else ():
            subprocess.run([str(converter), "-o", file.with_suffix(".png"), file], check=True)


if __name__ == "__main__":
    main()
