"""The commands of the palette: every part of Firescreen, from any screen, by the words that people type for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from textual.app import SystemCommand
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from screens import themes
from screens.base_screen import Page
from screens.navigation.pictures import save_picture
from screens.navigation.renewal import renew
from screens.navigation.stack_files import write_stack_file
from screens.navigation.upkeep_timer import install_timer
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
"""Words that find the themes in the palette, besides 'theme'."""


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the palette; `also` are other words that find it, listed only if they are typed."""

    title: str
    help: str
    run: Callable[[], None]
    also: tuple[str, ...] = ()


def commands(app: Wizard) -> Iterable[SystemCommand]:
    """Yields the commands that Ctrl+P lists."""
    for each in (
        *_stacks(app),
        *_replacements(app),
        *_parts(app),
        *_runs(app),
        *_texts(app),
        *_pictures(app),
    ):
        yield SystemCommand(each.title, each.help, each.run)
        for words in each.also:
            yield SystemCommand(words, f"{each.title}: {each.help}", each.run, discover=False)
    themed = {theme.name: partial(app.use_theme, theme.name) for _, theme in THEME_WORDS}
    for words, theme in THEME_WORDS:
        yield SystemCommand(words, "Change the theme", themed[theme.name], discover=False)


class Palette(Provider):
    """The commands, each listed once even if several of its words match the input."""

    async def discover(self) -> Hits:
        """Yields all commands before anything is typed."""
        for title, help_text, run, listed in sorted(
            self.app.get_system_commands(self.screen), key=lambda each: each.title
        ):
            if listed:
                yield DiscoveryHit(title, run, help=help_text)

    async def search(self, query: str) -> Hits:
        """Yields the commands that match the input, each by the best of its words."""
        matcher = self.matcher(query)
        best: dict[Any, tuple[float, str]] = {}
        shown: dict[Any, SystemCommand] = {}
        for each in self.app.get_system_commands(self.screen):
            own = shown.setdefault(each.callback, each)
            score = matcher.match(each.title)
            # If both match equally well, the command's own title is used, because that is the text people read.
            if score > best.get(own.callback, (0.0, ""))[0]:
                best[own.callback] = (score, each.title)
        for run, (score, words) in best.items():
            own = shown[run]
            text = matcher.highlight(words) if words == own.title else Content(own.title)
            also = "" if words == own.title else f" ({words})"
            yield Hit(score, text, run, text=own.title, help=f"{own.help}{also}")


def _stacks(app: Wizard) -> Iterable[Command]:
    """Yields the commands for choosing hosts and practising."""
    yield Command(
        "Secure",
        "Choose levels, review every change, then apply",
        lambda: app.open_menu_entry("secure"),
        (
            "Protect",
            "Enable TLS",
            "Encrypt",
            "Basic auth",
            "Mutual TLS",
            "Front door",
            "Reverse proxy",
            "nginx",
            "Apache",
            "Caddy",
            "HAProxy",
            "Sign in",
            "OpenID Connect",
            "Docker Compose",
        ),
    )
    yield Command(
        "Other hosts",
        "Test hosts and use them",
        lambda: app.open_menu_entry("hosts"),
        ("SSH", "Add a host", "Remote machines"),
    )
    if app.session.place in ("file", "hosts"):
        yield Command(
            "Back to this machine", "The hosts stay as they are", lambda: app.open_menu_entry("leave")
        )
    if app.session.place == "practice":
        yield Command(
            "Back to this machine", "The practice stack keeps running", lambda: app.open_menu_entry("leave")
        )
        yield Command(
            "End practice",
            "Stop the programs, remove their folders",
            lambda: app.open_menu_entry("stop"),
            ("Stop practice", "Remove the practice stack"),
        )
        return
    yield Command(
        "Practise",
        "Start and open the practice stack",
        lambda: app.open_menu_entry("practise"),
        ("Practice stack", "Playground", "Demo", "Try it"),
    )
    yield Command(
        "Practise with the whole stack",
        "Five components that use each other",
        lambda: app.open_menu_entry("whole"),
    )


def _replacements(app: Wizard) -> Iterable[Command]:
    """Yields the commands that replace certificates, the CA or passwords in use; each opens a plan first."""
    yield Command(
        "Renew certificates",
        "A plan that replaces every certificate; the CA stays",
        lambda: renew(app, "certificates"),
        ("Expiring certificates", "Expired", "Replace certificates", "Rotate certificates"),
    )
    yield Command(
        "Renew by a timer",
        "A plan that installs a timer; it renews what is due",
        lambda: install_timer(app),
        ("Renew automatically", "Automatic renewal", "Upkeep", "systemd timer", "Cron", "Schedule"),
    )
    yield Command(
        "Change the password",
        "A plan with a new generated password on all hosts",
        lambda: renew(app, "passwords"),
        ("Rotate the password", "New password", "Replace the password", "Credentials"),
    )
    yield Command(
        "Rotate the CA",
        "A plan with a new CA and new certificates",
        lambda: renew(app, "ca"),
        ("Rotate CA", "Replace the CA", "New CA", "Renew the CA", "Certificate authority"),
    )


