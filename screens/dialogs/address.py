"""Asks for a host: user@host:port, or a file with many."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static

from screens.dialogs.base import FieldDialog
from screens.state import ErrorMessage
from screens.state_styles import safe
from screens.widgets.prose import Prose


class AddressDialog(FieldDialog[tuple[str, ...]]):
    """Returns the names of the hosts that were added.

    Args:
        add: adds what was typed; calls back with the hosts' names, or with why the input is invalid.
    """

    TITLE_TEXT = "Add a host"

    def __init__(
        self, add: Callable[[str, Callable[[tuple[str, ...]], None], Callable[[ErrorMessage], None]], None]
    ) -> None:
        super().__init__()
        self._add = add

    def text(self) -> Content:
        """Returns the prompt."""
        return Content(
            "Type user@host or user@host:port. Settings in ~/.ssh/config (user, port, key, ProxyJump) apply. The host is "
            "tested at once. Or type the path of a file that lists hosts: an Ansible inventory, or the targets of a "
            "Prometheus (file_sd)."
        )

    def inside(self) -> ComposeResult:
        """Yields the prompt and the field."""
        yield from super().inside()
        yield Input(placeholder="root@srv1.example.org")
        yield Prose("", id="wrong", markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons to add and to close."""
        return (("add", "Add"), ("stop", "Add nothing"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Adds the typed host or file on Enter."""
        event.stop()
        self.handle_button("add")

    def handle_button(self, name: str) -> None:
        """Adds the typed host or file, or closes."""
        if name == "add":
            self._add(self.query_one(Input).value, self._close_with, self._wrong)
        else:
            self.dismiss(())

    def _close_with(self, names: tuple[str, ...]) -> None:
        if self.is_current:
            self.dismiss(names)

    def _wrong(self, error: ErrorMessage) -> None:
        if self.is_current:
            wrong = self.query_one("#wrong", Static)
            wrong.update(Content.assemble("✗ ", safe(error.line, 600)))
            wrong.add_class("-on")
            self.query_one(Input).focus()

    def action_refuse(self) -> None:
        """Adds nothing on Escape."""
        self.dismiss(())
