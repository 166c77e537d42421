"""What opens a run's screen, and the questions before a run is undone or stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.dialogs.base import ConfirmDialog
from screens.routes import MapView, Route

if TYPE_CHECKING:
    from screens.interface import Wizard


def show_current_connections(app: Wizard) -> None:
    """Probes the present connections and draws them on the trust map."""
    session = app.session
    if session.busy or session.scan is None or session.stack is None:
        app.notify("The scan is still running. Try again in a moment.")
    elif not session.stack.components:
        app.notify("No Prometheus component was found here, so there is no trust map.")
    elif app.runs.probe_connections():
        app.open_page(Route.TRUST_MAP, MapView.NOW)


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
            no="Continue",
            careful=True,
        ),
        lambda yes: app.stop_and_leave() if yes else None,
    )


def ask_to_undo(app: Wizard, run: str) -> None:
    """Asks, then undoes a run."""
    app.push_screen(
        ConfirmDialog(
            "Undo this run?",
            "Every file gets its previous content, mode and owner, and the services that use it are restarted. "
            "A file that has changed since the run is left as it is, and named.",
            yes="Undo",
            no="Cancel",
        ),
        lambda yes: app.open_page(Route.RUN, replace=True) if yes and app.runs.undo(run) else None,
    )
