"""The probe console: a request built with curl's options, sent as Prometheus would send it, and shown in detail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from screens.base_screen import Page
from screens.probe_console.result import answer, first_words
from screens.state import ErrorMessage
from screens.state_styles import inline
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from wizard.diagnostics.catalogue import Diagnosis
    from wizard.engine.manual_probe import Answered, Request, What
    from wizard.model import Probe
    from wizard.redact import Secret

ROWS = (
    (("url", "URL", "https://host:9100/metrics"),),
    (("cacert", "--cacert", "CA file, or the system's"), ("resolve", "--resolve", "HOST:PORT:ADDR")),
    (("cert", "--cert", "client certificate"), ("key", "--key", "its key")),
    (("user", "-u", "user"), ("password", "password", "never shown"), ("file", "or file", "path")),
)
ASKS = {
    "page": ("F2", "scrape"),
    "targets": ("F3", "targets"),
    "up": ("F4", "up"),
}


class ConsolePage(Page):
    """A request builder, with its result below.

    Args:
        probe: a request to start with, from the verification.
        urls: URLs of the components: the first is filled in, the others are suggested.
    """

    PLACE = "Probe console"
    AUTO_FOCUS = "#url"
    HELP = """\
Enter sends the request as Prometheus would: with Go's rules for certificates, following redirects.

--cacert   file with the CA that signed the server's certificate
--cert, --key   client certificate, and its private key
--resolve  HOST:PORT:ADDR connects to ADDR, and checks the name HOST
-u         user name of basic authentication; the password is never shown
-k         do not verify the certificate         -v  show the handshake

F3 and F4 query the Prometheus at the URL: the state of its targets, and `up`.

