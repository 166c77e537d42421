"""Which lab to follow: title, what it is about, how long it takes, and how far one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.dialogs.frame import Dialog
from screens.words import safe

if TYPE_CHECKING:
    from screens.app import FirescreenApp
    from wizard.labs import Lab


class LabPicker(Dialog[str]):
    """Answers with the id of a lab, or '' for none."""

    TITLE_TEXT = "Follow a lab"
    AUTO_FOCUS = "OptionList"
    DEFAULT_CSS = """
    LabPicker OptionList { background: $surface; padding: 0; margin: 1 0 0 0; max-height: 14; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "", show=False),
        Binding("down", "", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._known: frozenset[str] = frozenset()

    def inside(self) -> ComposeResult:
        """A list."""
        yield Static(
            "A lab is done on the practice stack: real programs on this machine, nothing of yours.",
            markup=False,
        )
        yield OptionList(Option("looking…", disabled=True), markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """To take labs of others, and to leave."""
        return (("none", "Back"), ("add", "Add labs from a folder"))

    def on_mount(self) -> None:
        """Reads the labs."""
        self._read()

    def _read(self) -> None:
        app = cast("FirescreenApp", self.app)
        app.ask(app.desk.labs, self._have)

    def _have(self, labs: tuple[Lab, ...]) -> None:
        if self not in self.app.screen_stack:
            return
        listed = self.query_one(OptionList)
        new = [at for at, lab in enumerate(labs) if lab.id not in self._known]
        self._known = frozenset(lab.id for lab in labs)
        listed.set_options(Option(_entry(lab), id=lab.id) for lab in labs)
        if labs:
            listed.highlighted = new[0] if new else 0
            listed.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        event.stop()
        self.dismiss(event.option_id or "")

    def chosen(self, name: str) -> None:
        """None, or first others."""
        if name != "add":
            self.dismiss("")
            return
        from screens.dialogs.packs import PackDialog

        self.app.push_screen(PackDialog(), lambda added: self._read() if added else None)

    def action_refuse(self) -> None:
        """None."""
        self.dismiss("")


def _entry(lab: Lab) -> Content:
    about = " ".join(lab.intro.strip().split("\n\n")[0].split())
    minutes = f"about {lab.minutes} minutes, {len(lab.steps)} steps"
    return Content.assemble((lab.title, "bold"), "\n", (minutes, "$quiet"), "\n", safe(about, 400))
