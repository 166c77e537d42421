"""Opens the plans that drift and upkeep make; nothing is written before such a plan is applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from screens.navigation.secure import with_privileges
from screens.routes import Route
from screens.state_styles import inline
from wizard.redact import redact

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.engine import Engine
    from wizard.model import Answers, Plan, Stack
    from wizard.upkeep.restoration import Restoration

Made = TypeVar("Made")


def restore(app: Wizard) -> None:
    """Makes and opens the plan that restores the last verified state; its warnings list what it leaves out."""

    def make(engine: Engine, stack: Stack, answers: Answers) -> Restoration:
        from wizard.upkeep.restoration import restoration

        return restoration(engine, stack, answers)

    def show_plan(found: Restoration) -> None:
        if found.plan.steps or not found.left:
            _open(app, found.plan, "Nothing differs any more.")
            return
        first = found.left[0]
        app.notify(
            f"Nothing of it can be restored by a plan. Restore it yourself, first of all {inline(first.place, 200)}: "
            f"{inline(redact(first.what), 200)}",
            severity="warning",
            timeout=20,
            markup=False,
        )

    _make_plan(app, "Making the plan that restores what was verified…", make, show_plan)


def give_rules(app: Wizard) -> None:
    """Makes and opens the plan that adds the upkeep's alert rules to Prometheus."""

    def make(engine: Engine, stack: Stack, answers: Answers) -> Plan:
        from wizard.upkeep.rule_installation import with_rules

        return with_rules(engine, engine.plan(stack, answers))

    words = "Making the plan that gives Prometheus the alert rules…"
    _make_plan(app, words, make, lambda plan: _open(app, plan, "Each Prometheus has these rules already."))


def _open(app: Wizard, plan: Plan, nothing: str) -> None:
    """Opens a plan, or shows `nothing` if the plan has no steps."""
    if plan.steps:
        app.session = replace(app.session, plan=plan, renew=frozenset())
        app.open_page(Route.PLAN)
    else:
        app.notify(nothing)


def _make_plan(
    app: Wizard, words: str, make: Callable[[Engine, Stack, Answers], Made], then: Callable[[Made], None]
) -> None:
    """Runs `make` in a thread for the current stack, once the hosts' privileges are sufficient.

    Args:
        words: what is being made, shown while the person waits.
        make: makes the plan or its like.
        then: takes the result.
    """
    if app.runs.working:
        app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
        return

    def begin() -> None:
        stack, answers = app.session.standing, replace(app.session.answers, renew=frozenset())
        if stack is not None:
            engine = app.client.engine
            app.notify(words)
            app.ask(lambda: make(engine, stack, answers), use_result)

    def use_result(result: Made) -> None:
        app.clear_notifications()  # the waiting has ended
        then(result)

    with_privileges(app, begin)
