"""Asks for what a connection needs: a host key to be accepted, a password, a passphrase. Nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input

from screens.dialogs.base import ConfirmDialog, FieldDialog
from screens.state_styles import safe
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from wizard.errors import CredentialNeededError
    from wizard.redact import Secret

TITLES = {
    "password": "SSH password",
    "key": "Passphrase of the private key",
    "sudo": "sudo password",
}


def host_key_dialog(needed: CredentialNeededError) -> ConfirmDialog:
    """Shows a host key and asks whether it is the right one; Enter by accident rejects it."""
    text = Content("\n").join(
        [
            Content.assemble(("Host  ", "$quiet"), safe(needed.where or needed.host, 200)),
            Content.assemble(("Key   ", "$quiet"), safe(needed.key_type, 60)),
            Content.assemble(("      ", ""), (safe(needed.fingerprint, 120).plain, "bold")),
            Content(""),
            Content("This host key is not in known_hosts yet. No password has been sent."),
            safe(needed.todo, 400),
        ]
    )
    return ConfirmDialog("Accept this host key?", text, yes="Accept", no="Reject", careful=True)


@dataclass(frozen=True, slots=True)
class Given:
    """What was typed. Of kind 'key' an empty secret means: skip that key."""

    secret: Secret
    everywhere: bool = False
    """Whether it is for all hosts that ask for the like."""


class SecretDialog(FieldDialog[Any]):
    """Asks for a password or a passphrase, masked; answers with `Given`, or None for Escape.

    Args:
        needed: what asks for it.
        several: whether other hosts may ask for the same.
    """

    def __init__(self, needed: CredentialNeededError, *, several: bool = False) -> None:
        super().__init__()
        self._needed = needed
        # A passphrase serves all the hosts that the key opens as it is.
        self._several = several and needed.kind != "key"

    def title_text(self) -> str:
        """What is asked for."""
        return TITLES.get(self._needed.kind, "A credential is needed")

    def text(self) -> Content:
        """Who asks, and why."""
        needed = self._needed
        return Content("\n").join(
            [
                Content.assemble(("Host  ", "$quiet"), safe(needed.where or needed.host, 200)),
                safe(f"{needed.what}.", 400),
                Content.styled(safe(needed.todo, 300).plain, "$quiet"),
            ]
        )

    def inside(self) -> ComposeResult:
        """Words, field, and where the answer goes."""
        yield from super().inside()
        yield Input(password=True)
        yield Prose("✗ Type it first, or press Escape to stop connecting.", id="wrong", markup=False)
        words = "Firescreen keeps it in memory until it ends, and never writes it to disk."
        if self._several:
            words += " 'Use for all hosts' sends it to other hosts once this one has accepted it."
        yield Prose(f"\n{words}", classes="why", markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Go on, here or everywhere, do without that key, or stop."""
        everywhere = (("everywhere", "Use for all hosts"),) if self._several else ()
        without = (("without", "Skip this key"),) if self._needed.kind == "key" else ()
        return (("give", "Continue"), *everywhere, *without, ("stop", "Stop connecting"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter gives it."""
        event.stop()
        self.handle_button("give")

    def handle_button(self, name: str) -> None:
        """Hands it over, unless there is nothing to hand over."""
        from wizard.redact import Secret

        field = self.query_one(Input)
        if name == "without":
            self.dismiss(Given(Secret("")))
        elif name == "stop":
            self.dismiss(None)
        elif not field.value:
            self.query_one("#wrong").add_class("-on")
            field.focus()
        else:
            self.dismiss(Given(Secret(field.value), everywhere=name == "everywhere"))

    def action_refuse(self) -> None:
        """Escape stops."""
        self.dismiss(None)
