"""A front door on the screen: a host with nginx and two components, its questions, its plan and its trust map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tests.screens import whole
from tests.screens.helpers import until
from tests.unit.planner import planned
from wizard import planner
from wizard.engine import Scan
from wizard.model import Answers, Plan, Stack, StepKind

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from screens.app import FirescreenApp

BEHIND = ("prometheus", "alertmanager")
NAME = "noc.example.net"
SHOWN = (
    StepKind.FRONT_DOOR,
    StepKind.FLAGS,
    StepKind.FRONT_DOOR_PATHS,
    StepKind.RESTART,
    StepKind.FRONT_DOOR_RELOAD,
)
"""The steps whose texts are the same in every run: others have keys, hashes and dates."""


class DoorEngine(whole.WholeEngine):
    """Finds one host with nginx and two of the components that can be behind it, and plans with the real planner."""

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """Two components and nginx."""
        case = planned.case("front-door")
        bare = Stack(
            hosts=case.stack.hosts,
            components=tuple(
                replace(each, protect=("tls", "basic_auth"))
                for each in case.stack.components
                if each.name in BEHIND
            ),
        )
        wanted = stack or bare
        seen = tuple(
            replace(each, host="web1", address=f"192.0.2.11:{each.address.rpartition(':')[2]}")
            for each in whole.exposures()
            if each.component in BEHIND
        )
        return Scan(stack=wanted, facts=planned.looked_up(wanted, case.facts), exposures=seen, findings=())

    def plan(self, wanted: Stack, answers: Answers | None = None, **_: object) -> Plan:
        """What is planned, without the steps that differ from run to run."""
        case = planned.case("front-door")
        made = planner.plan(wanted, planned.looked_up(wanted, case.facts), answers or Answers())
        return replace(made, steps=tuple(step for step in made.steps if step.kind in SHOWN))


class ExportersEngine(DoorEngine):
    """Finds a host with exporter_exporter and two exporters, and a Prometheus on another that scrapes them."""

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """What is there, unprotected."""
        case = planned.case("exporter-door")
        wanted = stack or Stack(
            hosts=case.stack.hosts,
            components=tuple(replace(each, protect=("tls", "basic_auth")) for each in case.stack.components),
        )
        known = whole.exposures()[0]
        seen = tuple(
            replace(known, host=each.host, component=each.name, unit=each.name, address=f"{each.host}:9100")
            for each in wanted.components
        )
        return Scan(stack=wanted, facts=planned.looked_up(wanted, case.facts), exposures=seen, findings=())

    def plan(self, wanted: Stack, answers: Answers | None = None, **_: object) -> Plan:
        """As above."""
        case = planned.case("exporter-door")
        made = planner.plan(wanted, planned.looked_up(wanted, case.facts), answers or Answers())
        return replace(made, steps=tuple(step for step in made.steps if step.kind in SHOWN))


def _app(pilot: Pilot[Any]) -> FirescreenApp:
    return cast("FirescreenApp", pilot.app)


async def home(pilot: Pilot[Any]) -> None:
    """The proxy below the components."""
    await until(pilot, "1.22.1, reverse proxy")


async def choices(pilot: Pilot[Any]) -> None:
    """A name was typed: the front door protects both, and its settings are asked for."""
    from screens.choices.level_table import LevelTable

    await home(pilot)
    await pilot.press("s")
    await until(pilot, "Name of a front door")
    await until(pilot, lambda: isinstance(pilot.app.focused, LevelTable))
    await pilot.press("tab", *NAME)
    await until(pilot, "Who passes the front door")


async def sign_in(pilot: Pilot[Any]) -> None:
    """People sign in at an OpenID provider: what it shows is asked for, and who may pass."""
    await choices(pilot)
    await pilot.press("tab", "tab", "down", "down", "down", "enter")
    await until(pilot, "Issuer of the OpenID provider")


async def settings(pilot: Pilot[Any]) -> None:
    """What an expert is asked besides: each setting with what it is for."""
    await choices(pilot)
    await pilot.press("f2")
    await until(pilot, "Block reload and shutdown")


async def plan(pilot: Pilot[Any]) -> None:
    """The plan, at the site of nginx."""
    from screens.routes import Route

    await choices(pilot)
    _app(pilot).open_page(Route.PLAN)
    await until(pilot, lambda: type(pilot.app.screen).__name__ == "PlanPage")
    await until(pilot, "Write the configuration")


async def trust_map(pilot: Pilot[Any]) -> None:
    """Who comes to the door, and what is behind it."""
    from screens.routes import MapView, Route

    await plan(pilot)
    _app(pilot).open_page(Route.TRUST_MAP, MapView.PLAN)
    await until(pilot, "any host")


async def one_port(pilot: Pilot[Any]) -> None:
    """The exporters of a host were put behind its one port."""
    from screens.choices.level_table import LevelTable

    await until(pilot, "0.4.0, reverse proxy")
    await pilot.press("s")
    await until(pilot, "One open port for the exporters")
    await until(pilot, lambda: isinstance(pilot.app.focused, LevelTable))
    await pilot.press("tab", "down")
    await until(pilot, lambda: bool((stack := _app(pilot).session.stack) and stack.front_doors))


async def one_port_plan(pilot: Pilot[Any]) -> None:
    """The plan for it."""
    from screens.routes import Route

    await one_port(pilot)
    _app(pilot).open_page(Route.PLAN)
    await until(pilot, lambda: type(pilot.app.screen).__name__ == "PlanPage")
    await until(pilot, "Have Prometheus ask")
