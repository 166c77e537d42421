"""Front doors: impossible ones are refused with their place, broken clients are reported; the plans are golden files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.certificates import issue
from wizard.errors import FirescreenError, InputError
from wizard.inventory import stack_file
from wizard.model import (
    Answers,
    ComponentSpec,
    DoorRoute,
    Facts,
    FileState,
    HostFacts,
    HostSpec,
    Plan,
    Proxies,
    ProxyRoute,
    ProxySite,
    Setting,
    Stack,
    WriteFile,
)

SITE = "/etc/nginx/conf.d/firescreen-noc.example.net.conf"
CONFIG = "/etc/prometheus/prometheus.yml"


def plan_for(stack: Stack, facts: Facts) -> Plan:
    return planner.plan(stack, plan_cases.with_requested_files(stack, facts), Answers())


def web1(facts: Facts, **changed: object) -> Facts:
    return replace(
        facts,
        hosts={**facts.hosts, "web1": replace(facts.hosts["web1"], **changed)},  # type: ignore[arg-type]
    )


def service(facts: Facts, component: str, **changed: object) -> Facts:
    services = (
        replace(each, **changed) if each.component == component else each  # type: ignore[arg-type]
        for each in facts.hosts["web1"].services
    )
    return web1(facts, services=tuple(services))


def text(facts: Facts, path: str, content: str) -> Facts:
    files = {**facts.hosts["web1"].files, path: FileState(content.encode())}
    return web1(facts, files=files)


def with_edited_file(facts: Facts, path: str, old: str, new: str) -> Facts:
    state = facts.hosts["web1"].files[path]
    assert state is not None
    assert old in state.content.decode()
    return text(facts, path, state.content.decode().replace(old, new))


REFUSED: dict[str, tuple[Callable[[Facts], Facts], str]] = {
    "no nginx": (lambda facts: web1(facts, proxies=()), "there is no nginx on web1"),
    "nginx is stopped": (
        lambda facts: web1(
            facts, proxies=tuple(replace(e, active=False) for e in facts.hosts["web1"].proxies)
        ),
        "does not run",
    ),
    "no root": (lambda facts: web1(facts, root=False, user="ada"), "set up as root"),
    "a component is stopped": (
        lambda facts: service(facts, "pushgateway", active=False),
        "does not run on web1",
    ),
    "a component serves TLS": (
        lambda facts: service(facts, "prometheus", web_config="/etc/prometheus/web.yml"),
        "web configuration",
    ),
    "a person starts a component": (lambda facts: service(facts, "alertmanager", manager="manual"), "flags"),
    "two addresses": (
        lambda facts: service(
            facts, "prometheus", arguments=("--web.listen-address=:1", "--web.listen-address=:2")
        ),
        "several --web.listen-address",
    ),
    "sites are not included": (
        lambda facts: with_edited_file(
            facts, "/etc/nginx/nginx.conf", "include /etc/nginx/conf.d/*.conf;", ""
        ),
        "does not include /etc/nginx/conf.d/*.conf",
    ),
    "no main configuration": (
        lambda facts: web1(facts, files={**facts.hosts["web1"].files, "/etc/nginx/nginx.conf": None}),
        "main configuration is not there",
    ),
    "a foreign file": (lambda facts: text(facts, SITE, "server {}\n"), "did not write"),
    "the name is taken": (
        lambda facts: replace(
            facts,
            proxies={
                "web1": Proxies(
                    sites=(
                        ProxySite(
                            program="nginx", name="NOC.example.net", port=443, file="/etc/nginx/x", line=3
                        ),
                    )
                )
            },
        ),
        "has the name noc.example.net",
    ),
    "scraped at another address": (
        lambda facts: with_edited_file(facts, CONFIG, "localhost:9090", "192.0.2.11:9090"),
        "at 192.0.2.11:9090",
    ),
    "a job has others too": (
        lambda facts: with_edited_file(facts, CONFIG, "'127.0.0.1:9091'", "'127.0.0.1:9091', 'else:9091'"),
        "and others too",
    ),
    "alertmanagers have others too": (
        lambda facts: with_edited_file(facts, CONFIG, "'localhost:9093'", "'localhost:9093', 'else:9093'"),
        "and others too",
    ),
    "remote_write": (
        lambda facts: with_edited_file(
            facts,
            CONFIG,
            "scrape_configs:",
            "remote_write: [{url: 'http://localhost:9090/w'}]\nscrape_configs:",
        ),
        "whose path changes",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_impossible_front_door_is_refused(name: str) -> None:
    case = plan_cases.case("front-door")
    change, words = REFUSED[name]
    with pytest.raises(FirescreenError) as refused:
        plan_for(case.stack, change(case.facts))
    assert words in refused.value.what
    assert refused.value.where
    assert refused.value.todo


OWN = "/etc/nginx/conf.d/noc.conf"
UNFIT_SITES: dict[str, tuple[Callable[[Facts], Facts], str]] = {
    "no such file": (
        lambda facts: web1(facts, files={**facts.hosts["web1"].files, OWN: None}),
        "is not there",
    ),
    "included by no main configuration": (
        lambda facts: with_edited_file(
            facts, "/etc/nginx/nginx.conf", "include /etc/nginx/conf.d/*.conf;", ""
        ),
        "does not include",
    ),
    "another name": (
        lambda facts: with_edited_file(facts, OWN, "noc.example", "other.example"),
        "no site with the name",
    ),
    "a location before ours": (
        lambda facts: with_edited_file(facts, OWN, "include", "location ^~ /push/x { return 204; } include"),
        "comes before",
    ),
    "a foreign file in the place": (
        lambda facts: text(facts, "/etc/nginx/firescreen/noc.example.net.conf", "# mine\n"),
        "did not write",
    ),
    "no CA": (
        lambda facts: web1(facts, files={**facts.hosts["web1"].files, "/etc/ssl/noc-ca.crt": None}),
        "no CA certificate",
    ),
}


@pytest.mark.parametrize("name", UNFIT_SITES)
def test_a_site_that_cannot_include_the_routes_is_refused(name: str) -> None:
    case = plan_cases.case("front-door-own-site")
    change, words = UNFIT_SITES[name]
    with pytest.raises(FirescreenError) as refused:
        plan_for(case.stack, change(case.facts))
    assert words in refused.value.what
    assert refused.value.where
    assert refused.value.todo


def test_a_site_that_has_the_name_is_offered_by_a_question() -> None:
    case = plan_cases.case("front-door")
    there = ProxySite(program="nginx", name="noc.example.net", port=443, file=OWN, line=1)
    facts = replace(case.facts, proxies={"web1": Proxies(sites=(there,))})
    (asked,) = [each for each in planner.questions(case.stack, facts) if each.setting.name == "site"]
    assert [value for value, _ in asked.choices] == ["", OWN]
    stack = planner.answer(case.stack, asked.setting, OWN)
    assert stack.front_doors[0].site == OWN
    again = {
        each.setting.name: each
        for each in planner.questions(stack, facts)
        if each.setting.section == "front_doors"
    }
    assert [value for value, _ in again["access"].choices] == ["password", "client_cert", "either", "sign_in"]
    assert planner.answer(stack, again["site"].setting, "").front_doors[0].site == ""
    renamed = planner.answer(stack, again["name"].setting, "other.example.net")
    assert renamed.front_doors[0].site == ""
    assert "site" not in {
        each.setting.name
        for each in planner.questions(renamed, facts)
        if each.setting.section == "front_doors"
    }


def test_a_prometheus_on_another_host_keeps_its_target() -> None:
    case = plan_cases.case("front-door")
    spec = HostSpec(name="monitor", connect="ssh", address="192.0.2.12")
    stack = replace(
        case.stack,
        hosts=(*case.stack.hosts, spec),
        components=(*case.stack.components, ComponentSpec(host="monitor", name="prometheus")),
    )
    known = case.facts.hosts["web1"]
    asking = replace(
        known.services[0],
        host="monitor",
        listen="192.0.2.12:9090",
        config_file="/etc/prometheus/prometheus.yml",
    )
    config = "scrape_configs: [{job_name: push, static_configs: [{targets: ['192.0.2.11:9091']}]}]\n"
    other = HostFacts(
        spec=spec,
        names=("192.0.2.12",),
        root=True,
        services=(asking,),
        files={CONFIG: FileState(config.encode())},
    )
    facts = replace(case.facts, hosts={**case.facts.hosts, "monitor": other})
    with pytest.raises(InputError, match="from another host"):
        plan_for(stack, facts)


def test_a_site_that_proxies_to_the_old_path_needs_consent() -> None:
    case = plan_cases.case("front-door")
    route = ProxyRoute(
        host="web1",
        program="nginx",
        file="/etc/nginx/sites-enabled/old",
        line=4,
        upstream="localhost:9090",
        scheme="http",
        text="proxy_pass http://localhost:9090;",
        site="old.example.net",
        port=80,
        tls=False,
        path="/",
    )
    plan = plan_for(case.stack, replace(case.facts, proxies={"web1": Proxies(routes=(route,))}))
    assert [each.key for each in plan.unaccepted] == ["web1/nginx/prometheus"]
    assert "https://noc.example.net/prometheus/" in plan.unaccepted[0].lines[0]


def test_a_hash_that_matches_its_password_stays() -> None:
    case = plan_cases.case("front-door")
    plan = plan_for(case.stack, case.facts)
    after = plan_cases.facts_after_plan(plan, plan.facts)
    state = after.hosts["web1"].files["/etc/nginx/firescreen/noc.example.net.htpasswd"]
    assert state is not None
    assert [line.split(b"$")[2] for line in state.content.splitlines()] == [b"08", b"08"]
    files = {**after.hosts["web1"].files, SITE: None}
    again = plan_for(case.stack, web1(after, files=files))
    assert [change.path for change in again.changes if isinstance(change, WriteFile)] == [SITE]


def test_no_secret_is_printed_or_in_the_site() -> None:
    plan = plan_for((case := plan_cases.case("front-door-names")).stack, case.facts)
    for change in plan.changes:
        for secret in plan.secrets:
            assert secret.reveal() not in change.diff()
            assert not any(secret.reveal() in command for command in change.commands())


# -- the questions -------------------------------------------------------------------------------------------


def without_front_doors() -> tuple[Stack, Facts]:
    case = plan_cases.case("front-door")
    components = tuple(replace(each, protect=("tls", "basic_auth")) for each in case.stack.components)
    return replace(case.stack, front_doors=(), components=components), case.facts


def keys(stack: Stack, facts: Facts) -> dict[str, str]:
    looked = plan_cases.with_requested_files(stack, facts)
    return {each.key: each.default for each in planner.questions(stack, looked)}


def test_a_name_adds_a_front_door_and_an_empty_name_removes_it() -> None:
    stack, facts = without_front_doors()
    name = Setting("front_doors", "name", "web1/nginx")
    assert keys(stack, facts)[str(name)] == ""
    made = planner.answer(stack, name, " NOC.example.net. ")
    asked = keys(made, facts)
    assert asked[str(name)] == "noc.example.net"
    assert asked["front_doors.web1/nginx.access"] == "password"
    assert not any(key.endswith(".protect") for key in asked)
    assert {each.protect for each in made.components} == {()}
    assert made.front_doors[0].routes[0].path == "/prometheus"
    assert plan_for(made, facts).steps
    assert planner.answer(made, name, "other.example.net").front_doors[0].name == "other.example.net"
    assert planner.answer(made, name, "") == stack


@pytest.mark.parametrize(
    ("way", "users", "certificate"), [("client_cert", 0, True), ("either", 1, True), ("password", 1, False)]
)
def test_access_to_a_front_door_is_a_question(way: str, users: int, certificate: bool) -> None:
    stack, facts = without_front_doors()
    made = planner.answer(stack, Setting("front_doors", "name", "web1/nginx"), "noc.example.net")
    made = planner.answer(made, Setting("front_doors", "access", "web1/nginx"), way)
    assert (len(made.front_doors[0].users), made.front_doors[0].client_cert) == (users, certificate)
    assert keys(made, facts)["front_doors.web1/nginx.access"] == way
    renamed = planner.answer(made, Setting("users", "name"), "eve")
    assert renamed.front_doors[0].people == (("eve",) if users else ())
    assert plan_for(renamed, facts).steps


@pytest.mark.parametrize("value", ["two words", "-x", "a..b", "a" * 201, "http://x"])
def test_an_invalid_name_is_refused(value: str) -> None:
    with pytest.raises(InputError):
        planner.answer(without_front_doors()[0], Setting("front_doors", "name", "web1/nginx"), value)
    with pytest.raises(InputError):
        planner.answer(
            without_front_doors()[0], Setting("front_doors", "access", "web1/nginx"), "key under the mat"
        )


def test_impossible_front_doors_get_no_question() -> None:
    stack, facts = without_front_doors()
    for hindered in (
        web1(facts, proxies=()),
        service(facts, "prometheus", web_config="/etc/web.yml"),
        service(facts, "alertmanager", active=False),
    ):
        assert not any(key.startswith("front_doors") for key in keys(stack, hindered))


def other_door(facts: Facts, proxy: str, **changed: object) -> Plan:
    case = plan_cases.case(f"front-door-{proxy}")
    door = replace(case.stack.front_doors[0], **changed)  # type: ignore[arg-type]
    return plan_for(replace(case.stack, front_doors=(door,)), facts)


def test_a_proxy_that_listens_on_one_port_takes_no_other() -> None:
    with pytest.raises(InputError, match="listens on port 443"):
        other_door(plan_cases.case("front-door-apache").facts, "apache", port=8443)


def test_a_module_that_is_not_installed_is_named() -> None:
    facts = plan_cases.case("front-door-apache").facts
    files = {**facts.hosts["web1"].files, "/etc/apache2/mods-available/ssl.load": None}
    with pytest.raises(InputError) as refused:
        other_door(web1(facts, files=files), "apache")
    assert refused.value.where == "web1:/etc/apache2/mods-available/ssl.load"


def test_two_front_doors_of_one_proxy_change_its_files_once() -> None:
    case = plan_cases.case("front-door-caddy")
    first = case.stack.front_doors[0]
    second = replace(first, name="alerts.example.net", routes=(DoorRoute(to="alertmanager"),))
    plan = plan_for(replace(case.stack, front_doors=(first, second)), case.facts)
    paths = [change.path for change in plan.changes]
    assert paths.count("/etc/caddy/Caddyfile") == 1
    assert len(plan.restarts) == 4  # both components, Prometheus for their paths, and Caddy once
    assert len(set(paths)) == len(paths)


def test_newer_caddy_versions_use_other_setting_names() -> None:
    facts = plan_cases.case("front-door-caddy").facts
    newer = web1(
        facts, proxies=tuple(replace(each, version="2.11.4") for each in facts.hosts["web1"].proxies)
    )
    found = {}
    for name, each in (("2.6.2", facts), ("2.11.4", newer)):
        plan = other_door(each, "caddy")
        found[name] = next(change.diff() for change in plan.changes if change.path.endswith(".caddy"))
    assert "basicauth @unknown" in found["2.6.2"]
    assert "trusted_ca_cert_file" in found["2.6.2"]
    assert "basic_auth @unknown" in found["2.11.4"]
    assert "trust_pool file" in found["2.11.4"]


# -- HAProxy, which has only one file -------------------------------------------------------------------------

HAPROXY = "/etc/haproxy/haproxy.cfg"


def haproxy_plan(facts: Facts, **changed: object) -> Plan:
    return other_door(facts, "haproxy", **changed)


def haproxy_text(plan: Plan) -> str:
    written = [change for change in plan.changes if change.path == HAPROXY]
    assert len(written) <= 1
    state = written[0].after if written and isinstance(written[0], WriteFile) else None
    return state.content.decode() if state is not None else ""


def test_other_sections_of_haproxy_keep_every_byte() -> None:
    facts = plan_cases.case("front-door-haproxy").facts
    known = facts.hosts["web1"].files[HAPROXY]
    assert known is not None
    first = haproxy_text(haproxy_plan(facts))
    assert first.startswith(known.content.decode())
    below = "\nlisten stats # mine\n\tbind :8404\n"
    again = haproxy_text(haproxy_plan(text(facts, HAPROXY, first + below), hsts_days=7))
    assert again.startswith(known.content.decode())
    assert again.endswith(f"# End of what Firescreen wrote.\n{below}")
    assert again.count("max-age=604800") == 1
    assert "max-age=86400" not in again


def test_a_missing_newline_at_the_end_is_added() -> None:
    facts = plan_cases.case("front-door-haproxy").facts
    found = haproxy_text(haproxy_plan(text(facts, HAPROXY, "global\n    daemon")))
    assert found.startswith("global\n    daemon\n\n# Written by Firescreen")


@pytest.mark.parametrize("bind", ["*:443", ":80,[::]:443", ":440-450", "192.0.2.11:443"])
def test_a_port_used_by_another_section_is_refused_with_its_line(bind: str) -> None:
    facts = plan_cases.case("front-door-haproxy").facts
    taken = text(
        facts, HAPROXY, f"defaults\n    mode http\nfrontend www\n    bind {bind} ssl crt /etc/x.pem\n"
    )
    with pytest.raises(InputError, match="listens on port 443 already") as refused:
        haproxy_plan(taken)
    assert refused.value.where == f"web1:{HAPROXY}:4"
    assert haproxy_plan(taken, port=8443).steps


def test_the_front_doors_own_port_counts_as_free() -> None:
    facts = plan_cases.case("front-door-haproxy").facts
    first = haproxy_text(haproxy_plan(facts))
    assert haproxy_plan(text(facts, HAPROXY, first), timeout=60).steps


def test_one_port_requires_client_certificates_for_all_sites_or_none() -> None:
    case = plan_cases.case("front-door-haproxy")
    first, second = case.stack.front_doors
    closed = replace(second, machines=(), client_cert=True)
    with pytest.raises(InputError, match=r"push\.example\.net needs client certificates"):
        plan_for(replace(case.stack, front_doors=(first, closed)), case.facts)
    apart = replace(closed, port=8443)
    found = haproxy_text(plan_for(replace(case.stack, front_doors=(first, apart)), case.facts))
    assert "bind :8443 ssl crt /etc/haproxy/firescreen/push.example.net-8443.pem" in found
    assert "verify required" in found
    assert "verify optional" in found


def test_a_users_certificate_and_key_are_combined_in_one_file() -> None:
    case = plan_cases.case("front-door-haproxy")
    made = plan_cases.facts_after_plan(plan := haproxy_plan(case.facts), plan.facts)
    files = made.hosts["web1"].files
    parts = [files[f"/etc/haproxy/firescreen/haproxy-noc.example.net.{end}"] for end in ("crt", "key")]
    bundle = files["/etc/haproxy/firescreen/noc.example.net.pem"]
    assert bundle is not None
    assert bundle.content == b"".join(each.content for each in parts if each is not None)
    assert bundle.mode == 0o600


def test_a_route_of_another_section_to_the_old_path_needs_consent() -> None:
    case = plan_cases.case("front-door-haproxy")
    route = ProxyRoute(
        host="web1",
        program="haproxy",
        file=HAPROXY,
        line=10,
        upstream="127.0.0.1:9090",
        scheme="http",
        text="server one 127.0.0.1:9090",
    )
    plan = plan_for(case.stack, replace(case.facts, proxies={"web1": Proxies(routes=(route,))}))
    assert [each.key for each in plan.unaccepted] == ["web1/haproxy/prometheus"]


# -- settings besides the login --------------------------------------------------------------------------------


def with_door(proxy: str = "nginx") -> tuple[Stack, Facts]:
    stack, facts = without_front_doors()
    if proxy == "haproxy":
        only = tuple(each for each in facts.hosts["web1"].proxies if each.component == "haproxy")
        facts = web1(facts, proxies=only)
    return planner.answer(stack, Setting("front_doors", "name", f"web1/{proxy}"), "noc.example.net"), facts


@pytest.mark.parametrize(
    ("name", "value", "field", "found"),
    [
        ("block_lifecycle", "no", "block", ("admin_api",)),
        ("block_admin_api", "no", "block", ("lifecycle",)),
        ("max_body_size", "64", "max_body_size", 64),
        ("hsts_days", "1", "hsts_days", 1),
        ("headers", "no", "headers", False),
        ("timeout", "600", "timeout", 600),
        ("rate_limit", "20", "rate_limit", 20),
        ("cors", "https://a.example.net, http://b:3000", "cors", ("https://a.example.net", "http://b:3000")),
        ("cors", "", "cors", ()),
    ],
)
@pytest.mark.parametrize("proxy", ["nginx", "haproxy"])
def test_each_setting_has_a_question_that_can_be_answered(
    proxy: str, name: str, value: str, field: str, found: object
) -> None:
    stack, facts = with_door(proxy)
    setting = Setting("front_doors", name, f"web1/{proxy}")
    assert str(setting) in keys(stack, facts)
    made = planner.answer(stack, setting, value)
    assert getattr(made.front_doors[0], field) == found
    assert stack_file.parse(stack_file.dump(made), source="").front_doors == made.front_doors
    assert plan_for(made, facts).steps
    back = planner.answer(made, setting, keys(stack, facts)[str(setting)])
    assert back == stack


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_body_size", "0"),
        ("timeout", "long"),
        ("headers", "maybe"),
        ("rate_limit", "-1"),
        ("cors", "grafana.example.net"),
        ("cors", "https://a/b"),
        ("certificate", "mine"),
    ],
)
def test_invalid_values_of_settings_are_refused(name: str, value: str) -> None:
    with pytest.raises(InputError):
        planner.answer(with_door()[0], Setting("front_doors", name, "web1/nginx"), value)


@pytest.mark.parametrize("proxy", ["apache", "caddy"])
def test_a_rate_limit_is_offered_only_where_the_proxy_supports_it(proxy: str) -> None:
    with pytest.raises(InputError, match="cannot do rate_limit"):
        other_door(plan_cases.case(f"front-door-{proxy}").facts, proxy, rate_limit=5)


@pytest.mark.parametrize("proxy", ["nginx", "haproxy"])
def test_a_lets_encrypt_certificate_is_offered_with_its_renewal_hook(proxy: str) -> None:
    stack, facts = with_door(proxy)
    setting = Setting("front_doors", "certificate", f"web1/{proxy}")
    assert str(setting) not in keys(stack, facts)
    key = issue.new_key("ec-p256")
    own = issue.self_signed(key_pem=key, names=("noc.example.net",), days=60, common_name="noc.example.net")
    live = "/etc/letsencrypt/live/noc.example.net"
    for path, content in {
        f"{live}/fullchain.pem": own,
        f"{live}/privkey.pem": key,
        "/etc/ssl/certs/ca-certificates.crt": own,
    }.items():
        facts = text(facts, path, content.decode())
    assert keys(stack, facts)[str(setting)] == ""
    made = planner.answer(stack, setting, "letsencrypt")
    assert keys(made, facts)[str(setting)] == "letsencrypt"
    written = {
        change.path: change.after
        for change in plan_for(made, facts).changes
        if isinstance(change, WriteFile) and change.after is not None
    }
    hook = written["/etc/letsencrypt/renewal-hooks/deploy/firescreen-noc.example.net"]
    assert hook.mode == 0o755
    assert hook.content.endswith(f"systemctl reload {proxy}\n".encode())
    bundle = "/etc/haproxy/firescreen/noc.example.net.pem"
    assert (bundle in written, bundle.encode() in hook.content) == (proxy == "haproxy",) * 2
    assert not any(path.endswith((".crt", ".key")) and path.startswith(f"/etc/{proxy}") for path in written)
    assert planner.answer(made, setting, "") == stack


@pytest.mark.parametrize("version", ["3.0.11", "3.2.26"])
def test_newer_haproxy_reads_certificate_and_key_from_two_files(version: str) -> None:
    facts = plan_cases.case("front-door-haproxy").facts
    newer = web1(facts, proxies=tuple(replace(each, version=version) for each in facts.hosts["web1"].proxies))
    plan = haproxy_plan(newer)
    found = haproxy_text(plan)
    home = "/etc/haproxy/firescreen/haproxy-noc.example.net"
    assert f"    load crt {home}.crt key {home}.key alias firescreen-noc.example.net\n" in found
    assert "bind :443 ssl crt @firescreen/firescreen-noc.example.net ssl-min-ver" in found
    assert not any(change.path.endswith(".pem") for change in plan.changes)


def test_a_renewed_certificate_is_written_to_the_combined_file_too() -> None:
    case = plan_cases.case("front-door-haproxy")
    first = plan_for(case.stack, case.facts)
    after = plan_cases.facts_after_plan(first, first.facts)
    door = case.stack.front_doors[0]
    again = planner.plan(
        case.stack,
        plan_cases.with_requested_files(case.stack, after),
        Answers(renew=frozenset({door.certificate})),
    )
    paths = {change.path for change in again.changes if isinstance(change, WriteFile)}
    assert "/etc/haproxy/firescreen/noc.example.net.pem" in paths
    assert "/etc/haproxy/firescreen/push.example.net.pem" not in paths
    assert [step.kind for step in again.steps][-1] == "open-door"


def test_probes_of_a_blackbox_exporter_go_through_its_front_door() -> None:
    case = plan_cases.case("front-door")
    node = replace(
        case.facts.hosts["web1"].services[0],
        component="node_exporter",
        unit="prometheus-node-exporter",
        listen="192.0.2.11:9100",
        version="1.9.0",
        config_file="",
    )
    facts = web1(case.facts, services=(*case.facts.hosts["web1"].services, node))
    facts = with_edited_file(facts, CONFIG, "'http://example.net'", "'http://192.0.2.11:9100/'")
    components = (*case.stack.components, ComponentSpec(host="web1", name="node_exporter", protect=("tls",)))
    plan = plan_for(replace(case.stack, components=components), facts)
    (asked,) = [each for each in plan.probes if "/probed@" in each.id]
    assert asked.url.startswith("https://noc.example.net/blackbox/probe?module=")
    assert "target=https%3A%2F%2F192.0.2.11%3A9100" in asked.url
    assert asked.user == "admin"


def test_servers_and_front_doors_share_the_certificates_of_the_probes() -> None:
    """Both require client certificates: each file is made only once."""
    case = plan_cases.case("front-door-other-host")
    door = replace(case.stack.front_doors[0], client_cert=True)
    plan = plan_for(replace(case.stack, front_doors=(door,)), case.facts)
    made = [
        (each.host, each.path) for each in plan.changes if isinstance(each, WriteFile) and each.before is None
    ]
    assert len(made) == len(set(made))
    assert any(path.endswith("clients/firescreen.key") for _, path in made)
