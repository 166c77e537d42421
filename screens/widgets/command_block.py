"""Commands on a background of their own, with a control that copies them unwrapped, by keyboard and by mouse."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from screens.widgets.button import ActionButton
from wizard.plurals import count_noun

COPIED_FOR = 2.0
"""Seconds for which the control confirms that it has copied."""


class CommandBlock(Vertical):
    """Commands as they are typed; its page has an action `copy`, which calls `copy` here.

    Args:
        id: of the text.
    """

    DEFAULT_CSS = """
    CommandBlock {
        height: auto; background: $panel; display: none;
        .head { height: 1; align-horizontal: right; }
        .head ActionButton { background: $surface-lighten-2; &:focus { background: $primary; } }
        .typed { height: auto; padding: 0 1 0 0; }
        &.-shown { display: block; }
    }
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own word
        super().__init__()
        self._text_id = id

    def compose(self) -> ComposeResult:
        """Yields the control above the text."""
        with Horizontal(classes="head"):
            yield ActionButton("Copy", id="copy")
        yield Static("", id=self._text_id, classes="typed", markup=False)

    def show(self, text: Content | None) -> None:
        """Shows these commands; None for none."""
        self.set_class(text is not None, "-shown")
        self.query_one(".typed", Static).update(text or "")

    def copy(self, lines: Sequence[str]) -> None:
        """Copies the lines to the terminal's clipboard (OSC 52) and confirms it, or says that there are none."""
        if not lines:
            self.app.notify("There are no commands to copy here.", severity="warning")
            return
        text = "\n".join(lines)
        self.app.copy_to_clipboard(text + "\n")
        self.app.notify(f"Copied {count_noun(text.count(chr(10)) + 1, 'line')} of commands")
        self._label("Copied")
        self.set_timer(COPIED_FOR, lambda: self._label("Copy"))

    def _label(self, word: str) -> None:
        self.query_one(ActionButton).label = word

    async def on_action_button_pressed(self, event: ActionButton.Pressed) -> None:
        """Does the same as the page's key."""
        event.stop()
        await self.app.run_action("screen.copy")
