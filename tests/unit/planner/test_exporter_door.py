"""exporter_exporter as the only open port of a host: refusals, settings that are kept, and its question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.errors import FirescreenError
from wizard.model import (
    EXPORTERS,
    Answers,
    Facts,
    FileState,
    FlagPlace,
    Plan,
    PrometheusHealth,
    Proxies,
    ProxyProgram,
    ProxyRoute,
    Stack,
    TargetHealth,
    WriteFile,
)

CASE = plan_cases.case("exporter-door")
PROMETHEUS = "/etc/prometheus/prometheus.yml"
MODULES = "/etc/prometheus/exporter-exporter.yml"


def plan_for(stack: Stack = CASE.stack, facts: Facts = CASE.facts) -> Plan:
    return planner.plan(stack, plan_cases.with_requested_files(stack, facts), Answers())


def with_host(name: str, facts: Facts = CASE.facts, **changed: Any) -> Facts:
    return replace(facts, hosts={**facts.hosts, name: replace(facts.hosts[name], **changed)})


def with_file(host: str, path: str, text: str) -> Facts:
    known = CASE.facts.hosts[host]
    return with_host(host, files={**known.files, path: FileState(text.encode(), 0o644, "root", "root")})


def with_proxy(**changed: Any) -> Facts:
    (service,) = CASE.facts.hosts["web1"].proxies
    return with_host("web1", proxies=(replace(service, **changed),))


def with_exporter(**changed: Any) -> Facts:
    services = CASE.facts.hosts["web1"].services
    return with_host(
        "web1",
        services=tuple(
            replace(each, **changed) if each.component == "node_exporter" else each for each in services
        ),
    )


def jobs(text: str) -> Facts:
    return with_file("mon1", PROMETHEUS, f"scrape_configs:\n{text}")


def content_after(plan: Plan, path: str) -> str:
    """Returns the content of a file after the plan; '' if the plan does not write the file."""
    found = [
        each.after
        for each in plan.changes
        if isinstance(each, WriteFile) and each.path == path and each.after
    ]
    return found[-1].content.decode() if found else ""


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        (lambda: with_host("web1", proxies=()), "is not there"),
        (lambda: with_proxy(active=False), "is not there"),
        (lambda: with_host("web1", root=False, user="ada"), "is set up as root"),
        (lambda: with_proxy(flags=FlagPlace("manual")), "cannot be set"),
        (lambda: with_proxy(arguments=("-web.bearer.token=x",)), "asks for a token"),
        (lambda: with_proxy(arguments=("-web.bearer.token-file", "/t")), "asks for a token"),
        (lambda: with_proxy(arguments=("-web.proxy-path=/p",)), "serves its modules at /p"),
        (lambda: with_proxy(listen="192.0.2.11:9998", sockets=("*:9998",)), "listens on port 9998"),
        (lambda: with_exporter(web_config="/etc/web.yml"), "by plain http"),
        (lambda: with_exporter(flags=FlagPlace("manual")), "cannot be put behind"),
        (
            lambda: jobs(
                "  - job_name: n\n    static_configs: [{targets: ['web1:9100']}]\n"
                "    dns_sd_configs: [{names: [_node._tcp.example.net]}]\n"
            ),
            "a discovery that cannot be followed",
        ),
        (
            lambda: jobs(
                "  - job_name: b\n    metrics_path: /probe\n"
                "    static_configs: [{targets: ['https://example.net']}]\n    relabel_configs:\n"
                "      - {source_labels: [__address__], target_label: __param_target}\n"
                "      - {target_label: __param_module, replacement: tcp}\n"
                "      - {target_label: __address__, replacement: 'web1:9115'}\n"
            ),
            "chooses the module tcp by a label",
        ),
        (
            lambda: with_file(
                "mon1", "/etc/prometheus/node.json", '[{"targets": ["web1:9100", "web2:9100"]}]'
            ),
            "together with others that are asked otherwise",
        ),
        (
            lambda: jobs(
                "  - job_name: p\n    static_configs: [{targets: ['localhost:9090']}]\n"
                "alerting: {alertmanagers: [{static_configs: [{targets: ['web1:9100']}]}]}\n"
            ),
            "serves metrics alone",
        ),
    ],
)
def test_an_impossible_setup_is_refused_before_anything_is_written(
    facts: Callable[[], Facts], what: str
) -> None:
    with pytest.raises(FirescreenError) as refused:
        plan_for(facts=facts())
    assert what in refused.value.what
    assert refused.value.where and refused.value.todo


def test_a_missing_configuration_is_refused() -> None:
    files = {path: state for path, state in CASE.facts.hosts["web1"].files.items() if path != MODULES}
    with pytest.raises(FirescreenError, match="not there"):
        plan_for(facts=with_host("web1", files=files))


def test_targets_on_loopback_of_the_prometheus_host_stay() -> None:
    """The exporter still listens on loopback: only other hosts use the one port."""
    known = CASE.facts.hosts["mon1"]
    services = CASE.facts.hosts["web1"].services
    facts = with_host("web1", services=(*services, replace(known.services[0], host="web1")))
    hosts = {name: each for name, each in facts.hosts.items() if name != "mon1"}
    text = (
        "scrape_configs:\n  - job_name: near\n    static_configs: [{targets: ['localhost:9100']}]\n"
        "  - job_name: far\n    static_configs: [{targets: ['web1:9115']}]\n"
    )
    files = {**facts.hosts["web1"].files, PROMETHEUS: FileState(text.encode(), 0o644, "root", "root")}
    hosts["web1"] = replace(hosts["web1"], files=files)
    stack = replace(
        CASE.stack,
        hosts=tuple(each for each in CASE.stack.hosts if each.name != "mon1"),
        components=tuple(
            replace(each, host="web1") if each.host == "mon1" else each for each in CASE.stack.components
        ),
    )
    written = content_after(plan_for(stack, replace(facts, hosts=hosts)), PROMETHEUS)
    near, far = written.split("  - job_name: far")
    assert "proxy" not in near and "https" not in near
    assert "metrics_path: /proxy" in far and "scheme: https" in far


def test_existing_modules_are_used_and_names_are_unique() -> None:
    text = (
        "modules:\n  blackbox_exporter: {method: exec, exec: {command: /bin/true}}\n"
        "  box: {method: http, http: {address: 127.0.0.1, port: 9115}}\n"
        "  node_exporter: {method: http, http: {port: 9100, path: other}}\n"
        "  far: {method: http, http: {address: 192.0.2.9, port: 9100}}\n"
    )
    plan = plan_for(facts=with_file("web1", MODULES, text))
    assert content_after(plan, MODULES).startswith(f"{text}  node_exporter-2:")
    assert "module: [box]" in content_after(plan, PROMETHEUS)
    assert "module: [node_exporter-2]" in content_after(plan, PROMETHEUS)


def test_another_metrics_path_gets_its_own_module() -> None:
    facts = jobs(
        "  - job_name: a\n    static_configs: [{targets: ['web1:9100']}]\n"
        "  - job_name: b\n    metrics_path: /other\n    static_configs: [{targets: ['web1:9100']}]\n"
    )
    plan = plan_for(facts=facts)
    assert "path: /other" in content_after(plan, MODULES)
    assert "module: [node_exporter]" in content_after(plan, PROMETHEUS)


def test_blackbox_probe_jobs_go_through_the_one_port_too() -> None:
    plan = plan_for(
        facts=jobs(
            "  - job_name: b\n    metrics_path: /probe\n    params: {module: [http_2xx]}\n"
            "    static_configs: [{targets: ['https://example.net']}]\n    relabel_configs:\n"
            "      - {source_labels: [__address__], target_label: __param_target}\n"
            "      - {source_labels: [__param_target], target_label: instance}\n"
            "      - {target_label: __address__, replacement: 'web1:9115'}\n"
        )
    )
    written = content_after(plan, PROMETHEUS)
    # Debian's module blackbox has `path: probe` without a slash: no exporter answers that path.
    assert (
        "params: {module: [blackbox_exporter-2, http_2xx]}" in written and "metrics_path: /proxy" in written
    )
    assert "path: /probe" in content_after(plan, MODULES)
    (up,) = (each for each in plan.probes if each.id == "web1/exporter_exporter/up@mon1/b")
    assert (up.instance, up.instance_label) == ("web1:9999", "https://example.net")


def test_existing_flags_and_tls_settings_are_kept() -> None:
    facts = with_proxy(
        arguments=("-allow.net", "192.0.2.0/24", "-web.tls.listen-address=:9999", "-web.tls.verify")
    )
    wrong = "ARGS='-allow.net 192.0.2.0/24 -web.tls.listen-address=:9999 -web.tls.verify'\n"
    known = facts.hosts["web1"]
    path = "/etc/default/prometheus-exporter-exporter"
    facts = with_host(
        "web1", facts, files={**known.files, path: FileState(wrong.encode(), 0o644, "root", "root")}
    )
    written = content_after(plan_for(facts=facts), path)
    assert written.startswith("ARGS='-allow.net 192.0.2.0/24 -web.tls.listen-address=:9999 -web.tls.verify ")
    assert " --web.listen-address=" in written


def test_clients_that_bypass_the_one_port_are_reported_first() -> None:
    """Reported are a site of another host and a job with service discovery; not clients on loopback and its own modules."""

    def route(host: str, program: ProxyProgram, upstream: str) -> ProxyRoute:
        return ProxyRoute(
            host=host, program=program, file="/etc/x", line=3, upstream=upstream, scheme="http", text=""
        )

    health = PrometheusHealth(
        host="mon1",
        component="prometheus",
        targets=tuple(
            TargetHealth(pool=pool, labels={}, address=at, url=f"http://{at}/metrics", health="up")
            for pool, at in (("found", "web1:9115"), ("node", "web1:9100"))
        ),
    )
    facts = replace(
        CASE.facts,
        proxies={
            "web1": Proxies(
                routes=(
                    route("web1", "nginx", "127.0.0.1:9100"),
                    route("web1", EXPORTERS, "localhost:9100"),
                )
            ),
            "web2": Proxies(routes=(route("web2", "nginx", "web1:9100"),)),
        },
        health={"mon1/prometheus": health},
    )
    plan = plan_for(facts=facts)
    assert {each.key for each in plan.broken_clients} == {
        "web2/nginx/web1/node_exporter",
        "mon1/job:found/web1/blackbox_exporter",
    }
    assert plan.unaccepted == plan.broken_clients
    assert [each.id for each in plan.warnings].count("client-breaks") == 2


def test_an_unreachable_host_is_left_out() -> None:
    hosts = {name: each for name, each in CASE.facts.hosts.items() if name != "web1"}
    plan = plan_for(facts=replace(CASE.facts, hosts=hosts, away={"web1": "no route"}))
    assert not any(step.host == "web1" for step in plan.steps)
    assert "proxy" not in content_after(plan, PROMETHEUS)


def exporters_question(stack: Stack, facts: Facts = CASE.facts) -> Any:
    looked = plan_cases.with_requested_files(stack, facts)
    return next(
        (each for each in planner.questions(stack, looked) if each.setting.of == f"web1/{EXPORTERS}"), None
    )


def without_front_doors() -> Stack:
    return replace(
        CASE.stack,
        front_doors=(),
        components=tuple(replace(each, protect=("tls", "basic_auth")) for each in CASE.stack.components),
    )


def test_one_question_puts_the_exporters_behind_the_one_port_and_takes_them_out() -> None:
    stack = without_front_doors()
    question = exporters_question(stack)
    assert "blackbox_exporter" in question.why and "9999" in question.why and question.default == ""
    behind = planner.answer(stack, question.setting, "yes")
    (door,) = behind.front_doors
    assert (door.proxy, door.port, door.client_cert) == (EXPORTERS, 9999, True)
    assert {route.to for route in door.routes} == {"node_exporter", "blackbox_exporter"}
    assert {each.key: each.protect for each in behind.components} == {
        "mon1/prometheus": ("tls", "basic_auth"),
        "web1/node_exporter": (),
        "web1/blackbox_exporter": (),
        "web2/node_exporter": ("tls", "basic_auth"),
    }
    again = exporters_question(behind)
    assert (again.setting, again.default) == (question.setting, "yes")
    assert planner.answer(behind, question.setting, "yes") == behind
    assert planner.answer(behind, question.setting, "") == stack
    with pytest.raises(FirescreenError):
        planner.answer(behind, question.setting, "perhaps")
    # Exporters behind it get no question about their level, and no front door of another proxy is offered.
    keys = [
        each.key for each in planner.questions(behind, plan_cases.with_requested_files(behind, CASE.facts))
    ]
    assert not any("web1/node_exporter" in key or "web1/blackbox" in key for key in keys)
    assert not any(key.startswith("front_doors") and key.endswith(".name") for key in keys)


def test_the_one_port_is_offered_only_where_possible() -> None:
    stack = without_front_doors()
    assert (
        exporters_question(replace(stack, certificates=replace(stack.certificates, issued_by="self-signed")))
        is None
    )
    assert exporters_question(stack, with_proxy(active=False)) is None
    assert exporters_question(stack, with_exporter(flags=FlagPlace("manual"))) is None


def test_a_second_front_door_on_the_host_keeps_its_answers() -> None:
    """The host runs nginx, too: the questions about nginx change only nginx' front door."""
    site = plan_cases.case("front-door")
    host, door = site.facts.hosts["web1"], CASE.stack.front_doors[0]
    (service,) = CASE.facts.hosts["web1"].proxies
    facts = replace(
        site.facts, hosts={**site.facts.hosts, "web1": replace(host, proxies=(*host.proxies, service))}
    )
    stack = replace(site.stack, front_doors=(*site.stack.front_doors, replace(door, routes=door.routes[1:])))
    stack = replace(
        stack,
        front_doors=tuple(
            replace(each, routes=tuple(route for route in each.routes if route.to != "blackbox_exporter"))
            if not each.serves_exporters
            else each
            for each in stack.front_doors
        ),
    )
    found = planner.questions(stack, plan_cases.with_requested_files(stack, facts))
    access = next(each for each in found if each.setting.name == "access")
    changed = planner.answer(stack, access.setting, "client_cert")
    assert [each.client_cert for each in changed.front_doors] == [True, True]
    assert changed.front_doors[1] == stack.front_doors[1]
    assert changed.components == stack.components
