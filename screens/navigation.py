"""The ways between Firescreen's parts: each opens when it is chosen, and says why when it cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state import Trouble, begin
from screens.state_styles import inline, safe

if TYPE_CHECKING:
    from threading import Event

    from screens.app import FirescreenApp
    from screens.controllers.run_controller import Emit
    from screens.state import Session
    from wizard.engine import Outcome, Remains
    from wizard.labs import LabSession
    from wizard.model import Answers, Plan, RunRecord, Stack


def open_part(app: FirescreenApp, name: str) -> None:
    """Opens a part by its name in Home's menu, from any screen."""
    if app.runs.working:
        app.notify("A run is under way; wait for its end or stop it.", severity="warning")
        return
    app.go_home()
    match name:
        case "secure":
            secure(app)
        case "practise" | "whole":
            app.places.practise(whole=name == "whole")
        case "trust":
            picture_now(app)
        case "leave":
            app.places.here()
        case "stop":
            ask_to_end_practice(app)
        case "holdings":
            from screens.inventory import Holdings

            app.push_screen(Holdings())
        case "history":
            from screens.history import History

            app.push_screen(History())
        case "lab":
            from screens.dialogs.labs import LabPicker

            app.push_screen(LabPicker(), lambda lab: open_lab(app, lab) if lab else None)
        case _:
            from screens.hosts.screen import HostsPage

            app.push_screen(HostsPage())


def ask_to_end_practice(app: FirescreenApp) -> None:
    """Asks, then ends practice: its folders do not come back."""
    from screens.dialogs.confirm import ConfirmDialog

    app.push_screen(
        ConfirmDialog(
            "End practice?",
            "Its programs are stopped and its folders removed, with all that was done in them. "
            "'Practise' makes new ones at any time.",
            yes="End practice",
            no="Go on",
            careful=True,
        ),
        lambda yes: app.places.stop_practice() if yes else None,
    )


def open_lab(app: FirescreenApp, lab: str) -> None:
    """Makes the practice stack ready and opens a lab on it; asks first if that ends what is in hand there."""
    from screens.dialogs.confirm import ConfirmDialog

    def opened(session: LabSession) -> None:
        from screens.labs.screen import LabPage

        app.push_screen(LabPage(session))

    def known(words: str) -> None:
        if not words:
            app.places.begin_lab(lab, opened)
            return
        app.push_screen(
            ConfirmDialog(
                "Begin this lab?",
                f"{inline(words[:1].upper() + words[1:], 300)}. This lab begins afresh, so that would be gone.",
                yes="Begin this lab",
                no="Go back",
                careful=True,
            ),
            lambda yes: app.places.begin_lab(lab, opened, anew=True) if yes else None,
        )

    app.ask(lambda: app.desk.in_the_way(lab), known)


def secure(app: FirescreenApp) -> None:
    """To the choices, once it is known what there is, and with the rights that it needs."""
    session = app.session
    if session.busy or session.scan is None:
        app.notify("Still looking; a moment.")
        return
    if not session.scan.stack.components:
        app.complain(
            Trouble(
                "There is nothing to secure here yet",
                "No node_exporter and no Prometheus was found",
                "this machine",
                "Start with Practise: it brings a Prometheus and a node_exporter of its own.",
            )
        )
        return
    from screens.dialogs.confirm import ConfirmDialog

    if needs_root(app):
        app.push_screen(
            ConfirmDialog(
                "This needs root's rights",
                "Configuration files and services of this machine belong to root. Firescreen can use sudo: it steps "
                "aside, sudo asks for your password itself, and Firescreen never sees it.",
                yes="Ask sudo",
                no="Not now",
            ),
            lambda yes: _ask_sudo(app) if yes else None,
        )
        return
    if mere := logins_without_root(app):
        names = ", ".join(f"{user} on {host}" for host, user in mere)
        app.push_screen(
            ConfirmDialog(
                "This needs root's rights",
                f"You are {inline(names, 300)}. Configuration files and services there belong to root. Firescreen can "
                "use sudo on that host; where sudo asks for a password, you are asked for it.",
                yes="Use sudo there",
                no="Not now",
            ),
            lambda yes: _use_sudo(app, tuple(host for host, _ in mere)) if yes else None,
        )
        return
    from screens.choices.screen import ChoicesPage

    app.push_screen(ChoicesPage())


