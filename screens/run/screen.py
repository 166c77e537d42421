"""A run in progress: its hosts, steps, progress and log; if it fails, where and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content

from screens.base_screen import Page, keys_of
from screens.navigation.runs import ask_to_undo, plan_again, start_recovery
from screens.routes import Route
from screens.run.actions import actions_after
from screens.run.host_table import HostTable
from screens.run.progress_panel import ProgressPanel
from screens.run.run_log import RunLog
from screens.run.status import (
    NAMES,
    ending_text,
    headline,
    host_details,
    host_summary,
    host_to_follow,
    log,
    run_cards,
    step_log,
    step_part,
    stop_words,
)
from screens.run.step_list import StepList
from screens.state import OWN_FOLDER
from screens.state_styles import at, inline, place
from screens.widgets.button import ActionButton
from screens.widgets.cards import Cards
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose
from screens.widgets.title_bar import Stage

if TYPE_CHECKING:
    from screens.run_state import RunState


class RunPage(Page):
    """Follows a run, and stops, repeats or undoes it."""

    CSS_PATH = "../running.tcss"
    PLACE = "Apply"
    STAGE = Stage.APPLY
    HELP = """\
The steps of the plan: · to do, ▸ now, ✓ done, ✗ failed, ↶ rolled back.

With several hosts, the table on top has a line for each, failures first. The arrow keys select a host and show its \
steps and log below; Enter shows everything that happened there. Tab goes to the steps: the log is that of the selected \
one. A host that fails is rolled back alone, and the others continue.

