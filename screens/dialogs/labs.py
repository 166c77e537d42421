"""Asks for a lab: title, topic, and how long it takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.dialogs.base import Dialog
from screens.engine_client.lab_list import lab_list
from screens.state_styles import fit, inline, safe
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from screens.state import ErrorMessage
    from wizard.labs import Lab
    from wizard.labs.classroom import Classroom
    from wizard.labs.finished_labs import Mark


class LabsDialog(Dialog[str]):
    """Returns the id of the chosen lab, or '' for none; shows the hosts for labs and offers to choose others."""

    TITLE_TEXT = "Follow a lab"
    AUTO_FOCUS = "OptionList"
    DEFAULT_CSS = """
    LabsDialog .box { width: 78; }
    LabsDialog OptionList { background: $surface; padding: 0; margin: 1 0; max-height: 38vh; }
    LabsDialog #about { height: 5; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "", show=False),
        Binding("down", "", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._known: frozenset[str] = frozenset()
        self._about: dict[str, str] = {}

    def inside(self) -> ComposeResult:
        """Yields the list, and the description of the selected lab."""
        yield Prose("", id="where", markup=False)
        yield OptionList(Option("loading…", disabled=True), markup=False)
        yield Prose("", id="about", markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons for other hosts, for labs by others, and to close."""
        return (
            ("hosts", "Use real hosts…"),
            ("practice", "Use practice stack"),
            ("add", "Add labs…"),
            ("none", "Stay here"),
        )

    def on_mount(self) -> None:
        """Loads the labs."""
        self.firescreen.key_queue.hold(self)
        self._look()

    def _look(self) -> None:
        app = self.firescreen
        app.ask(
            lambda: lab_list(app.client), lambda found: self._have(*found), self._report_missing_classroom
        )

    def _report_missing_classroom(self, error: ErrorMessage) -> None:
        """Reports that the classroom file is missing or invalid; the practice stack can still be used."""
        app = self.firescreen
        app.show_error(error)
        app.ask(app.client.labs, lambda labs: self._have(labs, None, {}, ""))

    def _have(
        self, labs: tuple[Lab, ...], room: Classroom | None, marks: Mapping[str, Mark], no_docker: str
    ) -> None:
        if self not in self.app.screen_stack:
            return
        words = "Labs run on the practice stack: real programs on this machine, apart from your services."
        if room is not None:
            names = ", ".join(host.name for host in room.hosts)
            words = f"Labs run on the real hosts of {inline(room.title, 100)}: {inline(names, 200)}."
        self.query_one("#where", Static).update(f"{words} Enter starts the selected lab.")
        self.query_one("#practice").display = room is not None
        listed = self.query_one(OptionList)
        shut = {lab.id for lab in labs if room is not None and not lab.real_hosts}
        able = [at for at, lab in enumerate(labs) if lab.id not in shut]
        new = [at for at in able if labs[at].id not in self._known]
        self._known = frozenset(lab.id for lab in labs)
        skipped = {lab.id for lab in labs if no_docker and lab.docker}
        self._about = {lab.id: f"Skipped: {no_docker}." if lab.id in skipped else _about(lab) for lab in labs}
        words_of = {**dict.fromkeys(skipped, "needs Docker"), **dict.fromkeys(shut, "practice stack only")}
        listed.set_options(
            Option(
                _entry(lab, marks.get(lab.id), unfit=words_of.get(lab.id, "")),
                id=lab.id,
                disabled=lab.id in shut,
            )
            for lab in labs
        )
        if able:
            listed.highlighted = new[0] if new else able[0]
            listed.focus()
        self.firescreen.key_queue.release(self)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another lab."""
        event.stop()
        self.query_one("#about", Static).update(safe(self._about.get(event.option_id or "", ""), 400))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Chooses the lab."""
        event.stop()
        self.dismiss(event.option_id or "")

    def handle_button(self, name: str) -> None:
        """Opens other hosts or labs by others, or closes."""
        app = self.firescreen
        if name == "add":
            from screens.dialogs.packs import PackDialog

            app.push_screen(PackDialog(), lambda added: self._look() if added else None)
        elif name == "hosts":
            from screens.dialogs.classroom import ClassroomDialog

            app.push_screen(ClassroomDialog(), lambda taken: self._look() if taken else None)
        elif name == "practice":
            app.ask(app.client.leave_classroom, lambda _: self._look())
        else:
            self.dismiss("")

    def action_refuse(self) -> None:
        """Chooses no lab."""
        self.dismiss("")


def _entry(lab: Lab, mark: Mark | None, *, unfit: str) -> Content:
    """Returns the line of a lab: whether it is finished, title, steps and duration, or why it cannot be done here."""
    words = mark.text if mark else ""
    title = fit(lab.title, 41)
    sign = (f"{mark.sign if mark else ' '} ", "bold $success")
    if unfit:
        return Content.assemble(sign, title, unfit)
    return Content.assemble(sign, (title, "bold"), (words, "$quiet"))


def _about(lab: Lab) -> str:
    """Returns the first paragraph of the lab's text, without Markdown markup."""
    return " ".join(re.sub(r"[*`]", "", lab.intro.strip().partition("\n\n")[0]).split())
