"""A student's membership in a class: once a second, reports progress and reads the instructor's messages. Blocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from screens.state import ClassState

if TYPE_CHECKING:
    from wizard.labs.board.member import Wishes
    from wizard.labs.board.reporter import LiveReporter
    from wizard.workspace import Workspace

_PRESENT_EVERY = 5.0
"""Seconds between two reports that the wizard is open."""


class ClassMembership:
    """Follows the class of a workspace, if it has one.

    Args:
        workspace: the student's.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._reporter: LiveReporter | None = None
        self._present_at = 0.0

    def read(self) -> ClassState:
        """Returns the present state, an empty one if there is no class."""
        if not (self._workspace.labs / "class").is_dir():
            return ClassState()  # the usual case, without the imports of a class
        from wizard.labs import labs
        from wizard.labs.board import member, reporter

        to = reporter.joined_class(self._workspace)
        own = member.wishes(self._workspace)
        if to is not None:
            if self._reporter is None:
                self._reporter = reporter.LiveReporter(self._workspace, labs(self._workspace.packs))
            self._reporter.tick()
        news = member.news(self._workspace)
        is_open = member.is_watched(news) if to is None else not (self._reporter and self._reporter.error)
        if is_open and own.shown:
            self._note_presence()
        return ClassState(
            news=news,
            board_open=news is not None and is_open,
            shown=own.shown,
            signal=own.signal,
            error=self._reporter.error if to is not None and self._reporter else "",
        )

    def _note_presence(self) -> None:
        from wizard.labs.board import member

        now = time.monotonic()
        if now - self._present_at > _PRESENT_EVERY:
            member.note_presence(self._workspace)
            self._present_at = now

    def show(self, shown: bool) -> None:
        """Lets the board show this student's progress, or not; a class on another machine is left.

        Raises:
            FirescreenError: the choice cannot be stored.
        """
        from wizard.labs.board import reporter

        if not shown:
            reporter.leave(self._workspace)
        self.wish(shown=shown, **({} if shown else {"signal": ""}))

    def wish(self, **changes: object) -> Wishes:
        """Stores what the student decides: `signal`, `shown`.

        Raises:
            FirescreenError: it cannot be stored.
        """
        from wizard.labs.board import member

        return member.wish(self._workspace, **changes)
