"""The way to the plan that gives Prometheus the alert rules of the upkeep."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.navigation.engine_plans import make_plan
from screens.routes import Route

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.engine import Engine
    from wizard.model import Answers, Plan, Stack


def give_rules(app: Wizard) -> None:
    """Makes that plan and opens it; nothing is written before it is applied."""
    words = "Making the plan that gives Prometheus the alert rules…"
    make_plan(app, words, _make, lambda plan: _open(app, plan))


def _make(engine: Engine, stack: Stack, answers: Answers) -> Plan:
    from wizard.upkeep.rule_installation import with_rules

    return with_rules(engine, engine.plan(stack, answers))


def _open(app: Wizard, plan: Plan) -> None:
    if plan.steps:
        app.session = replace(app.session, plan=plan, renew=frozenset())
        app.open_page(Route.PLAN)
    else:
        app.notify("Each Prometheus has these rules already.")
