"""The history: what each run changed, how it ended, its report, and undo."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base_screen import SCROLL_KEYS, Page
from screens.dialogs.base import ConfirmDialog
from screens.navigation.engine_plans import restore
from screens.navigation.runs import ask_to_undo
from screens.state_styles import ENDED, IN_FORCE, describe_error, fit, hang, inline, run_diff, safe, tail
from screens.widgets.cards import Card, Cards
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose
from wizard.plurals import count_noun
from wizard.redact import redact

if TYPE_CHECKING:
    from screens.state import ErrorMessage, Notices
    from wizard.model import RunRecord
    from wizard.upkeep.comparison import Comparison


_VERIFIED = {
    "proven": "yes, every probe was as expected",
    "partly": "yes, on the hosts that were not rolled back",
    "applied": "not needed: no component was changed",
    "changed": "not yet",
    "undone": "as before the run",
    "rolled-back": "as before the run",
}
_NONE = """\
Every run will be listed here with what it changed and how its verification ended, and can be undone or reported."""


class HistoryPage(Page):
    """Lists the runs; undoes one, or writes its report."""

    PLACE = "History"
    HAS_NOTICES = True
    HELP = """\
Every run of Firescreen, the newest first, with the lines that it changed (secrets are masked).

'u' undoes a run: the content, mode and owner of every file, and the services. 'o' writes a report of the run \
(Markdown) to the workspace and shows its path.

