"""The inventory of certificates and users: for whom, until when, and where; and the actions that replace them."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base_screen import Page
from screens.navigation.renewal import renew
from screens.navigation.upkeep_timer import install_timer
from screens.state_styles import describe_error, fit, inline, place, safe
from screens.widgets.cards import Card, Cards
from screens.widgets.gauge import days_left, expiry, expiry_colour
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from screens.state import ErrorMessage, Session
    from wizard.engine import InventoryItem

KINDS = {"authority": "CA", "certificate": "certificate", "user": "user"}
WIDE = 110
"""From this width (cells) on, the details are beside the list."""
BAR = 17
"""Width of the remaining days and their bar in cells."""
_NONE = """\
None yet. Securing a component creates them:

CA            signs the certificates; its key never leaves the workspace
certificate   one for each server, valid for the names that its clients use
user          its password in a file that Prometheus reads; servers keep a hash

Here you see for how long each is valid, and renew it."""


class InventoryPage(Page):
    """Lists the certificates and users."""

    PLACE = "Certificates and users"
    HELP = """\
Everything on the current hosts and in the workspace, as just read.

A CA (certificate authority) has a key that signs certificates; this key never leaves the workspace. A certificate is \
valid for the names it lists until it expires; after that, Prometheus does not trust the server. Servers store only a \
hash of a password; Prometheus reads the password from a file that only it can read.

