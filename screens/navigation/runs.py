"""Opens the page of a run, and asks before a run is undone or stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.content import Content

from screens.dialogs.base import ConfirmDialog
from screens.routes import MapView, Route
from screens.state import of_same_kind
from screens.state_styles import inline

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.model import RunRecord


def show_current_connections(app: Wizard) -> None:
    """Probes the present connections and draws them on the trust map."""
    session = app.session
    if session.busy or session.scan is None or session.stack is None:
        app.notify("The scan is still running. Try again in a moment.")
    elif not session.stack.components:
        app.notify("No Prometheus component was found here, so there is no trust map.")
    elif app.runs.probe_connections():
        app.open_page(Route.TRUST_MAP, MapView.NOW)


def plan_again(app: Wizard) -> None:
    """Opens a new plan for the purpose of the last run."""
    app.session = of_same_kind(app.session, app.run_state.plan)
    app.open_page(Route.PLAN, replace=True)


def start_recovery(app: Wizard) -> None:
    """Rolls back interrupted runs."""
    if app.runs.recover():
        app.open_page(Route.RUN)


def ask_to_stop(app: Wizard) -> None:
    """Asks whether to stop the run that is under way and close the wizard."""
    app.push_screen(
        ConfirmDialog(
            "Stop the run?",
            "Firescreen finishes the current change, rolls back what was done so far, and closes.",
            yes="Stop and roll back",
            no="Continue the run",
            careful=True,
        ),
        lambda yes: app.stop_and_leave() if yes else None,
    )


def ask_to_undo(app: Wizard, run: str) -> None:
    """Asks, naming the run, then undoes it."""
    app.ask(app.client.history, lambda records: _ask_to_undo(app, run, records))


def _ask_to_undo(app: Wizard, run: str, records: tuple[RunRecord, ...]) -> None:
    record = next((each for each in records if each.run == run), None)
    named = (
        f"{inline(record.title, 200)}, {time.strftime('%Y-%m-%d %H:%M', time.localtime(record.started))}"
        if record
        else f"run {inline(run, 60)}"
    )
    app.push_screen(
        ConfirmDialog(
            "Undo this run?",
            Content.assemble(
                (named, "bold"),
                "\n\nEvery file gets its previous content, mode and owner, and the services that use it are restarted. "
                "A file that has changed since the run is left as it is, and named.",
            ),
            yes="Undo",
            no="Keep the run",
        ),
        lambda yes: app.open_page(Route.RUN, replace=True) if yes and app.runs.undo(run) else None,
    )


def say_how_to_stop(app: Wizard) -> None:
    """Explains that Ctrl+C neither copies nor closes here."""
    if app.runs.working:
        app.notify("'x' stops the run and rolls back. Ctrl+Q also closes the wizard.", timeout=12)
    else:
        app.notify("Ctrl+Q closes the wizard.")
