"""The Choices page: each question with a default that Enter accepts; going back loses no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.widgets import Static

from screens.base_screen import Page, keys_of
from screens.choices.level_table import LevelTable
from screens.choices.levels import SHORT, is_level, level_rows, level_text
from screens.routes import Route
from screens.state_styles import inline
from screens.widgets.button import ActionButton
from screens.widgets.field import Field
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose
from screens.widgets.question_form import GO_ON, MORE, QuestionForm
from screens.widgets.title_bar import Stage

if TYPE_CHECKING:
    from wizard.model import Question, Stack


class ChoicesPage(Page):
    """Asks how the components are to be protected.

    Args:
        component: the key of the component that is selected first; '' for the first one.
    """

    PLACE = "Choices"
    STAGE = Stage.CHOOSE
    HELP = """\
Enter accepts an answer and goes to the next question; the arrow keys choose. Nothing is written yet: the next screen \
shows every change, and asks before the first is made.

TLS encrypts the traffic, and Prometheus verifies the server's certificate. With TLS + password, clients must also \
send a user name and password. With mutual TLS, clients must show a certificate that your CA signed."""

    TABLE = """\
Each row is a component: the up and down keys select it, left and right choose its level, '=' gives this level to \
all components. Space leaves a component out, and takes it in again. The text below says what the level means, and \
what clients need for it. Tab or Enter goes on to the other questions."""

    CSS = """
    ChoicesPage {
        #levels { layout: vertical; height: auto; max-height: 71%; display: none; }
        #components { height: auto; max-height: 100%; }
        #meaning { height: auto; }
        #answers { height: 1fr; }
        /* What a level means is read at the table; below it, the questions need the room. */
        &.-narrow.-short.-asking #meaning { display: none; }
        &.-wide {
            #levels { layout: horizontal; min-height: 17; }
            #components { height: 100%; }
            #meaning { width: 1fr; min-width: 42; height: 100%; }
            #components { width: 2fr; }
        }
    }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        GO_ON,
        Binding(
            "equals_sign",
            "all_alike",
            "Set all",
            key_display="=",
            tooltip="Give this level to all components",
        ),
        MORE,
    ]

    def __init__(self, component: str = "") -> None:
        super().__init__()
        self._component = component
        self._questions: tuple[Question, ...] = ()
        self._meanings: dict[str, str] = {}
        self._all = False
        self._round = 0

    def body(self) -> ComposeResult:
        """Yields the levels with the meaning of the selected one, and the form."""
        with Container(id="levels"):
            yield Panel(title="Protection", id="components")
            with Panel(id="meaning"):
                yield Prose("", id="means", markup=False)
        with (
            Panel(title="Certificates, names and users", id="answers"),
            QuestionForm(),
        ):
            yield Prose("loading the questions…", classes="quiet", id="wait")

    def on_mount(self) -> None:
        """Loads the questions in a thread, because the modules that define them are heavy."""
        session = self.firescreen.session
        if session.stack is None or session.scan is None:
            self.app.pop_screen()
            return
        self.firescreen.key_queue.hold(self)
        self._ask_again()

    def _focus_first(self) -> None:
        if self.query(LevelTable):
            self.query_one(LevelTable).focus()
        elif self.query(Field):
            self.query(Field).first().enter()
        else:
            self.query_one("#next").focus()

    def _ask_again(self) -> None:
        session, client = self.firescreen.session, self.firescreen.client
        stack, scan = session.stack, session.scan
        if stack is None or scan is None:
            return
        self._round += 1
        this = self._round
        self.firescreen.ask(
            lambda: (client.questions(stack, scan.facts), client.meanings()),
            lambda known: self._have(*known, this),
        )

    def _have(self, questions: tuple[Question, ...], meanings: dict[str, str], round_number: int) -> None:
        # Threads may finish in a different order than they were started: only the last result counts.
        if self.is_open and round_number == self._round:
            self._questions, self._meanings = questions, meanings
            self.call_later(self._show)

    async def _show(self) -> None:
        """Draws the visible fields, keeping the fields that are already there."""
        form = self.query_one(QuestionForm)
        if not self.query("#next"):
            await self.query("#wait").remove()
            await form.mount(
                Horizontal(
                    ActionButton("", id="more"), ActionButton("Show the plan", id="next"), id="buttons"
                )
            )
        questions = await self._show_levels()
        visible = [question for question in questions if self._all or question.priority == "high"]
        await form.show(visible, self._initial_value)
        self._label_more(len(questions) - len(visible))
        self.refresh_bindings()
        if self.focused is None:
            self._focus_first()
        self.firescreen.key_queue.release(self)

    def _initial_value(self, question: Question) -> str:
        """Returns the value typed before, or the default."""
        typed = dict(self.firescreen.session.typed)
        return typed[question.key].reveal() if question.key in typed else question.default

    def _label_more(self, hidden: int) -> None:
        more = self.query_one("#more", ActionButton)
        more.label = "Fewer choices" if self._all else f"More choices ({hidden})"
        more.display = self._all or hidden > 0

    async def _show_levels(self) -> tuple[Question, ...]:
        """Draws the levels of several components as one table; returns the questions that are not in it."""
        session = self.firescreen.session
        level_questions = [question for question in self._questions if is_level(question)]
        if len(level_questions) < 2 or session.stack is None or session.scan is None:
            # A reverse proxy protects the components behind it: they have no level of their own.
            await self.query(LevelTable).remove()
            self.query_one("#levels").display = False
            return self._questions
        rows = level_rows(self._questions, session.stack, session.scan)
        if self.query(LevelTable):
            self.query_one(LevelTable).rows = rows
        else:
            table = LevelTable(rows)
            await self.query_one("#components").mount(table)
            keys = [f"{row.host}/{row.name}" for row in rows]
            table.at = keys.index(self._component) if self._component in keys else 0
            self.query_one("#levels").display = True
        self._tell()
        return tuple(question for question in self._questions if not is_level(question))

    def on_level_table_moved(self) -> None:
        """Explains the level of the newly selected component."""
        self._tell()

    def on_descendant_focus(self) -> None:
        """Hides the explanation while a question has the focus, if there is little room."""
        self.set_class(self.query_one(QuestionForm).has_focus_within, "-asking")

    def on_resize(self) -> None:
        """Fits the explanation to the width."""
        if self.is_open:
            self._tell()

    def _tell(self) -> None:
        """Shows what the selected level means, and counts the levels that change."""
        for table in self.query(LevelTable):
            row, wide = table.row, self.has_class("-wide")
            kept = sum(each.is_kept for each in table.rows)
            many = len(table.rows)
            summary = f"{many - kept} of {many} change" + (f", {kept} kept" if kept else "")
            self.query_one("#components", Panel).set_subtitle(summary)
            panel = self.query_one("#meaning", Panel)
            panel.set_title(
                f"{inline(row.name)}: {SHORT[''] if row.is_kept else SHORT.get(row.value, SHORT[''])}"
            )
            width = max(self.app.size.width // 3, 42) - 6 if wide else self.app.size.width - 6
            text = level_text(row, self._meanings, width, roomy=wide)
            self.query_one("#means", Static).update(text)

    def on_level_table_changed(self, event: LevelTable.Changed) -> None:
        """Stores the levels; other levels may lead to other questions."""
        stack = self.firescreen.session.stack
        if stack is None:
            return
        settings = {question.key: question.setting for question in self._questions}
        for key, value in event.answers:
            stack = self.firescreen.client.answer(stack, settings[key], value)
        self._keep(stack, frozenset(key for key, _ in event.answers))
        self._ask_again()

    def _keep(self, stack: Stack, keys: frozenset[str]) -> None:
        session = self.firescreen.session
        self.firescreen.session = replace(
            session, stack=stack, plan=None, renew=frozenset(), touched=session.touched | keys
        )

    def on_field_changed(self, event: Field.Changed) -> None:
        """Stores an answer, or shows beside it why it is invalid; another answer may lead to other questions."""
        if self._take(event.field, event.value):
            self._ask_again()

    def _take(self, field: Field, value: str) -> bool:
        from wizard.errors import InputError
        from wizard.redact import Secret

        session = self.firescreen.session
        if session.stack is None:
            return False
        key = field.question.key
        try:
            stack = self.firescreen.client.answer(session.stack, field.question.setting, value)
        except InputError as error:
            field.show_error(f"{error.what}: {error.todo}" if error.todo else error.what)
            return False
        field.show_error("")
        field.show_doubt()
        if field.question.kind == "password":
            others = tuple(pair for pair in session.typed if pair[0] != key)
            typed = (*others, (key, Secret(value))) if value else others
            self.firescreen.session = replace(session, typed=typed)
        self._keep(stack, frozenset({key}))
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers giving one level to all components only if there is a table."""
        return action != "all_alike" or bool(self.query(LevelTable))

    def action_all_alike(self) -> None:
        """Gives every component the level of the selected one."""
        self.query_one(LevelTable).all_alike()

    def on_action_button_pressed(self, event: ActionButton.Pressed) -> None:
        """Shows more choices, or goes on to the plan."""
        if event.button.id == "more":
            self.action_more()
        else:
            self.action_go_on()

    def action_more(self) -> None:
        """Shows or hides the questions that few people change."""
        self._all = not self._all
        self.call_later(self._show_more)

    async def _show_more(self) -> None:
        before = set(self.query(Field))
        await self._show()
        for field in self.query(Field):
            if field not in before:
                field.enter()
                return
        self.query_one("#more").focus()

    def action_go_on(self) -> None:
        """Goes on to the plan, or to the first invalid answer."""
        if self._questions and not self.query_one(QuestionForm).enter_wrong():
            self.firescreen.open_page(Route.PLAN)

    def action_help(self) -> None:
        """Shows the help, the focused question first."""
        from screens.dialogs.help import HelpDialog

        text = self.query_one(QuestionForm).with_question_help(self.HELP)
        for table in self.query(LevelTable):
            if table.has_focus:
                more = next((one.more for one in self._questions if one.key == table.row.key), "")
                text = "\n\n".join(part for part in (self.TABLE, more, self.HELP) if part)
        self.app.push_screen(HelpDialog("Choices", text, keys_of(self)))
