"""The certificate journey: where each certificate is made, where it goes, and whether it arrived; and what stays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base_screen import Page
from screens.state import OWN_FOLDER
from screens.state_styles import describe_error, fit, hang, inline, place

if TYPE_CHECKING:
    from screens.certificate_distribution.data import CertificateFiles, Copy, Distribution, PrivateKey
    from screens.state import ErrorMessage
    from wizard.model import Plan, Stack

# state of a copy -> (sign, words, colour)
COPY = {
    "planned": ("·", "will be written", "$primary"),
    "there": ("✓", "is there", "$success"),
    "arrived": ("✓", "arrived, the same", "$success"),
    "other": ("✗", "another certificate is there", "$error"),
    "missing": ("✗", "it is not there", "$error"),
    "unseen": ("–", "could not be read", "$warning"),
}
STAYS = "stays"


class DistributionPage(Page):
    """Each certificate of a plan, or of the hosts in hand, on its way.

    Args:
        plan: what is planned, or was carried out; None for what lies on the hosts.
        read: whether the hosts are to be read now, because the plan was carried out.
    """

    PLACE = "Certificate journey"
    HELP = """\
Left: every certificate of the stack, and how many hosts it goes to. Right: where it is made, and each file that \
holds it, with mode, owner and its SHA-256 fingerprint at both ends.

A certificate is public: everybody who connects is shown it. What must not travel is the private key that belongs to \
it; the last line on the left says where the keys are. The fingerprint is a short name for all the bytes of a \
certificate: where it is the same at both ends, nothing was changed on the way."""

    CSS = """
    DistributionPage #head { padding: 1 2 0 2; height: auto; }
    DistributionPage #panes { height: 1fr; padding: 1 0 0 0; }
    DistributionPage #list { width: 30; height: 1fr; padding: 0; border-right: solid $panel; }
    DistributionPage #detail { width: 1fr; padding: 0 0 0 2; scrollbar-gutter: stable; }
    DistributionPage #text { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "read", "Read back", tooltip="Read the files on the hosts again"),
        Binding("c", "copy", "Copy", tooltip="Copy the command that shows the fingerprint on a host"),
        Binding("pagedown", "scroll_text(1)", "Scroll down", show=False, priority=True),
        Binding("pageup", "scroll_text(-1)", "Scroll up", show=False, priority=True),
    ]

    def __init__(self, plan: Plan | None, *, read: bool) -> None:
        super().__init__()
        self._plan, self._read = plan, read
        self._travels: Distribution | None = None

    def body(self) -> ComposeResult:
        """Certificates left, the way of the one in hand right."""
        yield Static("reading…", id="head", markup=False)
        with Horizontal(id="panes"):
            yield OptionList(id="list", markup=False)
            with VerticalScroll(id="detail", can_focus=False):
                yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        """Works it out, or reads it back."""
        self.query_one("#panes").display = False
        self.action_read()

    def on_resize(self) -> None:
        """Longer lines fit now, or shorter."""
        self.call_after_refresh(self._draw)

    def action_read(self) -> None:
        """Reads the hosts, where there is something to read back."""
        plan, read, app = self._plan, self._read, self.firescreen
        stack: Stack | None = plan.stack if plan else app.session.stack
        if stack is None:
            self.query_one("#head", Static).update(
                "Firescreen is still looking at the hosts; go back a moment."
            )
            return

        def work() -> Distribution:
            from screens.certificate_distribution import data

            if plan is not None and not read:
                return data.planned(plan)
            facts = app.client.engine.inspect(stack)
            return data.read_back(plan, facts) if plan is not None else data.found(facts)

        app.ask(work, self._have, self._refused, wanted=lambda: self.is_open)

    def _refused(self, error: ErrorMessage) -> None:

        self.query_one("#head", Static).update(describe_error(error))

    def _have(self, travels: Distribution) -> None:
        self._travels = travels
        self.query_one("#head", Static).update(_head(travels, read=self._read))
        listed = self.query_one("#list", OptionList)
        before = listed.highlighted or 0
        listed.set_options(
            [
                *(Option(_entry(journey)) for journey in travels.journeys),
                Option(Content.styled("What never leaves", "bold"), id=STAYS),
            ]
        )
        self.query_one("#panes").display = True
        listed.highlighted = min(before, len(travels.journeys))
        listed.focus()
        self.refresh_bindings()

    @property
    def journey(self) -> CertificateFiles | None:
        """The certificate in hand; None on the line about what stays."""
        at = self.query_one("#list", OptionList).highlighted
        travels = self._travels
        return travels.journeys[at] if travels and at is not None and at < len(travels.journeys) else None

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another certificate."""
        self.query_one("#detail", VerticalScroll).scroll_home(animate=False)
        self._draw()
        self.refresh_bindings()

    def _draw(self) -> None:
        travels, journey = self._travels, self.journey
        if travels is None or not self.is_open:
            return
        width = max(self.app.size.width - 30 - 6, 30)
        text = way(journey, width) if journey else stays(travels, width)
        self.query_one("#text", Static).update(text)
        hosts = journey.hosts if journey else (OWN_FOLDER,)
        known = self.firescreen.session.hosts
        self.set_hosts(tuple(host for host in hosts if host in known) or (OWN_FOLDER,))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what makes sense now."""
        if action == "read":
            return self._read or self._plan is None
        if action == "copy":
            return self._travels is not None and self.journey is not None
        return True

    def action_copy(self) -> None:
        """Copies the command that shows the same on a host."""
        journey = self.journey
        if journey is not None:
            self.app.copy_to_clipboard(_command(journey) + "\n")
            self.app.notify("Given to the terminal's clipboard.")

    def action_scroll_text(self, pages: int) -> None:
        """The right side, a page."""
        detail = self.query_one("#detail", VerticalScroll)
        detail.scroll_relative(y=pages * max(detail.size.height - 1, 1), animate=False)


