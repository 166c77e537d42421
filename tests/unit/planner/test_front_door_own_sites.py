"""Routes in existing sites: settings that would change other paths of the site are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.errors import FirescreenError, InputError
from wizard.front_doors import Door, Opening, proxy
from wizard.inventory import stack_file
from wizard.model import (
    WORKSPACE,
    Answers,
    Facts,
    FileState,
    FrontDoor,
    Plan,
    Proxies,
    ProxySite,
    Setting,
    SignIn,
    WriteFile,
)

HAPROXY = "/etc/haproxy/haproxy.cfg"


def plan_for(name: str, change: Callable[[FrontDoor], FrontDoor], facts: Facts | None = None) -> Plan:
    case = plan_cases.case(name)
    stack = replace(case.stack, front_doors=(change(case.stack.front_doors[0]),))
    return planner.plan(stack, plan_cases.with_requested_files(stack, facts or case.facts), Answers())


def text(facts: Facts, path: str, content: str) -> Facts:
    known = facts.hosts["web1"]
    files = {**known.files, path: FileState(content.encode())}
    return replace(facts, hosts={**facts.hosts, "web1": replace(known, files=files)})


def content(facts: Facts, path: str) -> str:
    state = facts.hosts["web1"].files[path]
    assert state is not None
    return state.content.decode()


def written_content(plan: Plan, path: str) -> str:
    (change,) = (each for each in plan.changes if isinstance(each, WriteFile) and each.path == path)
    assert change.after is not None
    return change.after.content.decode()


# -- HAProxy -------------------------------------------------------------------------------------------------

FRONTEND = "front-door-own-frontend"


def test_a_frontend_gets_lines_and_the_login_is_in_a_backend() -> None:
    facts = plan_cases.case(FRONTEND).facts
    found = written_content(plan_for(FRONTEND, lambda door: door), HAPROXY)
    frontend, _, block = found.partition("# Written by Firescreen, which undoes it too: front doors.")
    assert frontend.count("use_backend firescreen-noc.example.net-9443-to-9091 if") == 1
    assert "http-request auth" not in frontend
    assert "http-request auth realm noc.example.net" in block
    assert "frontend" not in block.replace("front doors", "")
    again = plan_for(FRONTEND, lambda door: replace(door, timeout=60), text(facts, HAPROXY, found))
    assert (
        written_content(again, HAPROXY).partition("# Written by Firescreen, which undoes it too: front")[0]
        == frontend
    )


UNFIT: dict[str, tuple[Callable[[FrontDoor], FrontDoor], Callable[[Facts], Facts], str]] = {
    "no such port": (lambda door: replace(door, port=10443), lambda facts: facts, "no frontend listens on"),
    "another file": (
        lambda door: replace(door, site="/etc/haproxy/other.cfg"),
        lambda facts: text(facts, "/etc/haproxy/other.cfg", ""),
        "reads /etc/haproxy/haproxy.cfg and no other file",
    ),
    "TLS goes through it": (
        lambda door: door,
        lambda facts: text(
            facts, HAPROXY, content(facts, HAPROXY).replace(":9443 ssl crt /etc/ssl/noc.pem", ":9443")
        ),
        "without TLS of its own",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_frontend_that_cannot_include_the_routes_is_refused(name: str) -> None:
    change, there, words = UNFIT[name]
    with pytest.raises(FirescreenError) as refused:
        plan_for(FRONTEND, change, there(plan_cases.case(FRONTEND).facts))
    assert words in refused.value.what
    assert refused.value.where
    assert refused.value.todo


def test_a_frontend_on_the_port_is_offered_by_a_question() -> None:
    case = plan_cases.case(FRONTEND)
    door = replace(case.stack.front_doors[0], site="")
    stack = replace(case.stack, front_doors=(door,))
    known = case.facts.hosts["web1"]
    alone = replace(known, proxies=tuple(each for each in known.proxies if each.component == "haproxy"))
    there = ProxySite(program="haproxy", name="", port=9443, file=HAPROXY, line=11)
    facts = replace(
        case.facts, hosts={**case.facts.hosts, "web1": alone}, proxies={"web1": Proxies(sites=(there,))}
    )
    (asked,) = [each for each in planner.questions(stack, facts) if each.setting.name == "site"]
    assert [value for value, _ in asked.choices] == ["", HAPROXY]
    assert "port 9443" in asked.why
    # The question appears from the first letter of the name on.
    assert door.name not in asked.title
    chosen = planner.answer(stack, Setting("front_doors", "site", "web1/haproxy"), HAPROXY)
    assert chosen.front_doors[0].site == HAPROXY


# -- nginx, Apache, Caddy ------------------------------------------------------------------------------------

OWN = "front-door-own-site"
INCLUDED = "/etc/nginx/firescreen/noc.example.net.conf"
COMPANY = SignIn(
    issuer="https://id.example.net",
    client_id="noc",
    client_secret_file="/home/ada/secret",
    groups=("admins",),
)


def with_secret(facts: Facts) -> Facts:
    own = facts.hosts[WORKSPACE]
    state = FileState(b"a-client-secret\n", 0o600, "ada", "ada")
    files = {**own.files, COMPANY.client_secret_file: state}
    return replace(facts, hosts={**facts.hosts, WORKSPACE: replace(own, files=files)})


def test_client_certificates_are_optional_for_other_paths_of_the_site() -> None:
    plan = plan_for(OWN, lambda door: replace(door, people=(), client_cert=True))
    found = written_content(plan, INCLUDED)
    assert "ssl_verify_client optional_no_ca;" in found
    assert "if ($ssl_client_verify != SUCCESS) {\n        return 403;" in found
    expected = {each.client: each.expect for each in plan.probes if "/door/" in each.id}
    assert expected["no client certificate"] == expected["stranger's certificate"] == "403"
    either = plan_for(OWN, lambda door: replace(door, client_cert=True))
    expected = {each.client: each.expect for each in either.probes if "/door/" in each.id}
    assert (expected["client certificate"], expected["stranger's certificate"]) == ("200", "401")


def test_a_site_that_requires_client_certificates_itself_is_refused_with_its_line() -> None:
    case = plan_cases.case(OWN)
    there = ProxySite(
        program="nginx",
        name="noc.example.net",
        port=443,
        file="/etc/nginx/conf.d/noc.conf",
        line=1,
        certificates="/etc/nginx/snippets/tls.conf:3",
    )
    facts = replace(case.facts, proxies={"web1": Proxies(sites=(there,))})
    assert plan_for(OWN, lambda door: door, facts).steps
    with pytest.raises(FirescreenError, match="client certificates of its own") as refused:
        plan_for(OWN, lambda door: replace(door, client_cert=True), facts)
    assert refused.value.where == "web1:/etc/nginx/snippets/tls.conf:3"


def test_sign_in_works_in_an_existing_site() -> None:
    facts = with_secret(plan_cases.case(OWN).facts)
    plan = plan_for(OWN, lambda door: replace(door, people=(), machines=("script",), sign_in=COMPANY), facts)
    found = written_content(plan, INCLUDED)
    assert "location ^~ /oauth2/ {" in found
    assert "satisfy all;" in found
    assert "satisfy any" not in found
    assert "a-client-secret" not in "".join(change.diff() for change in plan.changes)
    taken = text(
        facts,
        "/etc/nginx/conf.d/noc.conf",
        content(facts, "/etc/nginx/conf.d/noc.conf").replace(
            "include", "location = /oauth2/x { return 204; } include"
        ),
    )
    with pytest.raises(FirescreenError, match="people sign in below /oauth2"):
        plan_for(OWN, lambda door: replace(door, machines=("script",), sign_in=COMPANY), taken)


@pytest.mark.parametrize("program", ["apache", "caddy"])
def test_settings_in_other_proxies_apply_to_the_front_doors_paths_only(program: str) -> None:
    known = proxy(program)
    assert known is not None
    assert known.render_inside is not None
    door = Door(
        name="noc.example.net",
        port=443,
        ipv6=False,
        version="2.6.2",
        certificate="",
        key="",
        openings=(Opening(prefix="/push", backend="127.0.0.1:9091"),),
        passwords="/etc/users",
        hashes=(("script", "HASH"),),
        sign_in=COMPANY,
        callback="https://noc.example.net/oauth2/callback",
        signed_out="https://noc.example.net/oauth2/signed_out",
        inside=True,
    )
    found = known.render_inside(door)
    outermost = [line for line in found.splitlines() if line and not line[0].isspace()]
    # A login outside a section would apply to the whole site.
    assert not [
        line
        for line in outermost
        if line.startswith(("Require", "AuthType", "<If", "basicauth", "forward_auth"))
    ]


def test_caddy_requires_no_client_certificates_for_other_sites() -> None:
    case = plan_cases.case(OWN)
    door = replace(case.stack.front_doors[0], proxy="caddy", site="/etc/caddy/Caddyfile", client_cert=True)
    text = stack_file.dump(replace(case.stack, front_doors=(door,)))
    with pytest.raises(FirescreenError, match="Caddy would reject clients"):
        stack_file.parse(text, source="firescreen.yaml")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/var/lib/caddy/.config/caddy/autosave.json", "JSON configuration"),
        ("/srv/Caddyfile", "another configuration than /etc/caddy/Caddyfile"),
    ],
)
def test_caddys_running_configuration_is_not_overwritten(path: str, words: str) -> None:
    facts = text(plan_cases.case("front-door-caddy").facts, path, "{}")
    known = facts.hosts["web1"]
    changed = tuple(
        replace(each, config_file=path) if each.component == "caddy" else each for each in known.proxies
    )
    facts = replace(facts, hosts={**facts.hosts, "web1": replace(known, proxies=changed)})
    with pytest.raises(FirescreenError, match=words) as refused:
        plan_for("front-door-caddy", lambda door: door, facts)
    assert refused.value.where == f"web1:{path}"


def test_a_caddy_of_another_unit_is_named() -> None:
    facts = plan_cases.case("front-door-caddy").facts
    known = facts.hosts["web1"]
    stopped = tuple(replace(each, active=False) for each in known.proxies)
    warning = "caddy runs with what its API was last given (--resume): only Caddyfiles are read"
    facts = replace(
        facts,
        hosts={**facts.hosts, "web1": replace(known, proxies=stopped)},
        proxies={"web1": Proxies(unread=(warning,))},
    )
    with pytest.raises(FirescreenError, match="--resume"):
        plan_for("front-door-caddy", lambda door: door, facts)


ZONE = "/etc/nginx/conf.d/firescreen-noc.example.net.conf"


def test_an_nginx_rate_limit_is_declared_outside_the_site_and_removed_again() -> None:
    case = plan_cases.case("front-door-own-site")
    (door,) = case.stack.front_doors
    plan = planner.plan(case.stack, plan_cases.with_requested_files(case.stack, case.facts), Answers())
    after = plan_cases.facts_after_plan(plan, case.facts)
    state = after.hosts["web1"].files[ZONE]
    assert state is not None
    assert b"rate=20r/s" in state.content
    without = replace(case.stack, front_doors=(replace(door, rate_limit=0),))
    after = plan_cases.facts_after_plan(
        planner.plan(without, plan_cases.with_requested_files(without, after), Answers()), after
    )
    state = after.hosts["web1"].files[ZONE]
    assert state is not None
    assert b"limit_req_zone" not in state.content
    assert planner.plan(without, plan_cases.with_requested_files(without, after), Answers()).steps == ()


def test_a_rate_limit_in_a_site_leaves_other_limits_alone() -> None:
    case = plan_cases.case("front-door-own-site")
    web1 = case.facts.hosts["web1"]
    files = {**web1.files, ZONE: FileState(b"server {}\n", 0o644, "root", "root")}
    facts = replace(case.facts, hosts={**case.facts.hosts, "web1": replace(web1, files=files)})
    with pytest.raises(InputError, match="did not write"):
        planner.plan(case.stack, plan_cases.with_requested_files(case.stack, facts), Answers())
    (door,) = case.stack.front_doors
    without = replace(case.stack, front_doors=(replace(door, rate_limit=0),))
    plan = planner.plan(without, plan_cases.with_requested_files(without, facts), Answers())
    assert ZONE not in {change.path for change in plan.changes}


def test_a_frontend_that_uses_the_same_counter_is_refused() -> None:
    case = plan_cases.case("front-door-own-frontend")
    main = "/etc/haproxy/haproxy.cfg"
    web1 = case.facts.hosts["web1"]
    state = web1.files[main]
    assert state is not None
    content = state.content
    at = content.index(b"\n", content.index(b":9443")) + 1
    content = content[:at] + b"    http-request track-sc2 src\n" + content[at:]
    files = {**web1.files, main: replace(state, content=content)}
    facts = replace(case.facts, hosts={**case.facts.hosts, "web1": replace(web1, files=files)})
    with pytest.raises(InputError, match="track-sc2 itself"):
        planner.plan(case.stack, plan_cases.with_requested_files(case.stack, facts), Answers())
