"""Thirty kinds of change that Firescreen did not make: each is put into the facts about the hosts and reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.certificates import issue
from wizard.config_files.unit_settings import join_files
from wizard.errors import InputError
from wizard.model import (
    WORKSPACE,
    Answers,
    Attempt,
    Caller,
    Facts,
    FileState,
    HostFacts,
    PathInfo,
    Plan,
    Service,
    Stack,
)
from wizard.upkeep import drift, reference

HOST = "here"
PROMETHEUS = "/etc/prometheus/prometheus.yml"
NODE = "/etc/node_exporter"
UNIT = "/etc/systemd/system/prometheus-node-exporter.service.d/local.conf"


@pytest.fixture(scope="module")
def secured() -> tuple[Stack, Facts]:
    """A stack with a password and client certificates, after its plan was applied."""
    case = plan_cases.case("all-mutual-tls")
    facts = plan_cases.with_requested_files(case.stack, plan_cases.facts_after_plan(case.plan(), case.facts))
    listening = service("prometheus", lambda old: replace(old, sockets=("127.0.0.1:9090",)))
    return case.stack, listening(facts)


def change_host(facts: Facts, change: Callable[[HostFacts], HostFacts], host: str = HOST) -> Facts:
    return replace(facts, hosts={**facts.hosts, host: change(facts.hosts[host])})


def file(path: str, change: Callable[[FileState], FileState | None], host: str = HOST) -> Change:
    def made(facts: Facts) -> Facts:
        state = facts.hosts[host].files[path]
        assert state is not None, path
        return change_host(
            facts, lambda known: replace(known, files={**known.files, path: change(state)}), host
        )

    return made


def text(path: str, old: str, new: str) -> Change:
    def changed(state: FileState) -> FileState:
        assert old.encode() in state.content, (path, state.content.decode())
        return replace(state, content=state.content.replace(old.encode(), new.encode(), 1))

    return file(path, changed)


def content(path: str, made: bytes | Callable[[bytes], bytes], host: str = HOST) -> Change:
    return file(
        path,
        lambda state: replace(state, content=made(state.content) if callable(made) else made),
        host,
    )


def service(component: str, change: Callable[[Service], Service]) -> Change:
    return lambda facts: change_host(
        facts,
        lambda known: replace(
            known,
            services=tuple(change(each) if each.component == component else each for each in known.services),
        ),
    )


def other_certificate(_: bytes) -> bytes:
    return issue.self_signed(key_pem=issue.new_key("ec-p256"), names=("x",), days=3, common_name="x")


Change = Callable[[Facts], Facts]
CA, CA_KEY = f"{plan_cases.ROOM}/ca/ca.crt", f"{plan_cases.ROOM}/ca/ca.key"
FOREIGN_JOB = "\n  - job_name: foreign\n    static_configs:\n      - targets: ['192.0.2.77:9100']\n"

CHANGES: Mapping[str, tuple[Change, str, str, str, str]] = {
    # name: (change, kind of drift, host, path, a word of the report)
    "a line in prometheus.yml": (text(PROMETHEUS, "15s", "10s"), "file", HOST, PROMETHEUS, "scrape_interval: 10s"),
    "a comment added": (content(PROMETHEUS, lambda old: old + b"# mine\n"), "file", HOST, PROMETHEUS, "1 line added"),
    "a line removed": (text(PROMETHEUS, "    honor_labels: true\n", ""), "file", HOST, PROMETHEUS, "1 line removed"),
    "https taken back": (text(PROMETHEUS, "scheme: https", "scheme: http"), "file", HOST, PROMETHEUS, "scheme: http"),
    "a job without TLS": (content(PROMETHEUS, lambda old: old.rstrip() + FOREIGN_JOB.encode()), "job", HOST, PROMETHEUS, "foreign"),
    "prometheus.yml is gone": (file(PROMETHEUS, lambda _: None), "file", HOST, PROMETHEUS, "gone"),
    "prometheus.yml is no YAML": (content(PROMETHEUS, b"{"), "file", HOST, PROMETHEUS, "cannot be read"),
    "a web configuration without TLS": (content(f"{NODE}/web.yml", b"{}\n"), "file", HOST, f"{NODE}/web.yml", "changed"),
    "client certificates not demanded": (text(f"{NODE}/web.yml", "RequireAndVerifyClientCert", "NoClientCert"), "file", HOST, f"{NODE}/web.yml", "NoClientCert"),
    "a web configuration readable by all": (file(f"{NODE}/web.yml", lambda old: replace(old, mode=0o644)), "mode", HOST, f"{NODE}/web.yml", "0644"),
    "a key readable by all": (file(f"{NODE}/node_exporter.key", lambda old: replace(old, mode=0o644)), "mode", HOST, f"{NODE}/node_exporter.key", "was 0640"),
    "a key with another owner": (file(f"{NODE}/node_exporter.key", lambda old: replace(old, owner="bob")), "owner", HOST, f"{NODE}/node_exporter.key", "bob:"),
    "a key with another group": (file(f"{NODE}/node_exporter.key", lambda old: replace(old, group="users")), "owner", HOST, f"{NODE}/node_exporter.key", ":users"),
    "another key": (content(f"{NODE}/node_exporter.key", issue.new_key("ec-p256")), "file", HOST, f"{NODE}/node_exporter.key", "not shown"),
    "a key is gone": (file(f"{NODE}/node_exporter.key", lambda _: None), "file", HOST, f"{NODE}/node_exporter.key", "gone"),
    "another certificate": (content(f"{NODE}/node_exporter.crt", other_certificate), "certificate", HOST, f"{NODE}/node_exporter.crt", "the certificate was"),
    "a further CA for clients": (content(f"{NODE}/client-ca.crt", lambda old: old + other_certificate(old)), "certificate", HOST, f"{NODE}/client-ca.crt", "behind the first"),
    "another CA for Prometheus": (content("/etc/prometheus/firescreen-ca.crt", other_certificate), "certificate", HOST, "/etc/prometheus/firescreen-ca.crt", "is "),
    "another client certificate": (content("/etc/prometheus/prometheus-client.crt", other_certificate), "certificate", HOST, "/etc/prometheus/prometheus-client.crt", "is "),
    "the flag file": (content("/etc/default/prometheus-node-exporter", b'ARGS=""\n'), "file", HOST, "/etc/default/prometheus-node-exporter", "ARGS"),
    "flags as it runs": (service("node_exporter", lambda old: replace(old, arguments=("--web.max-requests=1",))), "flag", HOST, "", "web.max-requests"),
    "a service does not run": (service("node_exporter", lambda old: replace(old, active=False)), "service", HOST, "", "does not run"),
    "a service as root": (service("node_exporter", lambda old: replace(old, user="root")), "service", HOST, "", "root:"),
    "a listener on all addresses": (service("prometheus", lambda old: replace(old, sockets=("*:9090",))), "flag", HOST, "", "listens on *:9090"),
    "a drop-in": (service("node_exporter", lambda old: replace(old, unit_text=join_files([(UNIT, "[Service]\nUser=root\n")]))), "unit", HOST, UNIT, "new"),
    "a service is gone": (lambda facts: change_host(facts, lambda known: replace(known, services=tuple(each for each in known.services if each.component != "pushgateway"))), "service", HOST, "", "gone"),
    "a new component": (lambda facts: change_host(facts, lambda known: replace(known, services=(*known.services, replace(known.services[0], component="node_exporter", instance="second")))), "service", HOST, "", "second"),
    "a folder for all": (lambda facts: change_host(facts, lambda known: replace(known, folders={**known.folders, NODE: PathInfo("folder", 0o777, "root", "prometheus", 0)})), "mode", HOST, NODE, "0777"),
    "a folder of somebody else": (lambda facts: change_host(facts, lambda known: replace(known, folders={**known.folders, NODE: PathInfo("folder", 0o750, "bob", "prometheus", 0)})), "owner", HOST, NODE, "bob"),
    "a cron job asks by http": (lambda facts: change_host(facts, lambda known: replace(known, callers=(Caller("cron", "/etc/cron.d/x", 3, "curl http://localhost:9100", "localhost", 9100),))), "client", HOST, "/etc/cron.d/x", "plain http"),
    "the CA's key for all": (file(CA_KEY, lambda old: replace(old, mode=0o644), WORKSPACE), "mode", WORKSPACE, CA_KEY, "0644"),
    "another CA in the workspace": (content(CA, other_certificate, WORKSPACE), "certificate", WORKSPACE, CA, "is "),
}  # fmt: skip


def find_differences(
    stack: Stack, known: reference.Reference, facts: Facts, attempts: tuple[Attempt, ...] = ()
) -> tuple[drift.Difference, ...]:
    try:
        plan = planner.plan(stack, facts, Answers())
    except InputError:
        plan = Plan(stack=stack, facts=facts, steps=(), probes=())
    return drift.differences(known, facts, plan, attempts, ())


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_reported_with_host_and_path(name: str, secured: tuple[Stack, Facts]) -> None:
    stack, facts = secured
    change, kind, host, path, expected = CHANGES[name]
    known = reference.make_reference(stack, facts, "key")
    changed = change(facts)
    found = [
        each
        for each in find_differences(stack, known, changed)
        if (each.kind, each.host, each.path) == (kind, host, path) and expected in each.what
    ]
    assert found, find_differences(stack, known, changed)
    state = changed.hosts[host].files.get(path)
    if kind == "file" and path.endswith(".yml") and state is not None and "cannot" not in expected:
        assert all(0 < each.line <= len(state.content.splitlines()) + 1 for each in found)
    # The reference contains only digests, and no line of the file.
    assert "password" not in repr(known.hosts[HOST].files["/etc/prometheus/prometheus.yml"])


def test_without_changes_there_is_no_drift(secured: tuple[Stack, Facts]) -> None:
    stack, facts = secured
    known = reference.make_reference(stack, facts, "key")
    for _ in range(20):
        assert find_differences(stack, known, facts) == ()


def test_a_reported_line_number_is_that_of_the_present_file(secured: tuple[Stack, Facts]) -> None:
    stack, facts = secured
    known = reference.make_reference(stack, facts, "key")
    changed = text(PROMETHEUS, "job_name: push", "job_name: pushed")(
        text(PROMETHEUS, "global:", "# one\n# two\nglobal:")(facts)
    )
    state = changed.hosts[HOST].files[PROMETHEUS]
    assert state is not None
    lines = state.content.decode().splitlines()
    found = [each for each in find_differences(stack, known, changed) if each.kind == "file"]
    assert [each.line for each in found] == [1, lines.index("  - job_name: pushed") + 1]
    assert found[1].what == "1 line changed: - job_name: pushed"
