"""The way to the plan that restores the last verified state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.navigation.engine_plans import make_plan
from screens.routes import Route
from screens.state_styles import inline
from wizard.redact import redact

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.engine import Engine
    from wizard.model import Answers, Stack
    from wizard.upkeep.restoration import Restoration


def restore(app: Wizard) -> None:
    """Makes that plan and opens it; nothing is written before it is applied."""
    words = "Making the plan that restores what was verified…"
    make_plan(app, words, _make, lambda found: _open(app, found))


def _make(engine: Engine, stack: Stack, answers: Answers) -> Restoration:
    from wizard.upkeep.restoration import restoration

    return restoration(engine, stack, answers)


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
