"""The way to the choices: only where something was found, and with the rights that changes need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.dialogs.base import ConfirmDialog
from screens.routes import Route
from screens.state import ErrorMessage
from screens.state_styles import inline

if TYPE_CHECKING:
    from screens.interface import Wizard


def secure(app: Wizard) -> None:
    """To the choices, once it is known what there is, and with the rights that it needs."""
    session = app.session
    if session.busy or session.scan is None:
        app.notify("Still looking; a moment.")
        return
    if not session.scan.stack.components:
        app.show_error(
            ErrorMessage(
                "There is nothing to secure here yet",
                "No node_exporter and no Prometheus was found",
                "this machine",
                "Start with Practise: it brings a Prometheus and a node_exporter of its own.",
            )
        )
        return
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
    app.open_page(Route.CHOICES)


def logins_without_root(app: Wizard) -> tuple[tuple[str, str], ...]:
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


def _use_sudo(app: Wizard, names: tuple[str, ...]) -> None:
    app.stack_session.use_sudo(names)
    app.stack_session.after_scan(lambda: secure(app))


def needs_root(app: Wizard) -> bool:
    """Whether this machine is in hand without the rights to change it."""
    session = app.session
    if session.scan is None or session.stack is None:
        return False
    for host in session.stack.hosts:
        facts = session.scan.facts.hosts.get(host.name)
        if host.connect == "local" and not host.become and facts is not None and not facts.root:
            return True
    return False


def _ask_sudo(app: Wizard) -> None:
    error = app.stack_session.become_root()
    if error:
        app.show_error(error)
    else:
        app.stack_session.after_scan(lambda: secure(app))
