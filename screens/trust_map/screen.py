"""The trust map page: clients and servers, the certificate that each side presents, and the probes' outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.base_screen import Page
from screens.routes import MapView
from screens.state_styles import describe_error
from screens.trust_map.canvas import connection_text, order_arrows, summary
from screens.trust_map.graph import TrustGraph
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from screens.run_state import RunState
    from wizard.model import Arrow, Attempt

WORDS = {
    MapView.PLAN: "As it will be once the plan is applied; nothing is probed yet.",
    MapView.RUN: "As the last verification found it.",
    MapView.NOW: "As it is now, probed just now.",
}


class TrustMapPage(Page):
    """Draws the connections between the components.

    Args:
        view: which connections are shown.
        arrows: the plan's connections, for that view.
    """

    PLACE = "Trust map"
    HELP = """\
Clients are on the left, servers on the right, in a box for each host. An arrow is a connection:

━━▶  encrypted: the server shows a certificate, and the client checks it
╌╌▶  not encrypted: others on the network can read the traffic

✓ verified      the probe of this connection succeeded
✗ failed        the probe failed; Enter shows why
● unprotected   no TLS
· not probed    no probe was made

'cert' means that the client shows a certificate too, 'password' that it sends a user name and password. The arrow \
keys select a connection; the text below says what each side shows, and what it is checked against. Enter shows its \
probe in detail."""

    CSS = """
    TrustMapPage #verdict { padding: 0 2; height: auto; }
    TrustMapPage #map, TrustMapPage #frame { height: 1fr; }
    TrustMapPage #selected { height: 9; }
    TrustMapPage #detail { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "inside", "Details"),
        Binding("r", "again", "Probe again", tooltip="Run the probes again; changes nothing"),
        Binding("pagedown", "turn(1)", "Scroll down", show=False),
        Binding("pageup", "turn(-1)", "Scroll up", show=False),
    ]

    def __init__(self, view: MapView, arrows: tuple[Arrow, ...] = ()) -> None:
        super().__init__()
        self._view, self._arrows = view, order_arrows(arrows)
        self._attempts: dict[str, Attempt] = {}

    def body(self) -> ComposeResult:
        """Yields the verdict, the map, and the selected connection."""
        yield Prose("", id="verdict", markup=False)
        with Panel(title="Clients and servers", id="map"), VerticalScroll(id="frame", can_focus=False):
            yield TrustGraph()
        yield Panel(Prose("", id="detail", markup=False), title="Connection", id="selected")

    def show_run(self, state: RunState) -> None:
        """Draws the connections and the outcomes so far."""
        if self._view is not MapView.PLAN:
            self._arrows = order_arrows(state.arrows)
            self._attempts = {attempt.probe.id: attempt for attempt in state.attempts}
        scene = self.query_one(TrustGraph)
        scene.attempts = self._attempts
        scene.arrows = self._arrows
        self.query_one("#verdict", Static).update(self._verdict(state))
        self._tell()
        self.refresh_bindings()

    def _verdict(self, state: RunState) -> Content:
        asking = self._view is not MapView.PLAN and state.busy
        if not self._arrows:
            if asking:
                return Content.assemble(("▸ ", "bold $primary"), "finding the connections…")
            if self._view is not MapView.PLAN and state.error is not None:
                return describe_error(state.error)
            return Content("No component of this stack connects to another.")
        words = "probing each connection…" if asking else WORDS[self._view]
        lead = Content.styled(words, "$quiet")
        return Content("\n").join([summary(self._arrows, self._attempts), lead])

    def on_resize(self) -> None:
        """Fits the paths to the width."""
        if self._arrows and self.is_open:
            self._tell()

    def on_trust_graph_chosen(self) -> None:
        """Shows another connection."""
        self._tell()

    def on_trust_graph_opened(self) -> None:
        """Does the same as Enter."""
        self.action_inside()

    def _tell(self) -> None:
        arrow = self.query_one(TrustGraph).arrow
        width = self.app.size.width - 4
        words = connection_text(arrow, self._attempts.get(arrow.probe), width=width) if arrow else Content("")
        self.query_one("#detail", Static).update(words)
        if arrow:
            hosts = dict.fromkeys((arrow.client_host, arrow.server_host))
            stack_hosts = self.firescreen.session.hosts
            self.set_hosts(tuple(host for host in hosts if host in stack_hosts) or stack_hosts)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the actions that make sense now."""
        if action == "again":
            return self._view is not MapView.PLAN and not self.firescreen.runs.working
        return True

    def action_inside(self) -> None:
        """Shows the probe of the selected connection in detail."""
        arrow = self.query_one(TrustGraph).arrow
        attempt = self._attempts.get(arrow.probe) if arrow else None
        if attempt is None:
            self.app.notify("This connection has not been probed.")
            return
        from screens.dialogs.attempt import AttemptDialog

        self.app.push_screen(AttemptDialog(attempt))

    def action_again(self) -> None:
        """Runs the probes again."""
        self._view = MapView.NOW
        self.firescreen.runs.probe_connections()

    def open_trust_map(self) -> None:
        """Does nothing: the map is already open."""

    def action_turn(self, pages: int) -> None:
        """Scrolls the map by a page."""
        frame = self.query_one("#frame", VerticalScroll)
        frame.scroll_relative(y=pages * max(frame.size.height - 1, 1), animate=False)

    def action_back(self) -> None:
        """Goes back to the screen that opened this one; probes that still run for it are stopped."""
        if self._view is MapView.NOW and self.firescreen.runs.working:
            self.firescreen.runs.cancel()
        self.app.pop_screen()
