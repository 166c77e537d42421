"""Certificates that are due for renewal, on the stacks of the planner's cases after their plan was applied."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.model import Answers, Facts, OwnFiles, Stack
from wizard.upkeep import lifetimes, renewal
from wizard.upkeep.lifetimes import CertificateRole, Lifetime

DAY = 86400.0


def secured_case(name: str) -> tuple[Stack, Facts]:
    """Returns the stack of a case, and the facts after its plan was applied."""
    case = plan_cases.case(name)
    after = plan_cases.facts_after_plan(case.plan(), case.facts)
    return case.stack, plan_cases.with_requested_files(case.stack, after)


def lifetime(*, days: float, renew: str = "srv1/node_exporter") -> Lifetime:
    return Lifetime(
        role=CertificateRole.SERVER,
        host="srv1",
        component="node_exporter",
        path="/etc/node_exporter/node_exporter.crt",
        not_before=0,
        not_after=days * DAY,
        fingerprint="AA",
        subject="srv1",
        renew=renew,
    )


@pytest.mark.parametrize(
    ("life", "due_at"), [(365, 365 * 2 / 3), (90, 60), (10, 10 * 2 / 3), (9.9, 9.9 / 2), (1, 0.5)]
)
def test_renewal_is_due_at_a_third_left_or_half_below_ten_days(life: float, due_at: float) -> None:
    known = lifetime(days=life)
    assert known.due_at == pytest.approx(due_at * DAY)
    assert not known.is_due(due_at * DAY - 1)
    assert known.is_due(due_at * DAY + 1)
    assert lifetimes.due([known, lifetime(days=life, renew="")], due_at * DAY + 1) == (known,)


def test_a_certificate_not_yet_valid_points_to_a_slow_clock() -> None:
    begun, later = lifetime(days=90), replace(lifetime(days=90), not_before=DAY)
    assert lifetimes.not_begun([begun, later], DAY / 2) == later
    assert lifetimes.not_begun([begun, later], DAY) is None
    assert lifetimes.not_begun([replace(later, renew="")], 0) is None, "what others issue may begin later"


def test_certificates_of_other_issuers_are_watched_and_never_renewed() -> None:
    stack, facts = secured_case("all-tls")
    made = lifetimes.lifetimes(stack, facts)
    servers = {f"{each.host}/{each.component}": each.path for each in made if each.role == "server"}
    assert lifetimes.next_due(made, 0) is not None
    given = replace(
        stack,
        certificates=replace(stack.certificates, issued_by="files"),
        components=tuple(
            replace(each, files=OwnFiles(cert_file=servers[each.key], key_file="any"))
            for each in stack.components
        ),
    )
    known = lifetimes.lifetimes(given, facts)
    assert {each.path for each in known} == set(servers.values())
    assert {each.renew for each in known} == {""}
    assert lifetimes.due(known, max(each.not_after for each in known)) == ()
    assert lifetimes.next_due(known, 0) is None


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("all-mutual-tls", {"ca", "server", "client"}),
        ("alertmanager-cluster", {"ca", "server", "cluster"}),
        ("shared-pair", {"server"}),
    ],
)
def test_all_certificates_in_use_are_found_and_only_these_renewed(name: str, roles: set[str]) -> None:
    stack, facts = secured_case(name)
    known = lifetimes.lifetimes(stack, facts)
    assert roles <= {str(each.role) for each in known}
    assert all(each.renew for each in known), [each for each in known if not each.renew]
    later = max(each.due_at for each in known)
    due = lifetimes.due(known, later)
    assert due == known
    answers = Answers(renew=renewal.names(due))
    assert answers.renew == {"ca"} or "ca" not in roles
    assert renewal.pending_steps(planner.plan(stack, facts, Answers()), due, later) == ()

    plan = planner.plan(stack, facts, answers)
    restarted = {each.service.component for each in plan.restarts if each.action == "restart"}
    assert restarted == ({"alertmanager"} if "cluster" in roles else set()), (
        "gossip alone is read at the start"
    )
    after = plan_cases.with_requested_files(stack, plan_cases.facts_after_plan(plan, facts))
    fresh = {each.fingerprint for each in lifetimes.lifetimes(stack, after)}
    assert fresh.isdisjoint(each.fingerprint for each in known)
