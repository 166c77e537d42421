"""What the command palette lists: every part of Firescreen, from any screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from screens import themes
from screens.base_screen import Page
from screens.routes import Route

if TYPE_CHECKING:
    from screens.interface import Wizard


def commands(app: Wizard) -> Iterable[SystemCommand]:
    """What Ctrl+P lists."""
    yield SystemCommand(
        "Secure", "Choose how, see every change, then decide", lambda: app.open_menu_entry("secure")
    )
    yield SystemCommand("Other hosts", "Test them, take them in hand", lambda: app.open_menu_entry("hosts"))
    if app.session.place in ("file", "hosts"):
        yield SystemCommand(
            "Back to this machine", "The hosts stay as they are", lambda: app.open_menu_entry("leave")
        )
    if app.session.place == "practice":
        yield SystemCommand(
            "Back to this machine", "The practice programs go on", lambda: app.open_menu_entry("leave")
        )
        yield SystemCommand(
            "End practice", "Stop its programs, remove its folders", lambda: app.open_menu_entry("stop")
        )
    else:
        yield SystemCommand("Practise", "Open the practice stack", lambda: app.open_menu_entry("practise"))
        yield SystemCommand(
            "Practise with the whole stack",
            "Five programs that ask one another",
            lambda: app.open_menu_entry("whole"),
        )
    yield SystemCommand("Trust picture", "Who asks whom, and what is checked", lambda: _trust_map(app))
    yield SystemCommand("Follow a lab", "Learn it by hand", lambda: app.open_menu_entry("lab"))
    yield SystemCommand(
        "Certificates and users", "What exists and until when", lambda: app.open_menu_entry("holdings")
    )
    yield SystemCommand(
        "History", "RunController, their reports, undo", lambda: app.open_menu_entry("history")
    )
    yield SystemCommand("What does this mean?", "Paste an error, read its cause", lambda: _explain(app))
    yield SystemCommand(
        "Ask by hand",
        "The probe console: one request, taken apart",
        lambda: app.open_page(Route.PROBE_CONSOLE),
    )
    yield SystemCommand("Words explained", "CA, SAN, bcrypt, scrape and the rest", lambda: _words(app))
    yield SystemCommand("Look again", "Ask the hosts once more", app.stack_session.rescan)
    other = themes.LIGHT if app.theme == themes.DARK.name else themes.DARK
    words = "light" if other is themes.LIGHT else "dark"
    yield SystemCommand(f"Use {words} colours", "Change the colours", lambda: _use(app, other.name))
    yield SystemCommand("Quit", "Leave Firescreen", lambda: app.call_later(app.action_quit))


def _explain(app: Wizard) -> None:
    from screens.dialogs.diagnosis import DiagnosisDialog

    app.push_screen(DiagnosisDialog())


def _trust_map(app: Wizard) -> None:
    if isinstance(app.screen, Page):
        app.screen.open_trust_map()
    else:
        app.open_menu_entry("trust")


def _words(app: Wizard) -> None:
    from screens.dialogs.glossary import GlossaryDialog

    app.push_screen(GlossaryDialog())


def _use(app: Wizard, name: str) -> None:
    app.theme = name
