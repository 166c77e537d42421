"""The proof: who asked whom, what had to come, what came; and Prometheus' own word turning from 0 to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from screens.dialogs.trouble import describe
from screens.page import Page
from screens.words import fit, inline, safe

if TYPE_CHECKING:
    from screens.state import RunState
    from wizard.model import Attempt

CAME = {
    "200": "let in",
    "401": "turned away",
    "400": "turned away",
    "untrusted": "not believed",
    "refused": "refused",
    "up": "scraped",
    "down": "not scraped",
    "plain": "not encrypted",
    "error": "no answer",
}

ROWS = ("right client", "no TLS", "no CA", "no password", "wrong password", "Prometheus itself")
"""The clients in the order in which their rows are read; answers come in any order."""


class Proof(Page):
    """Screen 6 of the storyboard."""

    PLACE = "Proof · 5 of 5"
    HELP = """\
Each row is a client, each column a target. A cell says what had to come, what came, and whether that is so. A \
request that must be refused proves as much as one that must succeed: both were really made.

Enter on a cell shows the same request as a curl command, the handshake, the certificates that the server showed, \
and the answer; where it went wrong, what that means and how to mend it.

Beneath stands what Prometheus itself says of each target: up 1 means that its own scrape succeeded."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "detail", "Look inside", priority=False),
        Binding("r", "again", "Prove again"),
        Binding("u", "undo", "Undo"),
        Binding("x", "stop", "Stop"),
        Binding("escape", "back", "Home"),
        Binding("pagedown", "scroll_text(1)", "Scroll down", show=False, priority=True),
        Binding("pageup", "scroll_text(-1)", "Scroll up", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._cells: dict[tuple[int, int], Attempt] = {}
        self._drawn: tuple[Attempt, ...] | None = None

    def body(self) -> ComposeResult:
        """Verdict, matrix, Prometheus' word, summary."""
        yield Static("", id="verdict", markup=False)
        yield DataTable(id="matrix", cursor_type="cell", zebra_stripes=False)
        with VerticalScroll(id="rest", can_focus=False):
            yield Static("", id="ups", markup=False)
            yield Static("", id="summary", markup=False)

    def show_run(self, state: RunState) -> None:
        """Draws what came so far."""
        self.query_one("#verdict", Static).update(_verdict(state))
        if state.attempts != self._drawn:
            self._drawn = state.attempts
            self._draw_matrix(state.attempts)
        self.query_one("#ups", Static).update(_ups(state))
        lines = state.outcome.summary if state.outcome is not None and state.phase == "finished" else ()
        self.query_one("#summary", Static).update(Content("\n").join([safe(line, 400) for line in lines]))
        self.refresh_bindings()

    def _draw_matrix(self, attempts: tuple[Attempt, ...]) -> None:
        table: DataTable[Text] = self.query_one(DataTable)
        place = table.cursor_coordinate
        rows, targets = arrange(attempts)
        table.clear(columns=True)
        self._cells = {}
        table.add_column(Text("client"), width=18)
        wide = max((self.app.size.width - 24) // max(len(targets), 1) - 2, 24)
        for target in targets:
            table.add_column(Text(fit(target, min(wide, 40)).rstrip()), width=min(wide, 40))
        for row, (client, found) in enumerate(rows):
            cells = [Text(inline(client, 18), style="bold")]
            for column, target in enumerate(targets, start=1):
                attempt = found.get(target)
                cells.append(_cell(attempt, self.app.theme_variables))
                if attempt is not None:
                    self._cells[row, column] = attempt
            table.add_row(*cells)
        row = min(place.row, max(len(rows) - 1, 0))
        table.move_cursor(row=row, column=max(place.column, 1), animate=False)

    def on_data_table_cell_selected(self, event: DataTable.CellSelected) -> None:
        """Enter on a cell: the request from the inside."""
        attempt = self._cells.get((event.coordinate.row, event.coordinate.column))
        if attempt is not None:
            from screens.dialogs.attempt import AttemptDialog

            self.app.push_screen(AttemptDialog(attempt))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what makes sense now."""
        state = self.firescreen.run_state
        working = self.firescreen.runs.working
        match action:
            case "stop":
                return state.phase == "running"
            case "back" | "again":
                return not working
            case "undo":
                return not working and bool(state.run) and state.result in ("proven", "applied", "failed")
        return True

    def action_detail(self) -> None:
        """The table itself answers Enter; this names the key."""
        self.query_one(DataTable).action_select_cursor()

    def action_again(self) -> None:
        """All the requests once more; nothing is changed."""
        from screens.parts import start_verify

        start_verify(self.firescreen)

    def action_undo(self) -> None:
        """Puts everything back."""
        from screens.parts import ask_to_undo

        ask_to_undo(self.firescreen, self.firescreen.run_state.run)

    def action_stop(self) -> None:
        """Stops asking."""
        self.firescreen.runs.cancel()

    def action_scroll_text(self, pages: int) -> None:
        """What stands beneath the matrix, a page."""
        rest = self.query_one("#rest", VerticalScroll)
        rest.scroll_relative(y=pages * max(rest.size.height - 1, 1), animate=False)

    def action_back(self) -> None:
        """Home, which looks again by then."""
        self.firescreen.go_home()


def arrange(attempts: tuple[Attempt, ...]) -> tuple[list[tuple[str, dict[str, Attempt]]], list[str]]:
    """The matrix: rows of (client, {target: attempt}) in the order of `ROWS`, targets in that of first appearance.

    Two attempts of one client on one target get a row each: none is hidden behind another.
    """
    targets: list[str] = []
    rows: list[tuple[str, dict[str, Attempt]]] = []
    for attempt in attempts:
        probe = attempt.probe
        target = f"{probe.host}/{probe.component}"
        if target not in targets:
            targets.append(target)
        for client, found in rows:
            if client == probe.client and target not in found:
                found[target] = attempt
                break
        else:
            rows.append((probe.client, {target: attempt}))
    rows.sort(key=lambda row: ROWS.index(row[0]) if row[0] in ROWS else len(ROWS))
    return rows, targets


def _cell(attempt: Attempt | None, colours: dict[str, str]) -> Text:
    if attempt is None:
        return Text("")
    sign = "✓" if attempt.ok else "✗"
    colour = colours["success" if attempt.ok else "error"]
    came = inline(attempt.outcome, 12)
    word = CAME.get(attempt.outcome, "answered")
    expected = attempt.probe.expect
    shown = came if came == expected else f"{inline(expected, 10)} → {came}"
    return Text.assemble((f"{sign} ", f"bold {colour}"), shown, (f"  {word}", colour))


def _verdict(state: RunState) -> Content:
    right = sum(attempt.ok for attempt in state.attempts)
    asked = len(state.attempts)
    if state.busy:
        return Content.assemble(
            ("▸ ", "$primary bold"), f"proving: {asked} requests made so far, {right} as expected"
        )
    if not asked:
        return describe(state.trouble) if state.trouble else Content("No request was made.")
    look = Content.styled("Enter on a cell looks inside that request.", "$quiet")
    if right == asked:
        unwanted = sum(not attempt.probe.wanted for attempt in state.attempts)
        words = f"{asked} requests, all as expected: {asked - unwanted} got through, {unwanted} were refused."
        return Content("\n").join([Content.assemble(("✓ proven  ", "bold $success"), words), look])
    head = Content.assemble(
        ("✗ not proven  ", "bold $error"), f"{asked - right} of {asked} requests ended otherwise."
    )
    return Content("\n").join([head, describe(state.trouble) if state.trouble else look])


def _ups(state: RunState) -> Content:
    lines = []
    for instance, said in state.ups:
        digits = [
            Content.styled("1", "bold $success") if word == "up" else Content.styled("0", "bold $error")
            for word in said
        ]
        ended = (
            Content.styled("✓ scraped", "$success")
            if said[-1] == "up"
            else Content.styled("✗ not scraped", "$error")
        )
        lines.append(
            Content.assemble(
                "Prometheus' own word: ",
                (f'up{{instance="{inline(instance, 40)}"}} ', "bold"),
                Content(" ").join(digits),
                "  ",
                ended,
            )
        )
    return Content("\n").join([*lines, Content("")]) if lines else Content("")
