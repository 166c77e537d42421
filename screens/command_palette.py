"""What the command palette lists: every part of Firescreen, from any screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from screens import themes
from screens.base_screen import Page
from screens.routes import Route

if TYPE_CHECKING:
    from screens.interface import Wizard

OWN_NAMES = {
    "Firescreen dark": themes.DARK,
    "Firescreen light": themes.LIGHT,
    "Firescreen high contrast": themes.CONTRAST,
}
THEME_WORDS = (
    ("Dark mode", themes.DARK),
    ("Dark theme", themes.DARK),
    ("Light mode", themes.LIGHT),
    ("Light theme", themes.LIGHT),
    ("High contrast mode", themes.CONTRAST),
    ("High contrast theme", themes.CONTRAST),
)
"""What people type into the palette to change colours, beside 'theme'."""


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
    yield SystemCommand("Change theme", "Dark, light, high contrast and more", app.search_themes)
    for words, theme in THEME_WORDS:
        yield SystemCommand(words, "Change the theme", partial(app.use_theme, theme.name), discover=False)
    for words in ("Change colours", "Change colors", "Appearance"):
        yield SystemCommand(words, "Change the theme", app.search_themes, discover=False)
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


def theme_commands(app: Wizard) -> Iterable[tuple[str, Callable[[], None], str]]:
    """(name, what chooses it, help) of each theme: our own, then Textual's by their names."""
    own = {theme.name: name for name, theme in OWN_NAMES.items()}
    names = [*own, *sorted(set(app.available_themes) - set(own))]
    for name in names:
        shade = "dark" if app.available_themes[name].dark else "light"
        used = ", in use" if name == app.theme else ""
        yield (own.get(name, name), partial(app.use_theme, name), f"{shade}{used}")
