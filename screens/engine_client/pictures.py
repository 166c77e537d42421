"""Writes a picture of the screen to the workspace: SVG as Textual draws it, PNG by a converter on this machine."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from wizard.workspace import Workspace

CONVERTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("rsvg-convert", ("--zoom", "1.5", "--output", "{png}", "{svg}")),
    ("resvg", ("--zoom", "1.5", "{svg}", "{png}")),
    ("inkscape", ("--export-type=png", "--export-filename={png}", "{svg}")),
    ("magick", ("{svg}", "{png}")),
    ("convert", ("{svg}", "{png}")),
)
"""Programs that turn SVG into PNG, with their arguments; the first one that is installed is used."""
PATIENCE = 60.0
"""Seconds that a converter may take."""


def save(workspace: Workspace, svg: str, form: Literal["svg", "png"]) -> Path:
    """Writes the picture and returns its path.

    Raises:
        HostError: it cannot be written, or no program here makes a PNG.
    """
    from wizard import ownfiles
    from wizard.errors import HostError

    path = workspace.ensure().reports / f"screen-{time.strftime('%Y%m%d-%H%M%S')}.svg"
    try:
        ownfiles.replace(path, svg)
    except OSError as error:
        what = f"the picture cannot be written: {error.strerror}"
        raise HostError(what, where=str(path), todo="Check the folder's rights and free space") from error
    return path if form == "svg" else _convert_to_png(path)


def _convert_to_png(svg: Path) -> Path:
    from wizard.errors import HostError
    from wizard.redact import plain

    png = svg.with_suffix(".png")
    for program, arguments in CONVERTERS:
        found = shutil.which(program)
        if found is None:
            continue
        words = [found, *(each.format(svg=svg, png=png) for each in arguments)]
        try:
            done = subprocess.run(words, check=False, capture_output=True, timeout=PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError(f"{program} failed: {error}", where=str(svg), todo="Use the SVG") from error
        if done.returncode == 0 and png.is_file():
            return png
        message = plain(done.stderr.decode("utf-8", "replace").strip(), 200)
        raise HostError(f"{program} made no picture: {message}", where=str(svg), todo="Use the SVG")
    raise HostError(
        "no program on this machine turns SVG into PNG",
        where=str(svg),
        todo="Use the SVG, or install rsvg-convert (package librsvg2-bin) and try again",
    )
