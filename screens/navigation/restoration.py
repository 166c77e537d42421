"""The way to the plan that restores the last verified state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.navigation.secure import with_privileges
from screens.routes import Route
from screens.state_styles import inline
from wizard.redact import redact

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.upkeep.restoration import Restoration


def restore(app: Wizard) -> None:
    """Makes that plan and opens it; nothing is written before it is applied."""
    if app.runs.working:
        app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
        return
    with_privileges(app, lambda: _make(app))


def _make(app: Wizard) -> None:
    session = app.session
    stack, answers = session.stack, replace(session.answers, renew=frozenset())
    if stack is None:
        return
    engine = app.client.engine

    def make() -> Restoration:
        from wizard.upkeep.restoration import restoration

        return restoration(engine, stack, answers)

    app.notify("Making the plan that restores what was verified…")
    app.ask(make, lambda found: _open(app, found))


def _open(app: Wizard, found: Restoration) -> None:
    """Opens the plan, whose warnings say what it does not reach."""
    if found.plan.steps:
        app.session = replace(app.session, plan=found.plan, renew=frozenset())
        app.open_page(Route.PLAN)
    elif found.left:
        first = found.left[0]
        app.notify(
            f"Nothing of it can be restored by a plan. Restore it yourself, first of all {inline(first.place, 200)}: "
            f"{inline(redact(first.what), 200)}",
            severity="warning",
            timeout=20,
            markup=False,
        )
    else:
        app.notify("Nothing differs any more.")
