"""Front doors to components of other hosts: those without TLS are refused; the plans are golden files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import passwords, planner
from wizard.certificates import issue
from wizard.errors import FirescreenError, InputError
from wizard.model import (
    Answers,
    DoorRoute,
    Facts,
    Plan,
    Proxies,
    ProxyRoute,
    Question,
    Stack,
    WriteFile,
)
from wizard.planner import broken_clients
from wizard.redact import Secret

NAME = "front-door-other-host"
SITE = "/etc/nginx/conf.d/firescreen-noc.example.net.conf"


def plan_for(stack: Stack, facts: Facts, renew: str = "") -> Plan:
    answers = Answers(renew=frozenset({renew} if renew else ()))
    return planner.plan(stack, plan_cases.with_requested_files(stack, facts), answers)


def db1(facts: Facts, **changed: object) -> Facts:
    return replace(
        facts,
        hosts={**facts.hosts, "db1": replace(facts.hosts["db1"], **changed)},  # type: ignore[arg-type]
    )


def _at(case: plan_cases.Case, address: str) -> Facts:
    return db1(case.facts, names=(), spec=replace(case.stack.host("db1"), address=address))


def _with_users(case: plan_cases.Case) -> Facts:
    """After the plan, with a user in the web configuration of db1's Alertmanager: Firescreen takes no user out of one."""
    facts = plan_cases.facts_after_plan(plan_for(case.stack, case.facts), case.facts)
    service = facts.hosts["db1"].service("alertmanager")
    assert service is not None
    state = facts.hosts["db1"].files[service.web_config]
    assert state is not None
    users = f"basic_auth_users: {{ada: {passwords.hash_password(Secret('sesame'), 4)}}}\n"
    written = replace(state, content=state.content + users.encode())
    return db1(facts, files={**facts.hosts["db1"].files, service.web_config: written})


