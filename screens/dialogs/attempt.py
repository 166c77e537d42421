"""A probe in detail: the command that repeats it, the handshake, the certificates, the response."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from screens.dialogs.base import Dialog
from screens.routes import Route
from screens.state_styles import came, commands, date, inline, safe
from screens.widgets.button import ActionButton

if TYPE_CHECKING:
    from wizard.diagnostics.catalogue import Diagnosis
    from wizard.model import Attempt, CertificateSummary

_CONFIG = re.compile(r"--config ('[^']*'|\S+)")


class AttemptDialog(Dialog[None]):
    """Shows a probe after Enter on a cell of the matrix. Everything from the network is drawn as plain text.

    Args:
        attempt: the probe and its outcome.
    """

    DEFAULT_CSS = """
    AttemptDialog .box { width: 96%; max-width: 110; }
    AttemptDialog .text { scrollbar-gutter: stable; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy", show=False),
        Binding("a", "again", "Open in the probe console", show=False),
        Binding("m", "fix", "Fix it", show=False),
    ]

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        self._attempt = attempt
        self._part = ""

    def title_text(self) -> str:
        """Returns the names of client and server."""
        probe = self._attempt.probe
        return inline(f"{probe.client} → {probe.server}", 80)

    def text(self) -> Content:
        """Returns the whole probe, the most important first."""
        return inside(self._attempt)

    def on_mount(self) -> None:
        """Loads the diagnosis of a failure; the table of diagnoses is read in a thread."""
        attempt = self._attempt
        self.query_one("#fix", ActionButton).display = False
        if not attempt.ok and (attempt.reason or attempt.detail):
            app = self.firescreen
            app.ask(lambda: app.client.explain(attempt, app.session.stack), self._show_diagnosis)

    def _show_diagnosis(self, diagnosis: Diagnosis | None) -> None:
        if diagnosis and self in self.app.screen_stack:
            from textual.widgets import Static

            from screens.engine_client.client import lines_of

            self._part = diagnosis.menu_entry
            self.query_one("#fix", ActionButton).display = bool(diagnosis.menu_entry)
            explanation = Content("\n").join([safe(line, 600) for line in lines_of(diagnosis)])
            text = Content.assemble(
                inside(self._attempt), "\n\n", ("Diagnosis", "bold $primary"), "\n", explanation
            )
            self.query_one(".text Static", Static).update(text)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons to close, copy and repeat, and one to fix the cause if the wizard can."""
        return (("close", "Close"), ("copy", "Copy"), ("again", "Open in probe console"), ("fix", "Fix it"))

    def handle_button(self, name: str) -> None:
        """Does what the button says."""
        if name == "copy":
            self.action_copy()
        elif name == "again":
            self.action_again()
        elif name == "fix":
            self.action_fix()
        else:
            self.dismiss(None)

    def action_copy(self) -> None:
        """Copies the command to the terminal's clipboard (OSC 52)."""
        self.app.copy_to_clipboard(self._attempt.curl + "\n")
        self.app.notify("Copied the command")

    def action_again(self) -> None:
        """Opens the probe console with this request."""
        self.dismiss(None)
        self.firescreen.open_page(Route.PROBE_CONSOLE, self._attempt.probe)

    def action_fix(self) -> None:
        """Opens the part of the wizard that fixes the cause."""
        if self._part:
            self.dismiss(None)
            self.firescreen.open_menu_entry(self._part)

    def action_refuse(self) -> None:
        """Closes."""
        self.dismiss(None)


def inside(attempt: Attempt) -> Content:
    """Returns the request and its outcome as text."""
    probe = attempt.probe
    sign, colour = (
        ("✓", "$success") if attempt.ok else ("–", "$warning") if attempt.excused else ("✗", "$error")
    )
    parts = [
        Content.assemble((f"{sign} ", f"bold {colour}"), (inline(probe.name), "bold")),
        Content.assemble(
            ("expected ", "$quiet"),
            came(probe.expect),
            ("   got ", "$quiet"),
            came(attempt.outcome),
        ),
    ]
    if attempt.excused:
        parts.append(Content.assemble(("does not count  ", "$quiet"), inline(attempt.excused, 400)))
    if probe.forward is not None:
        way = f"the SSH connection to {probe.forward.host.name}, to {probe.forward.place}"
        parts.append(Content.assemble(("through  ", "$quiet"), inline(way, 200)))
    if attempt.reason:
        parts.append(Content.assemble(("reason   ", "$quiet"), safe(attempt.reason, 600)))
    if attempt.detail and attempt.detail != attempt.reason:
        parts.append(safe(attempt.detail, 600))
    if attempt.curl:
        parts.extend((_head("Command"), commands((attempt.curl,))))
        asking = _CONFIG.sub(f"-u {probe.user}", attempt.curl)
        # Typing a password takes longer than the port forwarding of that command lasts.
        if probe.user and asking != attempt.curl and probe.forward is None:
            parts.extend(
                (Content.styled("or, with a prompt for the password:", "$quiet"), commands((asking,)))
            )
    if attempt.tls is not None:
        tls = attempt.tls
        parts.extend((_head("Handshake"), Content(inline(f"{tls.version}  {tls.cipher}"))))
        parts.extend(safe(step, 300) for step in tls.steps)
        parts.append(_head("Certificates of the server"))
        parts.extend(_certificate(summary) for summary in tls.chain)
    if attempt.body:
        parts.extend((_head("Response"), safe(attempt.body.rstrip(), 2000)))
    if attempt.timings:
        times = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in attempt.timings.items())
        parts.extend((_head("Time"), Content(inline(times))))
    return Content("\n").join(parts)


def _head(title: str) -> Content:
    return Content.assemble("\n", (title, "bold $primary"))


def _certificate(summary: CertificateSummary) -> Content:
    until = date(summary.not_after)
    lines = (
        ("subject ", summary.subject or "(empty)"),
        ("issuer  ", summary.issuer or "(empty)"),
        ("for     ", ", ".join(summary.names) or "no name"),
        ("until   ", f"{until}, {summary.key}, {', '.join(summary.usage)}"),
    )
    return Content("\n").join(
        [Content.assemble((name, "$quiet"), inline(value, 400)) for name, value in lines]
    )
