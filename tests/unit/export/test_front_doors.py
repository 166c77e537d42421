"""Front doors in an export: the checker comes first, passwords are secrets, and what has been applied is exported alike."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.planner import planned
from wizard import planner
from wizard.errors import InputError
from wizard.export import Export, front_doors
from wizard.export.playbook import Playbook
from wizard.model import GRAFANA, Answers, DoorRoute

CASES = ("front-door", "front-door-apache", "front-door-caddy", "front-door-haproxy")
ELSEWHERE = tuple(f"front-door-other-host{each}" for each in ("", "-apache", "-caddy", "-haproxy"))


def playbook(name: str, *, applied: bool = False) -> Playbook:
    case = planned.case(name)
    plan = case.plan()
    if applied:
        facts = planned.carried_out(plan, case.facts)
        plan = planner.plan(case.stack, planned.looked_up(case.stack, facts), Answers())
        assert not plan.steps
    return Export(plan).playbook


@pytest.mark.parametrize("name", CASES)
def test_a_front_door_is_exported_with_its_checker_and_what_is_asked_of_it(name: str) -> None:
    book = playbook(name)
    (host,) = book.host_vars()
    told, secret = book.host_vars()[host], book.secret_vars()[host]
    checked = [each for each in told["firescreen_files"] if "firescreen-check" in each.get("validate", "")]
    assert checked
    assert all(each["validate"].count(" %s ") == 1 for each in checked)
    assert {each["url"].rpartition(":")[2] for each in told["firescreen_turns"] if each.get("status") == 200}
    assert ["systemctl", "reload"] in [each.get("argv", [])[:2] for each in told["firescreen_turns"]]
    asked = {
        (each["status"], bool(each["user"]), bool(each["password"]))
        for each in told["firescreen_door_requests"]
    }
    assert {(200, True, False), (401, False, False), (401, True, True), (403, True, False)} <= asked
    assert told["firescreen_closed"]
    for password in secret["firescreen_door_passwords"].values():
        assert password not in json.dumps(told)
        assert not any(password.encode() in copy.content for copy in book.copies if not copy.secret)


@pytest.mark.parametrize("name", [*CASES, *ELSEWHERE])
def test_what_has_been_applied_is_exported_alike(name: str) -> None:
    """A host that is installed anew gets all of it from either export."""
    before, after = playbook(name).host_vars(), playbook(name, applied=True).host_vars()
    assert before.keys() == after.keys()

    def files(told: dict[str, list[dict[str, object]]]) -> set[tuple[object, ...]]:
        return {
            tuple(each.get(key) for key in ("path", "owner", "group", "mode", "secret", "validate"))
            for each in told["firescreen_files"]
        }

    def turns(told: dict[str, list[dict[str, object]]]) -> set[tuple[object, ...]]:
        return {(each["unit"], each["action"]) for each in told["firescreen_turns"]}

    for host in before:
        assert files(before[host]) == files(after[host])
        assert turns(before[host]) <= turns(after[host])
        for key in ("firescreen_door_requests", "firescreen_closed"):
            assert before[host].get(key) == after[host].get(key)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("front-door-sign-in", "OpenID"),
        ("front-door-own-site", "a site that is there"),
    ],
)
def test_what_no_playbook_can_do_is_refused(name: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        playbook(name)
    assert "firescreen apply" in refused.value.todo


def test_a_grafana_behind_the_front_door_is_refused() -> None:
    plan = planned.case("front-door").plan()
    door = replace(plan.stack.front_doors[0], routes=(DoorRoute(to=GRAFANA, path="/grafana"),))
    with pytest.raises(InputError, match="leads to a Grafana"):
        front_doors.refuse(replace(plan, stack=replace(plan.stack, front_doors=(door,))))


def test_a_file_that_certbot_renews_is_in_no_export() -> None:
    case = planned.case("front-door-haproxy")
    live = "/etc/letsencrypt/live/noc.example.net"
    door = replace(
        case.stack.front_doors[0], cert_file=f"{live}/fullchain.pem", key_file=f"{live}/privkey.pem"
    )
    plan = replace(case.plan(), stack=replace(case.stack, front_doors=(door,)))
    host = plan.facts.hosts[door.host]
    old = replace(host, proxies=tuple(replace(each, version="2.6.12") for each in host.proxies))
    plan = replace(plan, facts=replace(plan.facts, hosts={**plan.facts.hosts, door.host: old}))
    with pytest.raises(InputError, match="certbot's script"):
        Export(plan)
