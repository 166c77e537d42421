"""The hosts to choose from: this machine, SSH hosts, containers, practice; each is tested before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base_screen import Page
from screens.controllers.host_list import PRACTICE
from screens.hosts.text import STATE, detail, display_name, how_it_goes, line
from screens.state_styles import inline
from screens.themes import NO_HOST, host_colours
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose
from screens.widgets.title_bar import TitleBar

if TYPE_CHECKING:
    from screens.state import HostEntry, Session

WIDE = 110
"""From this width (cells) on, the selected host is beside the list."""
ABOUT = 48
"""Width of the selected host's panel in cells, beside the list."""


class HostsPage(Page):
    """Tests hosts and chooses the hosts that are secured together."""

    PLACE = "Hosts"
    HELP = """\
Choose the hosts to secure together: those of Prometheus, and those that it scrapes. Enter tests the selected host: \
Firescreen connects as ssh would (~/.ssh/config, known_hosts, keys, agent), asks you to accept an unknown host key, \
checks for root privileges, and scans for components. A test changes nothing.

A host that passes its test is chosen; Space chooses and unchooses. 'u' uses the chosen hosts. They are remembered for \
the next start; passwords are not.

'a' adds a host, or all hosts in a file: an Ansible inventory (INI or YAML), or the targets of a Prometheus (file_sd). \
't' tests all added hosts.

Escape stops a running test, or goes back if there is none."""

    CSS = """
    HostsPage {
        #lead { padding: 0 2; height: auto; color: $quiet; }
        #panes { layout: vertical; height: 1fr; }
        #hosts { height: 1fr; }
        #list { height: 1fr; padding: 0; }
        #left { height: 1fr; }
        #how { height: auto; display: none; }
        #steps { height: auto; }
        #about { height: 11; }
        #detail { height: 1fr; }
        #text { height: auto; }
        &.-wide {
            #panes { layout: horizontal; }
            #left { width: 1fr; height: 100%; }
            #about { width: 48; height: 1fr; }
            &.-tall #how { display: block; }
        }
    }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "test", "Test", key_display="enter"),
        Binding("space", "choose", "Choose", key_display="space", tooltip="Choose or unchoose the host"),
        Binding("a", "add", "Add", tooltip="Add a host (user@host:port), or those in a file"),
        Binding("t", "test_all", "Test all", show=False, tooltip="Test all added hosts"),
        Binding("u", "use", "Use hosts", tooltip="Use the chosen hosts"),
        Binding("delete,d", "remove", "Remove", show=False, tooltip="Remove an added host from the list"),
        Binding("pagedown", "turn(1)", "Scroll down", show=False, priority=True),
        Binding("pageup", "turn(-1)", "Scroll up", show=False, priority=True),
    ]

    def body(self) -> ComposeResult:
        """Yields the list, and the selected host beside or below it."""
        yield Prose("", id="lead", markup=False)
        with Container(id="panes"):
            with Vertical(id="left"):
                with Panel(title="Hosts", id="hosts"):
                    yield OptionList(id="list", markup=False)
                with Panel(title="How it goes", id="how"):
                    yield Prose("", id="steps", markup=False)
            with Panel(id="about"), VerticalScroll(id="detail", can_focus=False):
                yield Prose("", id="text", markup=False)

    def on_mount(self) -> None:
        """Fills the list and follows its changes."""
        self.firescreen.host_list.open()
        self.watch(self.app, "hosts", self._follow)

    def on_resize(self) -> None:
        """Fits the columns to the width."""
        self._draw()

    @property
    def entry(self) -> HostEntry | None:
        """Returns the selected host."""
        place, hosts = self.query_one("#list", OptionList).highlighted, self.firescreen.hosts
        return hosts[place] if place is not None and place < len(hosts) else None

    @property
    def _cells(self) -> int:
        """Returns the width of the list's panel in cells."""
        return self.app.size.width - (ABOUT if self.app.size.width >= WIDE else 0)

    def _follow(self) -> None:
        if self.is_open:
            self._draw()

    def _draw(self) -> None:
        if not self.is_open:
            return
        hosts = self.firescreen.hosts
        listed = self.query_one("#list", OptionList)
        before, width = listed.highlighted or 0, max(self._cells - 8, 58)
        name = min(max((len(display_name(entry)) for entry in hosts), default=0) + 2, 36, width - STATE - 20)
        ids = [entry.name for entry in hosts]
        if [option.id for option in listed.options] == ids:
            for entry in hosts:
                listed.replace_option_prompt(entry.name, line(entry, width, name))
        else:
            kept = listed.options[before].id if before < listed.option_count else ""
            listed.set_options(Option(line(entry, width, name), id=entry.name) for entry in hosts)
            listed.highlighted = ids.index(kept) if kept in ids else min(before, len(ids) - 1)
        self.query_one("#lead", Static).update(self._lead())
        self.query_one("#steps", Static).update(how_it_goes(width))
        chosen = len(self.firescreen.host_list.taken)
        many = f"{len(hosts)} host{'s' * (len(hosts) != 1)}"
        self.query_one("#hosts", Panel).set_subtitle(f"{many}, {chosen} chosen" if chosen else many)
        self._tell()

    def _lead(self) -> Content:
        names = [display_name(entry) for entry in self.firescreen.host_list.taken]
        if not names:
            many = sum(entry.source == "added" and not entry.state for entry in self.firescreen.hosts) > 1
            how = (
                "Enter tests a host, 't' tests all added hosts."
                if many
                else "Enter tests a host, 'a' adds one."
            )
            return Content(f"{how} Testing changes nothing.")
        return Content.assemble("Chosen: ", (inline(", ".join(names), 300), "bold"), ". 'u' uses them.")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another host."""
        self._tell()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Chooses the host, by Enter or the mouse."""
        self.action_test()

    def show_session(self, session: Session) -> None:
        """Keeps the selected host in the title bar instead of the stack's hosts."""
        self._name_host()

    def _tell(self) -> None:
        entry = self.entry
        if entry is not None:
            words = detail(entry, self.firescreen.host_list.error, no_color=self.app.no_color)
            self.query_one("#text", Static).update(words)
            self.query_one("#about", Panel).set_title(display_name(entry))
            self._name_host()
            self.refresh_bindings()

    def _name_host(self) -> None:
        """Shows the selected host in the title bar, in the colour that it has once it is used."""
        entry = self.entry
        if entry is not None:
            colours = host_colours((*(one.name for one in self.firescreen.host_list.taken), entry.name))
            bar = self.query_one(TitleBar)
            bar.lead = ""
            bar.hosts = (
                (display_name(entry), NO_HOST if entry.source == "practice" else colours[entry.name]),
            )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the keys that make sense for the selected host."""
        if action == "remove":
            entry = self.entry if self.is_mounted else None
            return entry is not None and entry.source == "added"
        return True

    def action_test(self) -> None:
        """Tests the selected host; practice needs no test."""
        entry = self.entry
        if entry is None:
            return
        if entry.name == PRACTICE and entry.source == "practice":
            self.firescreen.open_menu_entry("practise")
        else:
            self.firescreen.host_list.test(entry.name)

    def action_choose(self) -> None:
        """Chooses or unchooses the selected host."""
        entry = self.entry
        if entry is None:
            return
        if entry.source == "practice":
            self.app.notify("Practice cannot be combined with other hosts: Enter opens it.")
        else:
            self.firescreen.host_list.toggle(entry.name)

    def action_add(self) -> None:
        """Asks for a host, then adds and tests it."""
        from screens.dialogs.address import AddressDialog

        self.app.push_screen(AddressDialog(self.firescreen.host_list.add), self._select_added)

    def _select_added(self, names: tuple[str, ...] | None) -> None:
        if names:
            listed = self.query_one("#list", OptionList)
            listed.highlighted = [entry.name for entry in self.firescreen.hosts].index(names[0])
        if names and len(names) == 1:
            self.firescreen.host_list.test(names[0])

    def action_test_all(self) -> None:
        """Tests the added hosts in parallel."""
        self.firescreen.host_list.test_all()

    def action_remove(self) -> None:
        """Removes an added host from the list."""
        entry = self.entry
        if entry is not None:
            self.firescreen.host_list.remove(entry.name)

    def action_use(self) -> None:
        """Uses the chosen hosts."""
        if self.firescreen.runs.working:
            self.app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
        elif self.firescreen.host_list.take():
            self.firescreen.go_home()

    def action_back(self) -> None:
        """Stops a running test, or goes back."""
        if not self.firescreen.host_list.stop():
            self.app.pop_screen()

    def action_turn(self, pages: int) -> None:
        """Scrolls the details of the selected host by a page."""
        detail = self.query_one("#detail", VerticalScroll)
        detail.scroll_relative(y=pages * max(detail.size.height - 1, 1), animate=False)
