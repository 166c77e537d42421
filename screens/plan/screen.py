"""The plan before it is applied: the reason of each step, the exact diff, and the manual commands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from screens.base_screen import SCROLL_KEYS, Page
from screens.navigation.runs import show_current_connections
from screens.plan import confirmation
from screens.plan.diff_view import DiffOptions
from screens.plan.outline import (
    WHOLE,
    Line,
    draw,
    folded_at_first,
    outline,
    parents,
    visible,
)
from screens.plan.text import (
    canary_candidates,
    choose_canary,
    manual_command_lines,
    summary,
    tab_text,
)
from screens.plan.text import (
    cards as plan_cards,
)
from screens.routes import MapView, Route
from screens.state_styles import describe_error, inline
from screens.themes import host_colours
from screens.widgets.cards import Cards
from screens.widgets.command_block import CommandBlock
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose
from screens.widgets.tabs import Tabs
from screens.widgets.title_bar import Stage

if TYPE_CHECKING:
    from screens.state import ErrorMessage, Session
    from wizard.model import Plan, PlannedStep


COMMANDS = 2
"""The tab of the manual commands; in a small terminal it has the full width."""
LISTS = (("-large", 60), ("-medium", 44))
"""Width (cells) of the list's panel in a large terminal, as in the style sheet."""


