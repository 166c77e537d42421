"""The bordered panel of which every page is made: a title in the border, counts or state at its lower right."""

from __future__ import annotations

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget


class Panel(Vertical):
    """A container with a border that shows whether the focus is inside.

    Args:
        children: its content.
        title: in the upper border, drawn as plain text.
        id: its name in queries and styles.
    """

    DEFAULT_CSS = """
    Panel {
        border: $panel-border $border-blurred; padding: $panel-padding;
        border-title-color: $primary; border-title-style: bold;
        border-subtitle-color: $quiet; border-subtitle-align: right;
        &:focus-within { border: $panel-border $border; border-title-style: bold reverse; }
        &:nocolor:focus-within { border: heavy $border; }
    }
    """

    def __init__(self, *children: Widget, title: str = "", id: str | None = None) -> None:  # noqa: A002 - Textual's own word
        super().__init__(*children, id=id)
        self.set_title(title)

    def set_title(self, title: str | Content) -> None:
        """Sets the title in the upper border."""
        self.border_title = _label(title)

    def set_subtitle(self, subtitle: str | Content) -> None:
        """Sets the counts or the state in the lower border; '' for nothing."""
        self.border_subtitle = _label(subtitle)


def _label(text: str | Content) -> Content | None:
    """Returns a text for a border, literally: a name in brackets is no markup. The border cuts long texts."""
    if not text:
        return None
    return Content(text) if isinstance(text, str) else text
