"""A run that was not put back: put it back, or compare what is there with what was, and be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from textual.content import Content

from screens.dialogs.base import Dialog
from screens.state_styles import inline, safe

if TYPE_CHECKING:
    from wizard.engine import Remains

Choice: TypeAlias = Literal["undo", "compare", "forget", "later"]
SHOWN = 8
"""Differences that are listed; the rest are counted."""


class RecoveryDialog(Dialog[Choice]):
    """What is to become of a run that was not put back.

    Args:
        title: what happened, in a few words.
        text: what it was, and what can be done.
    """

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self._title, self._text = title, text

    def title_text(self) -> str:
        """What happened."""
        return self._title

    def text(self) -> Content:
        """What it was."""
        return Content("\n\n").join(
            (
                self._text,
                Content(
                    "If everything runs as before already, compare: Firescreen looks at every file that the run "
                    "touched and changes nothing. What is as it was need not be put back."
                ),
            )
        )

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Three ways."""
        return (("undo", "Put it back"), ("compare", "Compare"), ("later", "Later"))

    def chosen(self, name: str) -> None:
        """The button's way."""
        self.dismiss(cast("Choice", name))

    def action_refuse(self) -> None:
        """Escape is later."""
        self.dismiss("later")


class ComparisonDialog(RecoveryDialog):
    """What is not as it was before, with the ways to end it."""

    def __init__(self, remains: tuple[Remains, ...]) -> None:
        self._remains = remains
        self._differences = [each for one in remains for each in one.differences]
        super().__init__("Compared with the journal", Content(""))

    def text(self) -> Content:
        """Each run, and what differs."""
        if not self._remains:
            return Content("Nothing is left to be put back.")
        runs = inline(", ".join(f"{one.run} ({one.title})" for one in self._remains), 300)
        if not self._differences:
            hosts = ", ".join(dict.fromkeys(name for one in self._remains for name in one.hosts))
            where = inline(hosts or "this machine", 300)
            return Content.assemble(
                ("✓ ", "bold $success"),
                "On ",
                where,
                ", every file is as it was before, and the services run. Nothing has to be put back: Firescreen "
                "can forget run ",
                runs,
                ".",
            )
        lines = [Content.assemble("Run ", runs, " left this other than it was:")]
        for each in self._differences[:SHOWN]:
            # The path has a line to itself: it is long, and a terminal breaks it where it can.
            said = ": ".join(part for part in (each.host, each.what) if part)
            lines.append(Content.assemble(("✗ ", "bold $error"), safe(said, 300)))
            lines.append(safe(f"  {each.path}", 300))
            if each.copy:
                lines.append(Content.styled(f"  as it was: {inline(each.copy, 200)}", "$quiet"))
        if len(self._differences) > SHOWN:
            lines.append(Content.styled(f"… and {len(self._differences) - SHOWN} more", "$quiet"))
        lines.append(
            Content(
                "'Put it back' restores it. 'Keep it so' leaves it as it is and forgets the run; the copies stay in "
                "Firescreen's folder."
            )
        )
        return Content("\n").join(lines)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """What ends it, the harmless one first where something differs."""
        if not self._remains:
            return (("later", "Close"),)
        if not self._differences:
            return (("forget", "Forget this run"), ("later", "Later"))
        return (("later", "Later"), ("undo", "Put it back"), ("forget", "Keep it so"))
