"""Front doors in a renewal: an expired client certificate is found and replaced, and the proxy reloaded."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.model import Answers
from wizard.upkeep import renewal
from wizard.upkeep.lifetimes import CertificateRole, Lifetime, lifetimes

KEY = "client:web1/nginx/noc.example.net"


def _client(known: tuple[Lifetime, ...]) -> Lifetime:
    (found,) = [each for each in known if each.renew == KEY]
    return found


def test_the_client_certificate_of_a_front_door_is_renewed_with_its_proxy() -> None:
    case = plan_cases.case("front-door-other-host")
    there = plan_cases.facts_after_plan(case.plan(), case.facts)
    there = plan_cases.with_requested_files(case.stack, there)
    due = _client(lifetimes(case.stack, there))
    assert (due.role, due.host) == (CertificateRole.CLIENT, "web1")
    assert due.component == "nginx/noc.example.net"
    plan = planner.plan(case.stack, there, Answers(renew=renewal.names([due])))
    assert [str(step.kind) for step in plan.steps] == ["certificate", "open-door"]
    gone = replace(due, not_after=due.not_before + 1)
    assert renewal.pending_steps(plan, [gone], due.not_before + 2) == ()
    assert [str(step.kind) for step in renewal.pending_steps(plan, [due], due.not_before + 2)] == [
        "open-door"
    ]


def test_a_front_door_to_loopback_has_no_client_certificate() -> None:
    case = plan_cases.case("front-door")
    there = plan_cases.with_requested_files(case.stack, plan_cases.facts_after_plan(case.plan(), case.facts))
    assert not [each for each in lifetimes(case.stack, there) if each.renew.startswith("client:web1/nginx")]
