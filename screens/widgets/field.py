"""One question as a form field: title, control, one line of explanation, and the error beside it.

Enter accepts the present value and goes on to the next field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.message import Message
from textual.widgets import Input, Static

from screens.state_styles import safe
from screens.widgets.choice import Choice
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from wizard.model import Question


class _Text(Input):
    """A line of text. '?' opens the help here too: only a password may contain it."""

    def on_key(self, event: Key) -> None:
        """Opens the help."""
        if event.key == "question_mark" and not self.has_class("secret"):
            event.prevent_default()
            event.stop()
            self.app.simulate_key("f1")


class Field(Vertical):
    """A question and the person's answer to it.

    Args:
        question: the question.
        value: the initial answer.
        why: the line below; '' if the question before has the same.
    """

    DEFAULT_CSS = """
    Field {
        height: auto; padding: 0 2 1 2;
        .title { text-style: bold; height: auto; }
        .why { color: $quiet; height: auto; }
        .wrong { color: $error; height: auto; display: none; }
        &.-wrong .wrong { display: block; }
        .warning { color: $warning; height: auto; display: none; &.-on { display: block; } }
        .again { display: none; margin: 1 0 0 0; &.-on { display: block; } }
        .hint { color: $quiet; height: auto; display: none; &.-on { display: block; } }
        Input { height: 1; border: none; padding: 0 1; background: $panel; width: 1fr; max-width: 90; }
        Input:focus { border: none; background-tint: $foreground 8%; }
        Input.-invalid, Input.-invalid:focus { border: none; }
        &:focus-within .title { color: $primary; }
    }
    """

    class Changed(Message):
        """The person changed an answer; `value` is in the form that `steps.answer` takes."""

        def __init__(self, field: Field, value: str) -> None:
            super().__init__()
            self.field = field
            self.value = value

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "reveal", "Show the password", show=False, priority=True)
    ]

    def __init__(self, question: Question, value: str, *, why: str) -> None:
        super().__init__()
        self._is_sure = bool(value)
        """Whether the person has seen or repeated the present password."""
        self.question = question
        self.value = value
        self._why = why

    @property
    def is_hidden(self) -> bool:
        """Returns whether the typed text is hidden."""
        return self.question.kind in ("password", "secret")

    def compose(self) -> ComposeResult:
        """Yields title, control, error and explanation."""
        yield Prose(safe(self.question.title), classes="title")
        if self.question.kind == "choice":
            yield Choice(self.question.choices, self.value)
        else:
            yield _Text(
                value=self.value,
                password=self.is_hidden,
                type="integer" if self.question.kind == "number" else "text",
                placeholder={
                    "names": "a space between them",
                    "password": "leave it empty",
                    "secret": "typed hidden; ^r shows it",
                }.get(self.question.kind, ""),
                select_on_focus=False,
                classes="secret" if self.is_hidden else None,
            )
        yield Prose("", classes="wrong", markup=False)
        yield Prose("", classes="warning", markup=False)
        if self.question.kind == "password":
            yield Prose("", classes="hint", markup=False)
            yield _Text(password=True, placeholder="type it again", classes="again secret")
        if self._why:
            yield Prose(safe(self._why), classes="why")

    def show_error(self, what: str) -> None:
        """Shows what is wrong with the answer; '' removes the error."""
        self.query_one(".wrong", Static).update(Content.assemble("✗ ", safe(what, 400)))
        self.set_class(bool(what), "-wrong")

    def show_warning(self, what: str) -> None:
        """Shows what a valid answer would break; '' removes the warning."""
        warning = self.query_one(".warning", Static)
        warning.update(Content.assemble("! ", safe(what, 400)))
        warning.set_class(bool(what), "-on")

    @property
    def wrong(self) -> bool:
        """Returns whether an error is shown."""
        return self.has_class("-wrong")

    def show_doubt(self) -> None:
        """Shows an error about a password that is easily guessed, until the person has repeated or seen it."""
        doubtful = self.question.kind == "password" and is_guessed(self.value) and not self._is_sure
        for again in self.query(".again"):
            again.set_class(doubtful, "-on")
        if doubtful:
            self.show_error("Guessed within seconds. To use it all the same, type it again, or ^r shows it")

    def action_reveal(self) -> None:
        """Shows the password, or hides it again."""
        for text in self.query("Input.secret").results(Input):
            text.password = not text.password
        if self.question.kind == "password" and self.value and not self._is_sure:
            self._accept()

    def _accept(self) -> None:
        self._is_sure = True
        self.show_error("")
        self.show_doubt()

    def enter(self) -> None:
        """Focuses the control."""
        self.query("Input, Choice").first().focus()

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Reports another choice."""
        event.stop()
        self._tell(event.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Reports another text."""
        event.stop()
        if event.input.has_class("again"):
            if event.value == self.value and event.value:
                self._accept()
            return
        if self.question.kind == "password":
            self._is_sure = not event.input.password
            hint = self.query_one(".hint", Static)
            hint.update(strength(event.value))
            hint.set_class(bool(event.value), "-on")
        self._tell(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Goes on with Enter."""
        event.stop()
        self.screen.focus_next()

    def _tell(self, value: str) -> None:
        if value != self.value:
            self.value = value
            self.post_message(self.Changed(self, value))


def strength(password: str) -> str:
    """Returns a hint about a typed password's strength; '' for none."""
    if not password:
        return ""
    from wizard import passwords
    from wizard.redact import Secret

    score, words = passwords.strength(Secret(password))
    return f"{'●' * score}{'○' * (4 - score)} {words}"


def is_guessed(password: str) -> bool:
    """Returns whether a password can be guessed within seconds; False for an empty one."""
    from wizard import passwords
    from wizard.redact import Secret

    return bool(password) and passwords.strength(Secret(password))[0] == 0