'n', 'p' and 'a' replace what is there: each opens a plan first, and no scrape is lost. 't' opens the plan of a timer \
that renews what is due, without anybody there."""

    CSS = """
    InventoryPage #panes { height: 1fr; }
    InventoryPage #found { height: 1fr; width: 1fr; }
    InventoryPage #head { height: 1; padding: 0 1; color: $quiet; }
    InventoryPage #list { height: 1fr; padding: 0; scrollbar-gutter: stable; }
    InventoryPage #detail { height: 10; }
    InventoryPage #text { height: auto; }
    InventoryPage #none { height: 1fr; display: none; align: center middle; }
    InventoryPage #none Static { width: 80; max-width: 100%; height: auto; }
    InventoryPage.-empty #none { display: block; }
    InventoryPage.-empty #panes { display: none; }
    InventoryPage.-wide #panes { layout: horizontal; }
    InventoryPage.-wide #detail { width: 44; height: 1fr; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "renew('certificates')", "Renew", tooltip="Replace every certificate"),
        Binding("p", "renew('passwords')", "New password", tooltip="Replace the password on all hosts"),
        Binding("a", "renew('ca')", "Rotate the CA", tooltip="A new CA and new certificates"),
        Binding("t", "timer", "Timer", tooltip="Open the plan of a timer that renews what is due"),
        Binding("s", "secure", "Secure"),
        Binding("r", "read", "Read again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._found: tuple[InventoryItem, ...] = ()
        self._is_read = False
        self._awaits_scan = False

    def body(self) -> ComposeResult:
        """Yields numbers on top, then the list, the selected entry beside or below it."""
        yield Cards(id="numbers")
        with Panel(title="Certificates and users", id="none"):
            yield Prose("reading certificates and users…", id="count", markup=False)
        with Vertical(id="panes"):
            with Panel(title="Certificates and users", id="found"):
                yield Prose("", id="head", markup=False)
                yield OptionList(id="list", markup=False)
            with Panel(title="Details", id="detail"), VerticalScroll(can_focus=False):
                yield Prose("", id="text", markup=False)

    def on_mount(self) -> None:
        """Reads the inventory."""
        self.add_class("-empty")
        self.action_read()

    def show_session(self, session: Session) -> None:
        """Reads the inventory once the hosts are known."""
        if self._awaits_scan and session.stack is not None:
            self.action_read()

    def on_resize(self) -> None:
        """Fits the columns to the width."""
        if self._found:
            self.call_after_refresh(self._draw)

    def action_read(self) -> None:
        """Reads the inventory again."""
        stack = self.firescreen.session.stack
        self._awaits_scan = stack is None
        if stack is None:
            self.query_one("#count", Static).update(
                "The scan is still running. Certificates and users are read once it has ended."
            )
            return
        if not self._is_read:
            self.firescreen.key_queue.hold(self)
        self.firescreen.ask(lambda: self.firescreen.client.inventory(stack), self._have, self._report_error)

    def action_renew(self, what: str) -> None:
        """Opens the plan that replaces the given certificates or passwords."""
        renew(self.firescreen, what)

    def action_timer(self) -> None:
        """Opens the plan that installs the timer."""
        install_timer(self.firescreen)

    def action_secure(self) -> None:
        """Opens the choices, if nothing was created yet."""
        self.firescreen.open_menu_entry("secure")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers replacing only what exists."""
        if action == "secure":
            return self._is_read and not self._found
        kinds = {one.kind for one in self._found}
        if action == "timer":
            return "certificate" in kinds
        needed = {"certificates": "certificate", "passwords": "user", "ca": "authority"}
        return action != "renew" or needed[str(parameters[0])] in kinds

    def _have(self, items: tuple[InventoryItem, ...]) -> None:
        self._found, self._is_read = items, True
        self.refresh_bindings()
        self._draw()

    def _report_error(self, error: ErrorMessage) -> None:
        self.firescreen.key_queue.drop()
        if self.is_open:
            self.query_one("#count", Static).update(describe_error(error))

    def _draw(self) -> None:
        if not self.is_open:
            return
        if self.firescreen.session.stack is None:
            return
        self.set_class(not self._found, "-empty")
        self.query_one(Cards).cards = _cards(self._found)
        if not self._found:
            self.query_one("#count", Static).update(f"{_NONE}\n\n{self.firescreen.session.first_step}")
            self.firescreen.key_queue.release(self)
            return
        # A list that was hidden until now gets its width at the next refresh.
        self.call_after_refresh(self._list)

    def _list(self) -> None:
        if not self.is_open:
            return
        listed = self.query_one("#list", OptionList)
        room = max(listed.scrollable_content_region.width - 2, 40)
        hosts = max(9, *(min(len(place(one.host)), room // 4) for one in self._found))
        self.query_one("#head", Static).update(_columns(room, hosts, "kind", "for", "host") + "  valid for")
        at = listed.highlighted or 0
        listed.set_options(Option(_line(room, hosts, one)) for one in self._found)
        listed.highlighted = min(at, len(self._found) - 1)
        listed.focus()
        self.firescreen.key_queue.release(self)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another entry."""
        if event.option_index < len(self._found):
            self.query_one("#text", Static).update(_detail(self._found[event.option_index]))


def _cards(items: tuple[InventoryItem, ...]) -> tuple[Card, ...]:
    """Returns how many certificates and users there are, and how many expire."""
    if not items:
        return ()
    count = Counter(one.kind for one in items)
    # A copy on a host is the same CA.
    authorities = {(one.for_whom, one.not_before, one.not_after) for one in items if one.kind == "authority"}
    dated = [one for one in items if one.not_after]
    expired = sum(one.not_after <= time.time() for one in dated)
    soon = sum(_tone(one) == "$warning" for one in dated)
    return (
        _count_card(len(authorities), "CA", "CAs"),
        _count_card(count["certificate"], "certificate", "certificates"),
        Card(str(soon), "to renew", colour="$warning" if soon else "$quiet"),
        Card(str(expired), "expired", colour="$error" if expired else "$quiet"),
        _count_card(count["user"], "password file", "password files"),
    )


def _count_card(count: int, singular: str, plural: str) -> Card:
    return Card(str(count), singular if count == 1 else plural)


def _tone(item: InventoryItem) -> str:
    return expiry_colour(item.not_after - time.time(), _life(item))


def _life(item: InventoryItem) -> float:
    """Returns the seconds from the first to the last valid moment; 0 if unknown."""
    return item.not_after - item.not_before if item.not_before else 0.0


def _columns(room: int, hosts: int, kind: str, whom: str, host: str) -> str:
    """Returns the first three columns; `hosts` is the width of the third in cells."""
    room_left = room - 12 - hosts - 1 - BAR - 2
    return f"{fit(kind, 11)} {fit(whom, room_left)} {fit(host, hosts)}"


def _line(room: int, hosts: int, item: InventoryItem) -> Content:
    text = _columns(room, hosts, KINDS[item.kind], item.for_whom, place(item.host))
    if not item.not_after:
        return Content.assemble(text, "  ", (f"{'–':>7}", "$quiet"), " " * (BAR - 7))
    return Content.assemble(text, "  ", expiry(item.not_after - time.time(), _life(item), BAR))


def _until(item: InventoryItem) -> tuple[str, str]:
    if not item.not_after:
        return "– does not expire", "$quiet"
    day = time.strftime("%Y-%m-%d", time.gmtime(item.not_after))
    left = item.not_after - time.time()
    sign = {"$error": "✗", "$warning": "!"}.get(_tone(item), "✓")
    if left <= 0:
        return f"{sign} expired {day}", "$error"
    return f"{sign} {day} (in {days_left(left).replace(' d', ' days')})", _tone(item)


def _detail(item: InventoryItem) -> Content:
    until, colour = _until(item)
    folder, _, name = item.path.rpartition("/")
    rows = [
        ("for", safe(item.for_whom, 300)),
        ("on", Content(place(item.host))),
        ("folder", Content(inline(folder, 400))),
        ("file", Content.assemble((inline(name, 200), "bold"), (f"  mode {item.mode:04o}", "$quiet"))),
        ("expires", Content.styled(until, colour)),
        ("note", safe(item.note, 300)),
    ]
    head = Content.styled(f"{KINDS[item.kind][:1].upper()}{KINDS[item.kind][1:]}", "bold $primary")
    return Content("\n").join(
        [head, *(Content.assemble((f"{key:<8}", "$quiet"), text) for key, text in rows)]
    )
