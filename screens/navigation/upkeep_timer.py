"""Opens the plan that installs the upkeep timer, which renews certificates without a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from screens.navigation.secure import with_privileges
from screens.routes import Route
from screens.state_styles import inline

if TYPE_CHECKING:
    from screens.interface import Wizard
    from screens.state import ErrorMessage
    from wizard.model import Plan


def install_timer(app: Wizard) -> None:
    """Asks for a stack file if the stack has none, and opens the plan; nothing is installed before it is applied."""
    scan = app.session.scan
    if app.runs.working:
        app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
    elif scan is None or not any(one.state == "secured" for one in scan.exposures):
        app.notify("Nothing is secured yet, so nothing expires. Choose Secure first.", severity="warning")
    else:
        with_privileges(app, lambda: _name_the_file(app))


def _name_the_file(app: Wizard) -> None:
    session = app.session
    if session.place == "practice" or (session.place == "file" and not session.touched):
        app.notify("Making the plan that installs the timer…")
        _make(app, "", lambda: None, app.show_error)
        return
    from screens.dialogs.line import LineDialog

    def use(name: str, done: Callable[[], None], wrong: Callable[[str], None]) -> None:
        _make(app, name, done, lambda error: wrong(error.line))

    app.push_screen(
        LineDialog(
            "Renew by a timer",
            "A timer on this machine runs firescreen renew --due every six hours. It reads from a stack file how these hosts "
            "are secured. Name a new file, or one of these hosts that exists. You see the plan next; no timer is installed "
            "before you apply it.",
            value="~/firescreen.yaml",
            send="Plan",
            empty="Type the name of a file, such as ~/firescreen.yaml",
            use=use,
        )
    )


def _make(app: Wizard, name: str, done: Callable[[], None], refused: Callable[[ErrorMessage], None]) -> None:
    from screens.engine_client import stack_files

    session = app.session

    def open_plan(name_and_plan: tuple[str, Plan]) -> None:
        done()
        app.clear_notifications()  # the waiting has ended
        stack, plan = name_and_plan
        if plan.steps:
            app.session = replace(app.session, plan=plan, renew=frozenset())
            app.open_page(Route.PLAN)
        else:
            status = app.client.as_typed(f"firescreen upkeep status {stack}")
            app.notify(
                f"This timer is installed already. See when it ran: {inline(status, 300)}", markup=False
            )

    app.ask(lambda: stack_files.timer_plan(app.client.engine, session, name), open_plan, refused)
