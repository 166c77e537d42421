"""The page for Prometheus' logins as a client: the places in its configuration, and the selected login.

Answers stay on the page, and as a draft in the session when the page is left, until a plan can be made of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from screens.base_screen import Page, keys_of
from screens.client_logins.rows import columns, head, line, question_of_error, title
from screens.navigation.secure import with_privileges
from screens.routes import Route
from screens.state import LOGINS, SECRET
from screens.widgets.button import ActionButton
from screens.widgets.field import Field
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose
from screens.widgets.question_form import GO_ON, MORE, QuestionForm
from screens.widgets.title_bar import Stage
from wizard.plurals import count_noun

if TYPE_CHECKING:
    from screens.state import ErrorMessage, Session
    from wizard.model import Plan, Question, Stack
    from wizard.planner.client_login_questions import LoginCandidate
    from wizard.redact import Secret

_NONE = """\
The configuration of Prometheus has no scrape job, no Alertmanager and no remote_write or remote_read entry, or \
it could not be read.

Add one there, then rescan on Home with 'r'."""


class ClientLoginsPage(Page):
    """Asks where Prometheus logs in with a token, and how."""

    PLACE = "Log in by token"
    STAGE = Stage.CHOOSE
    HELP = """\
Each row is a place where Prometheus is a client: a scrape job, an Alertmanager, remote_write or remote_read. 'today' is \
what it logs in with now. Select a row with the up and down keys; Enter goes to its questions.

