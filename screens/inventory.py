"""The inventory of certificates and users: for whom, until when, and where; the ways to replace them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base_screen import Page
from screens.navigation.renewal import renew
from screens.state_styles import describe_error, fit, inline, place, safe

if TYPE_CHECKING:
    from screens.state import ErrorMessage
    from wizard.engine import InventoryItem

KINDS = {"authority": "CA", "certificate": "certificate", "user": "user"}
SOON = 30 * 86400.0


class InventoryPage(Page):
    """Lists the certificates and users."""

    PLACE = "Certificates and users"
    HELP = """\
Everything on the current hosts and in the workspace, as just read.

A CA (certificate authority) has a key that signs certificates; this key never leaves the workspace. A certificate is \
valid for the names it lists until it expires; after that, Prometheus does not trust the server. Servers store only a \
hash of a password; Prometheus reads the password from a file that only it can read.

'n', 'p' and 'a' replace what is there: each opens a plan first, and no scrape is lost."""

    CSS = """
    InventoryPage #count { padding: 1 2 0 2; height: auto; }
    InventoryPage #head { padding: 1 2 0 2; height: auto; color: $primary; text-style: bold; }
    InventoryPage #list { height: 1fr; padding: 0; margin: 0 1; }
    InventoryPage #detail { height: 9; padding: 0 2; border-top: solid $panel; }
    InventoryPage #text { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "renew('certificates')", "Renew", tooltip="Replace every certificate"),
        Binding("p", "renew('passwords')", "New password", tooltip="Replace the password on all hosts"),
        Binding("a", "renew('ca')", "Rotate the CA", tooltip="A new CA and new certificates"),
        Binding("r", "read", "Read again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._found: tuple[InventoryItem, ...] = ()

    def body(self) -> ComposeResult:
        """A list, and the selected entry below."""
        yield Static("reading certificates and users…", id="count", markup=False)
        yield Static("", id="head", markup=False)
        yield OptionList(id="list", markup=False)
        with VerticalScroll(id="detail", can_focus=False):
            yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        """Reads what there is."""
        self.action_read()

    def on_resize(self) -> None:
        """The columns follow the width."""
        self._draw()

    def action_read(self) -> None:
        """Reads it once more."""
        stack = self.firescreen.session.stack
        if stack is None:
            self.query_one("#count", Static).update("The scan is still running. Press 'r' in a moment.")
            return
        self.firescreen.ask(lambda: self.firescreen.client.inventory(stack), self._have, self._refused)

    def action_renew(self, what: str) -> None:
        """Opens the plan that replaces it."""
        renew(self.firescreen, what)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what exists can be replaced."""
        kinds = {one.kind for one in self._found}
        needed = {"certificates": "certificate", "passwords": "user", "ca": "authority"}
        return action != "renew" or needed[str(parameters[0])] in kinds

    def _have(self, found: tuple[InventoryItem, ...]) -> None:
        self._found = found
        self.refresh_bindings()
        self._draw()

    def _refused(self, error: ErrorMessage) -> None:

        if self.is_open:
            self.query_one("#count", Static).update(describe_error(error))

    def _draw(self) -> None:
        if not self.is_open:
            return
        if self.firescreen.session.stack is None:
            return
        if self._found:
            certificates = sum(one.kind != "user" for one in self._found)
            words = f"Certificates: {certificates}. Files with a user's password: {len(self._found) - certificates}."
        else:
            words = (
                "None yet. Securing a component creates a CA, certificates and a user, which are listed here."
            )
        self.query_one("#count", Static).update(words)
        self.query_one("#detail").display = bool(self._found)
        room = max(self.size.width - 6, 40)
        self.query_one("#head", Static).update(
            _columns(room, "kind", "for", "host", "expires") if self._found else ""
        )
        listed = self.query_one("#list", OptionList)
        at = listed.highlighted or 0
        listed.set_options(Option(_line(room, one)) for one in self._found)
        if self._found:
            listed.highlighted = min(at, len(self._found) - 1)
            listed.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another one."""
        if event.option_index < len(self._found):
            self.query_one("#text", Static).update(_detail(self._found[event.option_index]))


def _columns(room: int, kind: str, whom: str, host: str, until: str) -> str:
    rest = room - 13 - 16 - 18
    return f"{fit(kind, 12)} {fit(whom, rest)} {fit(host, 15)} {fit(until, 18)}"


def _line(room: int, one: InventoryItem) -> Content:
    until, colour = _until(one)
    text = _columns(
        room, KINDS[one.kind], one.for_whom, "workspace" if one.host == "workspace" else one.host, ""
    )[: room - 18]
    return Content.assemble(text, (fit(until, 18), colour))


def _until(one: InventoryItem) -> tuple[str, str]:
    if not one.not_after:
        return "–", "$quiet"
    day = time.strftime("%Y-%m-%d", time.gmtime(one.not_after))
    left = one.not_after - time.time()
    if left < 0:
        return f"✗ expired {day}", "$error"
    if left < SOON:
        return f"! {day}", "$warning"
    return f"✓ {day}", "$success"


def _detail(one: InventoryItem) -> Content:
    until, colour = _until(one)
    return Content("\n").join(
        [
            Content.assemble((KINDS[one.kind], "bold"), " for ", safe(one.for_whom, 300)),
            Content.assemble(("file   ", "$quiet"), inline(one.path, 400)),
            Content.assemble(("on     ", "$quiet"), place(one.host)),
            Content.assemble(("mode   ", "$quiet"), f"{one.mode:04o}"),
            Content.assemble(("expires", "$quiet"), " ", (until, colour)),
            Content.assemble(("note   ", "$quiet"), safe(one.note, 300)),
        ]
    )