def logins_without_root(app: FirescreenApp) -> tuple[tuple[str, str], ...]:
    """(host, user) of each SSH host in hand whose login is not root and does not use sudo."""
    session = app.session
    if session.scan is None or session.stack is None:
        return ()
    known = session.scan.facts.hosts
    return tuple(
        (host.name, known[host.name].user)
        for host in session.stack.hosts
        if host.connect == "ssh" and not host.become and host.name in known and not known[host.name].root
    )


def _use_sudo(app: FirescreenApp, names: tuple[str, ...]) -> None:
    app.places.use_sudo(names)
    app.after_look(lambda: secure(app))


def needs_root(app: FirescreenApp) -> bool:
    """Whether this machine is in hand without the rights to change it."""
    session = app.session
    if session.scan is None or session.stack is None:
        return False
    for host in session.stack.hosts:
        facts = session.scan.facts.hosts.get(host.name)
        if host.connect == "local" and not host.become and facts is not None and not facts.root:
            return True
    return False


def _ask_sudo(app: FirescreenApp) -> None:
    trouble = app.places.become_root()
    if trouble:
        app.complain(trouble)
    else:
        app.after_look(lambda: secure(app))


def answers_of(session: Session) -> Answers:
    """The passwords and the passphrase that were typed, as the engine takes them."""
    from wizard.model import Answers

    typed = dict(session.typed)
    password = typed.get("users.password")
    user = session.stack.users[0].name if session.stack and session.stack.users else ""
    return Answers({user: password} if password and user else {}, typed.get("certificates.passphrase"))


def accept_broken(app: FirescreenApp, plan: Plan) -> Plan:
    """The plan in hand with all the clients accepted that it breaks; the stack in hand remembers it."""
    from wizard.planner.broken_clients import accepted

    plan = accepted(plan)
    stack = app.session.stack
    if stack is not None:
        stack = replace(stack, accept_broken=plan.stack.accept_broken)
    app.session = replace(app.session, plan=plan, stack=stack)
    return plan


def start_apply(app: FirescreenApp, *, later: bool = False) -> None:
    """Applies the plan in hand.

    Args:
        later: verification is left for later.
    """
    from screens.plan.text import goes_first
    from screens.run.screen import RunPage

    plan, wanted = app.session.plan, app.session.canary
    if plan is None:
        return
    first = goes_first(plan, wanted)
    if app.session.place == "hosts":
        app.places.remember(plan.stack)
    desk = app.desk
    state = begin("apply", plan.steps, away=plan.facts.away, canary=first)
    state = replace(state, arrows=plan.arrows, plan=plan)
    canary = first or "none"
    if app.runs.start(
        state, lambda emit, cancel: desk.apply(plan, emit, cancel, canary, later=later), when_shown=True
    ):
        app.switch_screen(RunPage())


def start_undo(app: FirescreenApp, run: str) -> None:
    """Puts back what a run changed."""
    from screens.run.screen import RunPage

    desk = app.desk
    if app.runs.start(begin("undo"), lambda emit, cancel: desk.undo(run, emit, cancel)):
        app.switch_screen(RunPage())


def start_verify(app: FirescreenApp) -> None:
    """Runs all the probes of the stack in hand; changes nothing."""
    from screens.verification.screen import Proof

    stack, answers = app.session.stack, answers_of(app.session)
    if stack is None:
        return
    before, desk = app.run_state, app.desk
    state = replace(begin("verify"), run=before.run, outcome=before.outcome, plan=before.plan)

    def work(emit: Emit, cancel: Event) -> Outcome | None:
        plan = desk.engine.plan(stack, answers)
        app.runs.picture(plan.arrows)
        return desk.engine.complete(plan, desk.engine.prove(plan, emit, cancel), emit, cancel)

    if app.runs.start(state, work) and not isinstance(app.screen, Proof):
        app.switch_screen(Proof())


def open_trust(app: FirescreenApp) -> None:
    """The trust picture of what is in hand: the plan, the run that was proven, or else what there is now."""
    from screens.plan.screen import PlanPage
    from screens.trust_map.screen import TrustPage
    from screens.verification.screen import Proof

    plan = app.session.plan
    if isinstance(app.screen, TrustPage):
        return
    if isinstance(app.screen, PlanPage) and plan is not None:
        if plan.steps:
            app.push_screen(TrustPage("plan", plan.arrows))
        else:  # what is planned is there already: it can be asked
            picture_now(app)
    elif isinstance(app.screen, Proof) and app.run_state.arrows:
        app.push_screen(TrustPage("run"))
    else:
        open_part(app, "trust")