'd' compares the hosts with the state that was last verified: what somebody else has changed since is listed with host, \
file and line; 'd' again shows the run. 'm' takes what is there now as the verified state, if it is meant so; 'r' \
opens the plan that restores what was verified."""

    CSS = """
    HistoryPage #panes { height: 1fr; }
    HistoryPage #runs { width: 40%; min-width: 41; max-width: 64; }
    HistoryPage #list { height: 1fr; padding: 0; scrollbar-gutter: stable; }
    HistoryPage #run { width: 1fr; }
    HistoryPage #detail { height: 1fr; scrollbar-gutter: stable; }
    HistoryPage #text { height: auto; }
    HistoryPage.-wide #runs { display: none; }
    HistoryPage.-empty #panes { display: none; }
    HistoryPage #none { height: 1fr; display: none; align: center middle; }
    HistoryPage #none Static { width: 72; max-width: 100%; height: auto; }
    HistoryPage.-empty #none { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "secure", "Secure"),
        Binding("u", "undo", "Undo"),
        Binding("o", "report", "Report"),
        Binding("d", "drift", "Drift", tooltip="What differs from the last verified state"),
        Binding("m", "adopt", "Adopt", tooltip="Take what is there now as the verified state"),
        Binding("r", "restore", "Restore", tooltip="Open the plan that restores what was verified"),
        Binding("w", "wide", "Wide", tooltip="Hide or show the list of runs"),
        *SCROLL_KEYS,
        Binding("up", "scroll_line(-1)", show=False),
        Binding("down", "scroll_line(1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._records: tuple[RunRecord, ...] = ()
        self._read_at: object = None
        self._lines: tuple[str, ...] = ()
        """The changes of the selected run, once they are read."""
        self._drift: Comparison | None = None
        """The comparison that the right pane shows instead of a run, once it was requested."""

    def body(self) -> ComposeResult:
        """Yields numbers on top, the runs on the left, the selected run on the right."""
        yield Cards(id="numbers")
        with Panel(title="No runs yet", id="none"):
            yield Prose(f"{_NONE}\n\n{self.firescreen.session.first_step}", markup=False)
        with Horizontal(id="panes"):
            with Panel(title="Runs", id="runs"):
                yield OptionList(Option("reading the journal…", disabled=True), id="list", markup=False)
            with Panel(id="run"), VerticalScroll(id="detail", can_focus=False):
                yield Prose("", id="text", markup=False)

    def on_mount(self) -> None:
        """Holds keys back until the journal is read."""
        self.firescreen.key_queue.hold(self)

    def show_notices(self, notices: Notices) -> None:
        """Reads the journal, at first and whenever a run was made or undone elsewhere."""
        if notices.runs != self._read_at:
            self._read_at = notices.runs
            self.firescreen.ask(self.firescreen.client.history, self._have)

    def _have(self, records: tuple[RunRecord, ...]) -> None:
        if not self.is_open:
            return
        selected = self.record.run if self.record else ""
        self._records = records
        self.set_class(not records, "-empty")
        self.query_one(Cards).cards = _cards(records)
        self.query_one("#runs", Panel).set_subtitle("newest first" if len(records) > 1 else "")
        listed = self.query_one("#list", OptionList)
        width = max(listed.scrollable_content_region.width - 2, 30)
        listed.set_options(Option(_entry(record, width)) for record in records)
        if records:
            listed.highlighted = next((at for at, each in enumerate(records) if each.run == selected), 0)
            listed.focus()
        self.firescreen.key_queue.release(self)
        self.refresh_bindings()

    @property
    def record(self) -> RunRecord | None:
        """Returns the selected run."""
        at = self.query_one("#list", OptionList).highlighted
        return self._records[at] if at is not None and at < len(self._records) else None

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another run."""
        self._show_run()

    def _show_run(self) -> None:
        """Shows the selected run in the right pane."""
        self._drift = None
        record = self.record
        self.refresh_bindings()
        if record is None:
            return
        self.query_one("#run", Panel).set_title(inline(record.title, 60))
        self._lines = ()
        self._draw_run(record)
        self.firescreen.ask(
            lambda: self.firescreen.client.engine.run_details(record.run),
            lambda lines: self._details(record, lines),
        )

    def _details(self, record: RunRecord, lines: tuple[str, ...]) -> None:
        if self.is_open and self.record == record and self._drift is None:
            self._lines = lines
            self._draw_run(record)
            self.query_one("#detail", VerticalScroll).scroll_home(animate=False)

    def _draw_run(self, record: RunRecord) -> None:
        text = Content.assemble(_head(record, self._width), "\n\n", run_diff(self._lines, self._width))
        self.query_one("#text", Static).update(text)

    @property
    def _width(self) -> int:
        """Returns the width of the right pane in cells."""
        return max(self.query_one("#text").content_size.width, 30)

    def on_resize(self) -> None:
        """Fits long paths to the width."""
        self.call_after_refresh(self._follow_width)

    def _follow_width(self) -> None:
        if not self.is_open or self.record is None:
            return
        if self._drift is not None:
            self.query_one("#text", Static).update(_differences(self._drift, self._width))
        elif self._lines:
            self._draw_run(self.record)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the keys that make sense for the selected run."""
        record = self.record if self.is_mounted and self.is_open else None
        if action == "secure":
            return self._read_at is not None and not self._records
        if action == "undo":
            return record is not None and record.state in IN_FORCE
        if action in ("report", "wide", "drift"):
            return record is not None
        if action in ("adopt", "restore"):
            return self._drift is not None and bool(self._drift.differences)
        return True

    def footer_rank(self, action: str) -> int:
        """Drops the actions about runs first while differences are shown."""
        return int(self._drift is not None and action in ("undo", "report", "wide"))

    def action_secure(self) -> None:
        """Opens the choices, if no run was made yet."""
        self.firescreen.open_menu_entry("secure")

    def action_drift(self) -> None:
        """Compares the hosts with the last verified state; goes back to the run if the comparison is already shown."""
        if self._drift is not None:
            self._show_run()
        else:
            self._compare(adopt=False)

    def action_back(self) -> None:
        """Goes back from the differences to the run, and from the run to the page before."""
        if self._drift is not None:
            self._show_run()
        else:
            super().action_back()

    def action_adopt(self) -> None:
        """Asks, then records the present state as the verified state."""
        self.app.push_screen(
            ConfirmDialog(
                "Adopt the present state?",
                "What is on the hosts now becomes the verified state and no longer counts as drift. No host is changed.",
                yes="Adopt",
                no="Keep the old state",
            ),
            lambda yes: self._compare(adopt=True) if yes else None,
        )

    def action_restore(self) -> None:
        """Opens the plan that restores the verified state."""
        restore(self.firescreen)

    def _compare(self, *, adopt: bool) -> None:
        session = self.firescreen.session
        stack, answers = session.standing, replace(session.answers, renew=frozenset())
        if stack is None:
            self.app.notify("The scan is still running. Try again in a moment.")
            return
        engine = self.firescreen.client.engine

        def compare() -> Comparison:
            from wizard.upkeep import comparison

            return comparison.compare(engine, stack, answers, adopt=adopt)

        self.query_one("#text", Static).update("comparing with the last verified state…")
        self.firescreen.ask(compare, self._show_comparison, self._not_compared)

    def _show_comparison(self, found: Comparison) -> None:
        if self.is_open:
            self._drift = found
            self.query_one("#run", Panel).set_title("Drift")
            self.query_one("#text", Static).update(_differences(found, self._width))
            self.query_one("#detail", VerticalScroll).scroll_home(animate=False)
            self.refresh_bindings()

    def _not_compared(self, error: ErrorMessage) -> None:
        if self.is_open:
            self.query_one("#text", Static).update(describe_error(error))

    def action_undo(self) -> None:
        """Undoes the run."""
        if self.record:
            ask_to_undo(self.firescreen, self.record.run)

    def action_report(self) -> None:
        """Writes the report and shows its path."""
        record = self.record
        if record is not None:
            self.firescreen.ask(
                lambda: self.firescreen.client.engine.report(record.run),
                lambda path: self.app.notify(
                    f"Report written to {inline(str(path), 400)}", timeout=12, markup=False
                ),
            )

    def action_scroll_line(self, lines: int) -> None:
        """Scrolls the text by a line while the list is hidden."""
        self.query_one("#detail", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_wide(self) -> None:
        """Hides or shows the list; a hidden list loses the focus."""
        self.toggle_class("-wide")
        self.call_after_refresh(self._follow_width)
        if not self.has_class("-wide"):
            self.call_after_refresh(self.query_one("#list", OptionList).focus)


_KIND = 12
"""Width of the kind of a difference in cells."""


def _when(record: RunRecord) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started))


