"""The manual in the wizard: a list of topics, and the chosen topic, by keyboard alone."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Markdown, OptionList
from textual.widgets.option_list import Option

from screens.dialogs.base import Dialog


class ManualDialog(Dialog[None]):
    """The topics of the manual; Enter opens one, Escape closes."""

    TITLE_TEXT = "Manual"
    AUTO_FOCUS = "OptionList"
    DEFAULT_CSS = "ManualDialog OptionList { height: auto; padding: 0; background: $panel; }"

    def __init__(self) -> None:
        super().__init__()
        self._topics: tuple[tuple[str, str], ...] = ()

    def inside(self) -> ComposeResult:
        """The list of topics."""
        yield OptionList(Option("Loading…", disabled=True), markup=False)

    def on_mount(self) -> None:
        """Loads the topics."""
        app = self.firescreen
        app.key_queue.hold(self)
        app.ask(app.client.manual, self._show_topics, wanted=lambda: self in app.screen_stack)

    def _show_topics(self, topics: tuple[tuple[str, str], ...]) -> None:
        self._topics = topics
        listed = self.query_one(OptionList)
        listed.set_options(Option(title) for title, _ in topics)
        listed.highlighted = 0
        listed.focus()
        self.firescreen.key_queue.release(self)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Opens the topic."""
        event.stop()
        if self._topics:
            self.app.push_screen(TopicDialog(*self._topics[event.option_index]))

    def handle_button(self, name: str) -> None:
        """Closes."""
        self.dismiss(None)

    def action_refuse(self) -> None:
        """Closes."""
        self.dismiss(None)


class TopicDialog(Dialog[None]):
    """One topic of the manual; Escape goes back to the list."""

    DEFAULT_CSS = """
    TopicDialog {
        .box { width: 100%; max-width: 120; padding: 0 1; }
        Markdown { padding: 0; background: $surface; height: auto; }
        /* A long command is folded: it would go on outside of the box. */
        MarkdownFence > Label { width: 100%; padding: 0 1; }
        MarkdownH2, MarkdownH3 { color: $primary; text-style: bold; margin: 1 0 0 0; }
    }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def title_text(self) -> str:
        """The topic's title."""
        return f"Manual · {self._title}"

    def inside(self) -> ComposeResult:
        """The text below its heading, which the border shows."""
        yield Markdown(self._text.partition("\n")[2], open_links=False)

    def handle_button(self, name: str) -> None:
        """Goes back to the list."""
        self.dismiss(None)

    def action_refuse(self) -> None:
        """Goes back to the list."""
        self.dismiss(None)
