"""A lab: one step at a time, its commands, and a check of the running programs.

A step that is done in another terminal is noticed automatically; 'Do it for me' runs the engine that secures real
hosts. The text of a lab is drawn as Markdown; everything else is plain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Markdown, OptionList
from textual.widgets.option_list import Option

from screens.labs.answers import offer_report, take_answers
from screens.labs.class_page import ClassBar, ClassPage
from screens.labs.keys import BINDINGS, HELP
from screens.labs.step_text import (
    check_text,
    closing_text,
    commands_to_copy,
    entries,
    is_offered,
    line_width,
    next_words,
    page_title,
    preparation,
    progress,
    report_text,
    step_commands,
)
from screens.run_state import begin
from screens.state_styles import describe_error, inline, safe
from screens.widgets.command_block import CommandBlock
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from screens.engine_client.client import Emit
    from screens.run_state import RunState
    from screens.state import ClassState, ErrorMessage, Session
    from wizard.labs import CheckResult, LabSession, LabStep

PATIENCE = 12.0
"""Seconds for which a check waits for the next scrape."""

LOOK_EVERY = 2.0
"""Seconds between two automatic checks of the selected step, which may be done in another terminal."""


class LabPage(ClassPage):
    """Guides through the steps of a lab.

    Args:
        session: the lab and its progress; its methods block.
    """

    PLACE = "Lab"
    HELP = HELP

    CSS_PATH = "lab.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS = BINDINGS

    def __init__(self, session: LabSession) -> None:
        super().__init__()
        self._session = session
        self._lab = session.lab
        self._checking = False
        self._done: frozenset[str] = session.done
        self._helping = False
        self._breaking = False
        self._jumping = False
        self._answers = False
        self._begun = self._begun_steps()

    def _begun_steps(self) -> frozenset[str]:
        """Returns the ids of the steps whose fault is in place, or that have none."""
        return frozenset(step.id for step in self._lab.steps if self._session.has_begun(step.id))

    def body(self) -> ComposeResult:
        """Yields the steps on the left, the selected step on the right, the last message below."""
        yield ClassBar()
        with Horizontal(id="panes"):
            yield Panel(OptionList(id="steps", markup=False), title="Steps", id="outline")
            with Vertical(id="right"):
                with Panel(id="page"), VerticalScroll(id="detail", can_focus=False):
                    yield Markdown("", id="text", open_links=False)
                    yield CommandBlock(id="commands")
                with Panel(title="Your work", id="said"), VerticalScroll(can_focus=False):
                    yield Prose("", id="words", markup=False)

    def on_mount(self) -> None:
        """Shows the first unfinished step."""
        self.set_place(f"Lab · {inline(self._lab.title, 44)}")
        steps = self.query_one("#steps", OptionList)
        steps.set_options(Option(words, disabled=shut) for words, shut in self._entries())
        undone = [at for at, step in enumerate(self._lab.steps, start=1) if step.id not in self._done]
        steps.highlighted = 0 if not self._done else undone[0] if undone else len(self._lab.steps) + 1
        steps.focus()
        self._draw_steps()
        self.set_interval(LOOK_EVERY, self._look)

    def _entries(self) -> list[tuple[Content, bool]]:
        news = self.firescreen.class_state.news
        opened = news.open_in(self._lab.id) if news else None
        room = self.query_one("#steps", OptionList).scrollable_content_region.width
        return entries(self._lab, self._done, max(room - 2, 22), opened)

    def show_class(self, state: ClassState) -> None:
        """Shows the steps that the instructor has opened."""
        self._draw_steps()

    def _draw_steps(self) -> None:
        steps = self.query_one("#steps", OptionList)
        self.query_one("#outline", Panel).set_subtitle(progress(self._lab, self._done))
        for at, (words, shut) in enumerate(self._entries()):
            steps.replace_option_prompt_at_index(at, words)
            # Textual moves the highlight off an option that is enabled again, so only options that change are touched.
            if steps.get_option_at_index(at).disabled and not shut:
                steps.enable_option_at_index(at)
            elif shut and not steps.get_option_at_index(at).disabled:
                steps.disable_option_at_index(at)

    @property
    def _at_start(self) -> bool:
        """Returns whether the introduction of the lab is shown."""
        return self.query_one("#steps", OptionList).highlighted == 0

    @property
    def _to_copy(self) -> tuple[str, ...]:
        """Returns the commands on the page, unwrapped."""
        return commands_to_copy(self._session, self.step, at_start=self._at_start)

    @property
    def step(self) -> LabStep | None:
        """Returns the selected step; None before the first and at the end of the lab."""
        at = self.query_one("#steps", OptionList).highlighted
        return self._lab.steps[at - 1] if at is not None and 1 <= at <= len(self._lab.steps) else None

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another step."""
        self._draw()

    def _draw(self) -> None:
        step, width = self.step, line_width(self.query_one("#detail"))
        text, typed = self.query_one("#text", Markdown), self.query_one(CommandBlock)
        if step is not None:
            text.update(f"## {step.title}\n\n{step.text}")
            typed.show(step_commands(self._session, step, broken=step.id in self._begun, width=width))
        elif self._at_start:
            text.update(f"## {self._lab.title}\n\n{self._lab.intro}\n\n**n** goes to the first step.")
            typed.show(preparation(self._session, width))
        else:
            text.update(closing_text(self._lab, answers=self._answers))
            typed.show(None)
        self._name_hosts()
        self.query_one("#page", Panel).set_title(page_title(self._lab, step, at_start=self._at_start))
        self.query_one("#detail", VerticalScroll).scroll_home(animate=False)
        done = step is not None and step.id in self._done
        found = f" Found: {step.found}" if step is not None and step.found else ""
        words = Content.assemble(("✓ ", "bold $success"), f"This step is done.{found}")
        self._say(words if done else Content(""))
        self.refresh_bindings()

    def on_resize(self) -> None:
        """Fits titles and commands to the width."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if self.is_open:
            self._draw_steps()
            self._draw()

    def show_session(self, session: Session) -> None:
        """Keeps the selected step's host in the title bar after a scan."""
        self._name_hosts()

    def _name_hosts(self) -> None:
        host = self.step.host if self.step is not None else ""
        self.set_hosts((host,) if host else self.firescreen.session.hosts)

    def _say(self, words: Content) -> None:
        self.query_one("#words", Prose).update(words)
        self.query_one("#said").display = bool(words)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the keys that make sense for the selected step."""
        if not self.is_mounted or not self.is_open:
            return True
        if action == "copy":
            return bool(self._to_copy)
        if action in ("signal", "show_progress"):
            return self.offers(action)
        at_end = self.step is None and not self._at_start
        return is_offered(action, self._lab, self.step, begun=self._begun, done=self._done, at_end=at_end)

    def footer_rank(self, action: str) -> int:
        """Drops scrolling first, because the scrollbar shows that there is more, and then the next step."""
        is_left = self.step is not None and self.step.id not in self._done
        return int(action.startswith("scroll_text") or (action == "next" and is_left))

    # -- checking ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Checks automatically while the screen is in front; only a finished step is reported."""
        step = self.step
        if step is None or step.id in self._done or step.id not in self._begun:
            return
        if self.is_current and not self.firescreen.runs.working:
            self._check(step, verbose=False)

    def action_check(self) -> None:
        """Checks the step and shows what is missing."""
        if self.step is not None:
            self._say(Content.styled("checking…", "$quiet"))
            self._check(self.step, verbose=True, patience=PATIENCE, by_student=True)

    def _check(self, step: LabStep, *, verbose: bool, patience: float = 0, by_student: bool = False) -> None:
        if self._checking and not verbose:
            return
        self._checking = True
        self.firescreen.ask(
            lambda: self._session.check(step.id, patience=patience, by_student=by_student),
            lambda result: self._show_result(step, result, verbose=verbose),
            lambda error: self._show_check_error(error, verbose=verbose),
        )

    def _show_result(self, step: LabStep, result: CheckResult, *, verbose: bool) -> None:
        self._checking = False
        if not self.is_open:
            return
        if result.ok:
            new = step.id not in self._done
            self._done |= {step.id}
            self._draw_steps()
            self.refresh_bindings()
            if verbose or new:
                self._say(check_text(result, after=next_words(self._lab, step, self._done)))
        elif verbose:
            self._say(check_text(result))

    def _show_check_error(self, error: ErrorMessage, *, verbose: bool) -> None:
        self._checking = False
        if self.is_open and verbose:
            self._say(describe_error(error))

    # -- helping -------------------------------------------------------------------------------------------

    def action_hint(self) -> None:
        """Shows the next hint; each hint says more."""
        if (step := self.step) is None:
            return

        def show_hint(hint: str) -> None:
            if self.is_open and self.step is step:
                if self._session.answer(step.id):
                    self._draw()
                self._say(Content.assemble(("Hint  ", "bold $primary"), safe(hint, 1000)))

        self.firescreen.ask(lambda: self._session.hint(step.id), show_hint)

    def action_begin(self) -> None:
        """Puts the fault of the step in place."""
        step, session = self.step, self._session
        if step is None or not step.fault:
            return

        def work(_emit: Emit, _cancel: Event) -> None:
            session.begin(step.id)

        self._helping = self._breaking = self.firescreen.runs.start(begin("apply"), work)
        if self._helping:
            self._say(Content.styled("putting the fault in place…", "$quiet"))

    def action_solve(self) -> None:
        """Lets the engine do the step, and shows its log."""
        step, session = self.step, self._session
        if step is not None:
            self._helping = self.firescreen.runs.start(
                begin("apply"), lambda emit, cancel: session.solve(step.id, emit, cancel)
            )

    def action_jump(self) -> None:
        """Lets the engine do the steps before the selected one."""
        step, session = self.step, self._session
        if step is not None:
            self._jumping = self._helping = self.firescreen.runs.start(
                begin("apply"), lambda emit, cancel: session.jump(step.id, emit, cancel)
            )

    def show_run(self, state: RunState) -> None:
        """Shows the log of a step that the engine does; then checks the step."""
        if not self._helping:
            return
        if self.firescreen.runs.working:
            last = state.lines[-1].text if state.lines else "working…"
            self._say(Content.assemble(("▸ ", "bold $primary"), safe(last, 300)))
            return
        self._helping, breaking, self._breaking = False, self._breaking, False
        jumped, self._jumping, self._lab = self._jumping, False, self._session.lab
        if state.error is not None:
            self._say(describe_error(state.error))
        elif state.kind == "undo":
            self._begin_again()
        elif breaking and self.step is not None:
            self._begun = self._begun_steps()
            self._done = self._session.done
            self._draw_steps()
            self._draw()
            self._say(Content.assemble(("● ", "bold $error"), "The fault is in place. Find it."))
        elif jumped:
            self._done = self._session.done
            self._draw_steps()
            self._draw()
            self._say(Content.assemble(("✓ ", "bold $success"), "The steps before this one are done."))
        elif self.step is not None:
            self._begun = self._begun_steps()
            self._check(self.step, verbose=True, patience=PATIENCE)

    def action_reset(self) -> None:
        """Asks, then restarts the lab."""
        from screens.dialogs.base import ConfirmDialog

        def start_reset(yes: bool | None) -> None:
            if yes:
                self._helping = self.firescreen.runs.start(begin("undo"), self._reset)

        self.app.push_screen(
            ConfirmDialog(
                "Restart this lab?",
                f"Everything that the lab changed on {inline(self._session.where, 100)} is undone, and no step counts as done.",
                yes="Restart",
                no="Continue the lab",
                careful=True,
            ),
            start_reset,
        )

    def _reset(self, emit: Emit, _cancel: Event) -> None:
        self._session.reset(emit)

    def _begin_again(self) -> None:
        self._done = self._session.done
        self._lab = self._session.lab
        self._begun = self._begun_steps()
        self._draw_steps()
        self.query_one("#steps", OptionList).highlighted = 1
        self._draw()
        message = Content.assemble(("✓ ", "bold $success"), "The lab is back at the beginning.")
        self.call_after_refresh(self._say, message)

    def action_copy(self) -> None:
        """Copies the commands of the step."""
        self.query_one(CommandBlock).copy(self._to_copy)

    def action_next(self) -> None:
        """Goes to the next step."""
        steps = self.query_one("#steps", OptionList)
        following = (steps.highlighted or 0) + 1
        if following < steps.option_count and not steps.get_option_at_index(following).disabled:
            steps.highlighted = following

    def action_answers(self) -> None:
        """Shows the answers to the questions at the end."""
        if self.step is None:
            self._answers = True
            self.query_one("#text", Markdown).update(closing_text(self._lab, answers=True))

    def action_respond(self) -> None:
        """Takes the student's answers."""
        take_answers(self.firescreen, self._session, self._say)

    def action_report(self) -> None:
        """Writes the report and shows its path; in a browser, offers it as a download."""

        def show_report(path: Path) -> None:
            if self.is_open:
                self._say(report_text(path))
                offer_report(self.app, path)

        self.firescreen.ask(self._session.report, show_report)

    def action_scroll_text(self, pages: int) -> None:
        """Scrolls the text by a page."""
        pane = self.query_one("#detail", VerticalScroll)
        pane.scroll_relative(y=pages * max(pane.size.height - 2, 1), animate=False)

    def action_back(self) -> None:
        """Leaves the lab; finished steps stay finished."""
        if self.firescreen.runs.working:
            self.app.notify("A step is in progress. Wait until it ends.", severity="warning")
            return
        self.app.pop_screen()
        self.firescreen.stack_session.rescan()
