"""The verification: the outcome of every probe, and what Prometheus reports as `up`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from screens.base_screen import SCROLL_KEYS, Page
from screens.navigation.runs import ask_to_undo
from screens.routes import MapView, Route
from screens.state_styles import safe, short_paths
from screens.verification.matrix import (
    TOTAL,
    arrange,
    attempt_text,
    cell,
    client_name,
    column_heading,
    legend,
    told_total,
    total,
    ups,
    widths,
)
from screens.verification.verdict import tone, verdict, verification_cards
from screens.widgets.cards import Cards
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose
from screens.widgets.title_bar import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from screens.run_state import RunState
    from screens.state import Session
    from wizard.model import Attempt


_NO_UPS = Content.styled("Nothing yet: Prometheus says it with its next scrape.", "$quiet")


def _run_changes_text(lines: Sequence[str], width: int) -> Content:
    """Returns what a run made, with a dot before each sentence; paths are not wrapped."""
    parts = (Content.assemble(("· ", "$quiet"), safe(short_paths(line, width), 400)) for line in lines)
    return Content("\n").join(parts)


class VerificationPage(Page):
    """Shows the probes of the last run and their outcomes."""

    CSS_PATH = "../running.tcss"
    PLACE = "Verification"
    STAGE = Stage.VERIFY
    SCROLLED = "#rest, #more"
    HELP = """\
Each row is a client, each column a target. A cell has the outcome of a probe: ✓ as expected, ✗ not as expected, a \
dot for no probe. The line below describes the selected cell, and the top row counts the probes of each target. Some \
probes are expected to succeed, others to be rejected; Firescreen makes all of them.

Enter on a cell shows the same request as a curl command, the TLS handshake, the certificates of the server, and the \
response; after a failure also its cause and what to do.

