"""The board of a class: each student's step, who needs help, the last check; messages, pace and clock for all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base_screen import SCROLL_KEYS, Page
from screens.board.text import (
    LEGEND,
    board_cards,
    details,
    head_line,
    name_width,
    pace_line,
    row_line,
    summary,
)
from screens.dialogs.line import LineDialog
from screens.state_styles import describe_error, inline
from screens.widgets.cards import Cards
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from collections.abc import Callable

    from screens.state import ErrorMessage
    from wizard.labs.board.board import Board
    from wizard.labs.board.class_view import ClassView, Row

EVERY = 1.0
"""Seconds between two readings of the class."""
WIDE = 120
"""From this width (cells) on, the details are beside the students."""
_EMPTY = """\
No student is here yet.

Give each student a link to a wizard on this machine:
  firescreen serve --students 20

Or let them join from their own machines:
  firescreen lab board --listen ADDRESS:8090"""


class BoardPage(Page):
    """Shows a class and follows its changes.

    Args:
        board: the class; its methods read and write files.
    """

    PLACE = "Class board"
    SCROLLED = "#detail VerticalScroll"
    HELP = f"""\
A row for each student, who needs help first: those who asked for it, then those who are on a step for twice as long as \
the class's median (at least 5 minutes) or whose third check failed. The signs are the steps of the lab:
{LEGEND}
The current step is marked.

