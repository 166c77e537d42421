"""What starts a run: apply, undo, verification, recovery, the probes of the trust map; and the question before it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.dialogs.confirm import ConfirmDialog
from screens.routes import MapView, Route
from screens.run_state import begin

if TYPE_CHECKING:
    from threading import Event

    from screens.engine_client.client import Emit
    from screens.interface import Wizard
    from screens.state import Session
    from wizard.engine import Outcome
    from wizard.model import Answers, Plan


def answers_of(session: Session) -> Answers:
    """The passwords and the passphrase that were typed, as the engine takes them."""
    from wizard.model import Answers

    typed = dict(session.typed)
    password = typed.get("users.password")
    user = session.stack.users[0].name if session.stack and session.stack.users else ""
    return Answers({user: password} if password and user else {}, typed.get("certificates.passphrase"))


def accept_broken(app: Wizard, plan: Plan) -> Plan:
    """The plan in hand with all the clients accepted that it breaks; the stack in hand remembers it."""
    from wizard.planner.broken_clients import accepted

    plan = accepted(plan)
    stack = app.session.stack
    if stack is not None:
        stack = replace(stack, accept_broken=plan.stack.accept_broken)
    app.session = replace(app.session, plan=plan, stack=stack)
    return plan


def start_apply(app: Wizard, plan: Plan, canary: str, *, later: bool = False) -> None:
    """Applies a plan.

    Args:
        app: whose run it is.
        plan: what is applied.
        canary: the host that is changed and verified before the others; '' for none.
        later: whether verification is left for later.
    """
    if app.session.place == "hosts":
        app.stack_session.remember(plan.stack)
    client = app.client
    state = begin("apply", plan.steps, away=plan.facts.away, canary=canary)
    state = replace(state, arrows=plan.arrows, plan=plan)
    if app.runs.start(
        state,
        lambda emit, cancel: client.apply(plan, emit, cancel, canary or "none", later=later),
        when_shown=True,
    ):
        app.open_page(Route.RUN, replace=True)


def start_undo(app: Wizard, run: str) -> None:
    """Puts back what a run changed."""
    client = app.client
    if app.runs.start(begin("undo"), lambda emit, cancel: client.undo(run, emit, cancel)):
        app.open_page(Route.RUN, replace=True)


def start_verify(app: Wizard) -> bool:
    """Runs all the probes of the current stack, which changes nothing; False if another run is under way."""
    stack, answers = app.session.stack, answers_of(app.session)
    if stack is None:
        return False
    before, client = app.run_state, app.client
    state = replace(begin("verify"), run=before.run, outcome=before.outcome, plan=before.plan)

    def work(emit: Emit, cancel: Event) -> Outcome | None:
        plan = client.engine.plan(stack, answers)
        app.runs.set_connections(plan.arrows)
        return client.engine.complete(plan, client.engine.prove(plan, emit, cancel), emit, cancel)

    return app.runs.start(state, work)


def show_current_connections(app: Wizard) -> None:
    """Probes the present connections and draws them on the trust map."""
    session = app.session
    if session.busy or session.scan is None or session.stack is None:
        app.notify("Still looking; a moment.")
    elif not session.stack.components:
        app.notify("Nothing of Prometheus was found here: there is no picture yet.")
    elif probe_connections(app):
        app.open_page(Route.TRUST_MAP, MapView.NOW)


def probe_connections(app: Wizard) -> bool:
    """Runs the probes of the present connections, which changes nothing; False if another run is under way."""
    session, answers, client = app.session, answers_of(app.session), app.client
    stack, scan = session.stack, session.scan
    if stack is None or scan is None:
        return False
    before = app.run_state

    def work(emit: Emit, cancel: Event) -> None:
        plan = client.current_connections(scan, stack, answers)
        app.runs.set_connections(plan.arrows)
        client.engine.prove(plan, emit, cancel)

    return app.runs.start(replace(begin("verify"), run=before.run, outcome=before.outcome), work)


def start_recovery(app: Wizard) -> None:
    """Finishes the undo of runs that were cut off."""
    client = app.client
    if app.runs.start(begin("recover"), lambda emit, _cancel: client.recover(emit)):
        app.open_page(Route.RUN)


def ask_to_stop(app: Wizard) -> None:
    """Asks whether to stop the run that is under way and close the wizard."""
    app.push_screen(
        ConfirmDialog(
            "Stop the run?",
            "It stops after the change in hand, and what was done so far is put back. Firescreen closes after that.",
            yes="Stop and put back",
            no="Go on",
            careful=True,
        ),
        lambda yes: app.stop_and_leave() if yes else None,
    )


def ask_to_undo(app: Wizard, run: str) -> None:
    """Asks, then puts back what a run changed."""
    app.push_screen(
        ConfirmDialog(
            "Undo this run?",
            "Every file gets its old bytes, mode and owner back, and the services that use them are restarted. "
            "A file that somebody else has changed since then is left alone and named.",
            yes="Undo it",
            no="Keep it",
        ),
        lambda yes: start_undo(app, run) if yes else None,
    )