def _head(travels: Distribution, *, read: bool) -> Content:
    from screens.certificate_distribution.data import counted

    counts = counted(travels.journeys)
    if not travels.journeys:
        return Content("No certificate yet: securing something makes them.")
    lead = (
        "Read back from the hosts: " if read else "Nothing has been sent yet: " if "planned" in counts else ""
    )
    parts = []
    for state, (sign, words, colour) in COPY.items():
        number = counts.get(state, 0)  # type: ignore[call-overload]
        if number:
            parts.append(Content.assemble((f"{sign} ", f"bold {colour}"), f"{number} {words}"))
    many = len(travels.journeys)
    lines = [
        Content.assemble(
            (lead, "bold" if lead else ""),
            f"{many} certificate{'s' * (many != 1)} in {sum(counts.values())} files on hosts",
        ),
        Content(" · ").join(parts),
    ]
    if not parts:
        lines = lines[:1]
    if travels.away:
        lines.append(
            Content.assemble(("! ", "bold $warning"), inline(f"out of reach: {', '.join(travels.away)}", 200))
        )
    return Content("\n").join(lines)


def _names(journey: CertificateFiles) -> str:
    return ", ".join(journey.summary.names) or journey.summary.subject.removeprefix("CN=")


def _entry(journey: CertificateFiles) -> Content:
    bad = next((copy for copy in journey.copies if copy.state in ("other", "missing")), None)
    sign = Content.styled("✗ ", "bold $error") if bad else Content("")
    hosts = journey.hosts
    to = (
        "stays in Firescreen's folder"
        if not hosts
        else f"→ {place(hosts[0])}"
        if len(hosts) == 1
        else f"→ {len(hosts)} hosts"
    )
    title = (
        journey.kind if "CA" in journey.summary.usage else fit(_names(journey).partition(",")[0], 24).rstrip()
    )
    kind = "" if "CA" in journey.summary.usage else f"{journey.kind.partition(' ')[0]} "
    return Content.assemble(sign, (hang(title, 26, 0), "bold"), "\n", (f"{kind}{to}", "$quiet"))


