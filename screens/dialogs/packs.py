"""Adds labs written by others: inspects a folder, shows every command in it, and asks whether to add it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static

from screens.dialogs.base import Dialog
from screens.state_styles import inline, safe
from screens.widgets.button import ActionButton
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from screens.state import ErrorMessage
    from wizard.labs.packs import Pack

_MOST = 8
"""How many problems are shown; the command line lists all."""


class PackDialog(Dialog[bool]):
    """Returns whether labs were added."""

    TITLE_TEXT = "Add labs from a folder"
    AUTO_FOCUS = "Input"
    DEFAULT_CSS = """
    PackDialog {
        .box { width: 96%; max-width: 110; }
        .text { max-height: 66vh; scrollbar-gutter: stable; }
        Input { height: 1; border: none; padding: 0 1; margin: 1 0; background: $panel; width: 1fr; }
        Input:focus { border: none; background-tint: $foreground 8%; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._pack: Pack | None = None
        self._typed = ""

    def inside(self) -> ComposeResult:
        """Yields the instruction, the field, and the result of the inspection."""
        yield Prose(
            "Type the folder of a lab pack. Before anything is added, Firescreen inspects the pack and shows every command "
            "and file of its labs. Inspecting runs nothing.",
            markup=False,
        )
        yield Input(placeholder="~/Downloads/workshop-labs")
        yield Prose("", id="found", markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons: first inspect, then add."""
        return (("look", "Inspect"), ("add", "Add these labs"), ("stop", "Add nothing"))

    def on_mount(self) -> None:
        """Hides the button that adds until a pack is inspected."""
        self.query_one("#add", ActionButton).display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        """Discards the result of the former folder."""
        event.stop()
        if event.value != self._typed:
            self._show(None, Content(""))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Inspects the folder on Enter."""
        event.stop()
        self.handle_button("look")

    def handle_button(self, name: str) -> None:
        """Inspects, adds, or closes."""
        pack = self._pack
        if name == "look":
            self._look(self.query_one(Input).value.strip())
        elif name == "add" and pack is not None:
            self.firescreen.ask(lambda: self.firescreen.client.add_pack(pack), self._close_added, self._wrong)
        else:
            self.dismiss(False)

    def _look(self, typed: str) -> None:
        if not typed:
            return
        self._typed = self.query_one(Input).value
        self._show(None, Content("▸ Inspecting…"))
        self.firescreen.ask(
            lambda: self.firescreen.client.pack(Path(typed)),
            self._show_pack,
            self._wrong,
            wanted=lambda: self in self.app.screen_stack,
        )

    def _show_pack(self, pack: Pack) -> None:
        if pack.problems:
            lines = [
                Content.assemble(
                    ("✗ ", "bold $error"),
                    inline(each.where, 400),
                    "\n  ",
                    inline(f"{each.what}: {each.todo}", 500),
                )
                for each in pack.problems[:_MOST]
            ]
            if more := len(pack.problems) - len(lines):
                lines.append(Content(f"… and {more} more: firescreen lab check-pack shows them all"))
            self._show(None, Content("\n").join(lines))
            return
        head = Content.styled("These labs can run these commands as your user:", "bold $primary")
        self._show(pack, Content("\n").join([head, safe("\n".join(pack.shows), 400_000)]))
        self.query_one("#stop", ActionButton).focus()  # a second Enter by mistake adds nothing

    def _show(self, pack: Pack | None, words: Content) -> None:
        self._pack = pack
        self.query_one("#found", Static).update(words)
        self.query_one("#add", ActionButton).display = pack is not None
        self.query_one("#look", ActionButton).display = pack is None

    def _close_added(self, _: None) -> None:
        if self in self.app.screen_stack:
            self.dismiss(True)

    def _wrong(self, error: ErrorMessage) -> None:
        if self in self.app.screen_stack:
            words = safe(f"{error.what}: {error.todo}", 600)
            self._show(None, Content.assemble(("✗ ", "bold $error"), words))
            self.query_one(Input).focus()

    def action_refuse(self) -> None:
        """Adds nothing on Escape."""
        self.dismiss(False)
