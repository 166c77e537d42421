"""The class on a lab's page: the instructor's messages and clock above it, and keys for help and ready."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from screens.base_screen import Page
from screens.state_styles import safe

if TYPE_CHECKING:
    from screens.interface import Wizard
    from screens.state import ClassState

_RECENT = 900.0
"""Seconds for which the last message is shown above the page."""
_SIGNALS = {"help": "you asked for help", "ready": "you are ready"}


class ClassBar(Static):
    """Lines about the class; outside of a class it takes no room."""

    DEFAULT_CSS = """
    ClassBar { height: auto; padding: 0 2; display: none; background: $panel; &.-on { display: block; } }
    """

    def show(self, state: ClassState) -> None:
        """Shows the present state of the class."""
        lines = class_lines(state, time.time())
        self.update(Content("\n").join(lines))
        self.set_class(bool(lines), "-on")


def class_lines(state: ClassState, now: float) -> list[Content]:
    """Returns the lines about a class: that the board is open, the student's signal, the clock, the last message."""
    news = state.news
    if news is None or not (state.board_open or state.error):
        return []
    if not state.shown:
        return [
            Content.assemble(
                ("○ ", "bold $quiet"), "The class board does not show your progress ('v' shows it)"
            )
        ]
    words = ["Your instructor sees your progress ('v' hides it)"]
    if state.error:
        words = ["The class board cannot be reached; the lab goes on without it"]
    if state.signal in _SIGNALS:
        words.append(_SIGNALS[state.signal])
    if news.clock_until:
        left = round(news.clock_until - now)
        words.append(f"{left // 60}:{left % 60:02} left" if left > 0 else "the time is up")
    sign = ("✗ ", "bold $warning") if state.error else ("◉ ", "bold $primary")
    lines = [Content.assemble(sign, " · ".join(words))]
    if news.messages and now - news.messages[-1].at < _RECENT:
        lines.append(Content.assemble(("✉ ", "bold $primary"), safe(news.messages[-1].text, 500)))
    return lines


class ClassPage(Page):
    """A page that takes part in a class."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "exclamation_mark",
            "signal('help')",
            "Need help",
            show=False,
            tooltip="Tell the instructor, or take it back",
        ),
        Binding(
            "v", "show_progress", "Show or hide", show=False, tooltip="Whether the board shows your progress"
        ),
        Binding("y", "signal('ready')", "Ready", show=False, tooltip="Tell the instructor, or take it back"),
    ]

    def on_mount(self) -> None:
        """Shows the class and follows its changes."""
        self.watch(self.app, "class_state", self._follow_class)
        self.set_interval(1.0, self._draw_class)

    def _follow_class(self, state: ClassState) -> None:
        if self.is_open:
            self._draw_class()
            self.refresh_bindings()
            self.show_class(state)

    def _draw_class(self) -> None:
        for bar in self.query(ClassBar):
            bar.show(self.firescreen.class_state)

    def show_class(self, state: ClassState) -> None:
        """Shows which steps the instructor has opened."""

    def offers(self, action: str) -> bool:
        """Returns whether the action applies: showing progress needs a board, a signal needs an instructor."""
        state = self.firescreen.class_state
        return state.board_open if action == "show_progress" else state.watched

    def action_show_progress(self) -> None:
        """Hides the student's progress from the board, or shows it again; a class on another machine is left."""
        app: Wizard = self.firescreen
        shown = not app.class_state.shown
        words = "The board shows your progress." if shown else "The board no longer shows your progress."
        app.ask(lambda: app.workspace_watch.membership.show(shown), lambda _: app.notify(words))

    def action_signal(self, signal: str) -> None:
        """Sends a signal to the instructor, or withdraws it."""
        app: Wizard = self.firescreen
        wanted = "" if app.class_state.signal == signal else signal
        messages = {
            "help": "The board shows that you need help.",
            "ready": "The board shows that you are ready.",
        }
        app.ask(
            lambda: app.workspace_watch.membership.wish(signal=wanted),
            lambda _: app.notify(messages.get(wanted, "The board shows neither any more.")),
        )
