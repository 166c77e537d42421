"""Questions as a form whose fields keep what was typed, and the keys of a page that asks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.containers import VerticalScroll

from screens.widgets.field import Field

if TYPE_CHECKING:
    from wizard.model import Question

GO_ON = Binding(
    "ctrl+s,ctrl+n",
    "go_on",
    "Show the plan",
    key_display="^s",
    tooltip="Make the plan; this writes nothing",
)
# A browser keeps Ctrl+T for itself.
MORE = Binding(
    "f2,ctrl+t",
    "more",
    "More choices",
    key_display="F2",
    tooltip="Show or hide the choices that few people change",
)


class QuestionForm(VerticalScroll, can_focus=False):
    """A field for each question; what is below the fields stays there."""

    DEFAULT_CSS = """
    QuestionForm {
        height: 1fr;
        scrollbar-gutter: stable;
        & > Field { padding: 0 0 1 0; }
        & > #buttons { padding: 0; margin: 0 0 1 0; height: auto; }
    }
    """

    async def show(self, questions: Sequence[Question], initial_value: Callable[[Question], str]) -> None:
        """Draws a field for each of the questions, keeping the fields that are already there.

        Args:
            questions: all questions of the form.
            initial_value: returns the initial value of a new field.
        """
        keys = {question.key for question in questions}
        fields = {field.question.key: field for field in self.query(Field)}
        for key in fields.keys() - keys:
            await fields[key].remove()
        before: Field | None = None
        for question in questions:
            field = fields.get(question.key)
            if field is not None and field.question.choices != question.choices:
                # Another answer has changed which options this field has.
                await field.remove()
                field = None
            if field is None:
                earlier_why = before.question.why if before else ""
                why = "" if question.why == earlier_why else question.why
                field = Field(question, initial_value(question), why=why)
                await (self.mount(field, after=before) if before else self.mount(field, before=0))
            field.show_warning(question.warning)
            before = field

    def enter_wrong(self) -> bool:
        """Focuses the first field with an error; returns whether there is one."""
        for field in self.query(Field):
            if field.wrong:
                field.enter()
                return True
        return False

    def with_question_help(self, text: str) -> str:
        """Returns a page's help, preceded by that of the focused question."""
        for field in self.query(Field):
            if field.has_focus_within and field.question.more:
                return f"{field.question.title}\n\n{field.question.more}\n\n{text}"
        return text
