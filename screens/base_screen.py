"""The base of every full screen: title bar, keys at the bottom, help, and the key that goes back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from screens.state_styles import place
from screens.themes import NO_HOST, host_colours
from screens.widgets.key_footer import KeyFooter
from screens.widgets.notice_bar import NoticeBar
from screens.widgets.title_bar import Stage, TitleBar

if TYPE_CHECKING:
    from textual.binding import ActiveBinding

    from screens.interface import Wizard
    from screens.run_state import RunState
    from screens.state import Notices, Session


SCROLL_KEYS = (
    Binding("pagedown", "scroll_text(1)", "Scroll down", show=False, priority=True),
    Binding("pageup", "scroll_text(-1)", "Scroll up", show=False, priority=True),
)
"""The scroll keys of a page with a list and a text beside it."""
FOOTER_KEYS = 6
"""How many keys the footer shows; the help lists all."""
NOT_OURS = {"app.focus_next", "app.focus_previous", "screen.copy_text"}
"""Keys that every Textual program has; they are left out of a screen's help."""


class Page(Screen[None]):
    """Base of the full screens.

    The title bar shows `PLACE`, or the stages from scan to verification if the page has a `STAGE`; `HELP` is the text
    that `?` shows above the list of keys. A page that shows the run or the session overrides `show_run` or
    `show_session`; both are also called once when the page mounts.
    """

    PLACE: ClassVar[str] = ""
    STAGE: ClassVar[Stage | None] = None
    HELP: ClassVar[str] = ""
    AUTO_FOCUS = "*"
    SCROLLED: ClassVar[str] = "#detail"
    """Selector of the widget that `SCROLL_KEYS` scroll."""
    HAS_NOTICES: ClassVar[bool] = False
    """Whether the page shows notices of an interrupted run and of practice below its title bar."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", show=True),
        Binding("question_mark,f1", "help", "Help", key_display="?", show=True),
        Binding("i", "recover_interrupted", show=False),
    ]

    @property
    def firescreen(self) -> Wizard:
        """Returns the app with its own type."""
        return cast("Wizard", self.app)

    def compose(self) -> ComposeResult:
        """Yields the frame around `body`."""
        bar = TitleBar()
        bar.place, bar.stage = self.PLACE, self.STAGE
        yield bar
        if self.HAS_NOTICES:
            yield NoticeBar()
        yield from self.body()
        yield KeyFooter(show_command_palette=False)

    def body(self) -> ComposeResult:
        """Yields the widgets between the title bar and the keys."""
        yield from ()

    def on_mount(self) -> None:
        """Draws the current state, and follows its changes.

        Textual calls this after the `on_mount` of the page's own class: no page calls it itself.
        """
        self.watch(self.app, "session", self._follow_session)
        self.watch(self.app, "run_state", self._follow_run)
        self.watch(self.app, "notices", self._follow_notices)

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """Returns the keys that work now; keys that every page has come last, in the footer and in the help."""
        found = super().active_bindings
        for key in ("left", "right", "question_mark", "f1", "escape"):
            if key in found:
                found[key] = found.pop(key)
        shown = dict.fromkeys(each.binding.action for each in found.values() if each.binding.show)
        last = [action for action in shown if action in ("help", "back")]
        first = sorted((action for action in shown if action not in last), key=self.footer_rank)
        kept = {*first[: FOOTER_KEYS - len(last)], *last}
        return {
            key: each
            if each.binding.action in kept
            else each._replace(binding=replace(each.binding, show=False))
            for key, each in found.items()
        }

    def action_scroll_text(self, pages: int) -> None:
        """Scrolls the text by a page."""
        for text in self.query(self.SCROLLED):
            text.scroll_relative(y=pages * max(text.size.height - 1, 1), animate=False)

    def footer_rank(self, action: str) -> int:
        """Returns how early the footer drops an action if there are too many: the highest first, then the last."""
        del action
        return 0

    @property
    def is_open(self) -> bool:
        """Returns whether the page is open: a closed page loses its widgets a moment before it is notified."""
        return self in self.app.screen_stack and not self.firescreen.leaving

    def _follow_session(self, session: Session) -> None:
        if self.is_open:
            self.set_hosts(session.hosts)
            for bar in self.query(NoticeBar):
                bar.show(self.firescreen.notices, session)
            self.show_session(session)

    def _follow_run(self, state: RunState) -> None:
        if self.is_open:
            self.show_run(state)

    def _follow_notices(self, notices: Notices) -> None:
        if self.is_open:
            for bar in self.query(NoticeBar):
                bar.show(notices, self.firescreen.session)
            self.show_notices(notices)

    def on_notice_bar_pressed(self, event: NoticeBar.Pressed) -> None:
        """Does the same as the key that the notice names."""
        event.stop()
        self.action_recover_interrupted()

    def action_recover_interrupted(self) -> None:
        """Offers to roll back the interrupted run, if the page shows its notice."""
        from screens.navigation.recovery import offer_recovery

        run = self.firescreen.notices.interrupted
        if self.HAS_NOTICES and run is not None and not self.firescreen.runs.working:
            offer_recovery(self.firescreen, run)

    def set_place(self, place: str, stage: Stage | None = None) -> None:
        """Sets the page's name in the title bar, or its stage from scan to verification."""
        bar = self.query_one(TitleBar)
        bar.place, bar.stage = place, stage

    def on_title_bar_stage_chosen(self, event: TitleBar.StageChosen) -> None:
        """Goes back to the page of a finished stage; Escape goes back one page at a time."""
        pages = [page for page in self.app.screen_stack if isinstance(page, Page)]
        if self.firescreen.runs.working:
            self.app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
        elif event.stage is Stage.SCAN:
            self.firescreen.go_home()
        elif any(page.STAGE is event.stage for page in pages):
            while isinstance(self.app.screen, Page) and self.app.screen.STAGE is not event.stage:
                self.app.pop_screen()
        else:
            self.app.notify("The plan was applied: choose again, and a new plan is made.")

    def set_hosts(self, names: tuple[str, ...]) -> None:
        """Shows hosts in the title bar, each in its own colour."""
        session = self.firescreen.session
        bar = self.query_one(TitleBar)
        colours = host_colours(session.hosts)
        local = (
            {host.name for host in session.stack.hosts if host.connect == "local"} if session.stack else set()
        )
        bar.lead = "practice" if session.place == "practice" else ""
        bar.hosts = tuple(
            ("this machine" if name in local else place(name), colours.get(name, NO_HOST)) for name in names
        ) or (("this machine" if session.place == "here" else "no host yet", NO_HOST),)

    def show_session(self, session: Session) -> None:
        """Draws the current stack."""

    def show_notices(self, notices: Notices) -> None:
        """Takes the notices of what others did in the workspace."""

    def show_run(self, state: RunState) -> None:
        """Draws the current run."""

    def action_back(self) -> None:
        """Goes back to the screen that opened this one."""
        self.app.pop_screen()

    def ask_to_leave(self) -> bool:
        """Asks on the page itself whether to stop the run and close the wizard; False if a dialog has to ask."""
        return False

    def open_trust_map(self) -> None:
        """Opens the trust map of the page's connections: the present connections by default."""
        self.firescreen.open_menu_entry("trust")

    def action_help(self) -> None:
        """Opens the help of this screen."""
        from screens.dialogs.help import HelpDialog

        self.app.push_screen(HelpDialog(self.PLACE or "Firescreen", self.HELP, keys_of(self)))


def keys_of(page: Page) -> tuple[tuple[str, str], ...]:
    """Returns (key, description) of all keys that work on a page now, hidden ones included."""
    found: dict[str, str] = {}
    for active in page.active_bindings.values():
        binding = active.binding
        if binding.action in NOT_OURS:
            continue
        if active.enabled and binding.description and (active.node is page or active.node is page.app):
            found.setdefault(page.app.get_key_display(binding), binding.tooltip or binding.description)
    return tuple(found.items())
