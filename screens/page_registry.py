"""The page of each route. A page is imported when it is first opened: the first frame needs none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from screens.base_screen import Page
from screens.routes import MapView, Route

if TYPE_CHECKING:
    from screens.base_app import Subject
    from screens.interface import Wizard
    from wizard.labs import LabSession
    from wizard.labs.board.board import Board
    from wizard.model import Probe


def make_page(app: Wizard, route: Route, subject: Subject) -> Page:
    """Makes a new page for a route."""
    return PAGES[route](app, subject)


def _hosts(_app: Wizard, _subject: Subject) -> Page:
    from screens.hosts.screen import HostsPage

    return HostsPage()


def _choices(_app: Wizard, subject: Subject) -> Page:
    from screens.choices.screen import ChoicesPage

    return ChoicesPage(cast("str | None", subject) or "")


def _client_logins(_app: Wizard, _subject: Subject) -> Page:
    from screens.client_logins.screen import ClientLoginsPage

    return ClientLoginsPage()


def _plan(_app: Wizard, _subject: Subject) -> Page:
    from screens.plan.screen import PlanPage

    return PlanPage()


def _run(_app: Wizard, _subject: Subject) -> Page:
    from screens.run.screen import RunPage

    return RunPage()


def _verification(_app: Wizard, _subject: Subject) -> Page:
    from screens.verification.screen import VerificationPage

    return VerificationPage()


def _trust_map(app: Wizard, subject: Subject) -> Page:
    from screens.trust_map.screen import TrustMapPage

    view = cast("MapView", subject)
    plan = app.session.plan
    return TrustMapPage(view, plan.arrows if view is MapView.PLAN and plan else ())


def _distribution(app: Wizard, subject: Subject) -> Page:
    from screens.certificate_distribution.screen import DistributionPage

    if subject is MapView.PLAN:
        plan = app.session.plan
        return DistributionPage(plan, read=plan is None or not plan.steps)
    return DistributionPage(app.run_state.plan, read=True)


def _lab(_app: Wizard, subject: Subject) -> Page:
    from screens.labs.screen import LabPage

    return LabPage(cast("LabSession", subject))


def _console(app: Wizard, subject: Subject) -> Page:
    from screens.probe_console.screen import ConsolePage

    scan = app.session.scan
    urls = [
        f"{'https' if row.tls else 'http'}://{row.address}/metrics"
        for row in (scan.exposures if scan is not None else ())
        if row.state != "down"
    ]
    return ConsolePage(cast("Probe | None", subject), urls)


def _inventory(_app: Wizard, _subject: Subject) -> Page:
    from screens.inventory import InventoryPage

    return InventoryPage()


def _history(_app: Wizard, _subject: Subject) -> Page:
    from screens.history import HistoryPage

    return HistoryPage()


def _audit(_app: Wizard, _subject: Subject) -> Page:
    from screens.audit.screen import AuditPage

    return AuditPage()


def _board(_app: Wizard, subject: Subject) -> Page:
    from screens.board.screen import BoardPage

    return BoardPage(cast("Board", subject))


PAGES: dict[Route, Callable[[Wizard, Subject], Page]] = {
    Route.HOSTS: _hosts,
    Route.CHOICES: _choices,
    Route.CLIENT_LOGINS: _client_logins,
    Route.PLAN: _plan,
    Route.RUN: _run,
    Route.VERIFICATION: _verification,
    Route.TRUST_MAP: _trust_map,
    Route.CERTIFICATE_DISTRIBUTION: _distribution,
    Route.LAB: _lab,
    Route.PROBE_CONSOLE: _console,
    Route.INVENTORY: _inventory,
    Route.HISTORY: _history,
    Route.AUDIT: _audit,
    Route.BOARD: _board,
}
