"""The certificate distribution page: where certificates are created and copied to, and where private keys are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base_screen import SCROLL_KEYS, Page
from screens.state import OWN_FOLDER
from screens.state_styles import describe_error, fit, hang, inline, place
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from screens.certificate_distribution.data import CertificateFiles, Copy, Distribution, PrivateKey
    from screens.state import ErrorMessage
    from wizard.model import Plan, Stack

# state of a copy -> (sign, words, colour)
COPY = {
    "planned": ("·", "will be written", "$primary"),
    "there": ("✓", "in place", "$success"),
    "arrived": ("✓", "in place, identical", "$success"),
    "other": ("✗", "another certificate", "$error"),
    "missing": ("✗", "missing", "$error"),
    "unseen": ("–", "could not be read", "$warning"),
}
KEYS = "keys"


class DistributionPage(Page):
    """Shows each certificate of a plan or of the current hosts, with all its files.

    Args:
        plan: the plan, applied or not; None for the certificates on the hosts.
        read: whether the files are read from the hosts, because the plan was applied.
    """

    PLACE = "Certificate distribution"
    HELP = """\
Left: every certificate of the stack, and how many hosts it is copied to. Right: where it is created, and each file \
that contains it, with mode, owner and the SHA-256 fingerprint of source and copy.

A certificate is public: a server shows it to every client. Its private key must stay secret; the last line on the \
left shows where the keys are. The fingerprint is a hash of the certificate: if source and copy have the same \
fingerprint, they are identical."""

    CSS = """
    DistributionPage #head { padding: 0 2; height: auto; }
    DistributionPage #panes { height: 1fr; }
    DistributionPage #found { width: 30; height: 1fr; padding: 0; }
    DistributionPage #list { height: 1fr; padding: 0; }
    DistributionPage #files { width: 1fr; height: 1fr; padding: 0 0 0 1; }
    DistributionPage #detail { height: 1fr; scrollbar-gutter: stable; }
    DistributionPage #text { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "read", "Read again", tooltip="Read the files on the hosts again"),
        Binding("c", "copy", "Copy", tooltip="Copy the command that shows the fingerprint on a host"),
        *SCROLL_KEYS,
    ]

    def __init__(self, plan: Plan | None, *, read: bool) -> None:
        super().__init__()
        self._plan, self._read = plan, read
        self._distribution: Distribution | None = None

    def body(self) -> ComposeResult:
        """Yields the certificates on the left and all files of the selected one on the right."""
        yield Prose("reading the certificates…", id="head", markup=False)
        with Horizontal(id="panes"):
            yield Panel(OptionList(id="list", markup=False), title="Certificates", id="found")
            with Panel(title="Files", id="files"), VerticalScroll(id="detail", can_focus=False):
                yield Prose("", id="text", markup=False)

    def on_mount(self) -> None:
        """Starts reading."""
        self.query_one("#panes").display = False
        self.action_read()

    def on_resize(self) -> None:
        """Fits the lines to the width."""
        self.call_after_refresh(self._draw)

    def action_read(self) -> None:
        """Reads the files from the hosts, or takes them from the plan."""
        plan, read, app = self._plan, self._read, self.firescreen
        stack: Stack | None = plan.stack if plan else app.session.stack
        if stack is None:
            self.query_one("#head", Static).update(
                "The scan is still running. Go back and try again in a moment."
            )
            return

        def work() -> Distribution:
            from screens.certificate_distribution import data

            if plan is not None and not read:
                return data.planned_distribution(plan)
            facts = app.client.engine.inspect(stack)
            return data.read_back(plan, facts) if plan is not None else data.found_distribution(facts)

        if self._distribution is None:
            app.key_queue.hold(self)
        app.ask(work, self._have, self._report_error, wanted=lambda: self.is_open)

    def _report_error(self, error: ErrorMessage) -> None:
        self.firescreen.key_queue.drop()
        self.query_one("#head", Static).update(describe_error(error))

    def _have(self, distribution: Distribution) -> None:
        self._distribution = distribution
        self.query_one("#head", Static).update(_head(distribution, read=self._read))
        listed = self.query_one("#list", OptionList)
        before = listed.highlighted or 0
        listed.set_options(
            [
                *(Option(_entry(certificate)) for certificate in distribution.certificates),
                Option(Content.styled("Private keys", "bold"), id=KEYS),
            ]
        )
        self.query_one("#panes").display = True
        listed.highlighted = min(before, len(distribution.certificates))
        listed.focus()
        self.firescreen.key_queue.release(self)
        self.refresh_bindings()

    @property
    def certificate(self) -> CertificateFiles | None:
        """Returns the selected certificate, or None on the line about private keys."""
        at = self.query_one("#list", OptionList).highlighted
        distribution = self._distribution
        return (
            distribution.certificates[at]
            if distribution and at is not None and at < len(distribution.certificates)
            else None
        )

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another certificate."""
        self.query_one("#detail", VerticalScroll).scroll_home(animate=False)
        self._draw()
        self.refresh_bindings()

    def _draw(self) -> None:
        distribution, certificate = self._distribution, self.certificate
        if distribution is None or not self.is_open:
            return
        width = max(self.app.size.width - 30 - 6, 30)
        text = describe_certificate(certificate, width) if certificate else describe_keys(distribution, width)
        self.query_one("#text", Static).update(text)
        hosts = certificate.hosts if certificate else (OWN_FOLDER,)
        stack_hosts = self.firescreen.session.hosts
        self.set_hosts(tuple(host for host in hosts if host in stack_hosts) or (OWN_FOLDER,))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the actions that make sense now."""
        if action == "read":
            return self._read or self._plan is None
        if action == "copy":
            return self._distribution is not None and self.certificate is not None
        return True

    def action_copy(self) -> None:
        """Copies the command that shows the fingerprint on a host."""
        certificate = self.certificate
        if certificate is not None:
            self.app.copy_to_clipboard(_command(certificate) + "\n")
            self.app.notify("Copied the command")