'm' sends a message to the selected student, 'a' to all: it appears in their wizard. 'o' opens the lab step by step for \
all, 'u' opens all steps again. 'c' sets a clock that all see. Each student sees that this board is open, and can \
decide not to be shown."""

    CSS = """
    BoardPage #panes { height: 1fr; }
    BoardPage #class { height: 1fr; width: 1fr; }
    BoardPage #head { height: 1; padding: 0 1; color: $quiet; }
    BoardPage #students { height: 1fr; padding: 0; scrollbar-gutter: stable; }
    BoardPage #none { height: auto; display: none; padding: 1 2; }
    BoardPage #right { height: 8; }
    BoardPage #detail { height: 1fr; }
    BoardPage #summary { height: 40%; display: none; }
    BoardPage #text, BoardPage #summed { height: auto; }
    BoardPage.-wide #panes { layout: horizontal; }
    BoardPage.-wide #right { width: 42%; height: 1fr; }
    BoardPage.-wide #summary { display: block; }
    BoardPage.-empty #head, BoardPage.-empty #students, BoardPage.-empty #right { display: none; }
    BoardPage.-empty #none { display: block; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "message", "Message", tooltip="Send a message to the selected student"),
        Binding("a", "message_all", "To all", tooltip="Send a message to all students"),
        Binding("o", "open_next", "Open next step", tooltip="Open the lab step by step for all"),
        Binding("t", "summary", "Steps", tooltip="How each step went in the class"),
        Binding("u", "open_all", "Open all steps", show=False),
        Binding("c", "clock", "Clock", show=False, tooltip="Set a clock that all students see"),
        Binding("s", "sort", "Sort", show=False, tooltip="By who needs help, or by number"),
        Binding("n", "next_lab", "Next lab", show=False, tooltip="Show the steps of another lab"),
        Binding("w", "write", "Write CSV", show=False, tooltip="Write the class as a table"),
        *SCROLL_KEYS,
    ]

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board = board
        self._view: ClassView | None = None
        self._lab = ""
        self._by_need = True
        self._summary = False
        self._reading = False

    def body(self) -> ComposeResult:
        """Yields numbers on top, then the students, the selected one beside or below them."""
        yield Cards(id="numbers")
        with Vertical(id="panes"):
            with Panel(title="Class", id="class"):
                yield Prose("reading the class…", id="none", markup=False)
                yield Prose("", id="head", markup=False)
                yield OptionList(id="students", markup=False)
            with Vertical(id="right"):
                with Panel(title="Student", id="detail"), VerticalScroll(can_focus=False):
                    yield Prose("", id="text", markup=False)
                with Panel(title="Steps of the class", id="summary"), VerticalScroll(can_focus=False):
                    yield Prose("", id="summed", markup=False)

    def on_mount(self) -> None:
        """Reads the class, now and then regularly."""
        self.add_class("-empty")
        if self._board.name:
            self.set_place(f"Class board · {inline(self._board.name, 40)}")
        self.set_interval(EVERY, self._read)
        self._read()

    def _read(self) -> None:
        if self._reading or not self.is_open:
            return
        self._reading = True
        lab, by_need = self._lab, self._by_need
        self.firescreen.ask(
            lambda: self._board.view(lab, by_need=by_need),
            self._have,
            self._report_error,
            wanted=lambda: self.is_open,
        )

    def _report_error(self, error: ErrorMessage) -> None:
        self._reading = False
        self.query_one("#text", Static).update(describe_error(error))

    def _have(self, view: ClassView) -> None:
        self._reading = False
        self._view = view
        self._draw()

    # -- drawing -------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        view = self._view
        if view is None or not self.is_open:
            return
        self.set_class(not view.rows, "-empty")
        self.query_one(Cards).cards = board_cards(view)
        panel = self.query_one("#class", Panel)
        panel.set_title(inline(view.title, 50) or "Class")
        panel.set_subtitle(pace_line(view, self._board.pace, view.at))
        self.query_one("#none", Static).update(_EMPTY)
        listed = self.query_one("#students", OptionList)
        width = max(listed.scrollable_content_region.width, 40)
        self.query_one("#head", Static).update(head_line(view, width - 2))
        name = name_width(view, width - 2)
        chosen = self._selected_id
        ids = [row.student.id for row in view.rows]
        options = [Option(row_line(row, view.at, width - 2, name), id=row.student.id) for row in view.rows]
        if [option.id for option in listed.options] == ids:
            for option in options:
                listed.replace_option_prompt(option.id or "", option.prompt)
        else:
            listed.set_options(options)
        if ids:
            listed.highlighted = ids.index(chosen) if chosen in ids else 0
        self._draw_detail()
        self.refresh_bindings()

    @property
    def _selected_id(self) -> str:
        listed = self.query_one("#students", OptionList)
        at = listed.highlighted
        return (listed.get_option_at_index(at).id or "") if at is not None else ""

    @property
    def row(self) -> Row | None:
        """Returns the selected student."""
        rows = self._view.rows if self._view else ()
        return next((row for row in rows if row.student.id == self._selected_id), None)

    def _draw_detail(self) -> None:
        view, row = self._view, self.row
        text, panel = self.query_one("#text", Static), self.query_one("#detail", Panel)
        width = max(text.content_size.width, 40)
        if view is None:
            return
        self.query_one("#summed", Static).update(summary(view.steps, width))
        if self._summary and not self.has_class("-wide"):
            panel.set_title("Steps of the class")
            text.update(summary(view.steps, width))
        elif row is not None:
            panel.set_title("Student")
            text.update(details(row, view.at, width))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another student."""
        self._draw_detail()
        self.refresh_bindings()

    def on_resize(self) -> None:
        """Fits the lines to the width."""
        self.call_after_refresh(self._draw)

    # -- acting --------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the actions that make sense now."""
        view = self._view if self.is_mounted else None
        if action == "summary" and self.has_class("-wide"):
            return False  # the text is shown there anyway
        if action in ("message", "message_all", "summary", "write"):
            return view is not None and bool(view.rows)
        pace = self._board.pace if action in ("open_next", "open_all") else None
        if pace is not None and action == "open_next":
            is_paced = view is not None and pace.lab == view.lab
            return (
                view is not None and bool(view.lab) and not (is_paced and pace.open_steps >= len(view.steps))
            )
        if pace is not None:
            return bool(pace.lab)
        if action == "next_lab":
            return view is not None and len(view.labs) > 1
        return True

    def action_message(self) -> None:
        """Sends a message to the selected student."""
        row = self.row
        if row is not None:
            self._ask_message(row.student.id, row.label)

    def action_message_all(self) -> None:
        """Sends a message to all students."""
        self._ask_message("", "all students")

    def _ask_message(self, to: str, label: str) -> None:
        def use(text: str, done: Callable[[], None], wrong: Callable[[str], None]) -> None:
            self._do(
                lambda: self._board.send(text, to),
                lambda count: f"Sent to {count} student{'s' * (count != 1)}.",
                done=done,
                wrong=wrong,
            )

        title = f"Message to {inline(label, 40)}"
        self.app.push_screen(LineDialog(title, "It appears in the student's wizard.", send="Send", use=use))

    def action_open_next(self) -> None:
        """Opens one more step of the shown lab for all; the first call opens only the first step."""
        view, pace = self._view, self._board.pace
        if view is not None and view.lab:
            lab, count = view.lab, pace.open_steps + 1 if pace.lab == view.lab else 1
            self._do(
                lambda: self._board.set_pace(lab, count),
                lambda _: f"The class can do the first {f'{count} steps' if count > 1 else 'step'} now.",
            )

    def action_open_all(self) -> None:
        """Opens all steps."""
        self._do(lambda: self._board.set_pace("", 0), lambda _: "All steps are open.")

    def action_clock(self) -> None:
        """Asks for minutes and sets the clock."""

        def use(text: str, done: Callable[[], None], wrong: Callable[[str], None]) -> None:
            if not text.isdecimal():
                wrong("Give whole minutes, e.g. 15; 0 takes the clock away.")
                return
            minutes = int(text)
            self._do(
                lambda: self._board.set_clock(minutes),
                lambda _: "The clock is set." if minutes else "There is no clock now.",
                done=done,
                wrong=wrong,
            )

        self.app.push_screen(
            LineDialog(
                "Clock for the class",
                "Minutes; 0 takes the clock away.",
                send="Set",
                use=use,
                longest=4,
            )
        )

    def action_sort(self) -> None:
        """Sorts by need of help, or by number."""
        self._by_need = not self._by_need
        self.app.notify("Sorted by who needs help." if self._by_need else "Sorted by number.")
        self._read()

    def action_next_lab(self) -> None:
        """Shows the steps of another lab."""
        view = self._view
        if view is not None and view.labs:
            ids = [name for name, _ in view.labs]
            self._lab = ids[(ids.index(view.lab) + 1) % len(ids)] if view.lab in ids else ids[0]
            self._read()

    def action_summary(self) -> None:
        """Shows how each step went instead of the student, or goes back."""
        self._summary = not self._summary
        self._draw_detail()

    def action_write(self) -> None:
        """Writes the table into the workspace's reports."""
        view, board = self._view, self._board
        if view is None:
            return
        folder = self.firescreen.client.engine.workspace.reports

        def write() -> Path:
            from wizard.labs import report
            from wizard.labs.board import class_table

            name = time.strftime("class-%Y%m%d-%H%M.csv")
            return report.save(folder / name, class_table.as_csv(view, numbers_only=board.numbers_only))

        self._do(write, lambda path: f"Wrote {path}")

    def _do(
        self,
        work: Callable[[], object],
        words: Callable[..., str],
        *,
        done: Callable[[], None] | None = None,
        wrong: Callable[[str], None] | None = None,
    ) -> None:
        """Does something for the class and reports it; `done` and `wrong` belong to the dialog that asked for it."""

        def finish(answer: object) -> None:
            if done is not None:
                done()
            self.app.notify(words(answer), markup=False)
            self._read()

        self.firescreen.ask(work, finish, (lambda error: wrong(error.line)) if wrong is not None else None)

    def action_back(self) -> None:
        """Goes back, or closes the wizard if the board was opened by its command."""
        if len(self.app.screen_stack) > 2:
            self.app.pop_screen()
        else:
            self.firescreen.go_home()