Below stands what Prometheus reports: up=1 means that its own scrape succeeded; and what was made, where it is, and how \
to undo the run. 'w' shows both without the matrix."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "detail", "Details", priority=False),
        Binding("r", "again", "Verify again"),
        Binding("t", "trust", "Trust map", tooltip="Who connects to whom, with these outcomes"),
        Binding(
            "j", "certificates", "Certificates", tooltip="Where each certificate is, read from the hosts"
        ),
        Binding("u", "undo", "Undo"),
        Binding(
            "w",
            "wide",
            "Wide",
            show=False,
            tooltip="What was made and what Prometheus reports, on a page of their own",
        ),
        Binding("x", "stop", "Stop"),
        Binding("escape", "back", "Home"),
        *SCROLL_KEYS,
    ]

    def __init__(self) -> None:
        super().__init__()
        self._cells: dict[tuple[int, int], Attempt] = {}
        self._columns: list[tuple[str, list[Attempt]]] = []
        self._drawn: tuple[object, ...] | None = None

    def body(self) -> ComposeResult:
        """Yields verdict and numbers, the matrix, and below it what Prometheus reports and what the run changed."""
        yield Prose("", id="verdict", markup=False)
        yield Cards(*verification_cards(()), id="numbers")
        with Panel(title="Clients and components", id="probes"):
            yield DataTable(id="matrix", cursor_type="cell", header_height=2, fixed_columns=1, cell_padding=0)
            yield Prose("", id="cell", markup=False)
        with Horizontal(id="below"):
            with Panel(title="Prometheus reports", id="reports"), VerticalScroll(id="rest", can_focus=False):
                yield Prose("", id="ups", markup=False)
            with Panel(title="What was made", id="made"), VerticalScroll(id="more", can_focus=False):
                yield Prose("", id="summary", markup=False)

    def show_run(self, state: RunState) -> None:
        """Draws the outcomes so far."""
        self.query_one("#verdict", Static).update(verdict(state))
        self.set_classes(f"-{tone(state)}")
        self.query_one(Cards).cards = verification_cards(state.attempts)
        colours = self.app.theme_variables
        if (state.attempts, colours["success"]) != self._drawn:
            self._drawn = (state.attempts, colours["success"])
            self._draw_matrix(state.attempts, colours)
        room = max(self.query_one("#rest").content_size.width, 30)
        self.query_one("#ups", Static).update(ups(state.ups, room) if state.ups else _NO_UPS)
        lines = state.outcome.summary if state.outcome is not None and state.phase == "finished" else ()
        self.query_one("#made").display = bool(lines)
        half = self.app.size.width // 2 - 6  # without frame and scrollbar
        self.query_one("#summary", Static).update(_run_changes_text(lines, half))
        self.refresh_bindings()

    def show_session(self, session: Session) -> None:
        """Keeps the selected cell's host in the title bar after a scan."""
        if self._drawn is not None:
            at = self.query_one(DataTable).cursor_coordinate
            self._tell(at.row, at.column)

    def on_mount(self) -> None:
        """Sets the theme's colours for the table's cells."""
        self.query_one("#reports", Panel).set_subtitle("up, the newest scrape on the right")
        self.query_one("#made", Panel).set_subtitle("w shows all")
        self.watch(self.app, "theme", self._follow_theme, init=False)

    def _follow_theme(self, _theme: str) -> None:
        self.call_after_refresh(self._redraw)

    def on_resize(self) -> None:
        """Chooses the columns that fit now."""
        if self._drawn is not None:
            self._drawn = None
            self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        if self.is_open:
            self.show_run(self.firescreen.run_state)

    def _draw_matrix(self, attempts: tuple[Attempt, ...], colours: Mapping[str, str]) -> None:
        table: DataTable[Text] = self.query_one(DataTable)
        place = table.cursor_coordinate
        first_time = not table.row_count
        rows, targets = arrange(attempts)
        table.fixed_rows = 0  # an empty table cannot have a fixed row
        table.clear(columns=True)
        self._cells = {}
        self._columns = [
            (target, [found[target] for _, found in rows if target in found]) for target in targets
        ]
        first, wide = widths(self.app.size.width - 6, [client for client, _ in rows], targets)
        table.add_column(Text("\nclient"), width=first)
        for target, width in zip(targets, wide, strict=True):
            table.add_column(column_heading(target), width=width)
        beyond = first + sum(wide) > self.app.size.width - 6
        panel = self.query_one("#probes", Panel)
        panel.set_title("Clients and components" + (" · ←→ for more" if beyond else ""))
        panel.set_subtitle(legend(attempts))
        if rows:
            table.add_row(Text(TOTAL, "italic"), *(total(column, colours) for _, column in self._columns))
        for row, (client, found) in enumerate(rows, start=1):
            cells = [Text(client_name(client), style="bold")]
            for column, target in enumerate(targets, start=1):
                attempt = found.get(target)
                cells.append(cell(attempt, wide[column - 1], colours))
                if attempt is not None:
                    self._cells[row, column] = attempt
            table.add_row(*cells)
        table.fixed_rows = 1 if rows else 0
        row = 1 if first_time else min(place.row, len(rows))
        table.move_cursor(row=row, column=max(place.column, 1), animate=False)
        self._tell(row, max(place.column, 1))

    def on_data_table_cell_highlighted(self, event: DataTable.CellHighlighted) -> None:
        """Describes the selected cell."""
        self._tell(event.coordinate.row, event.coordinate.column)

    def _tell(self, row: int, column: int) -> None:
        attempt = self._cells.get((row, column))
        if attempt is not None:
            words = attempt_text(attempt)
        elif row == 0 and 1 <= column <= len(self._columns):
            words = told_total(*self._columns[column - 1])
        else:
            words = (
                Content.styled("No probe: this client does not connect to this target.", "$quiet")
                if column
                else Content("")
            )
        self.query_one("#cell", Static).update(words)
        stack_hosts = self.firescreen.session.hosts
        self.set_hosts(
            (attempt.probe.host,) if attempt and attempt.probe.host in stack_hosts else stack_hosts
        )

    def on_data_table_cell_selected(self, event: DataTable.CellSelected) -> None:
        """Shows the selected probe in detail."""
        attempt = self._cells.get((event.coordinate.row, event.coordinate.column))
        if attempt is not None:
            from screens.dialogs.attempt import AttemptDialog

            self.app.push_screen(AttemptDialog(attempt))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the actions that make sense now."""
        state = self.firescreen.run_state
        working = self.firescreen.runs.working
        match action:
            case "stop":
                return state.phase == "running"
            case "back" | "again":
                return not working
            case "undo":
                return (
                    not working
                    and bool(state.run)
                    and state.result in ("proven", "applied", "changed", "partly", "failed")
                )
            case "trust":
                return bool(state.arrows)
            case "certificates":
                return not working
        return True

    def action_trust(self) -> None:
        """Opens the trust map."""
        self.open_trust_map()

    def open_trust_map(self) -> None:
        """Opens the trust map of the run, or of the present connections if the run has none."""
        if self.firescreen.run_state.arrows:
            self.firescreen.open_page(Route.TRUST_MAP, MapView.RUN)
        else:
            super().open_trust_map()

    def action_certificates(self) -> None:
        """Opens the certificate distribution, read from the hosts."""
        self.firescreen.open_page(Route.CERTIFICATE_DISTRIBUTION, MapView.RUN)

    def action_detail(self) -> None:
        """Names the key in the footer; the table itself handles Enter."""
        self.query_one(DataTable).action_select_cursor()

    def action_again(self) -> None:
        """Runs all probes again; changes nothing."""
        self.firescreen.runs.verify()

    def action_undo(self) -> None:
        """Undoes the run."""
        ask_to_undo(self.firescreen, self.firescreen.run_state.run)

    def action_stop(self) -> None:
        """Stops the probes."""
        self.firescreen.runs.cancel()

    def action_wide(self) -> None:
        """Shows the changes of the run instead of the matrix, or the matrix again."""
        probes = self.query_one("#probes")
        probes.display = not probes.display
        self.query_one("#below").styles.layout = "horizontal" if probes.display else "vertical"
        self.query_one("#made", Panel).set_subtitle("w shows all" if probes.display else "w shows the probes")

    def action_back(self) -> None:
        """Goes to Home, which scans the hosts meanwhile."""
        self.firescreen.go_home()