REFUSED: dict[str, tuple[Callable[[plan_cases.Case], Facts], str]] = {
    "demands a password": (_with_users, "the front door noc.example.net shows it a client certificate alone"),
    "listens on loopback": (
        lambda case: db1(
            case.facts,
            services=tuple(
                replace(each, arguments=("--web.listen-address=127.0.0.1:9093",))
                for each in case.facts.hosts["db1"].services
            ),
        ),
        "listens on the loopback address alone",
    ),
    "no address": (lambda case: _at(case, "127.0.0.1"), "no address of db1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_component_that_cannot_be_reached_over_tls_is_refused(name: str) -> None:
    case = plan_cases.case(NAME)
    change, words = REFUSED[name]
    with pytest.raises(FirescreenError) as refused:
        plan_for(case.stack, change(case))
    assert words in refused.value.what
    assert refused.value.where
    assert refused.value.todo


def test_apache_connects_to_a_component_by_name() -> None:
    case = plan_cases.case(f"{NAME}-apache")
    (door,) = case.stack.front_doors
    routes = tuple(replace(each, address="") for each in door.routes)
    stack = replace(case.stack, front_doors=(replace(door, routes=routes),))
    with pytest.raises(InputError, match="verifies a server by its DNS name"):
        plan_for(stack, case.facts)


def test_apache_cannot_use_an_ed25519_key() -> None:
    case = plan_cases.case(f"{NAME}-apache")
    certificates = replace(case.stack.certificates, key="ed25519")
    with pytest.raises(InputError, match="Ed25519"):
        plan_for(replace(case.stack, certificates=certificates), case.facts)


def test_the_client_certificate_is_renewed_alone() -> None:
    case = plan_cases.case(NAME)
    after = plan_cases.facts_after_plan(plan_for(case.stack, case.facts), case.facts)
    again = plan_for(case.stack, after, "client:web1/nginx/noc.example.net")
    written = {change.path for change in again.changes if isinstance(change, WriteFile)}
    assert written == {f"/etc/nginx/firescreen/noc.example.net-client.{end}" for end in ("crt", "key")}
    assert [step.kind for step in again.steps][-1] == "open-door"


def test_an_unreachable_host_leaves_its_front_door_out() -> None:
    for proxy, words in (("nginx", ""), ("haproxy", "would lose that front door")):
        case = plan_cases.case(NAME if proxy == "nginx" else f"{NAME}-{proxy}")
        hosts = {name: host for name, host in case.facts.hosts.items() if name != "db1"}
        facts = replace(case.facts, hosts=hosts, away={"db1": "it is off"})
        if words:
            with pytest.raises(InputError, match=words):
                plan_for(case.stack, facts)
        else:
            assert not any(step.component == proxy for step in plan_for(case.stack, facts).steps)


def test_a_front_door_and_its_components_cannot_be_divided() -> None:
    case = plan_cases.case(NAME)
    with pytest.raises(InputError, match="turn together"):
        planner.restrict_plan(plan_for(case.stack, case.facts), ("web1",))


def test_a_component_that_leaves_loopback_breaks_no_front_door() -> None:
    """The front door's own site has an http route until it is rewritten."""
    case = plan_cases.case("front-door")
    there = plan_cases.facts_after_plan(plan_for(case.stack, case.facts), case.facts)
    route = ProxyRoute(
        host="web1",
        program="nginx",
        path="/alertmanager",
        upstream="127.0.0.1:9093",
        scheme="http",
        file=SITE,
        line=40,
        text="proxy_pass",
    )
    there = replace(there, proxies={"web1": Proxies(routes=(route,))})
    stack = replace(
        case.stack,
        components=tuple(
            replace(each, protect=("tls", "client_cert")) if each.name == "alertmanager" else each
            for each in case.stack.components
        ),
    )
    assert broken_clients.broken_clients(stack, plan_cases.with_requested_files(stack, there)) == ()
    foreign = replace(there, proxies={"web1": Proxies(routes=(replace(route, file="/etc/nginx/other"),))})
    assert broken_clients.broken_clients(stack, plan_cases.with_requested_files(stack, foreign)) != ()
    (site,) = [
        each for each in plan_for(stack, there).changes if isinstance(each, WriteFile) and each.path == SITE
    ]
    assert site.after is not None
    assert b"proxy_pass https://127.0.0.1:9093;" in site.after.content


def test_a_key_in_traditional_pem_form_is_used() -> None:
    for kind, words in (("ec-p256", b"EC PRIVATE"), ("rsa-2048", b"RSA PRIVATE"), ("ed25519", b"PRIVATE")):
        key = issue.new_key(kind)  # type: ignore[arg-type]
        assert issue.traditional_key(key).startswith(b"-----BEGIN " + words)
        assert issue.public_half(issue.traditional_key(key)) == issue.public_half(key)


def test_a_component_with_another_name_is_verified_by_it() -> None:
    case = plan_cases.case(NAME)
    components = tuple(
        replace(each, names=("192.0.2.12", "alerts.example.net")) if each.name == "alertmanager" else each
        for each in case.stack.components
    )
    plan = plan_for(replace(case.stack, components=components), case.facts)
    (site,) = [each for each in plan.changes if isinstance(each, WriteFile) and each.path == SITE]
    assert site.after is not None
    assert b"proxy_ssl_name alerts.example.net;" in site.after.content


def front_door_questions(stack: Stack, facts: Facts) -> dict[str, Question]:
    found = planner.questions(stack, facts)
    return {each.setting.name: each for each in found if each.setting.section == "front_doors"}


def protection(stack: Stack) -> dict[str, tuple[str, ...]]:
    return {each.key: each.protect for each in stack.components}


def test_a_question_asks_how_the_proxy_connects_to_components_of_its_host() -> None:
    case = plan_cases.case("front-door")
    question = front_door_questions(case.stack, case.facts)["connection"]
    assert (question.default, question.priority) == ("loopback", "low")
    stack = planner.answer(case.stack, question.setting, "tls")
    assert set(protection(stack).values()) == {("tls", "client_cert")}
    assert front_door_questions(stack, case.facts)["connection"].default == "tls"
    assert "others" not in front_door_questions(stack, case.facts), "there is no other host"
    site = next(each for each in plan_for(stack, case.facts).changes if each.path == SITE)
    assert isinstance(site, WriteFile)
    assert site.after is not None
    assert b"http://" not in site.after.content
    there = plan_cases.facts_after_plan(plan_for(stack, case.facts), case.facts)
    assert front_door_questions(stack, there)["name"].default == "noc.example.net", (
        "it is asked for what stands, too"
    )
    assert planner.answer(stack, question.setting, "loopback") == case.stack
    with pytest.raises(InputError, match="cannot be chosen"):
        planner.answer(stack, question.setting, "smoke signals")
    own = replace(case.stack, certificates=replace(case.stack.certificates, issued_by="self-signed"))
    assert "connection" not in front_door_questions(own, case.facts), (
        "nobody could issue the client certificate"
    )


def test_a_question_asks_for_components_of_other_hosts() -> None:
    case = plan_cases.case(NAME)
    question = front_door_questions(case.stack, case.facts)["others"]
    assert question.default == "db1/alertmanager db1/blackbox_exporter"
    without = planner.answer(case.stack, question.setting, "")
    assert [each.to for each in without.front_doors[0].routes] == ["prometheus", "pushgateway"]
    assert protection(without)["db1/alertmanager"] == ("tls", "basic_auth")
    assert front_door_questions(without, case.facts)["others"].default == ""
    again = planner.answer(without, question.setting, "db1/alertmanager")
    assert again.front_doors[0].routes[-1] == DoorRoute(
        to="alertmanager", path="/db1/alertmanager", host="db1"
    )
    assert protection(again)["db1/alertmanager"] == ("tls", "client_cert")
    with pytest.raises(InputError, match="no component of another host"):
        planner.answer(again, question.setting, "web1/prometheus")
    name = front_door_questions(again, case.facts)["name"].setting
    gone = planner.answer(again, name, "")
    assert gone.front_doors == ()
    assert set(protection(gone).values()) == {("tls", "basic_auth")}


def test_a_host_with_only_a_proxy_gets_questions_too() -> None:
    case = plan_cases.case(NAME)
    components = tuple(
        replace(each, protect=("tls", "basic_auth"), client_allowed_sans=())
        for each in case.stack.components
        if each.host == "db1"
    )
    stack = replace(case.stack, components=components, front_doors=())
    question = front_door_questions(stack, case.facts)["name"]
    assert "serves db1/alertmanager, db1/blackbox_exporter under one https name" in question.why
    named = planner.answer(stack, question.setting, "noc.example.net")
    assert [each.path for each in named.front_doors[0].routes] == [
        "/db1/alertmanager",
        "/db1/blackbox_exporter",
    ]
    assert set(protection(named).values()) == {("tls", "client_cert")}
    others = front_door_questions(named, case.facts)["others"].setting
    with pytest.raises(InputError, match="would lead nowhere"):
        planner.answer(named, others, "")
    assert len(planner.answer(named, others, "db1/alertmanager").front_doors[0].routes) == 1
    assert planner.answer(named, question.setting, "").components == stack.components
    assert "connection" not in front_door_questions(named, case.facts), "it has no component of its own host"


def _restarts(plan: Plan, unit: str) -> int:
    return sum(each.action == "restart" and each.service.unit == unit for each in plan.restarts)


def test_one_restart_is_enough_for_tls_and_the_path() -> None:
    case = plan_cases.case(NAME)
    plan = plan_for(case.stack, case.facts)
    for unit in ("prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter"):
        assert _restarts(plan, unit) == 1
    after = plan_cases.facts_after_plan(plan, case.facts)
    assert plan_for(case.stack, after).steps == ()


def test_a_component_in_a_shared_job_restarts_for_tls_and_for_the_path() -> None:
    """The job is divided when the component gets TLS, and only then can the component get its own path."""
    case = plan_cases.case(NAME)
    config = "/etc/prometheus/prometheus.yml"
    web1 = case.facts.hosts["web1"]
    state = web1.files[config]
    assert state is not None
    content = state.content.replace(b"['localhost:9090']", b"['localhost:9090', 'else:9090']")
    files = {**web1.files, config: replace(state, content=content)}
    facts = replace(case.facts, hosts={**case.facts.hosts, "web1": replace(web1, files=files)})
    plan = plan_for(case.stack, facts)
    assert _restarts(plan, "prometheus") == 2
    assert _restarts(plan, "prometheus-alertmanager") == 1
    texts = [each.after for each in plan.changes if isinstance(each, WriteFile) and each.path == config]
    assert texts[-1] is not None
    assert texts[-1].content.count(b"metrics_path: /prometheus/metrics") == 1
