"""The way to the plan that gives Prometheus the alert rules of the upkeep."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.navigation.secure import with_privileges
from screens.routes import Route

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.model import Plan


def give_rules(app: Wizard) -> None:
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

    def make() -> Plan:
        from wizard.upkeep.rule_installation import with_rules

        return with_rules(engine, engine.plan(stack, answers))

    app.notify("Making the plan that gives Prometheus the alert rules…")
    app.ask(make, lambda plan: _open(app, plan))


def _open(app: Wizard, plan: Plan) -> None:
    if plan.steps:
        app.session = replace(app.session, plan=plan, renew=frozenset())
        app.open_page(Route.PLAN)
    else:
        app.notify("Each Prometheus has these rules already.")
