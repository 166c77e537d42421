"""Watches the workspace: shows what another window, a command or an instructor did there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from screens.engine_client import notices
from screens.engine_client.class_membership import ClassMembership
from screens.state import ClassState, Notices

if TYPE_CHECKING:
    from screens.base_app import BaseApp

EVERY = 2.0
"""Seconds between two readings of the journals."""
CLASS_EVERY = 1.0
"""Seconds between two readings of a student's class."""
_SHOWN = 20.0
"""Seconds for which a message of the instructor is shown in a corner, whatever the page."""


class WorkspaceWatch:
    """Keeps the app's `notices` up to date.

    Args:
        app: the app that owns the notices.
        is_working: whether this wizard itself is at work on the workspace.
        changed: called when another process has finished or undone a run.
    """

    def __init__(self, app: BaseApp, is_working: Callable[[], bool], changed: Callable[[], None]) -> None:
        self._app, self._is_working, self._changed = app, is_working, changed
        self._is_waiting = False
        self._membership: ClassMembership | None = None
        self._is_following = False

    def start(self, notices_read: Notices) -> None:
        """Starts with the notices that are already read."""
        self._app.notices = notices_read
        self._app.set_interval(EVERY, self._look)
        self._app.set_interval(CLASS_EVERY, self._follow_class)
        self.refresh()

    def refresh(self) -> None:
        """Reads the notices again."""
        self._ask(self._keep)

    def _look(self) -> None:
        if not self._is_waiting and not self._is_working():
            self._ask(self._compare)

    def _ask(self, then: Callable[[Notices], None]) -> None:
        self._is_waiting = True
        former_notices = self._app.notices
        self._app.ask(
            lambda: notices.read(self._app.client.engine, former_notices),
            lambda found: self._have(found, then),
            lambda _: self._have(former_notices, self._keep),
            wanted=lambda: True,
        )

    def _have(self, notices_read: Notices, then: Callable[[Notices], None]) -> None:
        self._is_waiting = False
        then(notices_read)

    def _keep(self, notices_read: Notices) -> None:
        if notices_read != self._app.notices:
            self._app.notices = notices_read

    # -- the class of a student ----------------------------------------------------------------------------

    @property
    def membership(self) -> ClassMembership:
        """Returns the class of the workspace's student. Its methods block."""
        if self._membership is None:
            self._membership = ClassMembership(self._app.client.engine.workspace)
        return self._membership

    def _follow_class(self) -> None:
        def read() -> ClassState:
            return self.membership.read()  # in the thread, because the first call builds the engine

        if not self._is_following:
            self._is_following = True
            self._app.ask(
                read,
                self._have_class,
                lambda _: self._have_class(self._app.class_state),
                wanted=lambda: True,
            )

    def _have_class(self, class_state: ClassState) -> None:
        self._is_following = False
        before = self._app.class_state
        if class_state == before:
            return
        self._app.class_state = class_state
        read_numbers = {message.number for message in before.news.messages} if before.news else set()
        for message in class_state.news.messages if class_state.news else ():
            # Messages from before this wizard was opened are shown on the lab's page.
            if message.number not in read_numbers and (before.news or self._is_recent(message.at)):
                self._app.notify(message.text, title="From your instructor", timeout=_SHOWN, markup=False)

    @staticmethod
    def _is_recent(moment: float) -> bool:
        return time.time() - moment < _SHOWN

    def _compare(self, notices_read: Notices) -> None:
        before = self._app.notices.runs
        self._keep(notices_read)
        if notices_read.runs != before and not self._is_working():
            self._changed()
