"""Reasons that stop a plan before any change, and checks of a file before it is put in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.engine.loopback import serving
from tests.unit.engine.memory import (
    MemoryConnection,
    Site,
    completed,
    create,
    edit,
    folder,
    service_action,
    step,
)
from wizard import probes
from wizard.engine import consent, permission, readiness, runtime_info
from wizard.engine.exposure import exposure, with_configured_password
from wizard.engine.resolver import MOST, resolve
from wizard.engine.validation import validate
from wizard.errors import HostError, InputError, UnreachableError, ValidationError
from wizard.model import Attempt, BrokenClient, ContentKind, Examined, Facts, Probe, TlsReport

Make = Callable[..., Site]


# -- consent -------------------------------------------------------------------------------------------------


def test_a_plan_that_breaks_a_client_needs_consent(make_site: Make) -> None:
    site = make_site()
    broken = BrokenClient(
        key="srv1/nginx/node_exporter",
        host="srv1",
        client="nginx",
        server="srv1/node_exporter",
        component="node_exporter",
        where=("srv1:/etc/nginx/a:3",),
        lines=("proxy_pass https://…",),
    )
    plan = site.plan([step(edit("srv1"))], broken_clients=(broken, replace(broken, key="second")))
    with pytest.raises(InputError, match="will be rejected after this run") as caught:
        consent.refuse(plan, later=False)
    assert "1 more clients" in caught.value.what
    assert "--accept-broken 'srv1/nginx/node_exporter' --accept-broken 'second'" in caught.value.todo
    assert caught.value.where == "srv1:/etc/nginx/a:3"
    stack = replace(plan.stack, accept_broken=("srv1/nginx/node_exporter", "second"))
    consent.refuse(replace(plan, stack=stack), later=False)
    consent.refuse(replace(plan, steps=()), later=False)


def test_a_wait_of_hours_needs_consent(make_site: Make) -> None:
    plan = make_site().plan([step(edit("srv1"))], longest_wait=2 * consent.LONGEST)
    with pytest.raises(InputError, match="verification would have to wait"):
        consent.refuse(plan, later=False)
    consent.refuse(plan, later=True)


# -- permission ----------------------------------------------------------------------------------------------


def test_unwritable_files_are_refused_with_the_plan(make_site: Make) -> None:
    site = make_site()
    plan = site.plan([step(edit("srv1"), folder("srv1", "/etc/n"), service_action(site.service("srv1")))])
    permission.refuse_unwritable(plan)
    known = plan.facts.hosts["srv1"]
    examined = {"/etc/old": Examined(), "/etc/n": Examined("eve can change /etc", "/etc", "Look at it")}
    facts = replace(plan.facts, hosts={**plan.facts.hosts, "srv1": replace(known, examined=examined)})
    with pytest.raises(HostError, match="eve can change") as caught:
        permission.refuse_unwritable(replace(plan, facts=facts))
    assert (caught.value.where, caught.value.hosts) == ("srv1:/etc", ("srv1",))


# -- readiness -----------------------------------------------------------------------------------------------


def no_dial(*_: object) -> Any:
    raise OSError


def test_a_service_to_restart_must_answer_before_the_run(make_site: Make) -> None:
    site = make_site()
    with serving(lambda path, headers: (200, b"")) as place:
        up = site.service("srv1", listen=place)
        plan = site.plan([step(service_action(up))])
        readiness.refuse_silent(plan, no_dial)
        down, stopped = (
            site.service("srv1", unit="b", instance="b"),
            site.service("srv1", unit="c", instance="c", active=False),
        )
        with pytest.raises(InputError, match=r"does not answer at 127\.0\.0\.1:1, and 1 more do not"):
            readiness.refuse_silent(
                site.plan([step(service_action(up), service_action(down), service_action(stopped))]), no_dial
            )
        with pytest.raises(InputError, match="is not running"):
            readiness.refuse_silent(site.plan([step(service_action(stopped))]), no_dial)
    grafana = site.service("srv1", "grafana")
    hidden = site.service("srv1", out_of_reach="a firewall")
    readiness.refuse_silent(site.plan([step(service_action(grafana), service_action(hidden))]), no_dial)
    practice = make_site("toy", connect="practice")
    readiness.refuse_silent(practice.plan([step(service_action(practice.service("toy")))]), no_dial)


# -- exposure over TLS ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plain", "secure", "state", "words"),
    [
        ("200", "", "open", "unprotected: no TLS, no password"),
        ("401", "", "partly", "password, but no TLS"),
        ("400", "200", "partly", "TLS, but anyone can still read it"),
        ("400", "401", "secured", "TLS + password"),
        ("400", "refused", "secured", "TLS + client certificate"),
        ("error", "error", "down", "does not answer"),
    ],
)
def test_the_exposure_of_a_service_is_probed(
    plain: str, secure: str, state: str, words: str, make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(probe: Probe, **_: object) -> Attempt:
        outcome = secure if probe.url.startswith("https:") else plain
        tls = (
            TlsReport(version="TLS 1.3", cipher="x", chain=())
            if probe.url.startswith("https:") and outcome != "error"
            else None
        )
        status = int(outcome) if outcome.isdecimal() else 0
        return Attempt(probe=probe, ok=False, outcome=outcome, status=status, tls=tls)

    monkeypatch.setattr(probes, "run", answered)
    found = exposure(make_site().service("srv1", listen="srv1:9100"))
    assert (found.state, found.words) == (state, words)
    assert found.tls == bool(secure and secure != "error")


def test_the_password_behind_a_client_certificate_is_read_from_the_configuration(make_site: Make) -> None:
    bare = exposure(make_site().service("srv1", out_of_reach="a firewall"))
    shut = replace(bare, tls=True, client_certificate=True, state="secured", words="TLS + client certificate")
    users = b"tls_server_config: {cert_file: a, key_file: b}\nbasic_auth_users: {prometheus: x}\n"
    both = with_configured_password(shut, users)
    assert (both.password, both.words) == (True, "TLS + password + client certificate")
    for content in (b"", b"tls_server_config: {}\n", b": not yaml ["):
        assert with_configured_password(shut, content) == shut
    assert with_configured_password(bare, users) == bare


def test_unreachable_services_are_not_probed(make_site: Make) -> None:
    found = exposure(make_site().service("srv1", out_of_reach="a firewall"))
    assert (found.state, found.words) == ("down", "cannot be probed from here: a firewall")


# -- names ---------------------------------------------------------------------------------------------------


def resolver(*printed: str, code: int = 0) -> MemoryConnection:
    return MemoryConnection("srv1", programs={"sh": lambda *words: completed("\n".join(printed), code)})


def test_names_are_resolved_on_the_host() -> None:
    host = resolver("0 a 192.0.2.1 STREAM 192.0.2.1 DGRAM 2001:db8::1 RAW", "2 b ", "0 c nonsense")
    found = resolve(host, ["a", "b", "c"])
    assert found.addresses == {"a": ("192.0.2.1", "2001:db8::1"), "b": (), "c": ()}
    assert found.reason == ""
    assert resolve(host, ["-x", "a b", "$(x)"]).addresses == {}
    late = resolve(resolver("124 a "), ["a"])
    assert (late.addresses, late.reason) == ({}, "the resolver of srv1 did not resolve a within 4 s")
    assert "has no getent" in resolve(resolver(code=127), ["a"]).reason
    away = resolver()
    away.faults["run", "sh"] = UnreachableError("no answer")
    assert "no answer" in resolve(away, ["a"]).reason
    many = [f"n{number}" for number in range(MOST + 3)]
    crowd = resolver(*(f"2 {name} " for name in many[:MOST]))
    assert f"{MOST} of the {MOST + 3} names that srv1 uses" in resolve(crowd, many).reason


# -- a program's report about its configuration --------------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "good"),
    [
        (
            b"prometheus_config_last_reload_successful 1\nprometheus_config_last_reload_success_timestamp_seconds 1.5e9\n",
            True,
        ),
        (
            b"prometheus_config_last_reload_successful 0\nprometheus_config_last_reload_success_timestamp_seconds 1\n",
            False,
        ),
        (b"up 1\n", None),
        (
            b"prometheus_config_last_reload_successful x\nprometheus_config_last_reload_success_timestamp_seconds 1\n",
            None,
        ),
    ],
)
def test_the_result_of_the_last_reload_is_read_from_metrics(
    metrics: bytes, good: bool | None, make_site: Make
) -> None:
    with serving(lambda path, headers: (200, metrics)) as place:
        service = make_site().service("srv1", "prometheus", listen=place)
        asked = runtime_info.reload_reader(service)
        assert asked is not None
        found = asked()
    assert (found.good if found is not None else None) is good
    assert asked() is None, "it does not answer any more"


def test_some_services_report_no_reload(make_site: Make) -> None:
    site = make_site()
    assert runtime_info.reload_reader(site.service("srv1")) is None
    assert runtime_info.reload_reader(site.service("srv1", "prometheus", out_of_reach="x")) is None
    assert runtime_info.reload_reader(site.service("srv1", "prometheus", listen="")) is None


# -- checks of files -----------------------------------------------------------------------------------------

WEB = b"http_server_config: {http2: true}\n"
GOOD = b"scrape_configs: []\n"


def check_file(
    site: Site,
    path: str = "/etc/prometheus/prometheus.yml",
    content: bytes = GOOD,
    kind: ContentKind = ContentKind.PROMETHEUS_CONFIG,
    *,
    before: bytes | None = None,
    facts: Facts | None = None,
) -> None:
    change = create("srv1", path, content, content_kind=kind)
    if before is not None:
        change = replace(change, before=replace(change.after, content=before))  # type: ignore[type-var]
    validate(site.connections["srv1"], change, f"{path}.staged", facts or with_promtool(site), {})


def with_promtool(site: Site, *, service: bool = False, **examined: Any) -> Facts:
    facts = site.facts()
    known = facts.hosts["srv1"]
    services = (
        site.service(
            "srv1", "prometheus", config_file="/etc/prometheus/prometheus.yml", user="prometheus", group="web"
        ),
        site.service(
            "srv1", "blackbox_exporter", config_file="/etc/blackbox.yml", program="/usr/bin/blackbox_exporter"
        ),
    )
    own = replace(
        known,
        promtool="/usr/bin/promtool",
        services=services,
        examined={"/etc/prometheus/prometheus.yml": Examined(**examined)} if examined else {},
    )
    return replace(facts, hosts={**facts.hosts, "srv1": own})


def test_a_file_that_promtool_rejects_is_refused(make_site: Make) -> None:
    site = make_site()
    asked: list[tuple[str, ...]] = []

    def promtool(*words: str) -> Any:
        asked.append(words)
        return completed(f"{words[-1]}: FAILED: no such field", code=1)

    site.connections["srv1"].programs["promtool"] = promtool
    with pytest.raises(ValidationError, match="no such field") as caught:
        check_file(site)
    assert asked == [("check", "config", "/etc/prometheus/prometheus.yml.staged")]
    assert ".staged" not in caught.value.what, "the file is named as the person knows it"
    site.connections["srv1"].programs["promtool"] = lambda *words: completed("SUCCESS")
    check_file(site)
    check_file(site, "/etc/n/web.yml", WEB, ContentKind.WEB_CONFIG)


def test_an_old_promtool_does_not_know_new_settings(make_site: Make) -> None:
    site = make_site()
    site.connections["srv1"].programs["promtool"] = lambda *words: completed(
        "field x not found in type web", code=1
    )
    check_file(site, "/etc/n/web.yml", WEB, ContentKind.WEB_CONFIG)
    with pytest.raises(ValidationError):
        check_file(site)


def test_in_a_foreign_folder_promtool_runs_as_the_service_user(make_site: Make) -> None:
    site = make_site()
    asked: list[tuple[str, ...]] = []

    def runuser(*words: str) -> Any:
        asked.append(words)
        return completed(code=127)

    site.connections["srv1"].programs["runuser"] = runuser
    check_file(site, facts=with_promtool(site, guarded=True))
    assert asked[0][:6] == ("-u", "prometheus", "-g", "web", "--", "/usr/bin/promtool")
    elsewhere = with_promtool(site)
    known = elsewhere.hosts["srv1"]
    guarded = replace(known, examined={"/etc/other.yml": Examined(guarded=True)})
    asked.clear()
    check_file(site, "/etc/other.yml", facts=replace(elsewhere, hosts={**elsewhere.hosts, "srv1": guarded}))
    assert asked == [], "with root's rights it would read whatever its names lead to"


def test_a_file_that_was_invalid_before_does_not_stop_the_run(make_site: Make) -> None:
    site = make_site()
    site.connections["srv1"].programs["promtool"] = lambda *words: completed("SUCCESS")
    wrong = b"scrape_configs:\n- job_name: a\n  tls_config: {ca_file: /no/such/ca.crt}\n"
    with pytest.raises(ValidationError):
        check_file(site, content=wrong)
    check_file(site, content=b"\n" + wrong, before=wrong)


BLACKBOX = b"modules: {http_2xx: {prober: http}}\n"


def test_the_blackbox_exporter_checks_its_own_file(make_site: Make) -> None:
    site = make_site()
    codes: dict[str, int] = {}

    def exporter(*words: str) -> Any:
        name = words[1].partition("=")[2]
        return completed("", codes.get(name, 0), f"{name}: unknown field")

    site.connections["srv1"].programs["blackbox_exporter"] = exporter

    def run() -> None:
        check_file(site, "/etc/blackbox.yml", BLACKBOX, ContentKind.BLACKBOX_CONFIG)

    run()
    codes["/etc/blackbox.yml.staged"] = 1
    with pytest.raises(
        ValidationError, match=r"the blackbox exporter rejects it: /etc/blackbox\.yml: unknown"
    ):
        run()
    codes["/etc/blackbox.yml"] = 1
    run()  # the file was rejected before the edit, too
    check_file(site, "/etc/elsewhere.yml", BLACKBOX, ContentKind.BLACKBOX_CONFIG)


def test_the_cluster_configuration_is_checked(make_site: Make) -> None:
    site = make_site()
    text = b"tls_server_config: {cert_file: /no/a.crt, key_file: /no/a.key}\n"
    with pytest.raises(ValidationError):
        check_file(site, "/etc/alertmanager/cluster.yml", text, ContentKind.CLUSTER_CONFIG)


def test_other_files_are_not_checked(make_site: Make) -> None:
    check_file(make_site(), "/etc/default/x", b"[", ContentKind.SERVICE_FLAGS)
