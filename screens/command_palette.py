"""What the command palette lists: every part of Firescreen, from any screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from screens import themes
from screens.navigation import open_part, open_trust

if TYPE_CHECKING:
    from screens.app import FirescreenApp


def commands(app: FirescreenApp) -> Iterable[SystemCommand]:
    """What Ctrl+P lists."""
    yield SystemCommand(
        "Secure", "Choose how, see every change, then decide", lambda: open_part(app, "secure")
    )
    yield SystemCommand("Other hosts", "Test them, take them in hand", lambda: open_part(app, "hosts"))
    if app.session.place in ("file", "hosts"):
        yield SystemCommand(
            "Back to this machine", "The hosts stay as they are", lambda: open_part(app, "leave")
        )
    if app.session.place == "practice":
        yield SystemCommand(
            "Back to this machine", "The practice programs go on", lambda: open_part(app, "leave")
        )
        yield SystemCommand(
            "End practice", "Stop its programs, remove its folders", lambda: open_part(app, "stop")
        )
    else:
        yield SystemCommand("Practise", "Open the practice stack", lambda: open_part(app, "practise"))
        yield SystemCommand(
            "Practise with the whole stack",
            "Five programs that ask one another",
            lambda: open_part(app, "whole"),
        )
    yield SystemCommand("Trust picture", "Who asks whom, and what is checked", lambda: open_trust(app))
    yield SystemCommand("Follow a lab", "Learn it by hand", lambda: open_part(app, "lab"))
    yield SystemCommand(
        "Certificates and users", "What exists and until when", lambda: open_part(app, "holdings")
    )
    yield SystemCommand("History", "Runs, their reports, undo", lambda: open_part(app, "history"))
    yield SystemCommand("What does this mean?", "Paste an error, read its cause", lambda: _explain(app))
    yield SystemCommand("Ask by hand", "The probe console: one request, taken apart", lambda: _ask(app))
    yield SystemCommand("Words explained", "CA, SAN, bcrypt, scrape and the rest", lambda: _words(app))
    yield SystemCommand("Look again", "Ask the hosts once more", app.look)
    other = themes.LIGHT if app.theme == themes.DARK.name else themes.DARK
    words = "light" if other is themes.LIGHT else "dark"
    yield SystemCommand(f"Use {words} colours", "Change the colours", lambda: _use(app, other.name))
    yield SystemCommand("Quit", "Leave Firescreen", lambda: app.call_later(app.action_quit))


def _explain(app: FirescreenApp) -> None:
    from screens.dialogs.diagnosis import MeaningDialog

    app.push_screen(MeaningDialog())


def _ask(app: FirescreenApp) -> None:
    from screens.probe_console.screen import open_console

    open_console(app)


def _words(app: FirescreenApp) -> None:
    from screens.dialogs.glossary import WordsDialog

    app.push_screen(WordsDialog())


def _use(app: FirescreenApp, name: str) -> None:
    app.theme = name