Stopping finishes the current change and rolls back what was done so far. The same happens by itself where a change \
or the verification fails; this screen then says what failed, where, and what to do."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-roomy")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "agree", "Stop and roll back"),
        Binding("enter", "agree", show=False, priority=True),
        Binding("n", "refuse", "Continue"),
        Binding("x", "stop", "Stop", tooltip="Stop after the current change and roll back everything"),
        Binding("t", "again", "Try again"),
        Binding("r", "recover", "Recover", tooltip="Roll back the hosts that were unreachable"),
        Binding("u", "undo", "Undo all"),
        Binding("p", "verification", "Verification"),
        Binding("c", "copy", "Copy", tooltip="Copy the commands to run"),
        Binding("up", "row(-1)", show=False),
        Binding("down", "row(1)", "Choose a host", key_display="↑↓", show=False),
        Binding("pagedown", "turn(1)", "Scroll down", show=False, priority=True),
        Binding("pageup", "turn(-1)", "Scroll up", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._shown: RunState | None = None
        self._asking: Literal["", "stop", "leave"] = ""
        self._chosen = ""
        """The host that the person selected; '' to follow the run."""
        self._followed = ""
        self._looking = False
        """Whether the box below shows what happened on the selected host."""

    def body(self) -> ComposeResult:
        """Yields numbers, progress and hosts on top; below, the steps on the left, result and log on the right."""
        yield Cards(*run_cards(self.firescreen.run_state), id="numbers")
        yield ProgressPanel()
        yield Panel(HostTable(), title="Hosts", id="hosts")
        with Horizontal(id="panes"):
            yield Panel(StepList(), title="Steps", id="tree")
            with Vertical(id="right"):
                with Panel(title="What happened", id="outcome"):
                    with VerticalScroll(id="end", can_focus=False):
                        yield Prose("", id="said", markup=False)
                    with Horizontal(id="buttons"):
                        yield ActionButton("Try again", id="again")
                        yield ActionButton("Recover", id="recover")
                        yield ActionButton("Undo all", id="undo")
                        yield ActionButton("Show verification", id="verification")
                        yield ActionButton("Go home", id="home")
                yield Panel(RunLog(), title="Log", id="logged")
        with VerticalScroll(id="aside", can_focus=False):
            yield Prose("", id="told", markup=False)

    def show_run(self, state: RunState) -> None:
        """Redraws only what has changed: redrawing everything would delay keys."""
        before, self._shown = self._shown, state
        if before is None or before.kind != state.kind:
            self.set_place(NAMES[state.kind], Stage.APPLY if state.kind == "apply" else None)
        self.query_one(ProgressPanel).show(state)
        self._draw_numbers(state)
        if before is None or before.hosts != state.hosts:
            self._draw_hosts(state)
        elsewhere = self._follow(state)
        if before is None or elsewhere or step_part(before) != step_part(state):
            self._draw_steps(state)
        if before is None or elsewhere or self._log_key(before) != self._log_key(state):
            self._draw_lines(state)
        self._draw_end(state)
        self._name_host(state)
        if before is None or (before.phase, before.waiting) != (state.phase, state.waiting) or not state.busy:
            self.refresh_bindings()
        self._perhaps_verification(state)

    def _draw_numbers(self, state: RunState) -> None:
        cards, found = self.query_one(Cards), run_cards(state)
        if found != cards.cards:
            cards.set_reactive(Cards.cards, found)  # of the same height: no layout, which would delay keys
            cards.refresh()

    def on_mount(self) -> None:
        """Starts the run when this screen is mounted."""
        self.call_after_refresh(self.call_later, self.firescreen.runs.go)

    def on_screen_resume(self) -> None:
        """Opens the verification that could not open while a dialog was on top."""
        self._perhaps_verification(self.firescreen.run_state)

    def _perhaps_verification(self, state: RunState) -> None:
        verified = state.kind == "apply" and state.phase == "finished" and state.result == "proven"
        reading = self.has_class("-aside")  # a person who reads the help stays on this screen
        if verified and self.is_current and not self.firescreen.runs.working and not reading:
            self.call_later(self.action_verification)

    # -- hosts ---------------------------------------------------------------------------------------------

    def _draw_hosts(self, state: RunState) -> None:
        fleet, was = self.query_one(HostTable), self.has_class("-fleet")
        self.set_class(len(state.hosts) > 1, "-fleet")
        if self.has_class("-fleet"):
            if not was:
                fleet.focus()
            fleet.canary = state.canary
            fleet.rows = state.hosts
            self.query_one("#hosts", Panel).set_title(host_summary(state.hosts).plain)
            if self._looking:
                self._tell_host(state)

    def _host(self, state: RunState) -> str:
        """Returns the host whose steps are shown; '' for all of them."""
        return (self._chosen or self._followed) if len(state.hosts) > 1 else ""

    def _follow(self, state: RunState) -> bool:
        """Follows a host until it is finished; returns whether the shown host has changed."""
        wanted = host_to_follow(state, self._followed)
        moved, self._followed = wanted != self._followed, wanted
        return moved and not self._chosen

    def _name_host(self, state: RunState) -> None:
        """Shows one host in the title bar."""
        stack_hosts, step = self.firescreen.session.hosts, state.step
        host = self._chosen
        if state.busy and not host:
            host = state.waiting_host if state.waiting else self._host(state) or (step.host if step else "")
        self.set_hosts((host,) if host in stack_hosts or host == OWN_FOLDER else stack_hosts)

    def on_host_table_chosen(self) -> None:
        """Shows the steps and the log of another host."""
        self._chosen = self.query_one(HostTable).selected
        self.query_one(StepList).selected = ""
        state = self.firescreen.run_state
        self._draw_steps(state)
        self._draw_lines(state)
        self._name_host(state)
        if self._looking:
            self._tell_host(state)

    def on_host_table_opened(self) -> None:
        """Shows what happened on the host, or closes that."""
        if self._looking:
            self._put_aside()
        elif not self._asking:
            self._chosen, self._looking = self.query_one(HostTable).selected, True
            self._tell_host(self.firescreen.run_state)

    def _tell_host(self, state: RunState) -> None:
        row = state.row(self._chosen)
        if row is not None:
            self._aside(f"{place(row.host)} · ↑↓ selects another host · Esc closes", host_details(row))

    def action_row(self, by: int) -> None:
        """Selects a neighbouring host, or a neighbouring step of the shown host."""
        fleet, steps = self.query_one(HostTable), self.query_one(StepList)
        listed: HostTable | StepList = fleet if self.has_class("-fleet") else steps
        listed.focus()
        listed.action_move(by)

    def action_turn(self, pages: int) -> None:
        """Scrolls the part in front by a page: the box below, the hosts, or the result."""
        fleet = self.query_one(HostTable)
        if self.has_class("-fleet") and fleet.has_focus and not self.has_class("-aside"):
            fleet.action_turn(pages)
            return
        pane = self.query_one(
            "#aside" if self.has_class("-aside") else "#end" if self.has_class("-ended") else "RunLog",
            VerticalScroll,
        )
        pane.scroll_relative(y=pages * max(pane.size.height - 1, 1), animate=False)

    def _draw_steps(self, state: RunState) -> None:
        shown = self._host(state)
        steps = tuple(step for step in state.steps if step.host == shown) if shown else state.steps
        self.query_one(StepList).show(steps, current=state.current if state.busy else "")
        done = sum(step.state in ("done", "undone" if state.kind != "apply" else "done") for step in steps)
        (tree := self.query_one("#tree", Panel)).set_title(f"Steps {at(shown)}" if shown else "Steps")
        tree.set_subtitle(f"{done} of {len(steps)}")

    def _log_key(self, state: RunState) -> tuple[object, ...]:
        row = state.row(self._host(state))
        return (row.lines if row else state.lines, state.waiting, state.current, state.phase)

    def _draw_lines(self, state: RunState) -> None:
        row = state.row(self._host(state))
        panel = self.query_one("#logged", Panel)
        selected = self.query_one(StepList).selected
        step = next((step for step in state.steps if step.id == selected), None)
        if step is not None and not state.waiting:
            text, name = step_log(state, selected), step.title
        else:
            shown = row if state.busy or self._chosen else None
            text, name = log(state, shown), at(row.host) if shown and row else ""
        panel.set_title("Run this yourself" if state.waiting else "Log")
        panel.set_subtitle(inline(name, 60))
        self.query_one(RunLog).show(text, name, from_start=state.waiting or (step.id if step else ""))

    def on_step_list_chosen(self) -> None:
        """Shows the log of another step."""
        self._draw_lines(self.firescreen.run_state)

    def _draw_end(self, state: RunState) -> None:
        ended = state.phase == "finished"
        self.set_class(ended, "-ended")
        if ended and self._asking:
            self._put_aside()
        if not ended:
            return
        self.query_one("#said", Prose).update(ending_text(state))
        panel, end = self.query_one("#outcome", Panel), self.query_one("#end")
        panel.set_title(headline(state).plain)
        # The buttons below the text stay visible however long it is; without a log, the text gets all the room.
        self.query_one("#logged").display = bool(state.lines)
        end.styles.max_height = max(
            self.query_one("#right").size.height * (3 if state.lines else 4) // 4 - 4, 3
        )
        self.query_one("#again", ActionButton).label = (
            "Retry failed hosts" if state.result == "partly" else "Try again"
        )
        self.query_one("#recover", ActionButton).label = "Try again" if state.kind == "recover" else "Recover"
        for name in ("again", "recover", "undo", "verification"):
            self.query_one(f"#{name}", ActionButton).display = bool(self.check_action(name, ()))
        first = next((button for button in self.query(ActionButton) if button.display), None)
        if first is not None and not self.firescreen.runs.working and not self._looking:
            self.call_after_refresh(first.focus)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the actions that make sense now."""
        state = self.firescreen.run_state
        ended = state.phase == "finished" and not self.firescreen.runs.working
        match action:
            case "agree" | "refuse":
                return bool(self._asking)
            case "stop":
                return state.phase == "running" and not self._asking
            case "back":
                return ended or self.has_class("-aside")
            case "copy":
                return bool(state.waiting)
            case "again" | "recover" | "undo" | "verification":
                return ended and state.kind in ("apply", "recover") and action in actions_after(state)
        return True

    def on_action_button_pressed(self, event: ActionButton.Pressed) -> None:
        """Does the same as the button's key."""
        actions = {
            "again": self.action_again,
            "recover": self.action_recover,
            "undo": self.action_undo,
            "verification": self.action_verification,
        }
        name = event.button.id or ""
        if name == "home" and self.check_action("back", ()):
            self.action_back()
        elif name in actions and self.check_action(name, ()):
            actions[name]()

    def on_resize(self) -> None:
        """Fits the height of the result to the terminal."""
        if self.is_open and self.has_class("-ended"):
            self.call_after_refresh(self._draw_end, self.firescreen.run_state)

    def ask_to_leave(self) -> bool:
        """Asks on this screen: opening a dialog would delay keys."""
        self.ask(leaving=True)
        return True

    def ask(self, *, leaving: bool = False) -> None:
        """Asks whether to stop the run; `leaving` also closes Firescreen."""
        self._asking = "leave" if leaving else "stop"
        self._looking = False
        self._aside("Stop the run?", stop_words(leaving=leaving))
        # Not for the help: redrawing the footer would double the time that the key needs.
        self.refresh_bindings()

    def _aside(self, title: str, words: Content) -> None:
        aside = self.query_one("#aside", VerticalScroll)
        aside.border_title = Content(title)
        self.query_one("#told", Prose).update(words)
        aside.display = bool(title)
        self.set_class(bool(title), "-aside", update=False)  # no style depends on it: nothing is restyled

    def _put_aside(self) -> None:
        question, self._asking = self._asking, ""
        self._looking = False
        self._aside("", Content(""))
        self.query_one("#aside", VerticalScroll).scroll_home(animate=False)
        if question:
            self.refresh_bindings()
        self._perhaps_verification(self.firescreen.run_state)

    def action_stop(self) -> None:
        """Asks, then stops between two changes."""
        self.ask()

    def action_agree(self) -> None:
        """Stops the run."""
        leaving = self._asking == "leave"
        self._put_aside()
        if leaving:
            self.firescreen.stop_and_leave()
        else:
            self.firescreen.runs.cancel()

    def action_refuse(self) -> None:
        """Continues the run."""
        self._put_aside()

    def action_help(self) -> None:
        """Shows the help on this screen: opening a dialog would delay keys."""
        if self.has_class("-aside") and not self._looking:
            self._put_aside()
            return
        self._looking = False
        keys = [f"{key}  {words}" for key, words in keys_of(self)]
        lines = ["   ".join(keys[at : at + 2]) for at in range(0, len(keys), 2)]
        name = NAMES[self.firescreen.run_state.kind]
        self._aside(f"Help · {name}", Content("\n".join([self.HELP, "", *lines])))

    def action_again(self) -> None:
        """Opens a new plan for the same choices: the hosts may have changed."""
        plan_again(self.firescreen)

    def action_recover(self) -> None:
        """Rolls back the hosts that were unreachable when they failed."""
        self.firescreen.go_home()
        start_recovery(self.firescreen)

    def action_undo(self) -> None:
        """Undoes this run."""
        ask_to_undo(self.firescreen, self.firescreen.run_state.run)

    def action_verification(self) -> None:
        """Opens the verification of this run."""
        if self.is_current:
            self.firescreen.open_page(Route.VERIFICATION, replace=True)

    def action_copy(self) -> None:
        """Copies the commands to run."""
        self.app.copy_to_clipboard(self.firescreen.run_state.waiting + "\n")
        self.app.notify("Copied the commands")

    def action_back(self) -> None:
        """Closes the box, or goes to Home."""
        (self._put_aside if self.has_class("-aside") else self.firescreen.go_home)()
