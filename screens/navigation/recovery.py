"""The wizard's offers at its start: to roll back an interrupted run, or to continue with the last hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from screens.dialogs.base import ConfirmDialog
from screens.dialogs.recovery import ComparisonDialog, RecoveryDialog
from screens.navigation.runs import start_recovery
from screens.state_styles import left_behind, safe

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.engine import Remains
    from wizard.model import RunRecord, Stack


def offer_recovery(app: Wizard, cut: RunRecord) -> None:
    """Says which run was interrupted, and offers to roll it back or to compare the files."""
    app.push_screen(
        RecoveryDialog(
            "A run was interrupted" if cut.state != "owed" else "A host needs recovery",
            Content.assemble(
                ("✗ ", "$error bold"),
                (
                    f"The last run ({cut.title}) was interrupted. Every change was written to the journal before it was "
                    "made, so Firescreen can roll back all of them now."
                )
                if cut.state != "owed"
                else (
                    f"{', '.join(left_behind(cut))} failed in the last run and could not be rolled back. Where the host "
                    "is reachable again, Firescreen can roll it back now. The other hosts stay as they are."
                ),
            ),
        ),
        lambda choice: _recovery_chosen(app, choice),
    )


def _recovery_chosen(app: Wizard, choice: str | None) -> None:
    if choice == "undo":
        start_recovery(app)
    elif choice == "compare":
        app.ask(app.client.remains, lambda left: _offer_to_forget(app, left))


def _offer_to_forget(app: Wizard, remains: tuple[Remains, ...]) -> None:
    """Shows the differences from the state before the run, and offers to forget the run."""
    differs = any(one.differences for one in remains)

    def report_forgotten(_: None) -> None:
        app.notify("The run is forgotten. It can no longer be rolled back.")
        app.workspace_watch.refresh()

    def recover(choice: str | None) -> None:
        if choice == "forget":
            app.ask(lambda: app.client.forget_run(as_it_is=differs), report_forgotten)
        else:
            _recovery_chosen(app, choice)

    app.push_screen(ComparisonDialog(remains), recover)


def offer_hosts(app: Wizard, stack: Stack) -> None:
    """Offers to continue with the hosts that were chosen last time."""
    names = ", ".join("this machine" if host.connect == "local" else host.name for host in stack.hosts)
    app.push_screen(
        ConfirmDialog(
            "Continue with your hosts?",
            Content.assemble(
                "Last time you chose ",
                (safe(names, 300).plain, "bold"),
                ". Firescreen connects to them now.",
            ),
            yes="Continue",
            no="Use this machine",
        ),
        lambda yes: app.stack_session.take_hosts(stack) if yes else None,
    )
