"""Plans for some of the hosts, and the remaining plan after a part was applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.errors import InputError
from wizard.model import WORKSPACE, Change, ContentKind, MakeFolder, Plan, Role, StepKind, WriteFile


def full_plan() -> Plan:
    """Two servers with a password, and the Prometheus that scrapes both."""
    return replace(plan_cases.case("only-the-canary"), keep=()).plan()


def contents(changes: Sequence[Change]) -> dict[tuple[str, str], bytes | None]:
    """Returns the final content of each file."""
    return {
        (change.host, change.path): change.after.content if change.after else None
        for change in changes
        if isinstance(change, WriteFile)
    }


@pytest.fixture(scope="module")
def plan() -> Plan:
    return full_plan()


def test_client_hosts_are_required_hosts(plan: Plan) -> None:
    assert planner.askers(plan) == {"prometheus"}
    assert planner.changed_hosts(plan) == tuple(spec.name for spec in plan.stack.hosts)


def test_a_rotation_requires_every_host() -> None:
    plan = plan_cases.case("renew-passwords").plan()
    assert {step.host for step in plan.steps if step.kind is StepKind.ROTATE} <= planner.askers(plan)


def test_nothing_is_left_out_where_all_are_kept(plan: Plan) -> None:
    assert planner.restrict_plan(plan, {"srv1", "srv2"}) is plan


def test_a_partial_plan_has_the_same_keys_as_the_whole_plan(plan: Plan) -> None:
    part = planner.restrict_plan(plan, {"srv1"})
    assert "srv2" not in {step.host for step in part.steps}
    assert part.secrets == plan.secrets
    of_whole, of_part = contents(plan.changes), contents(part.changes)
    same = {place for place in of_part if place[0] in ("srv1", WORKSPACE)}
    assert {place: of_part[place] for place in same} == {place: of_whole[place] for place in same}
    kinds = {change.content_kind for change in part.changes if isinstance(change, WriteFile)}
    assert {ContentKind.PRIVATE_KEY, ContentKind.CERTIFICATE, ContentKind.WEB_CONFIG} <= kinds
    config = of_part["prometheus", "/etc/prometheus/prometheus.yml"]
    assert config is not None
    assert b"srv2:9100" in config, "it is scraped as before"
    assert config != of_whole["prometheus", "/etc/prometheus/prometheus.yml"]
    assert {probe.host for probe in part.probes} == {"srv1"}


def test_a_replacement_cannot_be_divided() -> None:
    case = replace(plan_cases.case("only-the-canary"), keep=())
    plan = replace(case, answers=replace(case.answers, renew=frozenset({"certificates"}))).plan()
    with pytest.raises(InputError, match="replaced on all hosts, or on none"):
        planner.restrict_plan(plan, {"srv1"})


def test_the_peers_of_a_cluster_cannot_be_divided(plan: Plan) -> None:
    peers = tuple(
        replace(step, kind=StepKind.CLUSTER)
        for step in plan.steps
        if step.kind is StepKind.WEB_CONFIG and step.role is Role.SERVER
    )
    assert len({step.host for step in peers}) == 2
    with pytest.raises(InputError, match="peers of a cluster"):
        planner.restrict_plan(replace(plan, steps=(*plan.steps, *peers)), {"srv1"})


def test_a_part_and_the_rest_of_a_plan_end_like_the_whole_plan(plan: Plan) -> None:
    part = planner.restrict_plan(plan, {"srv1"})
    rest = planner.remaining_steps(plan, part.changes)
    left = [change for step in rest for change in step.changes]
    both = {**contents(part.changes), **contents(left)}
    assert both == contents(plan.changes)
    places = {(change.host, change.path) for change in part.changes if isinstance(change, MakeFolder)}
    assert not places & {(change.host, change.path) for change in left if isinstance(change, MakeFolder)}
    assert ("srv1", "restart") not in {(change.host, change.kind) for change in left}
    assert ("srv2", "restart") in {(change.host, change.kind) for change in left}
    assert ("prometheus", "reload") in {(change.host, change.kind) for change in left}, (
        "its jobs changed again"
    )


def test_edits_of_the_remaining_plan_start_from_the_state_after_the_part(plan: Plan) -> None:
    now = contents(planner.restrict_plan(plan, {"srv1"}).changes)
    for step in planner.remaining_steps(plan, planner.restrict_plan(plan, {"srv1"}).changes):
        for change in step.changes:
            if isinstance(change, WriteFile):
                place = change.host, change.path
                if place in now:
                    assert (change.before.content if change.before else None) == now[place]
                now[place] = change.after.content if change.after else None


def test_nothing_remains_of_an_applied_plan(plan: Plan) -> None:
    assert planner.remaining_steps(plan, plan.changes) == ()
    assert planner.remaining_steps(plan, ()) == plan.steps


def test_jobs_keep_their_login_while_other_jobs_change(plan: Plan) -> None:
    part = planner.restrict_plan(plan, {"srv1"})
    following = planner.plan_remaining_hosts(plan, part.changes)
    first = next(step for step in following.steps if step.kind is StepKind.SCRAPE_CONFIG)
    (edit,) = (change for change in first.changes if isinstance(change, WriteFile))
    assert edit.after is not None
    assert b"password_file" in edit.after.content, "srv1 is asked with its login all the time"
    before = next(step for step in plan.steps if step.kind is StepKind.SCRAPE_CONFIG).changes[0]
    assert isinstance(before, WriteFile)
    assert before.after is not None
    assert b"password_file" not in before.after.content, "in one go, logins come with the second edit"
    assert contents(following.changes) == contents(plan.changes)


def test_a_plan_without_logins_keeps_its_order() -> None:
    plan = plan_cases.case("all-tls").plan()
    assert planner.plan_remaining_hosts(plan, ()) is plan
