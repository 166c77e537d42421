"""The glossary: terms, each explained in a few lines; one key from every screen's help."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.widgets import Markdown, OptionList
from textual.widgets.option_list import Option

from screens.dialogs.base import Dialog


class GlossaryDialog(Dialog[None]):
    """The list of terms and the entry of the selected one. A letter selects the next term that begins with it."""

    TITLE_TEXT = "Glossary"
    AUTO_FOCUS = "OptionList"
    DEFAULT_CSS = """
    GlossaryDialog {
        .text { height: 17; }
        OptionList { max-height: 7; padding: 0; background: $panel; }
        Markdown { padding: 0; margin: 1 0 0 0; background: $surface; height: auto; }
        MarkdownH1 { content-align: left middle; color: $primary; text-style: bold; margin: 0 0 1 0; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._texts: tuple[str, ...] = ()

    def inside(self) -> ComposeResult:
        """Yields the list and the text."""
        yield OptionList(Option("loading…", disabled=True), markup=False)
        yield Markdown("", open_links=False)

    def on_mount(self) -> None:
        """Loads the entries."""
        app = self.firescreen
        app.key_queue.hold(self)
        app.ask(app.client.glossary, self._have, wanted=lambda: self in app.screen_stack)

    def _have(self, texts: tuple[str, ...]) -> None:
        self._texts = texts
        listed = self.query_one(OptionList)
        listed.set_options(Option(_title(text)) for text in texts)
        listed.highlighted = 0
        listed.focus()
        self.firescreen.key_queue.release(self)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another entry."""
        event.stop()
        if self._texts:
            self.query_one(Markdown).update(self._texts[event.option_index])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Closes on Enter, as the button does."""
        event.stop()
        self.dismiss(None)

    def on_key(self, event: events.Key) -> None:
        """Selects the next term that begins with the typed letter."""
        sign = (event.character or "").casefold()
        if not sign.isalnum() or not self._texts:
            return
        event.stop()
        listed = self.query_one(OptionList)
        count, at = len(self._texts), listed.highlighted or 0
        for step in range(1, count + 1):
            if _title(self._texts[(at + step) % count]).casefold().startswith(sign):
                listed.highlighted = (at + step) % count
                return

    def handle_button(self, name: str) -> None:
        """Closes."""
        self.dismiss(None)

    def action_refuse(self) -> None:
        """Closes."""
        self.dismiss(None)


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")
