"""Watches the workspace: what another window or command did there is shown here too, and an interrupted run is told of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from screens.engine_client import notices
from screens.state import Notices

if TYPE_CHECKING:
    from screens.base_app import BaseApp

EVERY = 2.0
"""Seconds between two looks at the journals."""


class WorkspaceWatch:
    """Keeps the app's `notices` up to date.

    Args:
        app: whose notices they are.
        is_working: whether this wizard itself is at work on the workspace.
        changed: called when somebody else has finished a run, or undone one.
    """

    def __init__(self, app: BaseApp, is_working: Callable[[], bool], changed: Callable[[], None]) -> None:
        self._app, self._is_working, self._changed = app, is_working, changed
        self._is_waiting = False

    def start(self, known: Notices) -> None:
        """Begins with what is known now."""
        self._app.notices = known
        self._app.set_interval(EVERY, self._look)
        self.refresh()

    def refresh(self) -> None:
        """Reads the notices again."""
        self._ask(self._keep)

    def _look(self) -> None:
        if not self._is_waiting and not self._is_working():
            self._ask(self._compare)

    def _ask(self, then: Callable[[Notices], None]) -> None:
        self._is_waiting = True
        known = self._app.notices
        self._app.ask(
            lambda: notices.read(self._app.client.engine, known),
            lambda found: self._have(found, then),
            lambda _: self._have(known, self._keep),
            wanted=lambda: True,
        )

    def _have(self, found: Notices, then: Callable[[Notices], None]) -> None:
        self._is_waiting = False
        then(found)

    def _keep(self, found: Notices) -> None:
        if found != self._app.notices:
            self._app.notices = found

    def _compare(self, found: Notices) -> None:
        before = self._app.notices.runs
        self._keep(found)
        if found.runs != before and not self._is_working():
            self._changed()