class PlanPage(Page):
    """Shows every step of the plan, and applies it."""

    PLACE = "Plan"
    STAGE = Stage.PLAN
    HAS_NOTICES = True
    HELP = """\
Left: hosts, their components, and the steps of each. Steps are numbered in the order in which they are applied. Enter \
folds and unfolds a host or a component; 'n' and 'b' go to the next and the previous step. Right: why a step is there, \
the diff of each file, and the commands to type for the same result, which 'c' copies. 'j' shows where each \
certificate is created and copied to, 'e' shows the lines of a file that do not change, and the base64 of a \
certificate.

Where a client will be rejected afterwards (a reverse proxy that Firescreen does not change), 'a' names it with the \
lines to change there, and nothing is applied until you accept that.

With four hosts or more, one host is the canary: the others are changed only after it is verified. 'f' chooses the \
canary, or none.

Nothing has been written yet. 'a' asks once more, then applies the plan. Every change is written to a journal before \
it is made. If verification fails at the end, everything is rolled back."""

    CSS = """
    PlanPage {
        #cards { display: none; }
        #top { padding: 0 2; height: auto; }
        #panes { height: 1fr; }
        #left { width: 36; padding: 0; }
        &.-medium #left { width: 44; }
        &.-large #left { width: 60; }
        #steps { height: 1fr; padding: 0; }
        #right { width: 1fr; }
        #detail { padding: 1 0 0 0; height: 1fr; scrollbar-gutter: stable; }
        #text { height: auto; }
        &.-wide #left, &.-small.-commands #left { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply", "Apply"),
        Binding("v", "verify", "Verify", tooltip="Run every probe now; changes nothing"),
        Binding("left", "tab(-1)", show=False, priority=True),
        Binding("right", "tab(1)", "Tab", key_display="←→", tooltip="Next or previous tab", priority=True),
        Binding("1", "show(0)", "Why", show=False),
        Binding("2", "show(1)", "Diff", show=False),
        Binding("3", "show(2)", "Commands", show=False),
        Binding("enter", "fold", "Fold", show=False),
        Binding("n", "go(1)", "Next step", show=False),
        Binding("b", "go(-1)", "Previous step", show=False),
        Binding(
            "t",
            "trust",
            "Trust map",
            show=False,
            tooltip="Who will connect to whom, and what each side checks",
        ),
        Binding(
            "j",
            "certificates",
            "Certificates",
            show=False,
            tooltip="Where each certificate is created and copied to",
        ),
        Binding(
            "f",
            "canary",
            "Choose the canary: the host that is changed and verified before the others",
            show=False,
        ),
        Binding(
            "e",
            "whole",
            "Whole files",
            show=False,
            tooltip="Show or fold the lines of each file that do not change",
        ),
        Binding("c", "copy", "Copy", tooltip="Copy the commands of this step"),
        Binding("w", "wide", "Wide", tooltip="Hide or show the list of steps"),
        *SCROLL_KEYS,
        Binding("up", "scroll_line(-1)", show=False),
        Binding("down", "scroll_line(1)", show=False),
    ]

    HORIZONTAL_BREAKPOINTS = [(0, "-small"), (110, "-medium"), (170, "-large")]  # noqa: RUF012 - as Textual declares it

    def __init__(self) -> None:
        super().__init__()
        self._whole = False
        self._lines: tuple[Line, ...] = ()
        self._shown: tuple[Line, ...] = ()
        self._folded: frozenset[str] = frozenset()

    def body(self) -> ComposeResult:
        """Yields cards and summary on top, the steps on the left, the selected step on the right."""
        yield Cards(id="cards")
        yield Prose("making the plan; nothing is written…", id="top", markup=False)
        with Horizontal(id="panes"):
            with Panel(title="Steps", id="left"):
                yield OptionList(id="steps", markup=False)
            with Panel(id="right"):
                yield Tabs("Why", "Diff", "Manual commands")
                with VerticalScroll(id="detail", can_focus=False):
                    yield Prose("", id="text", markup=False)
                    yield CommandBlock(id="commands")

    def on_mount(self) -> None:
        """Requests the plan, unless there is already one for the same answers."""
        self.query_one("#panes").display = False
        self.firescreen.ask(self.firescreen.prepare_run, lambda _: None)
        session = self.firescreen.session
        if session.plan is not None:
            self._have(session.plan)
        elif (stack := session.wanted) is not None:
            answers, client = session.answers, self.firescreen.client
            self.firescreen.key_queue.hold(self)
            self.firescreen.ask(
                lambda: client.plan_for_apply(stack, answers), self._keep_plan, self._report_error
            )

    def _keep_plan(self, plan: Plan) -> None:
        self.firescreen.session = replace(self.firescreen.session, plan=plan)
        if self.is_open:
            self._have(plan)

    def _report_error(self, error: ErrorMessage) -> None:
        self.firescreen.show_error(error)
        if self.is_open:
            self.query_one("#top", Prose).update(describe_error(error))

    @property
    def first(self) -> str:
        """Returns the canary; '' for none."""
        plan = self.plan
        return choose_canary(plan, self.firescreen.session.canary) if plan else ""

    def show_session(self, session: Session) -> None:
        """Shows a new canary; the title bar still names the host of the selected line."""
        if session.plan is not None and self._lines:
            self.query_one("#top", Prose).update(summary(session.plan, self.first))
            self._name_hosts()

    def _have(self, plan: Plan) -> None:
        self.query_one("#top", Prose).update(summary(plan, self.first))
        cards = self.query_one("#cards", Cards)
        cards.display, cards.cards = bool(plan.steps), plan_cards(plan)
        self.firescreen.key_queue.release(self)
        if not plan.steps:
            self.refresh_bindings()
            return
        self.query_one("#panes").display = True
        self._lines = outline(plan)
        # Cards, summary, borders, title bar and footer are above and below the list.
        self._folded = folded_at_first(self._lines, self.app.size.height - 10)
        self._fill(WHOLE)
        self.query_one("#steps", OptionList).focus()
        self.refresh_bindings()

    def _fill(self, selected: str) -> None:
        """Draws the outline as it is folded now, with the given line selected."""
        steps = self.query_one("#steps", OptionList)
        self._shown = visible(self._lines, self._folded)
        many, width = len(self._lines[0].steps), self._list_width
        steps.set_options(
            Option(draw(line, folded=line.id in self._folded, width=width, many=many), id=line.id)
            for line in self._shown
        )
        ids = [line.id for line in self._shown]
        steps.highlighted = ids.index(selected) if selected in ids else 0

    @property
    def _list_width(self) -> int:
        """Returns the width of an outline line: without borders, the list's own padding and its scrollbar."""
        return next((cells for name, cells in LISTS if self.has_class(name)), 36) - 5

    def on_resize(self) -> None:
        """Fits outline and text to the width."""
        if self.is_open and self._lines and self.line is not None:
            self.call_after_refresh(self._fill, self.line.id)

    @property
    def plan(self) -> Plan | None:
        """Returns the current plan."""
        return self.firescreen.session.plan

    @property
    def line(self) -> Line | None:
        """Returns the selected line of the outline."""
        place = self.query_one("#steps", OptionList).highlighted
        return self._shown[place] if place is not None and place < len(self._shown) else None

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """Returns the selected steps: one, or all of a component, of a host or of the plan."""
        plan, line = self.plan, self.line
        if plan is None:
            return ()
        return tuple(plan.steps[number] for number in line.steps) if line else plan.steps

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another line's steps."""
        self._draw()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Folds or unfolds, by Enter or the mouse."""
        self.action_fold()

    def on_tabs_changed(self) -> None:
        """Shows another tab; in a small terminal the commands replace the list, which loses the focus."""
        chosen = self.query_one(Tabs).chosen
        self.set_class(chosen == COMMANDS, "-commands")
        self.call_after_refresh(self._draw)
        if chosen != COMMANDS and self.focused is None:
            self.call_after_refresh(self.query_one("#steps", OptionList).focus)

    def _draw(self) -> None:
        plan, line, steps = self.plan, self.line, self.steps
        if plan is None or line is None:
            return
        tab = self.query_one(Tabs).chosen
        text = tab_text(tab, line, plan, self._diff_options())
        self.query_one(CommandBlock).show(text if tab == COMMANDS else None)
        self.query_one("#text", Prose).display = tab != COMMANDS
        self.query_one("#text", Prose).update("" if tab == COMMANDS else text)
        self.query_one("#detail", VerticalScroll).scroll_home(animate=False)
        many = len(plan.steps)
        where = f"step {line.steps[0] + 1} of {many}" if line.is_step else f"{len(steps)} of {many} steps"
        self.query_one("#left", Panel).set_subtitle(where)
        right = self.query_one("#right", Panel)
        right.set_title(inline(line.title, 200))
        right.set_subtitle("" if self.query_one("#left").display else f"{where}: n next, b back")
        self._name_hosts()

    def _diff_options(self) -> DiffOptions:
        detail = self.query_one("#detail", VerticalScroll)
        return DiffOptions(
            width=max(detail.scrollable_content_region.width - 1, 30),
            whole=self._whole,
            no_color=self.app.no_color,
            colours=host_colours(self.firescreen.session.hosts),
        )

    def action_whole(self) -> None:
        """Shows or folds the lines of each file that do not change."""
        self._whole = not self._whole
        self.query_one(Tabs).chosen = 1
        self._draw()

    def _name_hosts(self) -> None:
        line, steps = self.line, self.steps
        one = line is not None and line.id != WHOLE and steps
        self.set_hosts((steps[0].host,) if one else self.firescreen.session.hosts)

    def action_fold(self) -> None:
        """Folds or unfolds the selected group."""
        line = self.line
        if line is not None and not line.is_step and line.id != WHOLE:
            self._folded ^= {line.id}
            self._fill(line.id)

    def action_go(self, by: int) -> None:
        """Selects the next step in the order in which they are applied."""
        line = self.line
        if line is None or not self._lines:
            return
        many = len(self._lines[0].steps)
        # Going forward from a group selects its first step; from a step, the next one; going backward, the previous
        # one.
        onward = 0 if by > 0 and not line.is_step else by
        number = min(max(line.steps[0] + onward, 0), many - 1)
        self._folded -= parents(self._lines, number)
        self._fill(f"step:{number}")

    def action_trust(self) -> None:
        """Opens the trust map."""
        self.open_trust_map()

    def action_certificates(self) -> None:
        """Opens the certificate distribution."""
        if self.plan is not None:
            self.firescreen.open_page(Route.CERTIFICATE_DISTRIBUTION, MapView.PLAN)

    def open_trust_map(self) -> None:
        """Opens the trust map of the plan; without changes, of the present connections, which can be probed."""
        plan = self.plan
        if plan is not None and plan.steps:
            self.firescreen.open_page(Route.TRUST_MAP, MapView.PLAN)
        elif plan is not None:
            show_current_connections(self.firescreen)
        else:
            super().open_trust_map()

    def action_canary(self) -> None:
        """Asks for the canary, and remembers it for this stack."""
        if self.plan is not None:
            confirmation.ask_for_canary(self.firescreen, self.plan)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the keys that make sense for the plan."""
        plan = self.plan
        if action == "verify":
            return plan is not None and not plan.steps
        if action in ("trust", "certificates"):
            return plan is not None
        if action == "canary":
            return plan is not None and bool(canary_candidates(plan))
        if action in ("apply", "copy", "wide", "whole", "tab", "fold", "go"):
            return plan is not None and bool(plan.steps)
        return True

    def action_tab(self, by: int) -> None:
        """Selects a neighbouring tab."""
        self.query_one(Tabs).move(by)

    def action_show(self, tab: int) -> None:
        """Selects the given tab."""
        self.query_one(Tabs).chosen = tab

    def action_scroll_line(self, lines: int) -> None:
        """Scrolls the text by a line while the list is hidden."""
        self.query_one("#detail", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_wide(self) -> None:
        """Hides or shows the steps; a hidden list loses the focus."""
        self.toggle_class("-wide")
        self.call_after_refresh(self._draw)
        if not self.has_class("-wide"):
            self.call_after_refresh(self.query_one("#steps", OptionList).focus)

    def action_copy(self) -> None:
        """Copies the commands of the selected steps."""
        self.query_one(CommandBlock).copy(
            [line for step in self.steps for line in manual_command_lines(step)]
        )

    def action_verify(self) -> None:
        """Runs the probes of a plan that has nothing to change."""
        if self.firescreen.runs.verify():
            self.firescreen.open_page(Route.VERIFICATION, replace=True)

    def action_apply(self) -> None:
        """Asks for what has to be accepted, asks for confirmation, then applies."""
        if (plan := self.plan) is not None and plan.steps:
            confirmation.ask(self.firescreen, plan, self.first)