def way(journey: CertificateFiles, width: int) -> Content:
    """All of one certificate: what it says, where it is made, and each file with both ends."""
    summary = journey.summary
    until = time.strftime("%Y-%m-%d", time.gmtime(summary.not_after))
    parts = [
        Content.styled(hang(f"{journey.kind} · {_names(journey)}", width, 0), "bold"),
        Content.styled(
            hang(f"{summary.key}, until {until}, signed by {summary.issuer.removeprefix('CN=')}", width, 0),
            "$quiet",
        ),
        Content.styled(hang(f"SHA-256 {_short(summary.fingerprint)}", width, 0), "$quiet"),
        Content(""),
    ]
    if journey.made is not None:
        made = journey.made
        parts += [
            Content.assemble(("made in ", "bold $primary"), (place(OWN_FOLDER), "bold")),
            *_copy(made, width, named=False),
        ]
    elif journey.copies and journey.copies[0].state != "there":
        text = "made in Firescreen's memory and signed there; only the host gets the file"
        parts.append(Content.styled(hang(text, width, 0), "$primary"))
    parts.append(Content(""))
    if journey.copies:
        many = len(journey.copies)
        parts.append(Content.styled(f"goes to {many} file{'s' * (many != 1)}", "bold $primary"))
        for copy in journey.copies:
            parts += _copy(copy, width, named=True)
    else:
        text = "goes to no host: the proof uses it to ask as a client would"
        parts.append(Content.styled(hang(text, width, 0), "$quiet"))
    parts += [Content(""), Content.styled("The same by hand ('c' copies)", "$quiet")]
    parts.append(Content.assemble(("$ ", "bold $primary"), hang(_command(journey), width - 2, 0)))
    return Content("\n").join(parts)


def _copy(copy: Copy, width: int, *, named: bool) -> list[Content]:
    sign, words, colour = COPY[copy.state]
    head = f"{place(copy.place.host)}: " if named else ""
    lines = [
        Content.assemble((f"{sign} ", f"bold {colour}"), (head, "bold"), words),
        Content(f"  {hang(copy.place.path, width, 2)}"),
    ]
    sent, found = copy.sent, copy.found
    if found is None:
        lines.append(
            Content.styled(f"  {hang(f'{sent.rights}  {_short(sent.fingerprint)}', width, 2)}", "$quiet")
        )
        return lines
    for word, end in (("sent ", sent), ("found", found)):
        text = f"{word} {end.rights}  {_short(end.fingerprint)}"
        lines.append(Content.styled(f"  {hang(text, width, 2)}", "$quiet"))
    return lines


def stays(travels: Distribution, width: int) -> Content:
    """What must not travel, and where each private key really is."""
    parts = [
        Content.styled("What never leaves", "bold"),
        Content(
            hang(
                "A certificate may be seen by anybody. The private key that belongs to it may not: who has it can "
                "pass for its owner. Who has the CA's key can make certificates that your whole stack trusts.",
                width,
                0,
            )
        ),
        Content(""),
    ]
    parts.extend(line for key in travels.keys for line in _key(key, width))
    if not travels.keys:
        parts.append(Content("There is no private key yet."))
    return Content("\n").join(parts)


def _key(key: PrivateKey, width: int) -> list[Content]:
    hosts = key.hosts
    if key.of_ca:
        name = "The CA's key"
        ok, words = hosts == (OWN_FOLDER,), "stays in Firescreen's own folder; no host gets it"
    else:
        name = "The key of the proof's client" if hosts == (OWN_FOLDER,) else f"A key of {place(hosts[0])}"
        ok, words = len(hosts) == 1, "lies there alone"
    if not ok:
        others = [place(host) for host in hosts if host != OWN_FOLDER]
        words = f"lies on {', '.join(others)}"
        if not key.of_ca:
            name, words = "A shared key", f"{words}: who breaks into one of them has it for all"
    sign, colour = ("✓", "$success") if ok else ("✗", "$error") if key.of_ca else ("!", "$warning")
    lines = [Content.assemble((f"{sign} ", f"bold {colour}"), (hang(f"{name} {words}", width, 2), "bold"))]
    for where, rights in key.places:
        host = "" if where.host == OWN_FOLDER else f"{place(where.host)}: "
        lines.append(Content.styled(f"  {hang(f'{host}{where.path}  {rights}', width, 2)}", "$quiet"))
    return lines


def _short(fingerprint: str) -> str:
    """The first eight bytes: enough to compare by eye; the command shows all of it."""
    return f"{fingerprint[:23]}…" if len(fingerprint) > 24 else fingerprint


def _command(journey: CertificateFiles) -> str:
    copy = journey.copies[0] if journey.copies else journey.made
    path = copy.place.path if copy else "FILE"
    return f"openssl x509 -noout -fingerprint -sha256 -in {path}"
