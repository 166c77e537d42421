"""Scenes of a front door: a host with nginx and two components, the questions, the plan and the trust map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tests.screens import example_stack
from tests.screens.helpers import until
from tests.unit.planner import plan_cases
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


class DoorEngine(example_stack.ExampleEngine):
    """Scans to one host with nginx and two components that it can protect, and plans with the real planner."""

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """Returns two components and nginx."""
        case = plan_cases.case("front-door")
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
            for each in example_stack.exposures()
            if each.component in BEHIND
        )
        return Scan(
            stack=wanted,
            facts=plan_cases.with_requested_files(wanted, case.facts),
            exposures=seen,
            findings=(),
        )

    def plan(self, wanted: Stack, answers: Answers | None = None, **_: object) -> Plan:
        """Returns the real plan without the steps that differ from run to run."""
        case = plan_cases.case("front-door")
        made = planner.plan(wanted, plan_cases.with_requested_files(wanted, case.facts), answers or Answers())
        return replace(made, steps=tuple(step for step in made.steps if step.kind in SHOWN))


class ExportersEngine(DoorEngine):
    """Scans to a host with exporter_exporter and two exporters, and another with the Prometheus that scrapes them."""

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """Returns the components, unprotected."""
        case = plan_cases.case("exporter-door")
        wanted = stack or Stack(
            hosts=case.stack.hosts,
            components=tuple(replace(each, protect=("tls", "basic_auth")) for each in case.stack.components),
        )
        known = example_stack.exposures()[0]
        seen = tuple(
            replace(known, host=each.host, component=each.name, unit=each.name, address=f"{each.host}:9100")
            for each in wanted.components
        )
        return Scan(
            stack=wanted,
            facts=plan_cases.with_requested_files(wanted, case.facts),
            exposures=seen,
            findings=(),
        )

    def plan(self, wanted: Stack, answers: Answers | None = None, **_: object) -> Plan:
        """Returns the real plan without the steps that differ from run to run."""
        case = plan_cases.case("exporter-door")
        made = planner.plan(wanted, plan_cases.with_requested_files(wanted, case.facts), answers or Answers())
        return replace(made, steps=tuple(step for step in made.steps if step.kind in SHOWN))


def _app(pilot: Pilot[Any]) -> FirescreenApp:
    return cast("FirescreenApp", pilot.app)


async def home(pilot: Pilot[Any]) -> None:
    """Shows Home, with the reverse proxy below the components."""
    await until(pilot, "1.22.1, reverse proxy")


async def choices(pilot: Pilot[Any]) -> None:
    """Types a server name: the front door protects both components, and its settings are asked for."""
    from screens.choices.level_table import LevelTable

    await home(pilot)
    await pilot.press("s")
    await until(pilot, "Name of a front door")
    await until(pilot, lambda: isinstance(pilot.app.focused, LevelTable))
    await pilot.press("tab", *NAME)
    await until(pilot, "Who passes the front door")


async def sign_in(pilot: Pilot[Any]) -> None:
    """Chooses sign-in at an OpenID provider: its settings and the permitted users are asked for."""
    await choices(pilot)
    await pilot.press("tab", "tab", "down", "down", "down", "enter")
    await until(pilot, "Issuer of the OpenID provider")


async def settings(pilot: Pilot[Any]) -> None:
    """Opens the settings for experts, each with its explanation."""
    await choices(pilot)
    await pilot.press("f2")
    await until(pilot, "Block reload and shutdown")


async def plan(pilot: Pilot[Any]) -> None:
    """Opens the plan at the step that writes nginx's site."""
    from screens.routes import Route

    await choices(pilot)
    _app(pilot).open_page(Route.PLAN)
    await until(pilot, lambda: type(pilot.app.screen).__name__ == "PlanPage")
    await until(pilot, "Write the configuration")


async def trust_map(pilot: Pilot[Any]) -> None:
    """Opens the trust map with the front door's clients and servers."""
    from screens.routes import MapView, Route

    await plan(pilot)
    _app(pilot).open_page(Route.TRUST_MAP, MapView.PLAN)
    await until(pilot, "any host")


async def one_port(pilot: Pilot[Any]) -> None:
    """Puts the exporters of a host behind one port."""
    from screens.choices.level_table import LevelTable

    await until(pilot, "0.4.0, reverse proxy")
    await pilot.press("s")
    await until(pilot, "One open port for the exporters")
    await until(pilot, lambda: isinstance(pilot.app.focused, LevelTable))
    await pilot.press("tab", "down")
    await until(pilot, lambda: bool((stack := _app(pilot).session.stack) and stack.front_doors))


async def one_port_plan(pilot: Pilot[Any]) -> None:
    """Opens the plan that puts the exporters behind one port."""
    from screens.routes import Route

    await one_port(pilot)
    _app(pilot).open_page(Route.PLAN)
    await until(pilot, lambda: type(pilot.app.screen).__name__ == "PlanPage")
    await until(pilot, "Have Prometheus ask")
