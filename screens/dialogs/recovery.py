"""Asks about an interrupted run: roll it back, or compare the files with those before the run and forget it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from textual.content import Content

from screens.dialogs.base import Dialog
from screens.state_styles import inline, safe

if TYPE_CHECKING:
    from wizard.engine import Remains

Choice: TypeAlias = Literal["undo", "compare", "forget", "later"]
SHOWN = 8
"""How many differences are listed; the rest are counted."""


class RecoveryDialog(Dialog[Choice]):
    """Asks what to do with an interrupted run.

    Args:
        title: what happened, in a few words.
        text: the run, and what can be done about it.
    """

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self._title, self._text = title, text

    def title_text(self) -> str:
        """Returns what happened."""
        return self._title

    def text(self) -> Content:
        """Returns which run it was."""
        return Content("\n\n").join(
            (
                self._text,
                Content(
                    "If everything runs as before, compare: Firescreen reads every file that the run changed, and changes "
                    "nothing. Files that are as before need no rollback."
                ),
            )
        )

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the three buttons."""
        return (("undo", "Roll back"), ("compare", "Compare"), ("later", "Decide later"))

    def handle_button(self, name: str) -> None:
        """Returns the button's answer."""
        self.dismiss(cast("Choice", name))

    def action_refuse(self) -> None:
        """Decides later on Escape."""
        self.dismiss("later")


class ComparisonDialog(RecoveryDialog):
    """Shows the differences from the state before the run, and asks what to do."""

    def __init__(self, remains: tuple[Remains, ...]) -> None:
        self._remains = remains
        self._differences = [each for one in remains for each in one.differences]
        super().__init__("Comparison with the journal", Content(""))

    def text(self) -> Content:
        """Returns each run and its differences."""
        if not self._remains:
            return Content("Nothing needs to be rolled back.")
        runs = inline(", ".join(f"{one.run} ({one.title})" for one in self._remains), 300)
        if not self._differences:
            hosts = ", ".join(dict.fromkeys(name for one in self._remains for name in one.hosts))
            where = inline(hosts or "this machine", 300)
            return Content.assemble(
                ("✓ ", "bold $success"),
                "On ",
                where,
                ", every file is as before the run, and the services run. Nothing needs to be rolled back: Firescreen "
                "can forget run ",
                runs,
                ".",
            )
        lines = [Content.assemble("Run ", runs, " left these differences:")]
        for each in self._differences[:SHOWN]:
            # The path gets a line of its own: it is long, and the terminal can then wrap it.
            location = ": ".join(part for part in (each.host, each.what) if part)
            lines.append(Content.assemble(("✗ ", "bold $error"), safe(location, 300)))
            lines.append(safe(f"  {each.path}", 300))
            if each.copy:
                lines.append(Content.styled(f"  before the run: {inline(each.copy, 200)}", "$quiet"))
        if len(self._differences) > SHOWN:
            lines.append(Content.styled(f"… and {len(self._differences) - SHOWN} more", "$quiet"))
        lines.append(
            Content(
                "'Roll back' restores the files. 'Keep as is' leaves them and forgets the run; the copies stay in the workspace."
            )
        )
        return Content("\n").join(lines)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons that close; if there are differences, the harmless one is first."""
        if not self._remains:
            return (("later", "Close"),)
        if not self._differences:
            return (("forget", "Forget this run"), ("later", "Decide later"))
        return (("later", "Decide later"), ("undo", "Roll back"), ("forget", "Keep as is"))
