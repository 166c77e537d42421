"""The audit page: findings with evidence, and the navigation to the step that fixes each. Changes nothing itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.audit.text import (
    audit_cards,
    finding_details,
    finding_line,
    place_width,
    score_line,
    unseen_details,
    unseen_line,
)
from screens.base_screen import SCROLL_KEYS, Page
from screens.engine_client import audits
from screens.navigation.engine_plans import give_rules
from screens.navigation.renewal import renew
from screens.navigation.secure import secure
from screens.state_styles import describe_error, inline
from screens.widgets.cards import Cards
from screens.widgets.panel import Panel
from screens.widgets.prose import Prose

if TYPE_CHECKING:
    from screens.state import ErrorMessage, Session
    from wizard.audit import AuditFinding, AuditReport, NotChecked
    from wizard.model import Event

WIDE = 130
"""From this width (cells) on, the details are beside the findings."""
_CLEAN = """\
✓ Nothing was found: every check passed.

'r' audits again. An audit belongs into a timer too: firescreen audit --fail-on medium"""


class AuditPage(Page):
    """Audits the current hosts and lists the findings."""

    PLACE = "Audit"
    SCROLLED = "#detail VerticalScroll"
    HELP = """\
An audit checks the current hosts for what is open, weak or due, and changes nothing. Each finding has its evidence, \
and what fixes it: 'f' opens the part of Firescreen that does.

'b' accepts the selected finding: it is written to the baseline in the workspace and no longer counts. 'b' on an \
accepted finding takes it out again. What could not be checked is listed too, and is never a pass.