def picture_now(app: FirescreenApp) -> None:
    """Finds out who asks whom, asks as they do, and draws it."""
    from screens.trust_map.screen import TrustPage

    session = app.session
    if session.busy or session.scan is None or session.stack is None:
        app.notify("Still looking; a moment.")
    elif not session.stack.components:
        app.notify("Nothing of Prometheus was found here: there is no picture yet.")
    elif ask_for_picture(app):
        app.push_screen(TrustPage("now"))


def ask_for_picture(app: FirescreenApp) -> bool:
    """Makes the requests that test who asks whom; changes nothing. False if another run is under way."""
    session, answers, desk = app.session, answers_of(app.session), app.desk
    stack, scan = session.stack, session.scan
    if stack is None or scan is None:
        return False
    before = app.run_state

    def work(emit: Emit, cancel: Event) -> None:
        plan = desk.picture(scan, stack, answers)
        app.runs.picture(plan.arrows)
        desk.engine.prove(plan, emit, cancel)

    return app.runs.start(replace(begin("verify"), run=before.run, outcome=before.outcome), work)


def offer_recovery(app: FirescreenApp, cut: RunRecord) -> None:
    """A run was interrupted: says what it was and offers to put everything back, or to compare what is there."""
    from screens.dialogs.recovery import RecoveryDialog

    app.push_screen(
        RecoveryDialog(
            "A run was cut off" if cut.state != "owed" else "A host was left behind",
            Content.assemble(
                ("✗ ", "$error bold"),
                (
                    f"The last run ({cut.title}) ended in the middle: the power went, or it was killed. "
                    "Firescreen wrote down every change before making it, so it can put all of it back now."
                )
                if cut.state != "owed"
                else (
                    f"{', '.join(left_behind(cut))} failed in the last run and could not be reached to be put back. "
                    "If it is there again, Firescreen can do so now. The other hosts stay as they are."
                ),
            ),
        ),
        lambda choice: _recovery_chosen(app, choice),
    )


def _recovery_chosen(app: FirescreenApp, choice: str | None) -> None:
    if choice == "undo":
        start_recovery(app)
    elif choice == "compare":
        app.ask(app.desk.remains, lambda left: _offer_to_forget(app, left))


def _offer_to_forget(app: FirescreenApp, left: tuple[Remains, ...]) -> None:
    """Shows what differs from what was before a run; where nothing does, or the person keeps it, the run is over."""
    from screens.dialogs.recovery import RemainsDialog

    differs = any(one.differences for one in left)

    def forgotten(_: None) -> None:
        app.notify("The run is forgotten: nothing of it is to be put back any more.")

    def answered(choice: str | None) -> None:
        if choice == "forget":
            app.ask(lambda: app.desk.forget_run(as_it_is=differs), forgotten)
        else:
            _recovery_chosen(app, choice)

    app.push_screen(RemainsDialog(left), answered)


def left_behind(run: RunRecord) -> tuple[str, ...]:
    """The hosts that a run still has to put back."""
    return tuple(dict.fromkeys(change.partition(":")[0] for change in run.changes))


def offer_hosts(app: FirescreenApp, stack: Stack) -> None:
    """The hosts that were chosen last time: says which, and offers to go on with them."""
    from screens.dialogs.confirm import ConfirmDialog

    names = ", ".join("this machine" if host.connect == "local" else host.name for host in stack.hosts)
    app.push_screen(
        ConfirmDialog(
            "Go on with your hosts?",
            Content.assemble(
                "Last time you chose ",
                (safe(names, 300).plain, "bold"),
                ". Firescreen would connect to them now.",
            ),
            yes="Go on with them",
            no="This machine",
        ),
        lambda yes: app.places.take_hosts(stack) if yes else None,
    )


def start_recovery(app: FirescreenApp) -> None:
    """Finishes the undo of runs that were cut off."""
    from screens.run.screen import RunPage

    desk = app.desk

    if app.runs.start(begin("recover"), lambda emit, _cancel: desk.recover(emit)):
        app.push_screen(RunPage())


def ask_to_stop(app: FirescreenApp) -> None:
    """Asks whether to stop the run in hand and leave: on its own screen if that is in front."""
    from screens.dialogs.confirm import ConfirmDialog
    from screens.run.screen import RunPage

    if isinstance(app.screen, RunPage):
        app.screen.ask(leaving=True)
        return
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


def ask_to_undo(app: FirescreenApp, run: str) -> None:
    """Asks, then puts back what a run changed."""
    from screens.dialogs.confirm import ConfirmDialog

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