def _head(distribution: Distribution, *, read: bool) -> Content:
    from screens.certificate_distribution.data import count_states

    counts = count_states(distribution.certificates)
    if not distribution.certificates:
        return Content("No certificates yet. Securing a component creates them.")
    lead = "Read from the hosts: " if read else "Not copied yet: " if "planned" in counts else ""
    parts = []
    for state, (sign, words, colour) in COPY.items():
        number = counts.get(state, 0)  # type: ignore[call-overload]
        if number:
            parts.append(Content.assemble((f"{sign} ", f"bold {colour}"), f"{number} {words}"))
    many = len(distribution.certificates)
    lines = [
        Content.assemble(
            (lead, "bold" if lead else ""),
            f"{many} certificate{'s' * (many != 1)} in {sum(counts.values())} files on hosts",
        ),
        Content(" · ").join(parts),
    ]
    if not parts:
        lines = lines[:1]
    if distribution.away:
        lines.append(
            Content.assemble(
                ("! ", "bold $warning"), inline(f"unreachable: {', '.join(distribution.away)}", 200)
            )
        )
    return Content("\n").join(lines)


def _names(certificate: CertificateFiles) -> str:
    return ", ".join(certificate.summary.names) or certificate.summary.subject.removeprefix("CN=")


def _entry(certificate: CertificateFiles) -> Content:
    bad = next((copy for copy in certificate.copies if copy.state in ("other", "missing")), None)
    sign = Content.styled("✗ ", "bold $error") if bad else Content("")
    hosts = certificate.hosts
    to = (
        "stays in the workspace"
        if not hosts
        else f"→ {place(hosts[0])}"
        if len(hosts) == 1
        else f"→ {len(hosts)} hosts"
    )
    title = (
        certificate.kind
        if "CA" in certificate.summary.usage
        else fit(_names(certificate).partition(",")[0], 24).rstrip()
    )
    kind = "" if "CA" in certificate.summary.usage else f"{certificate.kind.partition(' ')[0]} "
    return Content.assemble(sign, (hang(title, 26, 0), "bold"), "\n", (f"{kind}{to}", "$quiet"))


