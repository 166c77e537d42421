"""The first screen: the components on the current hosts, their protection, and the menu.

Its first frame waits for nothing; the rows are filled in when the scan returns them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base_screen import Page
from screens.home.menu import entries, options, recommendation
from screens.home.posture import posture, raised_by
from screens.home.recent import LEAST, recent
from screens.home.stack_rows import brief, columns, details, head, in_order, line, proxy_lines
from screens.routes import Route
from screens.state_styles import EXPOSURE, place
from screens.themes import NO_HOST, host_colours
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from textual.geometry import Size

    from screens.state import Notices, Session
    from wizard.engine import Exposure
    from wizard.model import RunRecord

WIDE = 110
"""From this width (cells) on, the menu is beside the stack."""
ROOMY = 34
"""From so many lines on, the menu beside the stack has two lines for each entry."""
NEXT = 45
"""Width of the menu beside the stack in cells."""


class HomePage(Page):
    """Shows the components and opens every other part."""

    PLACE = "Home"
    HAS_NOTICES = True
    HELP = """\
The rows show what runs and how it answers on the network, not what a configuration file says:

● unprotected   no TLS and no password
◐ partial       some protection is missing
✓ secured       TLS, and clients must authenticate
– no answer     nothing listens at that address

The posture is the share of components that are secured; one with some protection counts half. Tab goes from the menu \
to the rows, where Enter opens the probe console for a component.

