"""Opens the choices, but only if components were found, and with the privileges that changes need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from screens.dialogs.base import ConfirmDialog
from screens.routes import Route
from screens.state import ErrorMessage
from screens.state_styles import inline

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.model import ComponentSpec, Protection


def secure(app: Wizard, only: str = "") -> None:
    """Opens the choices once the scan is finished, and with the privileges that changes need.

    Args:
        app: the wizard.
        only: the key of the only component to change; '' for all.
    """
    if app.runs.working:
        app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
        return
    if app.session.renew or app.session.logins:
        app.session = replace(app.session, renew=frozenset(), logins=None, plan=None)

    def open_choices() -> None:
        _preset(app, only)
        app.open_page(Route.CHOICES, only)

    with_privileges(app, open_choices)


def open_logins(app: Wizard) -> None:
    """Opens the logins of Prometheus, once its configuration is read with the privileges that changes need."""
    if app.runs.working:
        app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
        return
    with_privileges(app, lambda: app.open_page(Route.CLIENT_LOGINS))


def _preset(app: Wizard, only: str) -> None:
    """Sets the initial levels of the choices: the chosen, else the recommended levels, of all components or one."""
    session = app.session
    if session.stack is None or session.scan is None:
        return
    components = session.stack.components
    if not session.touched:
        seen = {one.key: one for one in session.scan.exposures if one.state == "secured"}
        # A stack file already says which levels are wanted.
        components = tuple(
            replace(one, protect=seen[one.key].level(one.protect))
            if one.key in seen and session.place != "file"
            else one
            for one in session.scan.stack.components
        )
    if only in {one.key for one in components}:
        components = tuple(
            replace(one, protect=_at_least_recommended(one) if one.key == only else ()) for one in components
        )
    if components != session.stack.components:
        app.session = replace(session, stack=replace(session.stack, components=components), plan=None)


def _at_least_recommended(component: ComponentSpec) -> tuple[Protection, ...]:
    return component.protect if len(component.protect) > 1 else ("tls", "basic_auth")


def with_privileges(app: Wizard, then: Callable[[], None]) -> None:
    """Calls `then` once the scan is finished and the privileges suffice for changes."""
    session = app.session
    if session.busy or session.scan is None:
        app.notify("The scan is still running. Try again in a moment.")
        return
    if not session.scan.stack.components:
        app.show_error(
            ErrorMessage(
                "There is nothing to secure",
                "No Prometheus component was found",
                "this machine",
                "Press p on Home to practise on programs that Firescreen starts, or o to name other hosts.",
            )
        )
        return
    if needs_root(app):
        app.push_screen(
            ConfirmDialog(
                "Root privileges are needed",
                "Configuration files and services of this machine belong to root. Firescreen can use sudo: sudo asks for "
                "your password, which Firescreen never sees.",
                yes="Use sudo",
                no="Stay here",
            ),
            lambda yes: _ask_sudo(app, then) if yes else None,
        )
        return
    if logins := logins_without_root(app):
        names = ", ".join(f"{user} on {host}" for host, user in logins)
        app.push_screen(
            ConfirmDialog(
                "Root privileges are needed",
                f"You are logged in as {inline(names, 300)}. Configuration files and services belong to root. Firescreen "
                "can use sudo, and asks you for the password if sudo needs one.",
                yes="Use sudo",
                no="Stay here",
            ),
            lambda yes: _use_sudo(app, tuple(host for host, _ in logins), then) if yes else None,
        )
        return
    then()


def logins_without_root(app: Wizard) -> tuple[tuple[str, str], ...]:
    """Returns (host, user) of each SSH host of the current stack whose login is not root and does not use sudo."""
    session = app.session
    if session.scan is None or session.stack is None:
        return ()
    host_facts = session.scan.facts.hosts
    return tuple(
        (host.name, host_facts[host.name].user)
        for host in session.stack.hosts
        if host.connect == "ssh"
        and not host.become
        and host.name in host_facts
        and not host_facts[host.name].root
    )


def _use_sudo(app: Wizard, names: tuple[str, ...], then: Callable[[], None]) -> None:
    app.stack_session.use_sudo(names)
    app.stack_session.after_scan(lambda: with_privileges(app, then))


def needs_root(app: Wizard) -> bool:
    """Returns whether this machine is in the current stack and the user may not change it."""
    session = app.session
    if session.scan is None or session.stack is None:
        return False
    for host in session.stack.hosts:
        facts = session.scan.facts.hosts.get(host.name)
        if host.connect == "local" and not host.become and facts is not None and not facts.root:
            return True
    return False


def _ask_sudo(app: Wizard, then: Callable[[], None]) -> None:
    error = app.stack_session.become_root()
    if error:
        app.show_error(error)
    else:
        app.stack_session.after_scan(lambda: with_privileges(app, then))
