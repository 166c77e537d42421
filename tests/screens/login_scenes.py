"""Scenes of Prometheus' own logins: two scrape jobs, an Alertmanager and remote_write, with the real planner."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from textual.events import Paste

from screens.widgets.field import Field
from tests.screens import example_stack
from tests.screens.helpers import until
from tests.unit.planner import plan_cases
from wizard import planner
from wizard.engine import Scan
from wizard.model import Answers, Plan, Stack

if TYPE_CHECKING:
    from textual.pilot import Pilot

CASE = plan_cases.case("client-logins")


class LoginEngine(example_stack.ExampleEngine):
    """Scans to one host with a Prometheus, and plans with the real planner.

    Args:
        wanted: the stack that is proposed.
    """

    def __init__(self, wanted: Stack | None = None) -> None:
        super().__init__()
        bare = tuple(replace(each, protect=("tls", "basic_auth")) for each in CASE.stack.components)
        self.wanted = wanted or replace(CASE.stack, client_logins=(), components=bare)

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """Returns one Prometheus, unprotected."""
        wanted = stack or self.wanted
        seen = tuple(
            replace(each, host="mon1", address="192.0.2.21:9090")
            for each in example_stack.exposures()
            if each.component == "prometheus"
        )
        return Scan(
            stack=wanted,
            facts=plan_cases.with_requested_files(CASE.stack, CASE.facts),
            exposures=seen,
            findings=(),
        )

    def plan(self, wanted: Stack, answers: Answers | None = None, **_: object) -> Plan:
        """Returns the real plan."""
        return planner.plan(wanted, plan_cases.with_requested_files(wanted, CASE.facts), answers or Answers())

    def refuse_silent(self, _: Plan) -> None:
        """Accepts every plan: all servers answer."""


async def pasted(pilot: Pilot[Any], text: str) -> None:
    """Pastes a text as one event, as a terminal does: sending it key by key takes seconds."""
    if text:
        pilot.app.post_message(Paste(text))
        await pilot.pause()


async def page(pilot: Pilot[Any]) -> None:
    """Opens the page; nothing is chosen yet."""
    await until(pilot, "1 component")
    await pilot.press("g")
    await until(pilot, "How Prometheus logs in at job api")


async def oauth2(pilot: Pilot[Any]) -> None:
    """Chooses OAuth2 for the first job."""
    await page(pilot)
    await pilot.press("enter", "down")
    await until(pilot, "Token URL")


async def filled(pilot: Pilot[Any]) -> None:
    """Fills in all fields that OAuth2 needs."""
    await oauth2(pilot)
    for text in ("https://id.example.net/token", "prometheus", "the-secret", "", "metrics", ""):
        await pilot.press("tab")
        await pasted(pilot, text)


async def plan(pilot: Pilot[Any]) -> None:
    """Opens the plan for these logins, at the change of the configuration."""
    await filled(pilot)
    await pilot.press("ctrl+s")
    await until(pilot, lambda: type(pilot.app.screen).__name__ == "PlanPage")
    await until(pilot, "Reload Prometheus")
    await pilot.press("n", "n", "2")
    await until(pilot, "token_url")


async def token(pilot: Pilot[Any]) -> None:
    """Chooses a bearer token for the Alertmanager and opens its rarely used settings."""
    await page(pilot)
    await pilot.press("down", "down", "enter", "down", "down")
    await until(pilot, "File with the token")
    await pilot.press("f2")
    await until(
        pilot,
        lambda: any(each.question.title == "Type of the token" for each in pilot.app.screen.query(Field)),
    )
