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
        "Secure", "Choose levels, review every change, then apply", lambda: app.open_menu_entry("secure")
    )
    yield SystemCommand("Other hosts", "Test hosts and use them", lambda: app.open_menu_entry("hosts"))
    if app.session.place in ("file", "hosts"):
        yield SystemCommand(
            "Back to this machine", "The hosts stay as they are", lambda: app.open_menu_entry("leave")
        )
    if app.session.place == "practice":
        yield SystemCommand(
            "Back to this machine", "The practice stack keeps running", lambda: app.open_menu_entry("leave")
        )
        yield SystemCommand(
            "End practice", "Stop the programs, remove their folders", lambda: app.open_menu_entry("stop")
        )
    else:
        yield SystemCommand(
            "Practise", "Start and open the practice stack", lambda: app.open_menu_entry("practise")
        )
        yield SystemCommand(
            "Practise with the whole stack",
            "Five components that use each other",
            lambda: app.open_menu_entry("whole"),
        )
    yield SystemCommand(
        "Trust map", "Who connects to whom, and what each side checks", lambda: _trust_map(app)
    )
    yield SystemCommand(
        "Follow a lab", "Type every step yourself, checked as you go", lambda: app.open_menu_entry("lab")
    )
    yield SystemCommand(
        "Certificates and users",
        "What exists, where, and until when",
        lambda: app.open_menu_entry("holdings"),
    )
    yield SystemCommand("History", "Past runs, their reports, undo", lambda: app.open_menu_entry("history"))
    yield SystemCommand("Explain an error", "Paste an error, read its cause", lambda: _explain(app))
    yield SystemCommand(
        "Probe console",
        "Send one request and see every detail",
        lambda: app.open_page(Route.PROBE_CONSOLE),
    )
    yield SystemCommand("Glossary", "CA, SAN, bcrypt, scrape and other terms", lambda: _words(app))
    yield SystemCommand("Rescan", "Scan the hosts again", app.stack_session.rescan)
    yield SystemCommand("Change theme", "Dark, light, high contrast and more", app.search_themes)
    for words, theme in THEME_WORDS:
        yield SystemCommand(words, "Change the theme", partial(app.use_theme, theme.name), discover=False)
    for words in ("Change colours", "Change colors", "Appearance"):
        yield SystemCommand(words, "Change the theme", app.search_themes, discover=False)
    yield SystemCommand("Quit", "Close Firescreen", lambda: app.call_later(app.action_quit))


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
