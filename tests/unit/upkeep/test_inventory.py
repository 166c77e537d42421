"""The inventory lists every certificate, key and user with the services that use it, and no secrets."""

from __future__ import annotations

from dataclasses import asdict

from tests.unit.planner import plan_cases
from wizard.cli.inventory import _cell
from wizard.upkeep import inventory


def test_each_key_has_its_certificate_and_the_services_that_use_it() -> None:
    case = plan_cases.case("all-mutual-tls")
    facts = plan_cases.with_requested_files(case.stack, plan_cases.facts_after_plan(case.plan(), case.facts))
    found = inventory.inventory(case.stack, facts)
    keys = [each for each in found if each.kind == "private_key"]
    certificates = {each.public_key: each for each in found if each.kind in ("ca", "certificate")}
    assert len(keys) >= 8
    assert all(each.public_key in certificates for each in keys)
    unused = {each.path.rpartition("/")[2] for each in found if not each.used_by}
    assert unused <= {"stranger.crt", "stranger.key", "other.crt", "other.key"}, unused
    assert {each.host for each in found} == {"here", "workspace"}
    node = next(each for each in found if each.path == "/etc/node_exporter/node_exporter.crt")
    assert (node.used_by, node.mode, node.owner) == ("here/node_exporter (server)", "0644", "root:prometheus")
    text = repr([asdict(each) for each in found])
    assert "PRIVATE" not in text and "$2" not in text


def test_users_are_listed_with_the_cost_of_their_hash() -> None:
    case = plan_cases.case("two-users")
    facts = plan_cases.with_requested_files(case.stack, plan_cases.facts_after_plan(case.plan(), case.facts))
    users = [each for each in inventory.inventory(case.stack, facts) if each.kind == "user"]
    assert {each.subject for each in users} == {user.name for user in case.stack.users}
    costs = {user.name: f"bcrypt, cost {user.cost}" for user in case.stack.users}
    assert {each.subject: each.issuer for each in users} == costs


def test_a_spreadsheet_evaluates_no_cell() -> None:
    assert [_cell(each) for each in ("=1+1", "@x", "+1", "-x", "CN=x", 3.0)] == [
        "'=1+1",
        "'@x",
        "'+1",
        "'-x",
        "CN=x",
        3.0,
    ]
