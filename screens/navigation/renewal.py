"""Opens the plan that replaces certificates, the CA or the password in use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.navigation.secure import with_privileges
from screens.routes import Route
from screens.state import ErrorMessage

if TYPE_CHECKING:
    from screens.interface import Wizard


def renew(app: Wizard, what: str) -> None:
    """Opens the plan that replaces something without changing any level.

    Args:
        app: the wizard.
        what: 'certificates', 'ca', 'passwords' or host/component, as in `Answers.renew`.
    """
    if app.runs.working:
        app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
        return
    with_privileges(app, lambda: _open_plan(app, what))


def _open_plan(app: Wizard, what: str) -> None:
    session = replace(app.session, renew=frozenset({what}), plan=None)
    stack = session.wanted
    if stack is None or not stack.changes_hosts:
        app.show_error(
            ErrorMessage(
                "There is nothing to replace",
                "No component is secured yet, so there is no certificate and no password",
                "",
                "Choose Secure first: it creates them.",
            )
        )
        return
    app.session = session
    app.open_page(Route.PLAN)
