"""The first screen: what runs on the current hosts, how it is protected, and the menu.

Its first frame waits for nothing; the rows are filled in when the scan has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base_screen import Page
from screens.home.exposure_table import ExposureTable
from screens.routes import Route
from screens.state_styles import fit, inline

if TYPE_CHECKING:
    from screens.state import Session
    from wizard.engine import Scan
    from wizard.model import Finding

# name: (key, title, what it is for)
MENU = {
    "secure": ("s", "Secure this machine", "choose, review every change, then apply"),
    "practise": ("p", "Practise", "real programs; your services stay as is"),
    "whole": ("w", "Practise with the whole stack", "five components that use each other"),
    "trust": ("t", "Trust map", "who connects to whom, what each checks"),
    "lab": ("l", "Follow a lab", "type it yourself, checked as you go"),
    "holdings": ("c", "Certificates and users", "what exists, where, and until when"),
    "history": ("h", "History", "past runs, what they changed; undo"),
    "hosts": ("o", "Other hosts", "over SSH and in containers"),
    "leave": ("b", "Back to this machine", "your hosts stay as they are"),
}
PRACTISING = {
    "secure": ("s", "Secure the practice stack", "choose, review every change, then apply"),
    "whole": ("w", "Practise with the whole stack", "three more components join these two"),
    "leave": ("b", "Back to this machine", "the practice stack keeps running"),
    "stop": ("e", "End practice", "stops its programs, removes its folders"),
}


WHOLE = 5
"""Components of the whole practice stack."""
REMARKS = 3
"""Lines for the remarks of the scan."""


class HomePage(Page):
    """Shows the components and opens every other part."""

    PLACE = "Home"
    HAS_NOTICES = True
    HELP = """\
The table shows what runs and how it answers on the network, not what a configuration file says:

● unprotected   no TLS and no password
◐ partial       some protection is missing
✓ secured       TLS, and clients must authenticate
– no answer     nothing listens at that address

This screen changes nothing. 'Practise' starts a Prometheus and a node_exporter on this machine, so that you can try \
everything first: real programs, without root, in the workspace. The whole stack adds an Alertmanager, a Pushgateway \
and a blackbox_exporter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("s", "choose('secure')", "Secure", show=False),
        Binding("p", "choose('practise')", "Practise", show=False),
        Binding("w", "choose('whole')", "Practise with the whole stack", show=False),
        Binding("t", "choose('trust')", "Trust map", show=False),
        Binding("l", "choose('lab')", "Follow a lab", show=False),
        Binding("c", "choose('holdings')", "Certificates and users", show=False),
        Binding("h", "choose('history')", "History", show=False),
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
        super().__init__()
        self._menu: tuple[str, ...] = ()

    def body(self) -> ComposeResult:
        """Table above, menu below."""
        yield Static("Components", classes="heading", id="title")
        yield ExposureTable(id="rows")
        yield Static("  scanning this machine…", id="verdict", markup=False)
        yield OptionList(id="menu", markup=False)

    def show_session(self, session: Session) -> None:
        """Fills in what is known by now."""
        self.query_one("#title", Static).update(_title(session))
        exposures = session.scan.exposures if session.scan else ()
        self.query_one(ExposureTable).rows = exposures
        self.query_one(ExposureTable).hosts = len(session.stack.hosts) if session.stack else 1
        lines = (_verdict(session), *_remarks(session))
        self.query_one("#verdict", Static).update(Content("\n").join(line for line in lines if line.plain))
        self._fill_menu(session)

    def _fill_menu(self, session: Session) -> None:
        ids = _menu(session)
        if ids == self._menu:
            return
        self._menu = ids
        menu = self.query_one(OptionList)
        menu.set_options(Option(_entry(name, session), id=name) for name in ids)
        menu.highlighted = 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Opens what was chosen."""
        self.action_choose(event.option_id or "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The menu's keys are those of the menu as it stands."""
        return action != "choose" or parameters[0] in self._menu

    def action_choose(self, name: str) -> None:
        """Opens a part of Firescreen by its name in the menu."""
        self.firescreen.open_menu_entry(name)

    def action_explain(self) -> None:
        """Explains an error message that is pasted."""
        from screens.dialogs.diagnosis import DiagnosisDialog

        self.app.push_screen(DiagnosisDialog())

    def action_probe(self) -> None:
        """Opens the probe console."""
        self.firescreen.open_page(Route.PROBE_CONSOLE)

    def action_rescan(self) -> None:
        """Scans the hosts again."""
        self.firescreen.stack_session.rescan()

    def action_back(self) -> None:
        """There is nothing behind this screen; `q` leaves."""


