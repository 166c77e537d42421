"""The questions before a plan is applied: which host is the canary, who will be rejected, and whether to begin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.plan.text import before_apply, canary_candidates, choose_canary, waiting_note
from screens.routes import Route

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.model import Plan


def ask(app: Wizard, plan: Plan, canary: str) -> None:
    """Asks for what has to be accepted, asks for confirmation, then applies.

    Args:
        app: the wizard.
        plan: the plan to apply.
        canary: the host that is changed first; '' for none.
    """
    if not plan.unaccepted:
        _confirm(app, plan, canary)
        return
    from screens.dialogs.apply import AcceptDialog

    def accept_if_confirmed(yes: bool | None) -> None:
        if yes:
            _confirm(app, _accept_broken(app, plan), canary)

    app.push_screen(AcceptDialog(plan.unaccepted), accept_if_confirmed)


def ask_for_canary(app: Wizard, plan: Plan) -> None:
    """Asks for the canary, and remembers it for this stack."""
    from screens.dialogs.canary import CanaryDialog

    def keep_canary(wanted: str | None) -> None:
        if wanted is not None:
            app.session = replace(app.session, canary=wanted)

    dialog = CanaryDialog(canary_candidates(plan), ours=choose_canary(plan), now=app.session.canary)
    app.push_screen(dialog, keep_canary)


def _accept_broken(app: Wizard, plan: Plan) -> Plan:
    """Returns the plan with all rejected clients accepted; the current stack remembers that."""
    from wizard.planner.broken_clients import accept_broken_clients

    plan, session = accept_broken_clients(plan), app.session
    stack = session.stack
    if stack is not None:
        stack = replace(stack, accept_broken=plan.stack.accept_broken)
    app.session = replace(session, plan=plan, stack=stack)
    return plan


def _confirm(app: Wizard, plan: Plan, canary: str) -> None:
    from screens.dialogs.apply import ApplyDialog
    from screens.dialogs.base import ConfirmDialog

    text = before_apply(plan, canary)
    if waiting_note(plan):
        app.push_screen(
            ApplyDialog(text),
            lambda when: _apply(app, plan, canary, later=when == "later") if when else None,
        )
    else:
        app.push_screen(
            ConfirmDialog("Apply this plan?", text, yes="Apply", no="Stay on the plan"),
            lambda yes: _apply(app, plan, canary) if yes else None,
        )


def _apply(app: Wizard, plan: Plan, canary: str, *, later: bool = False) -> None:
    """Applies the plan. `later`: verification is left for later."""
    if app.session.place == "hosts":
        app.stack_session.remember(plan.stack)
    if app.runs.apply(plan, canary, later=later):
        app.open_page(Route.RUN, replace=True)
