"""Grafana behind a front door: its settings, data sources and scrape jobs; refusals and remarks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.config_files import grafana_ini
from wizard.errors import FirescreenError, InputError
from wizard.inventory import stack_file
from wizard.model import (
    GRAFANA,
    Answers,
    DoorRoute,
    Facts,
    FileState,
    GrafanaOverride,
    GrafanaServer,
    HostFacts,
    HostSpec,
    Plan,
    Question,
    RunService,
    Service,
    Setting,
    Stack,
    WriteFile,
)

INI = "/etc/grafana/grafana.ini"
SOURCES = "/etc/grafana/provisioning/datasources/ours.yaml"
URL = "https://noc.example.net/grafana"
PLAIN = "# ours\n[server]\n;http_addr =\n;http_port = 3000\n"
DATA = """\
apiVersion: 1
datasources:
  - name: Metrics   # ours
    type: prometheus
    url: http://localhost:9090
  - name: Alerts
    type: alertmanager
    url: "http://192.0.2.11:9093/"
  - {name: Browser, type: prometheus, access: direct, url: 'http://localhost:9090'}
  - {name: Elsewhere, type: prometheus, url: 'http://example.org:9090'}
"""


def site(
    proxy: str = "nginx", ini: str = PLAIN, overrides: tuple[GrafanaOverride, ...] = (), *, login: str = ""
) -> tuple[Stack, Facts]:
    """The stack of the other front door tests, with Grafana on its host."""
    case = plan_cases.case("front-door")
    (door,) = case.stack.front_doors
    route = DoorRoute(to=GRAFANA, path="/grafana", login=login)  # type: ignore[arg-type]
    door = replace(door, proxy=proxy, routes=(*door.routes, route))  # type: ignore[arg-type]
    host = case.facts.hosts["web1"]
    found = GrafanaServer(
        service=Service(
            host="web1",
            component=GRAFANA,
            manager="systemd",
            unit="grafana-server",
            active=True,
            config_file=INI,
        ),
        overrides=overrides,
    )
    files = {
        **host.files,
        INI: FileState(ini.encode(), 0o640, "root", "grafana"),
        SOURCES: FileState(DATA.encode(), 0o640, "root", "grafana"),
    }
    facts = replace(
        case.facts,
        hosts={**case.facts.hosts, "web1": replace(host, files=files, grafana_server=found)},
    )
    accepted = ("web1/grafana/prometheus",)
    return replace(case.stack, front_doors=(door,), accept_broken=accepted), facts


def plan_for(stack: Stack, facts: Facts) -> Plan:
    return planner.plan(stack, plan_cases.with_requested_files(stack, facts), Answers())


def written_content(plan: Plan, path: str) -> str:
    (found,) = (
        change
        for step in plan.steps
        for change in step.changes
        if isinstance(change, WriteFile) and change.path == path
    )
    assert found.after is not None
    return found.after.content.decode()


def test_grafanas_settings_and_data_sources_follow_the_front_door() -> None:
    stack, facts = site()
    assert stack_file.parse(stack_file.dump(stack), source="").front_doors == stack.front_doors
    plan = plan_for(stack, facts)
    settings = grafana_ini.settings(written_content(plan, INI).encode())
    assert settings == {
        ("server", "root_url"): f"{URL}/",
        ("server", "serve_from_sub_path"): "true",
        ("server", "http_addr"): "127.0.0.1",
    }
    sources = written_content(plan, SOURCES)
    assert (
        "- name: Metrics   # ours\n    type: prometheus\n    url: http://localhost:9090/prometheus\n"
        in sources
    )
    assert 'url: "http://localhost:9093/alertmanager"' in sources
    assert "{name: Browser, type: prometheus, access: direct, url: 'http://localhost:9090'}" in sources
    assert [(each.key, each.lines) for each in plan.broken_clients] == [
        ("web1/grafana/prometheus", ("url: http://localhost:9090/prometheus",))
    ]
    runs = [
        c
        for s in plan.steps
        for c in s.changes
        if isinstance(c, RunService) and c.service.unit == "grafana-server"
    ]
    assert len(runs) == 1
    assert not [each for each in plan.warnings if each.id == "grafana-restart"]
    probes = {
        each.client: (each.url, each.expect, each.user) for each in plan.probes if each.component == GRAFANA
    }
    assert probes["API"] == (f"{URL}/api/health", "200", "")
    assert probes["no login"] == (f"{URL}/api/org", "401", "")
    assert probes["beside, 192.0.2.11"][:2] == ("http://192.0.2.11:3000/", "closed")
    assert f"Grafana is at {URL}/ for those who log in at Grafana." in plan.hints
    known = {each.id for each in plan.probes}
    mine = [each for each in plan.arrows if GRAFANA in (each.server, each.how.removeprefix("front door of "))]
    assert [(each.client, each.server, each.user, each.encrypted, each.local) for each in mine] == [
        ("people and programs", "nginx", "", True, False),
        ("nginx", GRAFANA, "", False, True),
    ]
    assert {each.probe for each in mine} <= known


def test_nothing_remains_of_an_applied_plan() -> None:
    stack, facts = site()
    done = plan_cases.facts_after_plan(plan_for(stack, facts), facts)
    assert plan_for(stack, done).steps == ()


@pytest.mark.parametrize("proxy", ["nginx", "apache", "caddy", "haproxy"])
def test_the_front_door_requires_no_login_for_grafana_and_passes_websockets(proxy: str) -> None:
    own, before = (plan_for(*site(proxy, login=login)) for login in ("own", "door"))
    texts = [
        next(
            change.after.content.decode()
            for step in plan.steps
            for change in step.changes
            if isinstance(change, WriteFile) and change.content_kind == "proxy-config" and change.after
        )
        for plan in (own, before)
    ]
    assert texts[0] != texts[1]
    asked = {
        "nginx": "        auth_basic off;",
        "apache": "        Require all granted",
        "caddy": "\t\t\theader_up -Authorization",
        "haproxy": "!{ path_beg /grafana/ }",
    }[proxy]
    assert texts[0].count(asked) != texts[1].count(asked)
    upgrade = {"nginx": "Upgrade $http_upgrade", "apache": "upgrade=websocket timeout=3600"}.get(proxy, "")
    assert all(upgrade in text for text in texts)
    probes = {
        each.client: (each.url, each.expect, each.user) for each in before.probes if each.component == GRAFANA
    }
    assert probes["API"] == (f"{URL}/api/health", "200", "admin")
    assert probes["no login"] == (f"{URL}/api/health", "401", "")


def override(key: str, value: str, section: str = "server") -> GrafanaOverride:
    name = f"GF_{section.upper().replace('.', '_')}_{key.upper()}"
    return GrafanaOverride(section=section, key=key, value=value, said_by=f"{name}={value}")


def test_settings_from_the_environment_are_not_written_again() -> None:
    plan = plan_for(*site(overrides=(override("root_url", f"{URL}/"), override("http_port", "3001"))))
    settings = grafana_ini.settings(written_content(plan, INI).encode())
    assert set(settings) == {("server", "serve_from_sub_path"), ("server", "http_addr")}
    assert any(each.url == "http://192.0.2.11:3001/" for each in plan.probes)


REFUSED = {
    "another address in its environment": (
        PLAIN,
        (override("root_url", "https://other.example.net/"),),
        "started with GF_SERVER_ROOT_URL=https://other.example.net/, which wins",
    ),
    "it serves TLS itself": ("[server]\nprotocol = https\n", (), "has protocol = https"),
    "its port is a variable": ("[server]\nhttp_port = $__env{PORT}\n", (), "which only Grafana knows"),
    "no configuration": ("", (), "is not there, or is empty"),
    "several lines": ('[server]\nroot_url = """x\n', (), "goes on in the next line"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_impossible_setup_is_refused(name: str) -> None:
    ini, overrides, reason = REFUSED[name]
    with pytest.raises(FirescreenError, match=reason):
        plan_for(*site(ini=ini, overrides=overrides))


