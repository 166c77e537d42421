"""The box in which all dialogs are drawn (title in the border, scrolling text, buttons below), and a plain question."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen

from screens.state_styles import inline
from screens.widgets.button import ActionButton
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from screens.base_app import BaseApp

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """Base of the dialogs: `text()` is drawn, `buttons()` names (id, label, variant), Escape is `refuse`.

    The first button has the focus, so put the harmless button first if a slip would do harm.
    """

    TITLE_TEXT: ClassVar[str] = ""
    DEFAULT_CSS = """
    Dialog {
        align: center middle; background: $background 60%;
        .box {
            width: 74; max-width: 100%; height: auto; max-height: 100%;
            border: round $primary; border-title-color: $primary; border-title-style: bold;
            background: $surface; padding: 1 2;
        }
        .text { height: auto; max-height: 74vh; }
        .buttons { height: auto; align-horizontal: right; padding: 1 0 0 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "refuse", "Close", show=False),
        Binding("question_mark,f1", "app.dialog_help", "Help", show=False),
        Binding("left", "app.focus_previous", "Previous", show=False),
        Binding("right", "app.focus_next", "Next", show=False),
        Binding("up", "scroll(-1)", "Up", show=False),
        Binding("down", "scroll(1)", "Down", show=False),
        Binding("pageup", "scroll(-8)", "Page up", show=False),
        Binding("pagedown", "scroll(8)", "Page down", show=False),
    ]
    AUTO_FOCUS = "ActionButton"

    @property
    def firescreen(self) -> BaseApp:
        """Returns the app with its own type."""
        return cast("BaseApp", self.app)

    def compose(self) -> ComposeResult:
        """Yields the box."""
        with Vertical(classes="box") as box:
            with VerticalScroll(classes="text", can_focus=False):
                yield from self.inside()
            with Horizontal(classes="buttons"):
                for name, label in self.buttons():
                    yield ActionButton(label, id=name)
        box.border_title = Content(f" {inline(self.title_text(), 64)} ")

    def action_scroll(self, lines: int) -> None:
        """Scrolls a text that is longer than the screen."""
        self.query_one(".text", VerticalScroll).scroll_relative(y=lines, animate=False)

    def title_text(self) -> str:
        """Returns the title in the border."""
        return self.TITLE_TEXT

    def inside(self) -> ComposeResult:
        """Yields the content of the box."""
        yield Prose(self.text(), markup=False)

    def text(self) -> Content:
        """Returns the text of the dialog."""
        return Content("")

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns (id, label) of each button."""
        return (("close", "Close"),)

    def on_action_button_pressed(self, event: ActionButton.Pressed) -> None:
        """Handles a button by its id."""
        event.stop()
        self.handle_button(event.button.id or "")

    def handle_button(self, name: str) -> None:
        """Closes the dialog; `name` is the button's id."""
        raise NotImplementedError

    def action_refuse(self) -> None:
        """Handles Escape."""
        raise NotImplementedError


class FieldDialog(Dialog[Result]):
    """Base of the dialogs with a line to type; `#wrong` says why it is invalid, once it has the class `-on`."""

    AUTO_FOCUS = "Input"
    DEFAULT_CSS = """
    FieldDialog {
        Input { height: 1; border: none; padding: 0 1; margin: 1 0 0 0; background: $panel; width: 1fr; }
        Input:focus { border: none; background-tint: $foreground 8%; }
        #wrong { color: $error; height: auto; display: none; &.-on { display: block; } }
    }
    """
    # The arrow keys scroll the text.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "", show=False),
        Binding("right", "", show=False),
    ]


class ConfirmDialog(Dialog[bool]):
    """Asks a question and returns True if the person agrees.

    Args:
        title: the question in two or three words.
        text: what will happen, in a sentence or two.
        yes: label of the button that agrees.
        no: label of the button that declines.
        careful: whether `no` has the focus at first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n", "answer(False)", "No", show=False),
    ]

    def __init__(self, title: str, text: Content | str, *, yes: str, no: str, careful: bool = False) -> None:
        super().__init__()
        self._title, self._text = title, Content(text) if isinstance(text, str) else text
        self._yes, self._no, self._careful = yes, no, careful

    def title_text(self) -> str:
        """Returns the question."""
        return self._title

    def text(self) -> Content:
        """Returns what will happen."""
        return self._text

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the two buttons."""
        pair = (("yes", self._yes), ("no", self._no))
        return pair[::-1] if self._careful else pair

    def handle_button(self, name: str) -> None:
        """Returns yes or no."""
        self.dismiss(name == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answers by key, as pages that ask without a dialog do; in a careful dialog, y alone does nothing."""
        if not (yes and self._careful):
            self.dismiss(yes)

    def action_refuse(self) -> None:
        """Answers no on Escape."""
        self.dismiss(False)