Nothing is written yet: the next screen shows every change, and asks before the first is made. All levels of protection \
stay as they are. After the run, Prometheus must report up=1 for every target of the job; if not, everything is rolled \
back."""

    CSS = """
    ClientLoginsPage {
        #both { height: 1fr; layout: vertical; }
        #places { height: auto; max-height: 38%; }
        #head { height: 1; padding: 0 1; color: $quiet; }
        #list { height: auto; max-height: 100%; padding: 0; }
        #answers { height: 1fr; }
        &.-wide #both { layout: horizontal; }
        &.-wide #places { width: 1fr; height: 1fr; max-height: 100%; }
        &.-wide #answers { width: 1fr; }
    }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (150, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        GO_ON,
        MORE,
    ]

    def __init__(self) -> None:
        super().__init__()
        self._candidates: tuple[LoginCandidate, ...] = ()
        self._stack: Stack | None = None
        self._typed: dict[str, Secret] = {}
        self._at = 0
        self._all = False
        self._complaints: dict[str, str] = {}
        """What the plan rejects about a question, or that its answer is missing, by the question's key."""

    def body(self) -> ComposeResult:
        """Yields the places, and the login of the selected one."""
        with Container(id="both"):
            with Panel(title="Where Prometheus is a client", id="places"):
                yield Prose("reading its configuration…", id="head", markup=False)
                yield OptionList(id="list", markup=False)
            with Panel(title="Login", id="answers"), QuestionForm():
                yield Horizontal(ActionButton("Show the plan", id="next"), id="buttons")

    def on_mount(self) -> None:
        """Loads the places in a thread, because the modules that find them are heavy."""
        session, client = self.firescreen.session, self.firescreen.client
        stack, scan = session.stack, session.scan
        if stack is None or scan is None:
            self.app.pop_screen()
            return
        draft = session.login_draft if session.login_draft is not None else session.logins
        self._stack = replace(stack, client_logins=stack.client_logins if draft is None else draft)
        self._typed = {key: text for key, text in session.typed if key.startswith(LOGINS)}
        self.firescreen.key_queue.hold(self)
        self.firescreen.ask(lambda: client.login_candidates(stack, scan.facts), self._have)

    def _have(self, candidates: tuple[LoginCandidate, ...]) -> None:
        if not self.is_open:
            return
        self._candidates = candidates
        if not candidates:
            self.query_one("#head").display = self.query_one("#buttons").display = False
            self.query_one(QuestionForm).mount(Prose(_NONE, markup=False))
            self.firescreen.key_queue.release(self)
            return
        self.query_one("#places", Panel).set_subtitle(
            f"Enter asks how it logs in · {count_noun(len(candidates), 'place')}"
        )
        self._list()
        self.query_one("#list").focus()
        self.call_later(self._show)

    def on_resize(self) -> None:
        """Fits the columns to the width."""
        if self.is_open and self._candidates:
            self.call_after_refresh(self._list)

    @property
    def _candidate(self) -> LoginCandidate:
        return self._candidates[self._at]

    def _questions(self) -> tuple[Question, ...]:
        if self._stack is None or not self._candidates:
            return ()
        return self.firescreen.client.login_questions(self._stack, self._candidate)

    def _list(self) -> None:
        """Draws the places with the chosen logins."""
        listed = self.query_one("#list", OptionList)
        if self._stack is None:
            return
        room = max((self.app.size.width // 2 if self.has_class("-wide") else self.app.size.width) - 7, 40)
        cells = columns(self._candidates, room)
        self.query_one("#head", Prose).update(head(cells))
        lines = [line(each, each.login(self._stack), cells) for each in self._candidates]
        if listed.option_count != len(lines):
            listed.set_options(Option(each) for each in lines)
            listed.highlighted = self._at
            return
        for number, each in enumerate(lines):
            listed.replace_option_prompt_at_index(number, each)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows the login of another place."""
        if event.option_index != self._at:
            self._at = event.option_index
            self.call_later(self._show)

    def on_option_list_option_selected(self) -> None:
        """Enter goes to the questions."""
        for field in self.query(Field):
            field.enter()
            return

    async def _show(self) -> None:
        """Draws the fields of the selected place, keeping the fields that are already there."""
        if not self.is_open:
            return
        questions = self._questions()
        visible = [each for each in questions if self._all or each.priority == "high"]
        await self.query_one(QuestionForm).show(visible, self._initial_value)
        for field in self.query(Field):
            if complaint := self._complaints.get(field.question.key):
                field.show_error(complaint)
        self.query_one("#answers", Panel).set_title(title(self._candidate))
        self.refresh_bindings()
        self.firescreen.key_queue.release(self)

    def _initial_value(self, question: Question) -> str:
        """Returns the value typed before, or the default."""
        typed = self._typed.get(question.key)
        return typed.reveal() if typed else question.default

    def on_field_changed(self, event: Field.Changed) -> None:
        """Stores an answer, or shows beside it why it is invalid; another kind of login has other questions."""
        from wizard.errors import InputError
        from wizard.redact import Secret

        field, question = event.field, event.field.question
        if self._stack is None:
            return
        self._complaints.pop(question.key, None)
        try:
            self._stack = self.firescreen.client.answer_login(
                self._stack, self._candidate, question.setting, event.value
            )
        except InputError as error:
            field.show_error(f"{error.what}: {error.todo}" if error.todo else error.what)
            return
        field.show_error("")
        if question.kind == "secret":
            self._typed.pop(question.key, None)
            if event.value.strip():
                self._typed[question.key] = Secret(event.value.strip())
        elif question.setting.name == "way":
            self._typed.pop(f"{LOGINS}{self._candidate.key}{SECRET}", None)
            # A Tab typed immediately afterwards belongs to the first of the new questions.
            self.firescreen.key_queue.hold(self)
            self.call_later(self._show_anew)

    async def _show_anew(self) -> None:
        """Draws the questions of another kind of login, without any field of the kind before."""
        for field in self.query(Field):
            if field.question.setting.name != "way":
                await field.remove()
        self._list()
        await self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers more choices only if there are some."""
        return action != "more" or any(each.priority == "low" for each in self._questions())

    def action_more(self) -> None:
        """Shows or hides the questions that few people change."""
        self._all = not self._all
        self.call_later(self._show)

    def on_action_button_pressed(self) -> None:
        """Goes on to the plan."""
        self.action_go_on()

    def action_go_on(self) -> None:
        """Goes on to the plan, or to the first invalid answer."""
        stack = self._stack
        if stack is None or not self._candidates or self.query_one(QuestionForm).enter_wrong():
            return
        if not any(each.login(stack) for each in self._candidates):
            self.app.notify("Nothing is chosen yet: select a row, press Enter, then choose how it logs in.")
            return
        for candidate in self._candidates:
            login = candidate.login(stack)
            lacking = self.firescreen.client.missing_login(login) if login else {}
            if lacking:
                self._complain(candidate, lacking)
                return
        with_privileges(self.firescreen, self._make)

    def _complain(self, candidate: LoginCandidate, errors: dict[str, str]) -> None:
        """Shows in the fields of a place what is wrong with them, and focuses the first."""
        self._complaints |= {f"{LOGINS}{candidate.key}.{name}": words for name, words in errors.items()}
        self._at = self._candidates.index(candidate)
        self.query_one("#list", OptionList).highlighted = self._at
        self.call_later(self._show_complaints)

    async def _show_complaints(self) -> None:
        await self._show()
        self.query_one(QuestionForm).enter_wrong()

    def _make(self) -> None:
        """Makes the plan in a thread; its error is shown in the field that it is about."""
        stack = self._stack
        if stack is None:
            return
        session = self.firescreen.session
        self.firescreen.session = session = replace(
            session,
            logins=stack.client_logins,
            login_draft=None,
            typed=self._all_typed(session),
            renew=frozenset(),
            plan=None,
        )
        wanted, answers, client = session.wanted, session.answers, self.firescreen.client
        if wanted is not None:
            self.query_one("#answers", Panel).set_subtitle("making the plan; nothing is written…")
            self.firescreen.ask(
                lambda: client.plan_for_apply(wanted, answers), self._open_plan, self._report_error
            )

    def _open_plan(self, plan: Plan) -> None:
        self.firescreen.session = replace(self.firescreen.session, plan=plan)
        if self.is_open:
            self.query_one("#answers", Panel).set_subtitle("")
            self.firescreen.open_page(Route.PLAN)

    def _report_error(self, error: ErrorMessage) -> None:
        if not self.is_open:
            return
        self.query_one("#answers", Panel).set_subtitle("")
        found = question_of_error(error, self._candidates, self._stack)
        if found is None:
            self.firescreen.show_error(error)
        else:
            candidate, name = found
            self._complain(candidate, {name: ": ".join(part for part in (error.what, error.todo) if part)})

    def action_back(self) -> None:
        """Goes back without losing an answer."""
        if self._stack is not None and self._candidates:
            session = self.firescreen.session
            self.firescreen.session = replace(
                session, login_draft=self._stack.client_logins, typed=self._all_typed(session)
            )
        super().action_back()

    def _all_typed(self, session: Session) -> tuple[tuple[str, Secret], ...]:
        """Returns the secrets that were typed here and on other pages."""
        return (*(pair for pair in session.typed if not pair[0].startswith(LOGINS)), *self._typed.items())

    def action_help(self) -> None:
        """Shows the help, the focused question first."""
        from screens.dialogs.help import HelpDialog

        text = self.query_one(QuestionForm).with_question_help(self.HELP)
        self.app.push_screen(HelpDialog(self.PLACE, text, keys_of(self)))
