"""Asks for the canary: the host that is changed and verified before the others."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from screens.dialogs.base import Dialog
from screens.state_styles import inline
from screens.widgets.prose import Prose

WORDS = """\
The canary is changed and verified before the other hosts are changed. If it fails, it is rolled back, and no other \
host was changed. A host on which a Prometheus scrapes the others cannot be the canary."""


class CanaryDialog(Dialog["str | None"]):
    """Returns a host's name, 'none', '' for Firescreen's choice, or None for no change.

    Args:
        able: the hosts that can be the canary.
        ours: the host that Firescreen would choose; '' for none.
        now: the present choice: a host, 'none' or ''.
    """

    TITLE_TEXT = "Choose the canary"
    AUTO_FOCUS = "OptionList"
    DEFAULT_CSS = """
    CanaryDialog OptionList { background: $surface; padding: 0; margin: 1 0 0 0; max-height: 9; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "", show=False),
        Binding("down", "", show=False),
        Binding("pageup", "", show=False),
        Binding("pagedown", "", show=False),
    ]

    def __init__(self, able: tuple[str, ...], *, ours: str, now: str) -> None:
        super().__init__()
        self._choices = ("", "none", *able)
        self._ours, self._now = ours, now

    def inside(self) -> ComposeResult:
        """Yields the list of hosts."""
        yield Prose(WORDS, markup=False)
        listed = OptionList(*(Option(self._entry(choice)) for choice in self._choices), markup=False)
        listed.highlighted = self._choices.index(self._now) if self._now in self._choices else 0
        yield listed

    def _entry(self, choice: str) -> Content:
        mark = "• " if choice == self._now else "  "
        if choice == "":
            return Content(f"{mark}automatic: {inline(self._ours, 40) or 'none'}")
        return Content(
            f"{mark}none: change all hosts together" if choice == "none" else f"{mark}{inline(choice, 60)}"
        )

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the button that closes."""
        return (("keep", "Keep as is"),)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Chooses the host."""
        event.stop()
        self.dismiss(self._choices[event.option_index])

    def handle_button(self, name: str) -> None:
        """Closes without a change."""
        self.dismiss(None)

    def action_refuse(self) -> None:
        """Closes without a change."""
        self.dismiss(None)
