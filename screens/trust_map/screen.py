"""The trust picture: who asks whom, who shows which certificate, who checks it against what; and whether it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.base_screen import Page
from screens.dialogs.error import describe
from screens.trust_map.canvas import ordered, summary, told
from screens.widgets.trust_graph import Scene

if TYPE_CHECKING:
    from screens.state import RunState
    from wizard.model import Arrow, Attempt

WORDS = {
    "plan": "As it will be once the plan is applied; nothing of it is asked yet.",
    "run": "As the last proof found it.",
    "now": "As it is now, asked just now.",
}


class TrustPage(Page):
    """Screen 7 of the storyboard.

    Args:
        view: 'plan' draws `arrows` as they will be; 'run' the run in hand with its answers; 'now' the same for
            questions that were asked for this picture.
        arrows: those of the plan; unused otherwise.
    """

    PLACE = "Trust picture"
    HELP = """\
Left stand the programs that ask, right those that answer, in a box for each host. An arrow is a connection:

━━▶  encrypted: the server shows a certificate, and the client checks it
╌╌▶  plain: whoever is on the way reads along, and may answer in the server's place

✓ proven          the connection was made just so, and got through
✗ does not hold   it ended otherwise; Enter says how
● open            nothing protects it
· not asked yet   nobody has tried it

'cert' says that the client shows a certificate too, 'password' that it logs in. The arrow keys choose a \
connection; beneath stands who shows what, and what it is checked against. Enter looks inside its request."""

    CSS = """
    TrustPage #verdict { padding: 1 2 0 2; height: auto; }
    TrustPage #frame { height: 1fr; padding: 0 2; margin: 1 0 0 0; }
    TrustPage #detail { height: 9; padding: 0 2; border-top: solid $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "inside", "Look inside"),
        Binding("r", "again", "Ask again", tooltip="Make the requests again; changes nothing"),
        Binding("pagedown", "turn(1)", "Scroll down", show=False),
        Binding("pageup", "turn(-1)", "Scroll up", show=False),
    ]

    def __init__(self, view: str, arrows: tuple[Arrow, ...] = ()) -> None:
        super().__init__()
        self._view, self._arrows = view, ordered(arrows)
        self._attempts: dict[str, Attempt] = {}

    def body(self) -> ComposeResult:
        """Verdict, picture, the arrow in hand."""
        yield Static("", id="verdict", markup=False)
        with VerticalScroll(id="frame", can_focus=False):
            yield Scene()
        yield Static("", id="detail", markup=False)

    def show_run(self, state: RunState) -> None:
        """Draws what is known by now."""
        if self._view != "plan":
            self._arrows = ordered(state.arrows)
            self._attempts = {attempt.probe.id: attempt for attempt in state.attempts}
        scene = self.query_one(Scene)
        scene.attempts = self._attempts
        scene.arrows = self._arrows
        self.query_one("#verdict", Static).update(self._verdict(state))
        self._tell()
        self.refresh_bindings()

    def _verdict(self, state: RunState) -> Content:
        asking = self._view != "plan" and state.busy
        if not self._arrows:
            if asking:
                return Content.assemble(("▸ ", "bold $primary"), "finding out who asks whom…")
            if self._view != "plan" and state.trouble is not None:
                return describe(state.trouble)
            return Content("Nobody of this stack asks anybody.")
        words = "asking each of them…" if asking else WORDS[self._view]
        lead = Content.styled(words, "$quiet")
        return Content("\n").join([summary(self._arrows, self._attempts), lead])

    def on_resize(self) -> None:
        """More of a path fits now, or less."""
        if self._arrows and self.standing:
            self._tell()

    def on_scene_chosen(self) -> None:
        """Another arrow is in hand."""
        self._tell()

    def on_scene_opened(self) -> None:
        """The mouse does the same as Enter."""
        self.action_inside()

    def _tell(self) -> None:
        arrow = self.query_one(Scene).arrow
        width = self.app.size.width - 4
        words = told(arrow, self._attempts.get(arrow.probe), width=width) if arrow else Content("")
        self.query_one("#detail", Static).update(words)
        if arrow:
            hosts = dict.fromkeys((arrow.client_host, arrow.server_host))
            known = self.firescreen.session.hosts
            self.set_hosts(tuple(host for host in hosts if host in known) or known)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what makes sense now."""
        if action == "again":
            return self._view != "plan" and not self.firescreen.runs.working
        return True

    def action_inside(self) -> None:
        """The request that tests this arrow, from the inside."""
        arrow = self.query_one(Scene).arrow
        attempt = self._attempts.get(arrow.probe) if arrow else None
        if attempt is None:
            self.app.notify("Nobody has asked there yet.")
            return
        from screens.dialogs.attempt import AttemptDialog

        self.app.push_screen(AttemptDialog(attempt))

    def action_again(self) -> None:
        """The same questions once more."""
        from screens.navigation import ask_for_picture

        self._view = "now"
        ask_for_picture(self.firescreen)

    def action_turn(self, pages: int) -> None:
        """A page of the picture."""
        frame = self.query_one("#frame", VerticalScroll)
        frame.scroll_relative(y=pages * max(frame.size.height - 1, 1), animate=False)

    def action_back(self) -> None:
        """To the screen that opened this one; what is still being asked for it is let be."""
        if self._view == "now" and self.firescreen.runs.working:
            self.firescreen.runs.cancel()
        self.app.pop_screen()
