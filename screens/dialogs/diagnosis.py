"""Explains an error message: paste it, and read its cause and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static, TextArea

from screens.dialogs.base import Dialog
from screens.state_styles import inline, safe
from screens.widgets.button import ActionButton
from screens.widgets.prose import Prose
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.diagnostics.catalogue import Diagnosis

_LONGEST = 65536
_NOTHING = (
    "No diagnosis for this text. Try the line above or below it in the log, or the log of the other side."
)


class Pasted(TextArea):
    """Takes pasted text: made harmless, and without the secrets that it may contain."""

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = redact(plain(event.text, _LONGEST)).expandtabs(4)
        if edit := self._replace_via_keyboard(text, *self.selection):
            self.move_cursor(edit.end_location)


class DiagnosisDialog(Dialog[None]):
    """Explains the text while the person types or pastes; hosts are checked only on request."""

    TITLE_TEXT = "Explain an error"
    AUTO_FOCUS = "Pasted"
    DEFAULT_CSS = """
    DiagnosisDialog .box { width: 96%; max-width: 110; }
    DiagnosisDialog Pasted { height: 3; border: none; padding: 0 1; margin: 0 0 1 0; background: $panel; }
    DiagnosisDialog Pasted:focus { border: none; background-tint: $foreground 8%; }
    """

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._first = redact(plain(text, _LONGEST))
        self._found: Diagnosis | None = None
        self._ready = False
        """Whether the diagnoses are loaded. That takes a moment, so it begins before something is typed."""

    def inside(self) -> ComposeResult:
        """Yields the instruction, the text field, and the diagnosis."""
        yield Prose(
            "Paste an error: a log line, the output of curl or Python, or an error from Prometheus' targets page.",
            markup=False,
        )
        yield Pasted(self._first, tab_behavior="focus", show_line_numbers=False)
        yield Prose("", id="meaning", markup=False)

    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Returns the buttons; the first two are shown only if they can do something."""
        return (("ask", "Check the hosts"), ("fix", "Fix it"), ("close", "Close"))

    def on_mount(self) -> None:
        """Hides the buttons that have nothing to check or fix yet, and loads the diagnoses."""
        self._explain()
        self.firescreen.ask(
            self.firescreen.client.load_diagnoses,
            lambda _: self._begin(),
            wanted=lambda: self in self.app.screen_stack,
        )

    def _begin(self) -> None:
        self._ready = True
        self._explain()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Explains the present text."""
        event.stop()
        self._explain()

    def _explain(self) -> None:
        text = self.query_one(Pasted).text
        if not text.strip():
            self._show(None, Content(""))
            return
        if not self._ready:
            self._show(None, Content("▸ Looking it up…"))
            return
        self.firescreen.ask(
            lambda: self.firescreen.client.diagnosis(text),
            lambda found: self._show_diagnosis(text, found),
            wanted=lambda: self._current(text),
        )

    def _current(self, text: str) -> bool:
        return self in self.app.screen_stack and self.query_one(Pasted).text == text

    def _show_diagnosis(self, text: str, diagnosis: Diagnosis | None) -> None:
        if self._current(text):
            self._show(diagnosis, diagnosis_text(diagnosis) if diagnosis else Content(_NOTHING))

    def _show(self, diagnosis: Diagnosis | None, words: Content) -> None:
        self._found = diagnosis
        self.query_one("#meaning", Static).update(words)
        open_still = diagnosis is not None and bool(diagnosis.questions) and not diagnosis.asked
        self.query_one("#ask", ActionButton).display = open_still
        self.query_one("#fix", ActionButton).display = bool(diagnosis and diagnosis.menu_entry)

    def handle_button(self, name: str) -> None:
        """Checks the hosts, opens the fix, or closes."""
        found = self._found
        if name == "ask" and found is not None:
            self._ask()
        elif name == "fix" and found is not None:
            self.dismiss(None)
            self.firescreen.open_menu_entry(found.menu_entry)
        else:
            self.dismiss(None)

    def _ask(self) -> None:
        text, stack = self.query_one(Pasted).text, self.firescreen.session.stack
        self.query_one("#meaning", Static).update(Content("▸ Checking the hosts…"))
        self.query_one("#ask", ActionButton).display = False
        self.firescreen.ask(
            lambda: self.firescreen.client.diagnosis(text, ask=True, stack=stack),
            lambda found: self._show_diagnosis(text, found),
            wanted=lambda: self._current(text),
        )

    def action_refuse(self) -> None:
        """Closes."""
        self.dismiss(None)


def diagnosis_text(diagnosis: Diagnosis) -> Content:
    """Returns the text of a diagnosis; parts that come from the pasted text are drawn as plain text."""
    rows = [
        ("Cause", diagnosis.cause),
        ("What to do", diagnosis.fix),
        ("On the other side", diagnosis.other_end),
        ("To check", diagnosis.next),
    ]
    parts = [
        Content.assemble((f"{title}\n", "bold $primary"), safe(text, 800)) for title, text in rows if text
    ]
    if diagnosis.asked:
        lines = [
            Content.assemble(
                ("✓ " if check.answer else "– ", "$success" if check.answer else "$quiet"),
                inline(check.question.told, 200),
            )
            for check in diagnosis.asked
        ]
        parts.insert(
            0, Content.assemble(("Checked on the hosts\n", "bold $primary"), Content("\n").join(lines))
        )
    elif diagnosis.questions:
        parts.append(
            Content.styled(
                "There are several possible causes: 'Check the hosts' finds out which.", "$warning"
            )
        )
    return Content("\n\n").join(parts)
