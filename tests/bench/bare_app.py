"""The yardstick for the first frame: a minimal Textual app with a header, a button and a footer."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Button, Footer, Header


class Bare(App[None]):
    """A header, a button, a footer with one key."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "quit", "Quit")]

    def compose(self) -> ComposeResult:
        yield Header()
        yield Button("Nothing else")
        yield Footer()


if __name__ == "__main__":
    Bare().run()