def describe_certificate(certificate: CertificateFiles, width: int) -> Content:
    """Returns the details of a certificate: its fields, where it is created, and each file with fingerprints."""
    summary = certificate.summary
    until = time.strftime("%Y-%m-%d", time.gmtime(summary.not_after))
    parts = [
        Content.styled(hang(f"{certificate.kind} · {_names(certificate)}", width, 0), "bold"),
        Content.styled(
            hang(f"{summary.key}, until {until}, signed by {summary.issuer.removeprefix('CN=')}", width, 0),
            "$quiet",
        ),
        Content.styled(hang(f"SHA-256 {_short(summary.fingerprint)}", width, 0), "$quiet"),
        Content(""),
    ]
    if certificate.made is not None:
        made = certificate.made
        parts += [
            Content.assemble(("created in the ", "bold $primary"), (place(OWN_FOLDER), "bold")),
            *_copy(made, width, named=False),
        ]
    elif certificate.copies and certificate.copies[0].state != "there":
        text = "created and signed in memory; only the host gets the file"
        parts.append(Content.styled(hang(text, width, 0), "$primary"))
    parts.append(Content(""))
    if certificate.copies:
        many = len(certificate.copies)
        parts.append(Content.styled(f"copied to {many} file{'s' * (many != 1)}", "bold $primary"))
        for copy in certificate.copies:
            parts += _copy(copy, width, named=True)
    else:
        text = "copied to no host: the verification uses it as a client certificate"
        parts.append(Content.styled(hang(text, width, 0), "$quiet"))
    parts += [Content(""), Content.styled("Command that shows the fingerprint ('c' copies it)", "$quiet")]
    parts.append(Content.assemble(("$ ", "bold $primary"), hang(_command(certificate), width - 2, 0)))
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
    for word, end in (("source", sent), ("copy  ", found)):
        text = f"{word} {end.rights}  {_short(end.fingerprint)}"
        lines.append(Content.styled(f"  {hang(text, width, 2)}", "$quiet"))
    return lines


def describe_keys(distribution: Distribution, width: int) -> Content:
    """Returns why private keys stay in place, and where each of them is."""
    parts = [
        Content.styled("Private keys", "bold"),
        Content(
            hang(
                "A certificate is public, its private key is not: with the key, another server can pass for this one. "
                "With the CA's key, anyone can create certificates that your whole stack trusts.",
                width,
                0,
            )
        ),
        Content(""),
    ]
    parts.extend(line for key in distribution.keys for line in _key(key, width))
    if not distribution.keys:
        parts.append(Content("No private keys yet."))
    return Content("\n").join(parts)


def _key(key: PrivateKey, width: int) -> list[Content]:
    hosts = key.hosts
    if key.of_ca:
        name = "The CA's key"
        ok, words = hosts == (OWN_FOLDER,), "is in the workspace only"
    else:
        name = (
            "The key of the verification's client"
            if hosts == (OWN_FOLDER,)
            else f"A key of {place(hosts[0])}"
        )
        ok, words = len(hosts) == 1, "is there only"
    if not ok:
        others = [place(host) for host in hosts if host != OWN_FOLDER]
        words = f"is on {', '.join(others)}"
        if not key.of_ca:
            name, words = "A shared key", f"{words}: one compromised host compromises all of them"
    sign, colour = ("✓", "$success") if ok else ("✗", "$error") if key.of_ca else ("!", "$warning")
    lines = [Content.assemble((f"{sign} ", f"bold {colour}"), (hang(f"{name} {words}", width, 2), "bold"))]
    for where, rights in key.places:
        host = "" if where.host == OWN_FOLDER else f"{place(where.host)}: "
        lines.append(Content.styled(f"  {hang(f'{host}{where.path}  {rights}', width, 2)}", "$quiet"))
    return lines


def _short(fingerprint: str) -> str:
    """Returns the first eight bytes: enough to compare by eye; the command shows the whole fingerprint."""
    return f"{fingerprint[:23]}…" if len(fingerprint) > 24 else fingerprint


def _command(certificate: CertificateFiles) -> str:
    copy = certificate.copies[0] if certificate.copies else certificate.made
    path = copy.place.path if copy else "FILE"
    return f"openssl x509 -noout -fingerprint -sha256 -in {path}"