def _title(session: Session) -> str:
    return {
        "here": "Components on this machine",
        "practice": "Components of the practice stack",
        "file": "Components on the hosts of this stack",
        "hosts": "Components on your hosts",
    }[session.place]


def _verdict(session: Session) -> Content:
    if session.error:
        error = session.error
        return Content.assemble(("✗ ", "$error"), inline(f"{error.what}. {error.todo}", 300))
    if session.busy:
        said = [Content.styled(f"  {inline(line, 76)}", "$quiet") for line in session.told[-4:]]
        return Content("\n").join([Content.assemble(("▸ ", "$primary"), session.busy), *said])
    if session.scan is None:
        return Content("")
    if not session.scan.exposures and not session.scan.remarks:
        nothing = "No Prometheus component was found on this machine. 'Practise' starts some of its own."
        return Content(
            nothing if session.place == "here" else "No Prometheus component was found on these hosts."
        )
    return _judged(session.scan)


def _judged(scan: Scan) -> Content:
    """The protection of all components, in one line."""
    rows = scan.exposures
    unprotected = sum(row.state == "open" for row in rows)
    partly = sum(row.state == "partly" for row in rows)
    noun = f"component{'s' * (len(rows) != 1)}"
    if unprotected:
        verb = "is" if unprotected == 1 else "are"
        return Content.assemble(
            (f"● {unprotected} of {len(rows)} ", "$error bold"), f"{noun} {verb} unprotected."
        )
    if partly:
        verb = "lacks" if partly == 1 else "lack"
        return Content.assemble(
            (f"◐ {partly} of {len(rows)} ", "$warning bold"), f"{noun} {verb} some protection."
        )
    if all(row.state == "secured" for row in rows) and not scan.remarks:
        return Content.assemble(("✓ ", "$success bold"), "All components are secured.")
    return Content("")


def _remarks(session: Session) -> list[Content]:
    """What the table does not show: the remarks of the scan, and what is probed through SSH."""
    if session.busy or session.error or session.scan is None:
        return []
    remarks = session.scan.remarks
    shown = remarks if len(remarks) <= REMARKS else remarks[: REMARKS - 1]
    lines = [
        Content.assemble(("! ", "bold $warning"), f"{inline(each.what)}. {_todo(each)}") for each in shown
    ]
    if len(shown) < len(remarks):
        lines.append(Content.styled(f"… and {len(remarks) - len(shown)} more: firescreen scan", "$quiet"))
    return [*lines, _through(session.scan)]


def _through(scan: Scan) -> Content:
    """The components that this machine cannot reach directly."""
    names = [row.key for row in scan.exposures if row.through]
    if not names:
        return Content("")
    shown = ", ".join(names) if len(names) <= REMARKS else f"{len(names)} of them"
    return Content.styled(inline(f"Probed through SSH: {shown}", 300), "$quiet")


def _todo(remark: Finding) -> str:
    """What to do about it, as a sentence; nothing where Firescreen does it."""
    return f"{remark.remediation[:1].upper()}{remark.remediation[1:]}." if remark.remediation else ""


def _menu(session: Session) -> tuple[str, ...]:
    if session.place == "practice":
        small = session.scan is not None and len(session.scan.exposures) < WHOLE
        more = ("whole",) if small else ()
        return ("secure", "trust", *more, "lab", "holdings", "history", "leave", "stop")
    found = session.scan is not None and bool(session.scan.exposures)
    if session.place in ("file", "hosts"):
        return ("secure", "trust", "hosts", "leave", "lab", "holdings", "history")
    if found:
        return ("secure", "trust", "practise", "whole", "lab", "holdings", "history", "hosts")
    return ("practise", "whole", "secure", "lab", "holdings", "history", "hosts")


def _entry(name: str, session: Session) -> Content:
    key, title, words = {**MENU, **PRACTISING}[name] if session.place == "practice" else MENU[name]
    if name == "secure" and session.place in ("file", "hosts"):
        title = "Secure these hosts"
    return Content.assemble((f"{key}  ", "$quiet"), (fit(title, 31), "bold"), (words, "$quiet"))
