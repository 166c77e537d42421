"""The notices below the title bar: a run that was interrupted, a practice stack that runs."""

from __future__ import annotations

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from screens.state import Notices, Session
from screens.state_styles import inline, left_behind, place
from wizard.plurals import join_words

_TITLE = 100
"""How many characters of a run's title are shown."""


class NoticeBar(Static):
    """A line for each notice, with the key that acts on it; without notices it takes no room."""

    DEFAULT_CSS = """
    NoticeBar { height: auto; padding: 0 2; display: none; background: $panel; &.-on { display: block; } }
    """

    class Pressed(Message):
        """The notice of an interrupted run was clicked."""

    def show(self, notices: Notices, session: Session) -> None:
        """Shows the present notices, a line each."""
        lines = [words for words in (interrupted_words(notices), practice_words(notices, session)) if words]
        self.update(Content("\n").join(lines))
        self.set_class(bool(lines), "-on")

    def on_click(self) -> None:
        """Does the same as the key."""
        self.post_message(self.Pressed())


def interrupted_words(notices: Notices) -> Content:
    """Returns the notice of an interrupted run with its key, or nothing."""
    run = notices.interrupted
    if run is None:
        return Content("")
    title, words = inline(run.title, _TITLE), " was interrupted. "
    if run.state == "owed":
        hosts = left_behind(run)
        title = inline(join_words([place(host) for host in hosts]), _TITLE)
        words = f" {'needs' if len(hosts) == 1 else 'need'} recovery after a failed run. "
    return Content.assemble(
        ("✗ ", "bold $error"), (title, "bold"), words, ("i", "bold $primary"), " roll back or compare"
    )


def practice_words(notices: Notices, session: Session) -> Content:
    """Returns the notice that practice runs while this machine is shown, or nothing."""
    if not notices.practice or session.place != "here":
        return Content("")
    return Content.assemble(
        ("▸ ", "bold $primary"), "The practice stack is running. ", ("p", "bold $primary"), " opens it"
    )