def test_a_host_without_grafana_is_refused() -> None:
    stack, facts = site()
    facts = replace(facts, hosts={**facts.hosts, "web1": replace(facts.hosts["web1"], grafana_server=None)})
    with pytest.raises(InputError, match="no Grafana on web1"):
        plan_for(stack, facts)


def test_anonymous_dashboards_are_warned_about() -> None:
    anonymous = f"{PLAIN}[auth.anonymous]\nenabled = true\n"
    plan = plan_for(*site(ini=anonymous))
    assert [each.id for each in plan.warnings if each.component == GRAFANA] == ["grafana-anonymous"]
    assert not [each for each in plan.probes if each.component == GRAFANA and each.client == "no login"]


def test_enforce_domain_uses_the_new_name() -> None:
    plan = plan_for(*site(ini="[server]\nenforce_domain = true\ndomain = old.example.net\n"))
    assert grafana_ini.settings(written_content(plan, INI).encode())["server", "domain"] == "noc.example.net"


def test_a_job_that_scrapes_grafana_follows_the_front_door() -> None:
    stack, facts = site()
    config = "/etc/prometheus/prometheus.yml"
    host = facts.hosts["web1"]
    state = host.files[config]
    assert state is not None
    more = b"  - job_name: grafana\n    static_configs: [{targets: ['localhost:3000']}]\n"
    files = {**host.files, config: replace(state, content=state.content + more)}
    plan = plan_for(stack, replace(facts, hosts={**facts.hosts, "web1": replace(host, files=files)}))
    assert "targets: ['localhost:3000']}]\n    metrics_path: /grafana/metrics\n" in written_content(
        plan, config
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"routes": (DoorRoute(to="pushgateway", login="own"),)}, "no login of its own"),
        (
            {"routes": (DoorRoute(to=GRAFANA, path="/f"), DoorRoute(to=GRAFANA, path="/g"))},
            "behind two front doors",
        ),
        ({"people": (), "machines": (), "client_cert": True}, "log in at Grafana itself"),
        (
            {"routes": (DoorRoute(to="pushgateway", path="/push"), DoorRoute(to=GRAFANA))},
            "/push below that is for",
        ),
    ],
)
def test_a_contradictory_stack_file_is_refused(changed: dict[str, object], reason: str) -> None:
    stack, _ = site()
    (door,) = stack.front_doors
    text = stack_file.dump(replace(stack, front_doors=(replace(door, **changed),)))  # type: ignore[arg-type]
    with pytest.raises(FirescreenError, match=reason):
        stack_file.parse(text, source="")


