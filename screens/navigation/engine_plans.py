"""Makes a plan of the engine's own, as drift and upkeep have them, and hands it on; nothing is written before it is applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from screens.navigation.secure import with_privileges

if TYPE_CHECKING:
    from screens.interface import Wizard
    from wizard.engine import Engine
    from wizard.model import Answers, Stack

Made = TypeVar("Made")


def make_plan(
    app: Wizard, words: str, make: Callable[[Engine, Stack, Answers], Made], then: Callable[[Made], None]
) -> None:
    """Runs `make` in a thread for the current stack, once the hosts' privileges are there.

    Args:
        words: what is being made, for the person who waits.
        then: takes what was made.
    """
    if app.runs.working:
        app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
        return

    def begin() -> None:
        stack, answers = app.session.standing, replace(app.session.answers, renew=frozenset())
        if stack is not None:
            engine = app.client.engine
            app.notify(words)
            app.ask(lambda: make(engine, stack, answers), made)

    def made(found: Made) -> None:
        app.clear_notifications()  # it is waited for no longer
        then(found)

    with_privileges(app, begin)