def _parts(app: Wizard) -> Iterable[Command]:
    yield Command(
        "Trust map",
        "Who connects to whom, and what each side checks",
        lambda: _trust_map(app),
        ("Connections", "Graph"),
    )
    yield Command(
        "Log in by token",
        "OAuth2 or a bearer token for jobs, remote_write, Alertmanager",
        lambda: app.open_menu_entry("logins"),
        (
            "OAuth2",
            "Bearer token",
            "Client credentials",
            "Token URL",
            "Authorization header",
            "Prometheus logs in",
        ),
    )
    yield Command(
        "Follow a lab",
        "Type every step yourself, checked as you go",
        lambda: app.open_menu_entry("lab"),
        ("Learn", "Exercises", "Tutorial", "Training"),
    )
    yield Command(
        "Certificates and users",
        "What exists, where, and until when",
        lambda: app.open_menu_entry("inventory"),
        ("Inventory", "Expiry dates", "Private keys", "Passwords"),
    )
    yield Command(
        "Audit",
        "What is open, weak or due, and what fixes it",
        lambda: app.open_menu_entry("audit"),
        ("Findings", "Check the stack", "Score", "Baseline", "Compliance", "Alert rules", "Alerts"),
    )
    yield Command(
        "Probe console",
        "Send one request and see every detail",
        lambda: app.open_page(Route.PROBE_CONSOLE),
        ("Request", "curl", "Test a URL"),
    )
    yield Command(
        "Write a stack file",
        "For commands and CI",
        lambda: write_stack_file(app),
        ("Save the stack", "Export the stack", "firescreen.yaml"),
    )
    yield Command("Rescan", "Scan the hosts again", app.stack_session.rescan, ("Refresh", "Reload"))


def _runs(app: Wizard) -> Iterable[Command]:
    """Yields the commands about past runs and their verification."""
    interrupted = app.notices.interrupted
    if interrupted is not None:
        yield Command(
            "Roll back the interrupted run",
            "Or compare its files with those before it",
            lambda: _recover_interrupted_run(app),
            ("Recover", "Recovery"),
        )
    yield Command(
        "Verify",
        "Probe every component again; changes nothing",
        lambda: _verify(app),
        ("Verification", "Run the probes", "Test the protection"),
    )
    yield Command(
        "History",
        "Past runs, their reports, undo",
        lambda: app.open_menu_entry("history"),
        (
            "Undo a run",
            "Rollback",
            "Roll back a run",
            "Revert",
            "Journal",
            "Report of a run",
            "Drift",
            "What changed",
        ),
    )


def _texts(app: Wizard) -> Iterable[Command]:
    yield Command(
        "Explain an error",
        "Paste an error, read its cause",
        lambda: _explain(app),
        ("Diagnosis", "Troubleshoot", "What does this message mean"),
    )
    yield Command("Help", "This screen and its keys", lambda: _help(app), ("Keys", "Shortcuts"))
    yield Command("Manual", "Every topic, to read here", lambda: _manual(app), ("Documentation", "Docs"))
    yield Command(
        "Glossary",
        "CA, SAN, bcrypt, scrape and other terms",
        lambda: _words(app),
        ("Terms", "Words", "Definitions"),
    )


def _pictures(app: Wizard) -> Iterable[Command]:
    yield Command(
        "Change theme",
        "Dark, light, high contrast and more",
        app.search_themes,
        ("Change colours", "Change colors", "Appearance"),
    )
    yield Command(
        "Screenshot as SVG",
        "Save a picture of this screen to the workspace",
        lambda: _picture(app, "svg"),
        ("Save a picture", "Export the screen"),
    )
    yield Command(
        "Screenshot as PNG",
        "The same for a slide; needs rsvg-convert, Inkscape or ImageMagick",
        lambda: _picture(app, "png"),
    )
    yield Command("Quit", "Close Firescreen", lambda: _quit(app), ("Exit", "Close"))


def _explain(app: Wizard) -> None:
    from screens.dialogs.diagnosis import DiagnosisDialog

    app.push_screen(DiagnosisDialog())


def _verify(app: Wizard) -> None:
    exposures = app.session.scan.exposures if app.session.scan is not None else ()
    secured = [each for each in exposures if each.state == "secured"]
    if not secured or len(secured) < sum(each.state != "down" for each in exposures):
        app.notify("Some components are not secured yet: secure them first.")
    elif app.runs.verify():
        app.open_page(Route.VERIFICATION)
    else:
        app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")


def _trust_map(app: Wizard) -> None:
    if isinstance(app.screen, Page):
        app.screen.open_trust_map()
    else:
        app.open_menu_entry("trust")


def _words(app: Wizard) -> None:
    from screens.dialogs.glossary import GlossaryDialog

    app.push_screen(GlossaryDialog())


def _manual(app: Wizard) -> None:
    from screens.dialogs.manual import ManualDialog

    app.push_screen(ManualDialog())


def _help(app: Wizard) -> None:
    if isinstance(app.screen, Page):
        app.screen.action_help()


def _recover_interrupted_run(app: Wizard) -> None:
    from screens.navigation.recovery import offer_recovery

    if app.notices.interrupted is not None:
        offer_recovery(app, app.notices.interrupted)


def _picture(app: Wizard, form: Literal["svg", "png"]) -> None:
    # The palette is still on the screen when its command is run.
    app.call_after_refresh(save_picture, app, form)


def _quit(app: Wizard) -> None:
    app.call_later(app.action_quit)


def theme_commands(app: Wizard) -> Iterable[tuple[str, Callable[[], None], str]]:
    """Yields (name, function that chooses it, help) of each theme: our own, then Textual's by name."""
    own = {theme.name: name for name, theme in OWN_NAMES.items()}
    names = [*own, *sorted(set(app.available_themes) - set(own))]
    for name in names:
        shade = "dark" if app.available_themes[name].dark else "light"
        used = ", in use" if name == app.theme else ""
        yield (own.get(name, name), partial(app.use_theme, name), f"{shade}{used}")
