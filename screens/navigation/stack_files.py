"""Writes the current stack to a stack file, so that commands and a timer can keep it secured."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from screens.state_styles import inline

if TYPE_CHECKING:
    from screens.interface import Wizard


def write_stack_file(app: Wizard) -> None:
    """Asks for the file's name, writes the file, and says how to use it."""
    from screens.dialogs.line import LineDialog

    session = app.session
    if session.busy or session.scan is None or session.stack is None or not session.stack.components:
        app.notify("No component was found yet, so there is no stack to write.", severity="warning")
        return
    app.push_screen(
        LineDialog(
            "Write a stack file",
            "The file says how these hosts are secured, with no password in it. With it, firescreen renew, audit, drift and "
            "upkeep work from a timer or CI. Type its name, such as ~/firescreen.yaml.",
            send="Write",
            empty="Type the name of a file, such as ~/firescreen.yaml",
            use=partial(_write, app),
        )
    )


def _write(app: Wizard, name: str, done: Callable[[], None], wrong: Callable[[str], None]) -> None:
    from screens.engine_client import stack_files

    session = app.session

    def report_written(path: Path) -> None:
        done()
        words = f"Wrote {inline(str(path), 300)}. To renew by a timer: Ctrl+P, 'Renew by a timer'."
        app.notify(words, timeout=20, markup=False)

    app.ask(
        lambda: stack_files.write(app.client.engine, session, name),
        report_written,
        lambda error: wrong(error.line),
    )