def _cards(records: tuple[RunRecord, ...]) -> tuple[Card, ...]:
    """Returns how many runs ended in which way."""
    if not records:
        return ()
    states = [record.state for record in records]
    kept = sum(state in IN_FORCE for state in states)
    back = sum(state in ("undone", "rolled-back") for state in states)
    lost = sum(state in ("cut-off", "owed") for state in states)
    return (
        Card(str(len(records)), "run" if len(records) == 1 else "runs"),
        Card(str(kept), "in force", colour="$success" if kept else "$quiet"),
        Card(str(back), "undone or rolled back", colour="$warning" if back else "$quiet"),
        Card(str(lost), "interrupted", colour="$error" if lost else "$quiet"),
    )


def _entry(record: RunRecord, width: int) -> Content:
    sign, word, colour = ENDED.get(record.state, ("·", record.state, "$quiet"))
    room = max(width - len(_when(record)) - 1, 1)
    return Content.assemble(
        (fit(f"{sign} {word}", room), f"bold {colour}"),
        (f" {_when(record)}", "$quiet"),
        "\n",
        hang(record.title, width, 0),
    )


def _differences(found: Comparison, width: int) -> Content:
    """Returns the differences, one below the other: where, then what."""
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.since)) if found.since else "the last run"
    count = len(found.differences)
    away = [
        Content.styled(f"! {inline(host)} is unreachable: {inline(why, 200)}", "$warning")
        for host, why in found.facts.away.items()
    ]
    if not count:
        return Content("\n").join(
            [Content.styled(f"✓ Nothing differs since {since}.", "bold $success"), *away]
        )
    lines = [Content.styled(f"✗ {count} difference{'s' * (count != 1)} since {since}", "bold $error"), *away]
    for each in found.differences:
        where = each.place
        if len(where) + _KIND > width:
            # As much of a long path's folder is shown as fits; 'w' shows the whole path.
            where = f"{inline(each.host)}\n{tail(where.removeprefix(f'{each.host}:'), width)}"
        lines.append(Content.assemble("\n", (f"{each.kind:{_KIND}}", "bold"), (where, "$quiet")))
        lines.append(safe(redact(each.what), 400))
    lines.append(
        Content.styled(
            "\nPress m if it is meant so, r to see the plan that restores what was verified.", "$quiet"
        )
    )
    return Content("\n").join(lines)


def _head(record: RunRecord, width: int) -> Content:
    sign, word, colour = ENDED.get(record.state, ("·", record.state, "$quiet"))
    count = len(record.changes)
    rows = (
        ("Run", Content.styled(inline(record.title, 200), "bold")),
        ("When", Content(_when(record))),
        ("Ended", Content.styled(f"{sign} {word}", f"bold {colour}")),
        ("Verified", Content(_VERIFIED.get(record.state, "no"))),
        ("Changes", Content(f"{count_noun(count, 'change')}, below")),
        ("Journal", Content.styled(tail(record.folder, width - 10), "$quiet")),
    )
    return Content("\n").join(Content.assemble((f"{name:<10}", "$quiet"), text) for name, text in rows)
