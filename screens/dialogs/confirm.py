"""Asks before something that writes; the harmless answer is Escape."""

from __future__ import annotations

from textual.content import Content

from screens.dialogs.base import Dialog


class ConfirmDialog(Dialog[bool]):
    """True if the person agrees.

    Args:
        title: the question in two or three words.
        text: what will happen, in a sentence or two.
        yes: label of the button that does it.
        no: label of the one that does not.
        careful: whether the focus is on `no` at first.
    """

    def __init__(
        self, title: str, text: Content | str, *, yes: str, no: str = "No", careful: bool = False
    ) -> None:
        super().__init__()
        self._title, self._text = title, Content(text) if isinstance(text, str) else text
        self._yes, self._no, self._careful = yes, no, careful

    def title_text(self) -> str:
        """The question."""
        return self._title

    def text(self) -> Content:
        """What will happen."""
        return self._text

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Two."""
        pair = (("yes", self._yes), ("no", self._no))
        return pair[::-1] if self._careful else pair

    def chosen(self, name: str) -> None:
        """Yes or no."""
        self.dismiss(name == "yes")

    def action_refuse(self) -> None:
        """Escape is no."""
        self.dismiss(False)
