"""The report of a run in the history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard.engine import report
from wizard.model import Answers, ComponentSpec, Facts, HostSpec, Plan, Protection, Stack

BOTH: tuple[Protection, ...] = ("tls", "basic_auth")
ALL: tuple[Protection, ...] = ("basic_auth", "tls", "client_cert")


def _plan(*levels: tuple[Protection, ...], renew: frozenset[str] = frozenset()) -> Plan:
    hosts = [f"srv{number}" for number in range(1, len(levels) + 1)]
    components = tuple(
        ComponentSpec(host=host, name="node_exporter", protect=protect)
        for host, protect in zip(hosts, levels, strict=True)
    )
    stack = Stack(hosts=tuple(HostSpec(name=host, connect="local") for host in hosts), components=components)
    return Plan(stack=stack, facts=Facts({}), steps=(), probes=(), answers=Answers(renew=renew))


@pytest.mark.parametrize(
    ("plan", "title"),
    [
        (_plan(()), "Nothing to protect"),
        (_plan(BOTH, ()), "TLS + password: srv1/node_exporter"),
        (_plan(BOTH, ("tls",)), "TLS + password: srv1/node_exporter; TLS: srv2/node_exporter"),
        (_plan(*[ALL] * 5), "mutual TLS + password: 5 components"),
        (_plan(*[BOTH] * 5, renew=frozenset({"passwords"})), "Password replaced (5 hosts)"),
        (
            _plan(BOTH, renew=frozenset({"ca", "certificates"})),
            "CA replaced, certificates replaced (1 host)",
        ),
        (
            _plan(BOTH, ("tls",), renew=frozenset({"srv2/node_exporter"})),
            "Certificate of srv2/node_exporter replaced (2 hosts)",
        ),
    ],
)
def test_the_title_describes_the_change(plan: Plan, title: str) -> None:
    assert report.title(plan) == title


def test_the_title_names_the_front_door_beside_what_is_secured() -> None:
    plan = plan_cases.case("front-door-caddy").plan()
    (door,) = plan.stack.front_doors
    assert report.title(plan).endswith(f"ront door: {door.root}")
    protected = replace(plan.stack.components[0], host="srv9", protect=("tls",))
    stack = replace(plan.stack, components=(protected,))
    assert report.title(replace(plan, stack=stack)) == f"TLS: {protected.key}; front door: {door.root}"


def test_the_title_names_the_logins_where_nothing_else_changes() -> None:
    plan = plan_cases.case("client-logins").plan()
    assert report.title(plan) == (
        "Prometheus logs in by token: job api (OAuth2), remote_write long-term (OAuth2), "
        "alertmanagers 1 (bearer token)"
    )
    assert not any("password" in line for line in report.summary(plan, ()))


def test_the_history_names_a_file_whose_content_it_does_not_show() -> None:
    details = report.details(plan_cases.case("client-logins").plan())
    at = details.index("+++ /etc/prometheus/oauth.secret")
    assert details[at - 1] == "--- /etc/prometheus/oauth.secret"
    assert "content not shown" in details[at + 1]
    assert not any("s3cret" in line for line in details)