The command below the result sends the same request. A password is in a file that only you can read, so the command \
needs no prompt. Where curl and Prometheus differ, a line with ! explains how."""

    DEFAULT_CSS = """
    ConsolePage #form { height: auto; padding: 0; }
    ConsolePage #result { height: 1fr; }
    ConsolePage .row { height: 1; }
    ConsolePage .row Static { width: 11; color: $quiet; padding: 0 1; }
    ConsolePage Input { height: 1; border: none; padding: 0 1; background: $panel; width: 1fr; margin: 0 1 0 0; }
    ConsolePage Input:focus { border: none; background-tint: $foreground 12%; }
    ConsolePage #ways { height: 1; padding: 0 1; }
    ConsolePage #came { height: 1fr; scrollbar-gutter: stable; }
    ConsolePage #came Static { height: auto; }
    ConsolePage #came:focus { background-tint: $foreground 2%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "ask('page')", "Send", key_display="⏎", tooltip="Request the URL itself"),
        Binding(
            "f3", "ask('targets')", "Targets", show=False, tooltip="What Prometheus reports of its targets"
        ),
        Binding(
            "f4", "ask('up')", "up", show=False, tooltip="What Prometheus reports as `up`, as with promtool"
        ),
        Binding("f5", "switch('insecure')", "-k", show=False, tooltip="-k: do not verify the certificate"),
        Binding("f6", "switch('handshake')", "-v", show=False, tooltip="-v: show the handshake"),
        Binding("c", "copy(0)", "Copy", tooltip="Copy the curl command (Tab goes to the result)"),
        Binding("p", "copy(1)", "Copy promtool's command", show=False),
        Binding("e", "edit", "Edit the request", show=False),
        Binding("m", "fix", "Fix it", tooltip="Open the part of the wizard that fixes the cause"),
    ]

    def __init__(self, probe: Probe | None = None, urls: Sequence[str] = ()) -> None:
        super().__init__()
        self._first, self._secret = form_values(probe)
        self._forward = probe.forward if probe is not None else None
        self._known = tuple(urls)
        if probe is None and urls:
            self._first = {"url": urls[0]}
        self._what: What = "targets" if probe is not None and probe.kind == "up" else "page"
        self._insecure = bool(probe and probe.insecure)
        self._handshake = True
        self._asked = 0
        self._answered: Answered | None = None
        self._closer: Diagnosis | None = None

    def body(self) -> ComposeResult:
        """Yields the form and the result."""
        with Panel(title="Request", id="form"):
            for row in ROWS:
                with Horizontal(classes="row"):
                    for name, label, hint in row:
                        yield Prose(label, markup=False)
                        kept = name == "password" and self._secret is not None
                        yield Input(
                            self._first.get(name, ""),
                            placeholder="as in that request" if kept else hint,
                            password=name == "password",
                            select_on_focus=False,
                            suggester=SuggestFromList(self._known) if name == "url" and self._known else None,
                            id=name,
                        )
            yield Prose("", id="ways")
        with Panel(title="Result", id="result"), VerticalScroll(id="came"):
            yield Prose("", id="answer", markup=False)

    def on_mount(self) -> None:
        """Explains what Enter does."""
        self._draw_ways()
        self.query_one("#answer", Static).update(first_words())

    def on_resize(self, event: events.Resize) -> None:
        """Fits the result to the width."""
        self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter sends the request."""
        event.stop()
        self.action_ask(self._what)

    def action_ask(self, what: str) -> None:
        """Sends the request in a thread."""
        self._what = cast("What", what)
        self._draw_ways()
        self._asked += 1
        number = self._asked
        self._answered = self._closer = None
        self.query_one("#answer", Static).update("▸ sending the request…")
        request = self._request()
        client, scan = self.firescreen.client, self.firescreen.session.scan
        self.firescreen.ask(
            lambda: client.send(request(), scan.facts if scan else None),
            self._came,
            self._report_error,
            wanted=lambda: self.is_open and number == self._asked,
        )

    def _request(self) -> Callable[[], Request]:
        """Reads the form; the password's file is read in the thread that sends the request."""
        value = {name: self.query_one(f"#{name}", Input).value.strip() for row in ROWS for name, _, _ in row}
        typed = self.query_one("#password", Input).value
        kept = self._secret if value["user"] == self._first.get("user") else None
        what, insecure = self._what, self._insecure
        forward = self._forward if _place(value["url"]) == _place(self._first.get("url", "")) else None

        def make() -> Request:
            from wizard.engine import manual_probe
            from wizard.redact import Secret

            if typed:
                password: Secret | None = Secret(typed)
            elif value["file"]:
                password = manual_probe.password_in(Path(value["file"]).expanduser())
            else:
                password = kept
            return manual_probe.Request(
                url=value["url"],
                what=what,
                cacert=value["cacert"],
                cert=value["cert"],
                key=value["key"],
                resolve=value["resolve"],
                user=value["user"],
                password=password,
                insecure=insecure,
                forward=forward,
            )

        return make

    def _came(self, answered: Answered) -> None:
        self._answered = answered
        self._draw()
        came = self.query_one("#came", VerticalScroll)
        came.scroll_home(animate=False)
        came.focus()
        found = answered.diagnosis
        if found is None or not found.questions or self.firescreen.session.stack is None:
            return
        number, stack, client = self._asked, self.firescreen.session.stack, self.firescreen.client
        attempt = answered.attempt
        self.firescreen.ask(
            lambda: client.diagnosis(f"{attempt.reason}\n{attempt.detail}", ask=True, stack=stack),
            self._show_diagnosis,
            lambda _: None,
            wanted=lambda: self.is_open and number == self._asked,
        )

    def _show_diagnosis(self, diagnosis: Diagnosis | None) -> None:
        self._closer = diagnosis
        self._draw()

    def _report_error(self, error: ErrorMessage) -> None:
        words = " ".join(part for part in (error.what, error.where, error.todo) if part)
        self.query_one("#answer", Static).update(Content.assemble(("✗ ", "$error bold"), inline(words, 400)))

    def _draw(self) -> None:
        if self._answered is not None:
            width = max(self.size.width - 6, 40)
            drawn = answer(self._answered, width=width, handshake=self._handshake, closer=self._closer)
            self.query_one("#answer", Static).update(drawn)
        self.refresh_bindings()

    def _draw_ways(self) -> None:
        parts: list[tuple[str, str] | str] = []
        for what, (key, words) in ASKS.items():
            chosen = what == self._what
            parts += [
                (f"{key} ", "$quiet"),
                (f"{'●' if chosen else '○'} {words}  ", "bold" if chosen else ""),
            ]
        for key, option, on in (("F5", "-k", self._insecure), ("F6", "-v", self._handshake)):
            parts += [(f"{key} ", "$quiet"), f"[{'x' if on else ' '}] {option}  "]
        self.query_one("#ways", Static).update(Content.assemble(*parts))

    def action_switch(self, option: str) -> None:
        """Switches -k or -v on or off."""
        if option == "insecure":
            self._insecure = not self._insecure
        else:
            self._handshake = not self._handshake
        self._draw_ways()
        self._draw()

    def action_copy(self, number: int) -> None:
        """Copies a command to the terminal's clipboard (OSC 52)."""
        commands = self._answered.commands if self._answered else ()
        if number < len(commands):
            self.app.copy_to_clipboard(commands[number] + "\n")
            self.app.notify("Copied the command")
        else:
            self.app.notify("No command yet. Send a request first.")

    @property
    def _found(self) -> Diagnosis | None:
        return self._closer or (self._answered.diagnosis if self._answered else None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers the fix if a part of the wizard has one."""
        return bool(self._found and self._found.menu_entry) if action == "fix" else True

    def action_fix(self) -> None:
        """Opens the part of the wizard that fixes the cause."""
        if self._found is not None:
            self.firescreen.open_menu_entry(self._found.menu_entry)

    def action_edit(self) -> None:
        """Goes back to the URL."""
        self.query_one("#url", Input).focus()


def _place(url: str) -> str:
    """Returns scheme, host and port as they are written."""
    return "/".join(url.split("/", 3)[:3])


def form_values(probe: Probe | None) -> tuple[dict[str, str], Secret | None]:
    """Returns the form's values for a probe, and its password.

    A server name becomes its equivalent in curl: the name in the URL, and --resolve to the host of the former URL.
    """
    if probe is None:
        return {}, None
    from urllib.parse import urlsplit

    values = {
        "url": probe.url,
        "cacert": probe.ca_file,
        "cert": probe.cert_file,
        "key": probe.key_file,
        "resolve": probe.resolve,
        "user": probe.user,
    }
    target = urlsplit(probe.url)
    if probe.server_name and target.hostname:
        port = target.port or (443 if target.scheme == "https" else 80)
        address = f"[{target.hostname}]" if ":" in target.hostname else target.hostname
        values["url"] = target._replace(netloc=f"{probe.server_name}:{port}").geturl()
        if probe.forward is None:
            values["resolve"] = f"{probe.server_name}:{port}:{address}"
    return values, probe.password
