"""Asks for a classroom file, and for the student's number in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static

from screens.dialogs.base import FieldDialog
from screens.state_styles import safe
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from screens.state import ErrorMessage


class ClassroomDialog(FieldDialog[bool]):
    """Returns whether the hosts of a classroom were taken."""

    TITLE_TEXT = "Labs on real hosts"
    AUTO_FOCUS = "#file"

    def text(self) -> Content:
        """Returns the prompt."""
        return Content(
            "Your instructor has a classroom file, which names the hosts srv1, prometheus and so on. If the file is for a "
            "whole class, also type your campus number. Both are remembered."
        )

    def inside(self) -> ComposeResult:
        """Yields the prompt and the two fields."""
        yield from super().inside()
        yield Input(placeholder="path of the file, e.g. ~/classroom.yaml", id="file")
        yield Input(placeholder="campus number, if you were given one", id="campus", type="integer")
        yield Prose("", id="wrong", markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons to go on and to cancel."""
        return (("take", "Use these hosts"), ("stop", "Keep present hosts"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Goes on with Enter: from the file to the number, from the number to the labs."""
        event.stop()
        if event.input.id == "file" and not self.query_one("#campus", Input).value:
            self._take(then_ask=True)
        else:
            self._take()

    def handle_button(self, name: str) -> None:
        """Takes the hosts, or closes."""
        if name == "take":
            self._take()
        else:
            self.dismiss(False)

    def _take(self, *, then_ask: bool = False) -> None:
        app = self.firescreen
        file = self.query_one("#file", Input).value.strip()
        number = self.query_one("#campus", Input).value.strip()
        campus = int(number) if number.isdecimal() else 0
        app.ask(
            lambda: app.client.take_classroom(file, campus),
            lambda _: self._close_accepted(),
            lambda error: self._wrong(error, asks=then_ask),
        )

    def _close_accepted(self) -> None:
        if self.is_current:
            self.dismiss(True)

    def _wrong(self, error: ErrorMessage, *, asks: bool) -> None:
        if not self.is_current:
            return
        about = "#campus" if "campus" in error.title.lower() else "#file"
        wrong = self.query_one("#wrong", Static)
        todo = error.todo.replace(": --campus NUMBER", "")
        wrong.update(Content.assemble("✗ ", safe(f"{error.where}: {error.what}: {todo}", 500)))
        wrong.add_class("-on")
        # An error about the number is not shown to somebody who has not been asked for the number yet.
        wrong.set_class(not (asks and about == "#campus"), "-on")
        self.query_one(about, Input).focus()

    def action_refuse(self) -> None:
        """Changes nothing on Escape."""
        self.dismiss(False)
