"""Front doors in an export: the checker runs first, passwords are secrets, and an applied plan is exported the same way."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from tests.unit.planner.test_front_door_grafana import INI, SOURCES
from tests.unit.planner.test_front_door_grafana import site as grafana_site
from wizard import planner
from wizard.errors import InputError
from wizard.export import Export
from wizard.export.playbook import Playbook
from wizard.model import Answers

CASES = ("front-door", "front-door-apache", "front-door-caddy", "front-door-haproxy")
ELSEWHERE = tuple(f"front-door-other-host{each}" for each in ("", "-apache", "-caddy", "-haproxy"))

SIGN_IN = tuple(f"front-door-sign-in{each}" for each in ("", "-nginx", "-caddy", "-haproxy"))
IN_SITES = ("front-door-own-site", "front-door-own-frontend")
SITE = "/etc/nginx/conf.d/noc.conf"
INCLUDED = "/etc/nginx/firescreen/noc.example.net.conf"
CLIENT_SECRET = "a-client-secret"


def playbook(name: str, *, applied: bool = False) -> Playbook:
    case = plan_cases.case(name)
    plan = case.plan()
    if applied:
        facts = plan_cases.facts_after_plan(plan, case.facts)
        plan = planner.plan(case.stack, plan_cases.with_requested_files(case.stack, facts), Answers())
        assert not plan.steps
    return Export(plan).playbook


@pytest.mark.parametrize("name", CASES)
def test_a_front_door_is_exported_with_its_checker_and_probes(name: str) -> None:
    book = playbook(name)
    (host,) = book.host_vars()
    host_vars, secret = book.host_vars()[host], book.secret_vars()[host]
    checked = [
        each for each in host_vars["firescreen_files"] if "firescreen-check" in each.get("validate", "")
    ]
    assert checked
    assert all(each["validate"].count(" %s ") == 1 for each in checked)
    assert {
        each["url"].rpartition(":")[2] for each in host_vars["firescreen_turns"] if each.get("status") == 200
    }
    assert ["systemctl", "reload"] in [each.get("argv", [])[:2] for each in host_vars["firescreen_turns"]]
    asked = {
        (each["status"], bool(each["user"]), bool(each["password"]))
        for each in host_vars["firescreen_door_requests"]
    }
    assert {(200, True, False), (401, False, False), (401, True, True), (403, True, False)} <= asked
    assert host_vars["firescreen_closed"]
    for password in secret["firescreen_door_passwords"].values():
        assert password not in json.dumps(host_vars)
        assert not any(password.encode() in copy.content for copy in book.copies if not copy.secret)


@pytest.mark.parametrize("name", [*CASES, *ELSEWHERE, *SIGN_IN, *IN_SITES, "exporter-door"])
def test_an_applied_plan_is_exported_like_a_new_one(name: str) -> None:
    """A newly installed host gets the whole configuration from either export."""
    before, after = playbook(name).host_vars(), playbook(name, applied=True).host_vars()
    assert before.keys() == after.keys()

    def files(host_vars: dict[str, list[dict[str, object]]]) -> set[tuple[object, ...]]:
        return {
            tuple(each.get(key) for key in ("path", "owner", "group", "mode", "secret", "validate"))
            for each in host_vars["firescreen_files"]
        }

    def turns(host_vars: dict[str, list[dict[str, object]]]) -> set[tuple[object, ...]]:
        return {(each["unit"], each["action"]) for each in host_vars["firescreen_turns"]}

    for host in before:
        assert files(before[host]) == files(after[host])
        assert turns(before[host]) <= turns(after[host])
        for key in ("firescreen_door_requests", "firescreen_closed"):
            assert before[host].get(key) == after[host].get(key)


@pytest.mark.parametrize("applied", [False, True])
def test_the_one_port_for_exporters_is_checked_and_restarted(applied: bool) -> None:
    host_vars = playbook("exporter-door", applied=applied).host_vars()["web1"]
    modules, flags = "/etc/prometheus/exporter-exporter.yml", "/etc/default/prometheus-exporter-exporter"
    (checked,) = (each["validate"] for each in host_vars["firescreen_files"] if each["path"] == modules)
    assert '-config.file="$new" -web.listen-address= -web.tls.listen-address=' in checked
    turns = {each["unit"]: each for each in host_vars["firescreen_turns"]}
    own = turns["prometheus-exporter-exporter"]
    assert (own["url"], own["status"]) == ("http://127.0.0.1:9999/metrics", 400)
    assert {modules, flags} <= set(own["files"])
    behind = turns["prometheus-node-exporter"]
    assert (behind["url"], behind["status"]) == ("http://127.0.0.1:9100/metrics", 200)
    assert behind["files"] == ["/etc/default/prometheus-node-exporter"]
    assert {(each["host"], each["port"]) for each in host_vars["firescreen_closed"]} == {
        ("192.0.2.11", 9100),
        ("192.0.2.11", 9115),
    }


def test_a_configuration_written_twice_comes_after_the_files_it_names() -> None:
    host_vars = playbook("exporter-door").host_vars()["mon1"]
    written = [(each["stage"], each["path"]) for each in host_vars["firescreen_files"]]
    config = "/etc/prometheus/prometheus.yml"
    first, last = (stage for stage, path in written if path == config)
    assert first < last
    assert {path for stage, path in written if stage == last} > {config}
    assert [path for stage, path in written if stage == last][-1] == config


@pytest.mark.parametrize("name", IN_SITES)
def test_an_existing_site_is_checked_in_its_place(name: str) -> None:
    (host_vars,) = playbook(name).host_vars().values()
    checked = {
        each["path"]: shlex.split(each["validate"].replace("%%", "%"))
        for each in host_vars["firescreen_files"]
        if "unshare" in each.get("validate", "")
    }
    if name == "front-door-own-frontend":  # HAProxy reads one file, which is checked alone
        assert not checked
        return
    assert set(checked) == {SITE, INCLUDED}
    for path, words in checked.items():
        assert words[3:5] == ["%s", path]
        assert words[2].endswith("/usr/sbin/nginx -t -q -c /etc/nginx/nginx.conf")


@pytest.mark.parametrize("name", SIGN_IN)
def test_sign_in_secrets_are_exported_as_secrets(name: str) -> None:
    book = playbook(name)
    (host_vars,) = book.host_vars().values()
    text = json.dumps(host_vars)
    assert CLIENT_SECRET not in text
    assert [each.source for each in book.copies if CLIENT_SECRET.encode() in each.content and each.secret]
    assert not [each for each in book.copies if CLIENT_SECRET.encode() in each.content and not each.secret]
    restarted = {each["unit"] for each in host_vars["firescreen_turns"] if each["action"] == "restart"}
    assert {"apache2", "oauth2-proxy"} & restarted
    for each in host_vars["firescreen_turns"]:
        if each["unit"] in ("apache2", "oauth2-proxy"):
            assert each["argv"][1:] == [each["action"], each["unit"]]
            assert each["files"]
            assert "url" not in each


def test_grafana_and_its_data_sources_are_exported_too() -> None:
    stack, facts = grafana_site()
    plan = planner.plan(stack, plan_cases.with_requested_files(stack, facts), Answers())
    after = plan_cases.facts_after_plan(plan, facts)
    again = planner.plan(stack, plan_cases.with_requested_files(stack, after), Answers())
    assert not again.steps
    for each in (plan, again):
        (host_vars,) = Export(each).playbook.host_vars().values()
        assert {INI, SOURCES} <= {file["path"] for file in host_vars["firescreen_files"]}
        (turn,) = [turn for turn in host_vars["firescreen_turns"] if turn["unit"] == "grafana-server"]
        assert (turn["action"], turn["status"]) == ("restart", 200)
        assert turn["url"] == "http://127.0.0.1:3000/grafana/api/health"
        assert set(turn["files"]) == {INI, SOURCES}
        assert any("/grafana/" in request["url"] for request in host_vars["firescreen_door_requests"])


def test_a_file_that_certbot_renews_is_in_no_export() -> None:
    case = plan_cases.case("front-door-haproxy")
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