@pytest.mark.parametrize("certificate", [False, True])
def test_the_plan_says_how_a_grafana_on_another_host_can_connect(certificate: bool) -> None:
    stack, facts = site()
    (door,) = stack.front_doors
    if certificate:
        door = replace(door, people=(), machines=(), client_cert=True)
    door = replace(door, routes=door.component_routes)
    spec = HostSpec(name="eyes", connect="ssh", address="192.0.2.12", user="root")
    text = "datasources:\n  - {name: Far, type: prometheus, url: 'http://192.0.2.11:9090'}\n"
    eyes = HostFacts(
        spec=spec, names=("eyes", "192.0.2.12"), root=True, files={SOURCES: FileState(text.encode())}
    )
    stack = replace(
        stack,
        hosts=(*stack.hosts, spec),
        front_doors=(door,),
        accept_broken=("eyes/grafana/web1/prometheus", "web1/grafana/prometheus"),
    )
    plan = plan_for(stack, replace(facts, hosts={**facts.hosts, "eyes": eyes}))
    lines = next(each.lines for each in plan.broken_clients if each.host == "eyes")
    assert lines[0] == "url: https://noc.example.net/prometheus"
    if certificate:
        assert lines[1:] == (
            "jsonData: {tlsAuth: true, tlsAuthWithCACert: true}",
            "secureJsonData: {tlsClientCert: …, tlsClientKey: …, tlsCACert: …}",
        )
    else:
        assert lines[1:] == (
            "basicAuth: true",
            "basicAuthUser: script",
            "jsonData: {tlsAuthWithCACert: true}",
            "secureJsonData: {basicAuthPassword: …, tlsCACert: …}",
        )


def without_door(facts: Facts) -> Stack:
    case = plan_cases.case("front-door")
    components = tuple(replace(each, protect=("tls", "basic_auth")) for each in case.stack.components)
    return replace(case.stack, front_doors=(), components=components)


def asked(stack: Stack, facts: Facts, name: str) -> Question | None:
    found = planner.questions(stack, plan_cases.with_requested_files(stack, facts))
    return next(
        (each for each in found if (each.setting.section, each.setting.name) == ("front_doors", name)), None
    )


def test_grafana_is_offered_by_a_question_on_its_host() -> None:
    facts = site()[1]
    stack = planner.answer(
        without_door(facts), Setting("front_doors", "name", "web1/nginx"), "noc.example.net"
    )
    question = asked(stack, facts, "grafana")
    assert question is not None
    assert question.default == ""
    for value, login in (("own", ""), ("door", "door")):
        made = planner.answer(stack, question.setting, value)
        assert made.front_doors[0].routes[-1] == DoorRoute(to=GRAFANA, path="/grafana", login=login)  # type: ignore[arg-type]
        again = asked(made, facts, "grafana")
        assert again is not None
        assert again.default == value
        assert planner.answer(made, question.setting, "") == stack
        assert stack_file.parse(stack_file.dump(made), source="").front_doors == made.front_doors
    with pytest.raises(InputError):
        planner.answer(stack, question.setting, "perhaps")
    assert asked(stack, plan_cases.case("front-door").facts, "grafana") is None


