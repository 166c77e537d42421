"""Home's menu: opens a part of the wizard by its name, from any screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.dialogs.base import ConfirmDialog
from screens.navigation.runs import show_current_connections
from screens.navigation.secure import open_logins, secure
from screens.routes import Route
from screens.state_styles import IN_FORCE, inline

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.labs import LabSession
    from wizard.model import RunRecord


def open_entry(app: Wizard, name: str) -> None:
    """Opens a part by the name of its entry in Home's menu, from any screen."""
    if app.runs.working:
        app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
        return
    app.go_home()
    match name:
        case "secure":
            secure(app)
        case "logins":
            open_logins(app)
        case "practise" | "whole":
            practise(app, whole=name == "whole")
        case "trust":
            show_current_connections(app)
        case "leave":
            app.stack_session.here()
        case "stop":
            ask_to_end_practice(app)
        case "inventory":
            app.open_page(Route.INVENTORY)
        case "history":
            app.open_page(Route.HISTORY)
        case "audit":
            app.open_page(Route.AUDIT)
        case "lab":
            from screens.dialogs.labs import LabsDialog

            app.push_screen(LabsDialog(), lambda lab: open_lab(app, lab) if lab else None)
        case _:
            app.open_page(Route.HOSTS)


def practise(app: Wizard, *, whole: bool) -> None:
    """Opens the practice stack; asks before adding components that change a file which an undo would restore."""
    if not whole or app.session.place != "practice":
        app.stack_session.practise(whole=whole)
        return

    def ask_or_extend(records: tuple[RunRecord, ...]) -> None:
        if not any(record.state in IN_FORCE for record in records):
            app.stack_session.practise(whole=True)
            return
        app.push_screen(
            ConfirmDialog(
                "Add three components?",
                "Prometheus' configuration gets their scrape jobs. The runs on the practice stack can then no longer be "
                "undone: undo them first where you want that.",
                yes="Add them",
                no="Keep the stack",
            ),
            lambda yes: app.stack_session.practise(whole=True) if yes else None,
        )

    app.ask(app.client.history, ask_or_extend)


def ask_to_end_practice(app: Wizard) -> None:
    """Asks, then ends practice: its folders cannot be restored."""
    app.push_screen(
        ConfirmDialog(
            "End practice?",
            "This stops the practice programs and removes their folders with everything in them. "
            "'Practise' creates new ones at any time.",
            yes="End practice",
            no="Keep practising",
            careful=True,
        ),
        lambda yes: app.stack_session.stop_practice() if yes else None,
    )


def open_lab(app: Wizard, lab: str) -> None:
    """Prepares the practice stack and opens a lab on it; asks first if that ends another lab or run there."""

    def open_lab(session: LabSession) -> None:
        app.open_page(Route.LAB, session)

    def ask_or_begin(words: str) -> None:
        if not words:
            app.stack_session.begin_lab(lab, open_lab)
            return
        app.push_screen(
            ConfirmDialog(
                "Start this lab?",
                f"{inline(words[:1].upper() + words[1:], 300)}. This lab starts from the beginning, so that would be lost.",
                yes="Start the lab",
                no="Keep what is there",
                careful=True,
            ),
            lambda yes: app.stack_session.begin_lab(lab, open_lab, anew=True) if yes else None,
        )

    app.ask(lambda: app.client.in_the_way(lab), ask_or_begin)