This screen changes nothing. 'Practise' starts a Prometheus and a node_exporter on this machine, so that you can try \
everything first: real programs, without root, in the workspace. The whole stack adds an Alertmanager, a Pushgateway \
and a blackbox_exporter."""

    AUTO_FOCUS = "#menu"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("s", "choose('secure')", "Secure", show=False),
        Binding("p", "choose('practise')", "Practise", show=False),
        Binding("w", "choose('whole')", "Practise with the whole stack", show=False),
        Binding("t", "choose('trust')", "Trust map", show=False),
        Binding("g", "choose('logins')", "Log in by token: OAuth2, bearer tokens", show=False),
        Binding("l", "choose('lab')", "Follow a lab", show=False),
        Binding("c", "choose('inventory')", "Certificates and users", show=False),
        Binding("h", "choose('history')", "History", show=False),
        Binding("f", "choose('audit')", "Audit: findings", show=False),
        Binding("o", "choose('hosts')", "Other hosts", show=False),
        Binding("b", "choose('leave')", "Back to this machine", show=False),
        Binding("e", "choose('stop')", "End practice", show=False),
        Binding("r", "rescan", "Rescan"),
        Binding("x", "explain", "Explain", tooltip="What an error message means, and what to do"),
        Binding("a", "probe", "Probe", tooltip="Open the probe console: one request in every detail"),
        Binding("ctrl+p", "app.command_palette", "Commands", key_display="^p"),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self) -> None:
        # Set from the start: adding a class later would restyle the whole page before its first frame.
        super().__init__(classes="-empty")
        self._menu: tuple[str, ...] = ()
        self._drawn: object = None
        self._drawn_for: Size | None = None
        self._waits: tuple[str, float] = ("", 0.0)
        """What the page waits for, and since when."""
        self._exposures: tuple[Exposure, ...] = ()
        self._shown: tuple[Exposure, ...] = ()
        self._text = Prose("", id="text", markup=False)
        self._recent = Prose("", markup=False)
        self._runs: tuple[RunRecord, ...] | None = None
        self._runs_at: object = None
        """The journals' state when the runs were read; None before the first scan: reading imports the engine."""
        self._lines = 15
        """Lines of the selected component's details, with their border."""

    def body(self) -> ComposeResult:
        """Yields the posture on top, the stack, and the menu beside or below it."""
        # Before the parts are styled: Textual sets the class of the width afterwards, and restyles all parts.
        self.add_class("-wide" if self.app.size.width >= WIDE else "-narrow", update=False)
        yield Panel(
            Prose("▸ scanning this machine…", id="verdict", markup=False), title="Posture", id="posture"
        )
        with Vertical(id="panes"):
            with Vertical(id="left"), Panel(title="Components", id="stack"):
                yield Prose("", id="head", markup=False)
                yield OptionList(id="rows", markup=False)
                yield Prose("", id="brief", markup=False)
            with Panel(title="What to do next", id="next"):
                yield OptionList(id="menu", markup=False)

    def on_mount(self) -> None:
        """Updates every second how long the page has been waiting."""
        self.set_interval(1.0, self._tick)

    def show_session(self, session: Session) -> None:
        """Shows the present state of the session."""
        self._exposures = session.scan.exposures if session.scan else ()
        stack = self.query_one("#stack", Panel)
        stack.set_title(_title(session))
        if self._runs_at is None and session.scan is not None:
            self._read_runs(self.firescreen.notices)
        self._draw()

    def show_notices(self, notices: Notices) -> None:
        """Counts the finished labs, and reads the runs whenever any process has made or undone one."""
        if self._drawn is not None:
            self._fill_menu(self.firescreen.session)
        if self._runs_at is not None and notices.runs != self._runs_at:
            self._read_runs(notices)

    def _read_runs(self, notices: Notices) -> None:
        self._runs_at = notices.runs
        self.firescreen.ask(self.firescreen.client.history, self._have_runs)

    def _have_runs(self, records: tuple[RunRecord, ...]) -> None:
        self._runs = records
        self._draw_recent()

    def _draw_recent(self) -> None:
        """Shows the last runs below the details, if a large terminal has room for them."""
        if not self.is_open or self._runs is None or self.firescreen.session.scan is None:
            return
        size = self.app.size
        wide = size.width >= WIDE
        listed = self.query_one("#rows", OptionList).option_count
        used = min(listed + 3, size.height // 2) + self._lines if self._shown else 8
        room = size.height - 6 - used
        shown = wide and room >= LEAST
        if not self.query("#recent"):
            if not shown:
                return
            self.query_one("#left").mount(Panel(self._recent, id="recent"))
        panel = self.query_one("#recent", Panel)
        panel.display = shown
        for pane in self.query("#details"):
            pane.styles.height = self._lines if shown else "1fr"
        if not self._shown:
            self.query_one("#stack").styles.height = "auto" if shown else "1fr"
        title, subtitle, text = recent(self._runs, size.width - NEXT - 7, room - 2, levels=not self._shown)
        panel.set_title(title)
        panel.set_subtitle(subtitle)
        self._recent.update(text)

    def on_resize(self) -> None:
        """Fits the columns to the width."""
        if self.is_open and self._drawn is not None and self._drawn_for != self.app.size:
            self._draw()

    def _draw(self) -> None:
        self._drawn_for = self.app.size
        session, width = self.firescreen.session, self.app.size.width
        self.query_one("#verdict", Static).update(posture(session, width - 4))
        if session.busy != self._waits[0]:
            self._waits = (session.busy, time.monotonic())
        raised = "" if session.error else raised_by(self._exposures, width - 8)
        self.query_one("#posture", Panel).set_subtitle(self._waiting_text() if session.busy else raised)
        self._fill_rows()
        self._fill_menu(session)
        self._draw_recent()

    def _waiting_text(self) -> str:
        """Returns how long the page has been waiting, and the key that stops waiting."""
        here = self.firescreen.session.place == "here"
        return f"for {time.monotonic() - self._waits[1]:.0f} s" + ("" if here else " · b leaves it")

    def _tick(self) -> None:
        if self.is_open and self.firescreen.session.busy:
            self.query_one("#posture", Panel).set_subtitle(self._waiting_text())

    def _fill_rows(self) -> None:
        """Draws the components for the present size and keeps the selection."""
        listed, session = self.query_one("#rows", OptionList), self.firescreen.session
        wide = self.app.size.width >= WIDE
        rows = in_order(self._exposures, max(self.app.size.height - (20 if wide else 17), 4))
        several = (len(session.stack.hosts) if session.stack else 1) > 1 or len(
            {row.host for row in rows}
        ) > 1
        width = self.app.size.width - (NEXT + 7 if wide else 7)
        cells = columns(rows, width, several=several)
        self.query_one("#head", Static).update(head(cells) if rows else "")
        before = self._shown[listed.highlighted].key if listed.highlighted is not None and self._shown else ""
        self._shown = rows
        keys = [row.key for row in rows]
        hosts = ["", *(row.host for row in rows)]
        colours = host_colours(session.hosts)
        proxies = proxy_lines(
            session.scan.proxies if session.scan and rows else (), cells, colours, above=hosts[-1]
        )
        listed.set_options(
            [
                Option(
                    line(
                        row,
                        cells,
                        chip=colours.get(row.host, NO_HOST) if row.host != hosts[place] else "",
                        no_color=self.app.no_color,
                    )
                )
                for place, row in enumerate(rows)
            ]
            + [Option(each, disabled=True) for each in proxies]
        )
        self.query_one("#stack").styles.height = (
            min(len(rows) + len(proxies) + 3, self.app.size.height // 2) if wide and rows else "1fr"
        )
        listed.highlighted = (keys.index(before) if before in keys else 0) if rows else None
        self.set_class(not rows, "-empty")
        if not rows:
            self._tell(None)

    def _fill_menu(self, session: Session) -> None:
        roomy = self.app.size.width >= WIDE and self.app.size.height >= ROOMY
        ids = entries(session)
        labs = self.firescreen.notices.labs
        # In a small terminal, the components have precedence over the menu.
        free = self.app.size.height - 11 - min(len(self._exposures), 7) - len(ids)
        without = frozenset() if roomy or free >= 0 else frozenset({"logins"})
        drawn = (ids, recommendation(session), roomy, session.place, labs, without)
        if drawn == self._drawn:
            return
        menu = self.query_one("#menu", OptionList)
        moved = self._menu != ids
        before = menu.highlighted_option.id if menu.highlighted_option and not moved else ids[0]
        self._drawn, self._menu = drawn, ids
        listed = options(session, roomy=roomy, labs=labs, without=without)
        menu.set_options(listed)
        there = any(option.id == before for option in listed)
        menu.highlighted = menu.get_option_index(before if before and there else ids[0])

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows the details of another component."""
        if event.option_list.id == "rows" and event.option_index < len(self._shown):
            self._tell(self._shown[event.option_index])

    def _tell(self, row: Exposure | None) -> None:
        nothing = _empty_text(self.firescreen.session)
        self.query_one("#brief", Static).update("" if row else nothing)
        wide = self.app.size.width >= WIDE
        subtitle = _counts(self._exposures) if wide or row is None else brief(row)
        self.query_one("#stack", Panel).set_subtitle(subtitle)
        if row is None or not wide:
            return
        if not self.query("#details"):  # the first frame is drawn without the details
            from textual.containers import VerticalScroll

            pane = Panel(VerticalScroll(self._text, can_focus=False), id="details")
            self.query_one("#left").mount(pane, after="#stack")
        self.query_one("#details", Panel).set_title(f"{row.key.partition('/')[2]} on {place(row.host)}")
        text = details(row, self.app.size.width - NEXT - 5, no_color=self.app.no_color)
        self._lines = text.plain.count("\n") + 3
        self._text.update(text)
        self._draw_recent()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Opens the chosen entry, or the probe console for a component."""
        if event.option_list.id == "menu":
            self.action_choose(event.option_id or "")
        elif event.option_index < len(self._shown):
            self._probe(self._shown[event.option_index])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers the keys of the present menu."""
        return action != "choose" or parameters[0] in self._menu

    def action_choose(self, name: str) -> None:
        """Opens a part of Firescreen by its name in the menu."""
        self.firescreen.open_menu_entry(name)

    def action_explain(self) -> None:
        """Opens the dialog that explains a pasted error message."""
        from screens.dialogs.diagnosis import DiagnosisDialog

        self.app.push_screen(DiagnosisDialog())

    def action_probe(self) -> None:
        """Opens the probe console."""
        self.firescreen.open_page(Route.PROBE_CONSOLE)

    def _probe(self, row: Exposure) -> None:
        """Opens the probe console for a component."""
        from wizard.model import Probe

        probe = Probe(
            id=f"console/{row.key}",
            host=row.host,
            component=row.component,
            unit=row.instance,
            name="",
            client="",
            expect="200",
            url=f"{'https' if row.tls else 'http'}://{row.address}/metrics",
        )
        self.firescreen.open_page(Route.PROBE_CONSOLE, probe)

    def action_rescan(self) -> None:
        """Scans the hosts again."""
        self.firescreen.stack_session.rescan()

    def action_back(self) -> None:
        """Does nothing: there is no screen behind this one; `q` closes."""


def _title(session: Session) -> str:
    return {
        "here": "Components on this machine",
        "practice": "Components of the practice stack",
        "file": "Components on the hosts of this stack",
        "hosts": "Components on your hosts",
    }[session.place]


def _counts(rows: tuple[Exposure, ...]) -> Content:
    """Returns how many components are in each state, for the panel's lower border."""
    parts = []
    for state, (sign, word, colour) in EXPOSURE.items():
        count = sum(row.state == state for row in rows)
        if count:
            parts.append(Content.styled(f"{sign} {count} {word}", colour))
    return Content(" · ").join(parts)


def _empty_text(session: Session) -> Content:
    """Returns the text that replaces the details if nothing was found."""
    if session.busy or session.error or session.scan is None:
        return Content("")
    return Content.styled(
        "Nothing runs here yet. 'Practise' (p) starts a Prometheus and a node_exporter of its own on this machine: "
        "real programs, without root, gone again with one key. 'Other hosts' (o) connects over SSH.",
        "$quiet",
    )
