"""Saves a picture of the screen to the workspace, as SVG or PNG, and says where it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from screens.state_styles import inline

if TYPE_CHECKING:
    from screens.interface import Wizard


def save_picture(app: Wizard, form: Literal["svg", "png"]) -> None:
    """Saves the present screen; in a browser, an SVG is downloaded."""
    if app.is_web and form == "svg":
        app.deliver_screenshot()
        return
    from screens.engine_client import pictures

    svg = app.export_screenshot(title="Firescreen")

    def report_saved(path: Path) -> None:
        app.notify(f"Picture saved: {inline(str(path), 400)}", timeout=12, markup=False)

    app.ask(lambda: pictures.save(app.client.engine.workspace, svg, form), report_saved)
