"""All that would be done, before any of it is: why, the difference to the byte, and the commands by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.page import Page
from screens.planwords import by_hand, counts, differences, overview, summary, why
from screens.widgets.tabs import Tabs
from screens.words import at, hang

if TYPE_CHECKING:
    from screens.state import Trouble
    from wizard.model import Plan, PlannedStep

OVERVIEW = "overview"


class PlanPage(Page):
    """Screen 4 of the storyboard."""

    PLACE = "Plan · 3 of 5"
    HELP = """\
Left: the steps in the order in which they are done. Right: why a step is there, what changes in which file \
(+ comes, - goes), and the commands that a person would type for the same result. 'c' copies those.

Nothing has been written yet. 'a' applies the plan, after asking once more. While it is applied every change is \
noted before it is made, so that it can be put back at any moment; if the proof at the end fails, it is put back \
by itself."""

    CSS = """
    PlanPage #top { padding: 1 2 0 2; height: auto; }
    PlanPage #panes { height: 1fr; padding: 1 0 0 0; }
    PlanPage #steps { width: 32; height: 1fr; padding: 0; border-right: solid $panel; }
    PlanPage #right { width: 1fr; }
    PlanPage #detail { padding: 1 1 0 2; height: 1fr; scrollbar-gutter: stable; }
    PlanPage #text { height: auto; }
    PlanPage.-wide #steps { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply", "Apply"),
        Binding("v", "verify", "Prove now", tooltip="Run the probes on what there is; changes nothing"),
        Binding("left", "tab(-1)", show=False, priority=True),
        Binding("right", "tab(1)", "Next tab", key_display="←→", tooltip="Another tab", priority=True),
        Binding("1", "show(0)", "Why", show=False),
        Binding("2", "show(1)", "Diff", show=False),
        Binding("3", "show(2)", "By hand", show=False),
        Binding("c", "copy", "Copy", tooltip="Copy the commands of this step"),
        Binding("w", "wide", "Wide", tooltip="Give the right side the whole width"),
        Binding("pagedown", "scroll_text(1)", "Scroll down", show=False, priority=True),
        Binding("pageup", "scroll_text(-1)", "Scroll up", show=False, priority=True),
        Binding("up", "scroll_line(-1)", show=False),
        Binding("down", "scroll_line(1)", show=False),
    ]

    def body(self) -> ComposeResult:
        """Summary on top, steps left, the step in hand right."""
        yield Static("working out the plan; nothing is written…", id="top", markup=False)
        with Horizontal(id="panes"):
            yield OptionList(id="steps", markup=False)
            with Vertical(id="right"):
                yield Tabs("Why", "Diff", "By hand")
                with VerticalScroll(id="detail", can_focus=False):
                    yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        """Asks for the plan, unless there is one for these very answers."""
        self.query_one("#panes").display = False
        self.firescreen.ask(_get_ready, lambda _: None)
        session = self.firescreen.session
        if session.plan is not None:
            self._have(session.plan)
        elif session.stack is not None:
            from screens.parts import answers_of

            stack, answers = session.stack, answers_of(session)
            self.firescreen.ask(
                lambda: self.firescreen.desk.engine.plan(stack, answers), self._made, self._refused
            )

    def _made(self, plan: Plan) -> None:
        self.firescreen.session = replace(self.firescreen.session, plan=plan)
        if self.standing:
            self._have(plan)

    def _refused(self, trouble: Trouble) -> None:
        from screens.dialogs.trouble import describe

        self.firescreen.complain(trouble)
        if self.standing:
            self.query_one("#top", Static).update(describe(trouble))

    def _have(self, plan: Plan) -> None:
        self.query_one("#top", Static).update(summary(plan))
        if not plan.steps:
            self.refresh_bindings()
            return
        steps = self.query_one("#steps", OptionList)
        steps.set_options(_entries(plan))
        self.query_one("#panes").display = True
        steps.highlighted = 0
        steps.focus()
        self.refresh_bindings()

    @property
    def plan(self) -> Plan | None:
        """The plan in hand."""
        return self.firescreen.session.plan

    @property
    def step(self) -> PlannedStep | None:
        """The step in hand; None for the overview."""
        steps = self.query_one("#steps", OptionList)
        option = steps.highlighted_option
        plan = self.plan
        if option is None or plan is None or option.id is None or option.id == OVERVIEW:
            return None
        return plan.steps[int(option.id)]

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another step."""
        self._draw()

    def on_tabs_changed(self) -> None:
        """Another tab."""
        self._draw()

    def _draw(self) -> None:
        plan, step = self.plan, self.step
        if plan is None:
            return
        steps = (step,) if step else plan.steps
        tab = self.query_one(Tabs).chosen
        if tab == 0:
            text = why(step) if step else overview(plan)
        elif tab == 1:
            text = differences(steps)
        else:
            text = by_hand(steps)
        self.query_one("#text", Static).update(text)
        self.query_one("#detail", VerticalScroll).scroll_home(animate=False)
        hosts = (step.host,) if step else self.firescreen.session.hosts
        self.set_hosts(tuple(host for host in hosts if host in self.firescreen.session.hosts) or hosts)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what makes sense for the plan in hand is among the keys."""
        plan = self.plan
        if action == "verify":
            return plan is not None and not plan.steps
        if action in ("apply", "copy", "wide", "tab"):
            return plan is not None and bool(plan.steps)
        return True

    def action_tab(self, by: int) -> None:
        """The next tab."""
        self.query_one(Tabs).move(by)

    def action_show(self, tab: int) -> None:
        """That tab."""
        self.query_one(Tabs).chosen = tab

    def action_scroll_text(self, pages: int) -> None:
        """The text of the step in hand, a page."""
        detail = self.query_one("#detail", VerticalScroll)
        detail.scroll_relative(y=pages * max(detail.size.height - 2, 1), animate=False)

    def action_scroll_line(self, lines: int) -> None:
        """The text, a line: the arrows, while there is no list for them to move in."""
        self.query_one("#detail", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_wide(self) -> None:
        """Hides or shows the steps; a list that was hidden has lost the focus."""
        self.toggle_class("-wide")
        if not self.has_class("-wide"):
            self.call_after_refresh(self.query_one("#steps", OptionList).focus)

    def action_copy(self) -> None:
        """Copies the commands of the step in hand, by way of the terminal (OSC 52)."""
        plan = self.plan
        if plan is None:
            return
        steps = (self.step,) if self.step else plan.steps
        lines = [line for step in steps for change in step.changes for line in change.commands()]
        self.app.copy_to_clipboard("\n".join(lines) + "\n")
        self.app.notify(f"{len(lines)} commands were given to the terminal's clipboard.")

    def action_verify(self) -> None:
        """Nothing to change: proves that it is so."""
        from screens.parts import start_verify

        start_verify(self.firescreen)

    def action_apply(self) -> None:
        """Asks once more, then applies."""
        from screens.dialogs.confirm import ConfirmDialog
        from screens.parts import start_apply

        plan = self.plan
        if plan is None or not plan.steps:
            return
        much, gaps = counts(plan)
        text = Content("\n").join(
            [
                *much,
                *gaps,
                Content(""),
                Content(
                    "Every change is noted before it is made; if the proof fails, all of it is put back."
                ),
            ]
        )
        self.app.push_screen(
            ConfirmDialog("Apply this plan?", text, yes="Apply", no="Not yet"),
            lambda yes: start_apply(self.firescreen) if yes else None,
        )


def _get_ready() -> None:
    """Imports, in a thread, what opens while the engine is at work."""
    from screens import proof, run

    del proof, run


def _entries(plan: Plan) -> list[Option | None]:
    entries: list[Option | None] = [Option(Content.styled("The whole plan", "bold"), id=OVERVIEW)]
    host = ""
    for number, step in enumerate(plan.steps):
        if step.host != host:
            host = step.host
            entries.append(Option(Content.styled(f"{at(host)}", "italic"), disabled=True))
        entries.append(
            Option(Content.assemble((f"{number + 1:>2} ", "$quiet"), hang(step.title, 26, 3)), id=str(number))
        )
    return entries
