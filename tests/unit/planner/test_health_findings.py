"""A plan's findings about the state before it, and about clients that it will break."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.model import (
    Facts,
    Plan,
    PrometheusHealth,
    Proxies,
    ProxyRoute,
    TargetHealth,
)
from wizard.planner import broken_clients, health_findings


def target(**changed: object) -> TargetHealth:
    fields: dict[str, object] = {
        "pool": "node",
        "labels": {"instance": "srv1:9100", "job": "node"},
        "address": "srv1:9100",
        "url": "http://srv1:9100/metrics",
        "health": "up",
    }
    return TargetHealth(**{**fields, **changed})  # type: ignore[arg-type]


def plan_with(*targets: TargetHealth, **changed: object) -> Plan:
    case = plan_cases.case("level-password")
    health = {"prometheus/prometheus": PrometheusHealth(host="prometheus", targets=targets)}
    facts = replace(plan_cases.with_requested_files(case.stack, case.facts), health=health, **changed)  # type: ignore[arg-type]
    return planner.plan(case.stack, facts, case.answers)


def findings_of(plan: Plan, finding: str) -> list[str]:
    return [each.what for each in plan.warnings if each.id == finding]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (119.4, "119 s"), (300, "5 min"), (5400, "1 h 30 min"), (125, "2 min 5 s")],
)
def test_a_duration_is_shown_in_readable_units(seconds: float, text: str) -> None:
    assert health_findings.format_duration(seconds) == text


def test_targets_that_are_down_before_are_reported_with_a_reason() -> None:
    plan = plan_with(target(health="down", error="connection refused", url="http://other:9100/metrics"))
    (what,) = findings_of(plan, "down-before")
    assert "connection refused" in what
    (finding,) = (each for each in plan.warnings if each.id == "down-before")
    assert (finding.host, finding.component) == ("prometheus", "prometheus")


def test_failures_that_the_plan_fixes_are_reported_as_such() -> None:
    error = "server returned HTTP status 401 Unauthorized"
    case = plan_cases.case("level-password")
    base = case.plan()
    up = next(probe for probe in base.probes if probe.kind == "up")
    health = {up.asker: PrometheusHealth(host="prometheus", targets=(target(health="down", error=error),))}
    found = health_findings.findings(case.stack, replace(base.facts, health=health), (up,))
    assert [each.remediation for each in found] == ["Nothing to do"]


def test_many_failing_targets_are_counted() -> None:
    plan = plan_with(*(target(health="down", url=f"http://other:{port}/metrics") for port in range(1, 14)))
    found = findings_of(plan, "down-before")
    assert len(found) == 11
    assert found[-1].startswith("3 more targets")


def test_unreachable_prometheus_and_unreadable_proxy_are_reported() -> None:
    facts = Facts(
        hosts={},
        health={"m/prometheus": PrometheusHealth(host="m", unanswered="connection refused")},
        proxies={"m": Proxies(unread=("nginx: include of a folder",))},
        unreachable={("m", "srv1:9100"): "no route to host"},
    )
    found = health_findings.findings(plan_cases.case("level-tls").stack, facts, ())
    assert [each.id for each in found] == ["health-unknown", "proxy-unread", "unreachable-from-prometheus"]
    assert "connection refused" in found[0].what
    assert "no route to host" in found[2].what


@pytest.mark.parametrize(("interval", "many"), [(30.0, 0), (60.0, 0), (600.0, 1)])
def test_a_long_scrape_interval_makes_verification_wait(interval: float, many: int) -> None:
    plan = plan_with(target(interval=interval), target(pool="often", interval=15.0))
    assert len(findings_of(plan, "slow-scrape")) == many
    assert plan.longest_wait >= health_findings.wait_of(interval, 10.0)
    if many:
        assert "every 10 min" in findings_of(plan, "slow-scrape")[0]


def test_a_server_without_a_scrape_job_gets_a_question_first() -> None:
    case = plan_cases.case("job-missing")
    facts = plan_cases.with_requested_files(case.stack, case.facts)
    pairs = health_findings.unscraped_servers(case.stack, facts)
    assert [(client.key, server.key) for client, server in pairs]
    assert all(client.host.spec.name != server.spec.host for client, server in pairs)


# -- clients that a plan breaks -----------------------------------------------------------------------------


def route(**changed: object) -> ProxyRoute:
    fields: dict[str, object] = {
        "host": "srv1",
        "program": "nginx",
        "file": "/etc/nginx/sites-enabled/node",
        "line": 5,
        "upstream": "127.0.0.1:9100",
        "scheme": "http",
    }
    return ProxyRoute(**{**fields, **changed})  # type: ignore[arg-type]


def test_a_proxy_that_will_be_rejected_is_reported_and_can_be_accepted() -> None:
    plan = plan_with(
        proxies={"srv1": Proxies(routes=(route(), route(line=9), route(upstream="127.0.0.1:80")))}
    )
    (broken,) = plan.unaccepted
    assert broken.key == "srv1/nginx/node_exporter"
    assert broken.where == ("srv1:/etc/nginx/sites-enabled/node:5", "srv1:/etc/nginx/sites-enabled/node:9")
    assert broken.lines
    (finding,) = (each for each in plan.warnings if each.id == broken_clients.BREAKS)
    assert "--accept-broken 'srv1/nginx/node_exporter'" in finding.remediation
    accepted = broken_clients.accept_broken_clients(plan)
    assert accepted.unaccepted == ()
    (finding,) = (each for each in accepted.warnings if each.id == broken_clients.BREAKS)
    assert "--accept-broken" not in finding.remediation
    assert len(broken_clients.routes(plan.stack, plan.facts)) == 2


def test_a_proxy_with_https_and_login_keeps_working() -> None:
    plan = plan_with(proxies={"srv1": Proxies(routes=(route(scheme="https", authorization=True),))})
    assert plan.broken_clients == ()


def test_a_job_with_discovered_targets_is_reported_as_broken() -> None:
    plan = plan_with(target(pool="cloud", discovered=True), target(pool="node"))
    (broken,) = plan.broken_clients
    assert (broken.job, broken.client, broken.key) == (
        "cloud",
        "job cloud",
        "prometheus/job:cloud/srv1/node_exporter",
    )
