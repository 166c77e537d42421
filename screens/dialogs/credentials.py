"""Prompts for what a connection needs: accepting a host key, a password, a passphrase. Nothing is stored."""

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
    """Shows a host key and asks whether it is the right one; pressing Enter by accident rejects it."""
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
    """The typed secret. For the kind 'key', an empty secret means: skip that key."""

    secret: Secret
    everywhere: bool = False
    """Whether the secret is for all hosts that need one of this kind."""


class SecretDialog(FieldDialog[Any]):
    """Prompts for a password or a passphrase, masked; returns `Given`, or None for Escape.

    Args:
        needed: what needs it.
        several: whether other hosts may need the same.
    """

    def __init__(self, needed: CredentialNeededError, *, several: bool = False) -> None:
        super().__init__()
        self._needed = needed
        # A passphrase unlocks the key for all its hosts anyway.
        self._several = several and needed.kind != "key"

    def title_text(self) -> str:
        """Returns what is needed."""
        return TITLES.get(self._needed.kind, "A credential is needed")

    def text(self) -> Content:
        """Returns who needs it, and why."""
        needed = self._needed
        return Content("\n").join(
            [
                Content.assemble(("Host  ", "$quiet"), safe(needed.where or needed.host, 200)),
                safe(f"{needed.what}.", 400),
                Content.styled(safe(needed.todo, 300).plain, "$quiet"),
            ]
        )

    def inside(self) -> ComposeResult:
        """Yields the prompt, the field, and where the answer goes."""
        yield from super().inside()
        yield Input(password=True)
        yield Prose("✗ Type it first, or press Escape to stop connecting.", id="wrong", markup=False)
        words = "Firescreen keeps it in memory until it ends, and never writes it to disk."
        if self._several:
            words += " 'Use for all hosts' sends it to other hosts once this one has accepted it."
        yield Prose(f"\n{words}", classes="why", markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons: use it here or everywhere, go on without that key, or stop."""
        everywhere = (("everywhere", "Use for all hosts"),) if self._several else ()
        without = (("without", "Skip this key"),) if self._needed.kind == "key" else ()
        return (("give", "Continue"), *everywhere, *without, ("stop", "Stop connecting"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Uses the typed secret on Enter."""
        event.stop()
        self.handle_button("give")

    def handle_button(self, name: str) -> None:
        """Returns the secret, unless none was typed."""
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
        """Stops on Escape."""
        self.dismiss(None)
