"""The help of a screen: what it is for and which keys work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Grid
from textual.content import Content
from textual.widgets import Static

from screens.dialogs.base import Dialog

if TYPE_CHECKING:
    from screens.base_app import BaseApp

DIALOG = "A dialog asks for one thing, or says it. Escape closes it and changes nothing."
KEYS = (
    ("←→ tab", "the next or the previous button or field"),
    ("enter", "press the button that is marked"),
    ("↑↓", "scroll a long text"),
    ("esc", "close"),
)
"""(key, description) of the keys of every dialog."""


class HelpDialog(Dialog[None]):
    """Shows our own text, then the keys.

    Args:
        title: the screen's name.
        text: what the screen is for; the project's own text.
        keys: (key, description).
    """

    DEFAULT_CSS = """
    HelpDialog {
        .text { scrollbar-gutter: stable; }
        #both, #words, #keys { height: auto; width: 100%; }
        #keys { padding: 1 0 0 0; grid-size: 2; grid-columns: 10 1fr; grid-rows: auto; }
        &.-wide {
            .box { width: 112; }
            #both { layout: horizontal; }
            #words { width: 1fr; }
            #keys { width: 42; padding: 0 0 0 3; }
        }
    }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (116, "-wide")]  # noqa: RUF012 - as Textual declares it
    # The key that opened the help closes it too.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,f1", "refuse", "Close", show=False)]

    def __init__(self, title: str, text: str, keys: tuple[tuple[str, str], ...]) -> None:
        super().__init__()
        self._title, self._text, self._keys = title, text, keys

    def title_text(self) -> str:
        """Returns the screen's name."""
        return f"Help · {self._title}"

    def inside(self) -> ComposeResult:
        """Yields the text, and the keys below it, or beside it if there is room."""
        keys = (*self._keys, ("g", "in this help: open the glossary (CA, SAN, scrape …)"))
        with Container(id="both"):
            yield Static(Content(self._text), id="words", markup=False)
            with Grid(id="keys"):
                for key, words in keys:
                    yield Static(Content.styled(key, "$primary bold"), markup=False)
                    yield Static(words, markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons to close, and to open the glossary or the manual."""
        return (("close", "Close"), ("glossary", "Open glossary"), ("manual", "Open manual"))

    def handle_button(self, name: str) -> None:
        """Closes, and opens what was chosen."""
        app = self.app
        self.dismiss(None)
        if name == "glossary":
            from screens.dialogs.glossary import GlossaryDialog

            app.push_screen(GlossaryDialog())
        elif name == "manual":
            from screens.dialogs.manual import ManualDialog

            app.push_screen(ManualDialog())

    def key_g(self) -> None:
        """Opens the glossary."""
        self.handle_button("glossary")

    def key_m(self) -> None:
        """Opens the manual."""
        self.handle_button("manual")

    def action_refuse(self) -> None:
        """Closes."""
        self.dismiss(None)


def open_dialog_help(app: BaseApp) -> None:
    """Shows the keys of every dialog, for the top dialog."""
    if isinstance(app.screen, Dialog):
        app.push_screen(HelpDialog(app.screen.title_text(), DIALOG, KEYS))