Each component begins with 100 points; a finding takes off 40 (high), 15 (medium) or 4 (low). The score is the mean."""

    CSS = """
    AuditPage #posture { height: auto; }
    AuditPage #score { height: auto; }
    AuditPage #panes { height: 1fr; }
    AuditPage #findings { height: 1fr; width: 1fr; }
    AuditPage #list { height: 1fr; padding: 0; scrollbar-gutter: stable; }
    AuditPage #detail { height: 10; }
    AuditPage #text { height: auto; }
    AuditPage.-wide #panes { layout: horizontal; }
    AuditPage.-wide #detail { width: 45%; height: 1fr; }
    AuditPage.-empty #panes { display: none; }
    AuditPage.-empty #posture { height: 1fr; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "fix", "Fix", tooltip="Open the part of Firescreen that fixes this finding"),
        Binding("b", "accept", "Accept", tooltip="Accept the finding in the baseline, or take it out again"),
        Binding("r", "audit", "Audit again"),
        *SCROLL_KEYS,
    ]

    def __init__(self) -> None:
        super().__init__()
        self._report: AuditReport | None = None
        self._rows: tuple[AuditFinding | NotChecked, ...] = ()
        self._began = 0.0
        self._is_auditing = False
        self._said = ""

    def body(self) -> ComposeResult:
        """Yields score and numbers on top, then the findings, the selected one beside or below them."""
        yield Cards(id="numbers")
        with Panel(title="Score", id="posture"):
            yield Prose("", id="score", markup=False)
        with Vertical(id="panes"):
            with Panel(title="Findings", id="findings"):
                yield OptionList(id="list", markup=False)
            with Panel(title="Evidence and remediation", id="detail"), VerticalScroll(can_focus=False):
                yield Prose("", id="text", markup=False)

    def on_mount(self) -> None:
        """Starts the audit immediately."""
        self.add_class("-empty")
        self.set_interval(0.5, self._draw_wait)

    def show_session(self, session: Session) -> None:
        """Starts the audit once the hosts are known."""
        if self._report is None and not self._is_auditing and session.stack is not None:
            self.action_audit()

    def on_resize(self) -> None:
        """Fits the lines to the width."""
        if self._report is not None:
            self.call_after_refresh(self._draw)

    # -- auditing ------------------------------------------------------------------------------------------

    def action_audit(self) -> None:
        """Audits in a thread; the result is dropped if the page is left."""
        stack = self.firescreen.session.stack
        if stack is None or self._is_auditing:
            return
        self._is_auditing, self._began, self._said = True, time.monotonic(), ""
        client = self.firescreen.client
        if self._report is None:
            self.firescreen.key_queue.hold(self)
        self.firescreen.ask(
            lambda: audits.run(client.engine, stack, self._hear),
            self._have,
            self._report_error,
            wanted=lambda: self.is_open,
        )
        self._draw_wait()
        self.refresh_bindings()

    def _hear(self, event: Event) -> None:
        """Takes the host that is being audited; called in the audit's thread."""
        self._said = event.text or self._said

    def _draw_wait(self) -> None:
        """Shows what the page waits for, since when, and how to stop it."""
        if not self._is_auditing or not self.is_open:
            return
        hosts = ", ".join(self.firescreen.session.hosts[:3])
        progress = f": {inline(self._said, 60)}" if self._said else ""
        words = (
            f"auditing {inline(hosts, 60)} for {int(time.monotonic() - self._began)} s{progress} · Esc leaves"
        )
        self.query_one("#score", Static).update(Content.assemble(("▸ ", "bold $primary"), words))

    def _have(self, report: AuditReport) -> None:
        self._is_auditing, self._report = False, report
        self._draw()
        self.refresh_bindings()

    def _report_error(self, error: ErrorMessage) -> None:
        self._is_auditing = False
        self.firescreen.key_queue.drop()
        if self.is_open:
            self.query_one("#score", Static).update(describe_error(error))
            self.refresh_bindings()

    # -- drawing -------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        report = self._report
        if report is None or not self.is_open:
            return
        self.query_one(Cards).cards = audit_cards(report)
        self._rows = (*report.findings, *report.could_not_check)
        clean = not self._rows and bool(report.score.parts)
        score = score_line(report)
        if clean:
            score = Content("\n").join([score, Content(""), Content(_CLEAN)])
        self.query_one("#score", Static).update(score)
        self.set_class(not self._rows, "-empty")
        count = len(report.counted)
        panel = self.query_one("#findings", Panel)
        panel.set_title(f"{count} finding{'s' * (count != 1)}")
        panel.set_subtitle("; ".join(report.baseline_notes[:1]))
        self.call_after_refresh(self._draw_list)

    def _draw_list(self) -> None:
        if not self.is_open:
            return
        if not self._rows:
            self.firescreen.key_queue.release(self)
            return
        from wizard.audit import AuditFinding

        listed = self.query_one("#list", OptionList)
        width = max(listed.scrollable_content_region.width - 2, 40)
        at = listed.highlighted or 0
        place = place_width(self._rows, width)
        listed.set_options(
            Option(
                finding_line(row, width, place)
                if isinstance(row, AuditFinding)
                else unseen_line(row, width, place)
            )
            for row in self._rows
        )
        listed.highlighted = min(at, len(self._rows) - 1)
        listed.focus()
        self.firescreen.key_queue.release(self)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows another finding."""
        if event.option_index >= len(self._rows):
            return
        from wizard.audit import CHECKS, AuditFinding

        row = self._rows[event.option_index]
        width = max(self.query_one("#text").content_size.width, 40)
        if isinstance(row, AuditFinding):
            text = finding_details(row, next((check for check in CHECKS if check.id == row.id), None), width)
        else:
            text = unseen_details(row, width)
        self.query_one("#text", Static).update(text)
        self.query_one("#detail VerticalScroll", VerticalScroll).scroll_home(animate=False)
        self.refresh_bindings()

    # -- acting --------------------------------------------------------------------------------------------

    @property
    def finding(self) -> AuditFinding | None:
        """Returns the selected finding, or None if something else is selected."""
        report, at = self._report, self.query_one("#list", OptionList).highlighted
        if report is None or at is None or at >= len(report.findings):
            return None
        return report.findings[at]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offers only the actions that make sense for the selected finding."""
        finding = self.finding if self.is_mounted and self.is_open else None
        match action:
            case "fix":
                return finding is not None and bool(finding.action) and not self._is_auditing
            case "accept":
                return finding is not None and not self._is_auditing
            case "audit":
                return not self._is_auditing
        return True

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Fixes the finding on Enter, if a part of Firescreen can."""
        if self.check_action("fix", ()):
            self.action_fix()

    def action_fix(self) -> None:
        """Opens the step that fixes the finding."""
        finding = self.finding
        if finding is None:
            return
        if finding.action == "renew":
            renew(self.firescreen, finding.target)
        elif finding.action == "rules":
            give_rules(self.firescreen)
        else:
            secure(self.firescreen, finding.target)

    def action_accept(self) -> None:
        """Accepts the finding in the workspace's baseline, or removes it from the baseline."""
        report, finding = self._report, self.finding
        if report is None or finding is None:
            return
        engine = self.firescreen.client.engine
        words = (
            "It counts again." if finding.baseline else "Accepted: it no longer counts. 'b' takes that back."
        )

        def done(changed: AuditReport) -> None:
            if self.is_open:
                self._have(changed)
                self.app.notify(words)

        self.firescreen.ask(lambda: audits.toggle(engine, report, finding), done)