def test_one_of_several_proxies_is_chosen() -> None:
    facts = plan_cases.case("front-door").facts
    stack = planner.answer(
        without_door(facts), Setting("front_doors", "name", "web1/nginx"), "noc.example.net"
    )
    question = asked(stack, facts, "proxy")
    assert question is not None
    assert question.default == "nginx"
    assert [value for value, _ in question.choices] == ["nginx", "apache", "caddy", "haproxy"]
    stack = planner.answer(stack, Setting("front_doors", "rate_limit", "web1/nginx"), "5")
    stack = planner.answer(stack, Setting("front_doors", "access", "web1/nginx"), "sign_in")
    (apache,) = planner.answer(stack, question.setting, "apache").front_doors
    assert (apache.proxy, apache.port, apache.rate_limit) == ("apache", 443, 0)
    assert apache.sign_in is not None
    moved = planner.answer(stack, question.setting, "haproxy")
    (haproxy,) = moved.front_doors
    assert (haproxy.proxy, haproxy.rate_limit, haproxy.sign_in) == ("haproxy", 5, apache.sign_in)
    again = asked(moved, facts, "proxy")
    assert again is not None
    assert (again.default, str(again.setting)) == ("haproxy", "front_doors.web1/nginx.proxy")
    assert planner.answer(moved, again.setting, "haproxy") == moved
    with pytest.raises(InputError):
        planner.answer(stack, question.setting, "varnish")
    only = tuple(each for each in facts.hosts["web1"].proxies if each.component == "nginx")
    alone = replace(facts, hosts={**facts.hosts, "web1": replace(facts.hosts["web1"], proxies=only)})
    assert asked(stack, alone, "proxy") is None


@pytest.mark.parametrize("proxy", ["apache", "caddy", "haproxy"])
def test_routes_of_longer_paths_come_first(proxy: str) -> None:
    stack, facts = site(proxy)
    (door,) = stack.front_doors
    routes = (DoorRoute(to="prometheus"), DoorRoute(to=GRAFANA, path="/grafana"))
    components = tuple(each for each in stack.components if each.name == "prometheus")
    stack = replace(stack, components=components, front_doors=(replace(door, routes=routes),))
    text = next(
        change.after.content.decode()
        for step in plan_for(stack, facts).steps
        for change in step.changes
        if isinstance(change, WriteFile) and change.content_kind == "proxy-config" and change.after
    )
    first, second = {
        "apache": ('ProxyPass "/grafana/"', 'ProxyPass "/"'),
        "caddy": ("reverse_proxy /grafana/*", "reverse_proxy /*"),
        "haproxy": ("path_beg /grafana/\n    use_backend", "path_beg /\n    use_backend"),
    }[proxy]
    assert -1 < text.index(first) < text.index(second)


def test_cors_can_be_combined_with_sign_in_and_an_existing_site() -> None:
    origin = "https://grafana.example.net"
    for name in ("front-door-sign-in", "front-door-sign-in-caddy", "front-door-own-site"):
        case = plan_cases.case(name)
        doors = tuple(replace(each, cors=(origin,)) for each in case.stack.front_doors)
        plan = plan_for(replace(case.stack, front_doors=doors), case.facts)
        texts = [
            change.after.content.decode()
            for step in plan.steps
            for change in step.changes
            if isinstance(change, WriteFile) and change.content_kind == "proxy-config" and change.after
        ]
        assert any("Access-Control-Allow-Origin" in text and "grafana" in text for text in texts), name


def test_settings_that_an_existing_site_cannot_have_are_refused() -> None:
    case = plan_cases.case("front-door-own-site")
    (door,) = case.stack.front_doors
    host = case.facts.hosts["web1"]
    state = host.files[door.site]
    assert state is not None
    content = state.content.replace(b"server_name", b"add_header X-Site noc;\n server_name", 1)
    files = {**host.files, door.site: replace(state, content=content)}
    facts = replace(case.facts, hosts={**case.facts.hosts, "web1": replace(host, files=files)})
    changed = replace(door, cors=("https://grafana.example.net",))
    with pytest.raises(InputError, match="add_header"):
        plan_for(replace(case.stack, front_doors=(changed,)), facts)


def test_a_front_door_for_grafana_alone_needs_no_users() -> None:
    stack, facts = site()
    (door,) = stack.front_doors
    alone = replace(
        stack, front_doors=(replace(door, routes=(DoorRoute(to=GRAFANA),), people=(), machines=()),)
    )
    stack = stack_file.parse(stack_file.dump(alone), source="")
    plan = plan_for(stack, facts)
    assert (
        grafana_ini.settings(written_content(plan, INI).encode())["server", "root_url"]
        == "https://noc.example.net/"
    )
    assert "auth_basic_user_file" not in written_content(
        plan, "/etc/nginx/conf.d/firescreen-noc.example.net.conf"
    )
