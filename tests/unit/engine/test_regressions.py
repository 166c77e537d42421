"""The state before a run is compared with the state after it by probes; a regression is attributed to a host."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.fleet import Wire, fleet
from tests.unit.engine.loopback import prometheus, serving, target
from tests.unit.engine.memory import MemoryManager, Site, completed, probe
from wizard.engine import baseline, regressions, vantage_point
from wizard.engine.prometheus_recovery import Regression
from wizard.engine.regressions import Comparison
from wizard.errors import HostError
from wizard.model import (
    Baseline,
    BrokenClient,
    Plan,
    Probe,
    ProbedHealth,
    PrometheusHealth,
    Proxies,
    ProxyAnswer,
    ProxyRoute,
    Watched,
)
from wizard.service_managers import reverse_proxies

ROUTE = ProxyRoute(
    host="srv1",
    program="nginx",
    file="/etc/nginx/a",
    line=3,
    upstream="srv2:9100",
    scheme="http",
    site="a.test",
)


@pytest.fixture
def three(tmp_path: Path, manager: MemoryManager) -> tuple[Site, Plan]:
    return fleet(tmp_path, manager)


def probe_of(place: str) -> Probe:
    return probe("prometheus", url=f"http://{place}", component="prometheus")


def compare(site: Site, plan: Plan, before: Baseline, *, cancel: threading.Event | None = None) -> Comparison:
    return Comparison(plan, before, site.hosts(), site.emit, cancel or threading.Event(), run="7")


def seen(place: str, site: Site, plan: Plan) -> PrometheusHealth:
    """Returns the report of the Prometheus at that address."""
    watched = Watched(host="prometheus", before=(probe_of(place),), after=(probe_of(place),))
    return baseline.look(watched, watched.before, plan.facts, site.hosts(), None)


def test_nothing_is_reported_if_all_works_as_before(three: tuple[Site, Plan]) -> None:
    site, plan = three
    with serving(prometheus(target("srv1:9100"), target("srv2:9100"))) as place:
        before = Baseline(prometheis=(seen(place, site, plan),))
        assert before.prometheis[0].reloaded is True
        comparison = compare(site, plan, before)
        found = comparison.regressions(
            [Watched(host="prometheus", after=(probe_of(place),))], since=time.time()
        )
    assert found == ()
    assert (comparison.report.up_before, comparison.report.broken) == (2, ())


def test_a_target_that_went_down_is_attributed_to_its_host(three: tuple[Site, Plan]) -> None:
    site, plan = three
    with serving(prometheus(target("srv1:9100"), target("srv2:9100"))) as place:
        before = Baseline(prometheis=(seen(place, site, plan),))
    error = "server returned HTTP status 401 Unauthorized"
    with serving(prometheus(target("srv1:9100"), target("srv2:9100", health="down", error=error))) as place:
        watched = [Watched(host="prometheus", after=(probe_of(place),))]
        comparison = compare(site, plan, before)
        (broken,) = comparison.regressions(watched, since=1.0)
        assert (broken.host, error in broken.what) == ("srv2", True)
        assert comparison.report.broken == (broken.what,)
        assert compare(site, plan, before).regressions(watched, since=1.0, lost=["srv2"]) == ()
        accepted = BrokenClient(
            key="a/b/c", host="prometheus", client="job node", server="srv2/node_exporter", component="node_exporter", where=(),
            targets=tuple(each for each in before.prometheis[0].targets if "srv2" in each.address),
        )  # fmt: skip
        own = replace(plan, broken_clients=(accepted,), stack=replace(plan.stack, accept_broken=("a/b/c",)))
        comparison = compare(site, own, before)
        assert comparison.regressions(watched, since=1.0) == ()
        assert comparison.report.accepted == ("a/b/c",)


def test_an_incomplete_baseline_is_reported(three: tuple[Site, Plan]) -> None:
    site, plan = three
    before = Baseline(prometheis=(PrometheusHealth(host="prometheus", unanswered="refused"),))
    comparison = compare(site, plan, before)
    watched = [Watched(host="prometheus"), Watched(host="elsewhere")]
    assert comparison.regressions(watched, since=0.0) == ()
    assert comparison.report.not_checked == ("prometheus/prometheus: did not answer before: refused",)


def test_alertmanagers_are_probed_from_the_prometheus_host(three: tuple[Site, Plan]) -> None:
    site, plan = three
    asked: list[str] = []

    def curl(text: str, *words: str) -> Any:
        asked.append(words[0])
        return completed("200")

    site.connections["prometheus"].programs["sh"] = curl
    with serving(prometheus(target("srv1:9100"), alertmanagers=("http://am:9093/api/v2/alerts",))) as place:
        found = seen(place, site, plan)
    assert [each.status for each in found.alertmanagers] == [200]
    assert asked == ["http://am:9093/-/healthy"]


def test_the_baseline_is_recorded_before_a_run(three: tuple[Site, Plan]) -> None:
    site, plan = three
    site.connections["srv1"].programs["sh"] = lambda text, *words: completed("200")
    facts = replace(plan.facts, proxies={"srv1": Proxies(routes=(ROUTE, replace(ROUTE, scheme="tcp")))})
    with serving(prometheus(target("srv1:9100"))) as place:
        watched = Watched(host="prometheus", before=(probe_of(place),))
        found = baseline.take(replace(plan, facts=facts, watched=(watched,)), site.hosts(), threading.Event())
    assert [each.key for each in found.prometheis] == ["prometheus/prometheus"]
    assert [(each.route.scheme, each.status) for each in found.proxies] == [("http", 200), ("tcp", None)]
    assert abs(found.taken - time.time()) < 60


def test_a_scrape_with_the_previous_configuration_does_not_count(
    three: tuple[Site, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, plan = three
    monkeypatch.setattr(baseline, "_PAUSE", 0.01)
    loaded = "prometheus_config_last_reload_success_timestamp_seconds 1.7e+09\n"
    old = {**target("srv1:9100"), "lastScrape": "2020-01-01T00:00:00Z"}
    new = {**target("srv1:9100", health="down", error="EOF")}
    asked: list[str] = []

    def answer(path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        asked.append(path)
        times = sum("targets" in each for each in asked)
        return prometheus(old if times < 3 else new, metrics=loaded)(path, headers)

    said: list[tuple[str, str]] = []
    with serving(answer) as place:
        watched = replace(plan, watched=(Watched(host="prometheus", before=(probe_of(place),)),))
        found = baseline.take(
            watched, site.hosts(), threading.Event(), lambda host, text: said.append((host, text))
        )
    assert [each.health for each in found.prometheis[0].targets] == ["down"]
    ((host, text),) = said
    assert host == "prometheus"
    assert text.startswith("waiting for the next scrape of 1 target: ")


def test_facts_describe_the_state_before_the_run(
    three: tuple[Site, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, plan = three
    config = "/etc/prometheus/prometheus.yml"
    known = plan.facts.hosts["prometheus"]
    files = {
        **known.files,
        config: replace(site.connections["prometheus"].files[config], content=b"scrape_configs: []\n"),
    }
    with serving(prometheus(target("srv1:9100"))) as place:
        services = tuple(replace(each, listen=place) for each in known.services)
        facts = replace(
            plan.facts,
            hosts={**plan.facts.hosts, "prometheus": replace(known, services=services, files=files)},
        )
        routes = {"srv1": Proxies(routes=(ROUTE,)), "srv2": Proxies(unread=("/x",))}
        monkeypatch.setattr(
            reverse_proxies, "discover", lambda connection: routes.get(connection.name, Proxies())
        )
        monkeypatch.setattr(
            vantage_point,
            "refusal",
            lambda hosts, host, address: "no route" if "srv3" in address else "",
        )
        found = baseline.with_health(plan.stack, facts, site.hosts())
        parts = (replace(each, protect=()) for each in plan.stack.components)
        nothing = baseline.with_health(replace(plan.stack, components=tuple(parts)), facts, site.hosts())
    assert [each.name for each in found.health["prometheus/prometheus"].targets] == ["srv1:9100 (job node)"]
    assert found.proxies == routes
    assert found.unreachable == {("prometheus", "srv3:9100"): "no route"}
    # A plan without changes examines only the proxies, for the audit and for Home.
    assert nothing == replace(facts, proxies=routes)


# -- reverse proxies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "what"),
    [
        (200, "502", "http://a.test/ behind nginx answered 200 before and answers 502 now"),
        (200, "000", "gives no answer now"),
        (302, "301", ""),
    ],
)
def test_a_site_with_another_status_is_reported(
    before: int, now: str, what: str, three: tuple[Site, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, plan = three
    monkeypatch.setattr(regressions, "_PROXY", 0.0)
    monkeypatch.setattr(regressions, "_PAUSE", 0.0)
    site.connections["srv1"].programs["sh"] = lambda text, *words: (
        completed("srv2") if "getent" in text else completed(now)
    )
    kept = Baseline(proxies=(ProxyAnswer(route=ROUTE, status=before),))
    found = compare(site, plan, kept).regressions([], since=0.0)
    if not what:
        assert found == ()
        return
    (broken,) = found
    assert what in broken.what
    assert (broken.host, broken.where) == ("srv2", "srv1:/etc/nginx/a:3")


def test_some_sites_are_not_compared(three: tuple[Site, Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    site, plan = three
    monkeypatch.setattr(regressions, "_PROXY", 0.0)
    silent = compare(site, plan, Baseline(proxies=(ProxyAnswer(route=ROUTE, status=0),)))
    assert silent.regressions([], since=0.0) == ()
    assert "gave no answer before" in silent.report.not_checked[0]
    lost = compare(site, plan, Baseline(proxies=(ProxyAnswer(route=ROUTE, status=200),)))
    assert lost.regressions([], since=0.0) == ()
    assert "cannot be probed any more" in lost.report.not_checked[0]
    accepted = BrokenClient(
        key="k",
        host="srv1",
        client="nginx",
        server="srv2/node_exporter",
        component="node_exporter",
        where=(),
        routes=(ROUTE,),
    )
    own = replace(plan, broken_clients=(accepted,), stack=replace(plan.stack, accept_broken=("k",)))
    assert (
        compare(site, own, Baseline(proxies=(ProxyAnswer(route=ROUTE, status=200),))).regressions(
            [], since=0.0
        )
        == ()
    )


# -- attribution to a host -----------------------------------------------------------------------------------


def test_the_host_behind_an_endpoint_is_found(three: tuple[Site, Plan]) -> None:
    site, plan = three
    comparison = compare(site, plan, Baseline())
    assert comparison.owner("srv2:9100", "prometheus") == "srv2"
    assert comparison.is_protected("srv2:9100", "prometheus")
    assert comparison.owner("far:9100", "prometheus") == "prometheus"
    assert not comparison.is_protected("far:9100", "prometheus")
    # A name that only the client's own resolver knows.
    site.connections["srv1"].programs["sh"] = lambda text, *words: completed("srv3\nsrv3\n")
    assert comparison.owner("alias:9100", "srv1") == "srv3"
    assert comparison.owner("192.0.2.77:9100", "srv1") == "srv1"
    assert comparison.clock("srv1") == 0.0
    assert comparison.clock("nobody") == 0.0


def test_a_failing_blackbox_probe_can_be_accepted(three: tuple[Site, Plan]) -> None:
    site, plan = three
    accepted = BrokenClient(
        key="k",
        host="prometheus",
        client="job probes",
        server="srv2/node_exporter",
        component="node_exporter",
        where=(),
        job="probes",
    )
    own = replace(plan, broken_clients=(accepted,), stack=replace(plan.stack, accept_broken=("k",)))
    comparison = compare(site, own, Baseline())
    asked = ProbedHealth(labels={"job": "probes", "instance": "http://srv2:9100"}, success=True, at=0.0)
    assert comparison.is_accepted_probe(asked)
    assert not comparison.is_accepted_probe(replace(asked, labels={"job": "other", "instance": "srv2:9100"}))


# -- in a run ------------------------------------------------------------------------------------------------


class Broken:
    """Reports once that something on a host broke."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        def found(self: Comparison, watched: object, **_: object) -> tuple[Regression, ...]:
            if asked:
                return ()
            asked.append(watched)
            return (Regression(host=host, what="a target is down now", where=host, todo="See"),)

        asked: list[object] = []
        monkeypatch.setattr(Comparison, "regressions", found)


def test_a_regression_of_one_host_rolls_it_back(
    three: tuple[Site, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, plan = three
    Wire().install(monkeypatch)
    Broken(monkeypatch, "srv2")
    outcome = site.engine().apply(plan, canary="none")
    assert {each.host: each.state for each in outcome.hosts}["srv2"] == "rolled-back"
    assert outcome.state == "partly"


def test_a_regression_of_prometheus_rolls_everything_back(
    three: tuple[Site, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, plan = three
    Wire().install(monkeypatch)
    Broken(monkeypatch, "prometheus")
    assert site.engine().apply(plan).state == "rolled-back"


def test_a_regression_of_the_canary_ends_the_run(
    three: tuple[Site, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, plan = three
    Wire().install(monkeypatch)
    Broken(monkeypatch, "srv1")
    assert site.engine().apply(plan, canary="srv1").state == "rolled-back"


def test_the_comparison_can_be_cancelled(three: tuple[Site, Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    site, plan = three
    Wire().install(monkeypatch)
    cancel = threading.Event()

    def stopped(self: Comparison, watched: object, **_: object) -> tuple[Regression, ...]:
        cancel.set()
        return ()

    monkeypatch.setattr(Comparison, "regressions", stopped)
    assert site.engine().apply(plan, cancel=cancel).state == "cancelled"


def test_a_scan_continues_where_proxies_cannot_be_searched(
    three: tuple[Site, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, plan = three

    def discover(connection: object) -> Proxies:
        raise HostError("the shell gives no answer", where="srv1", todo="Wait")

    monkeypatch.setattr(reverse_proxies, "discover", discover)
    bare = replace(plan.stack, components=tuple(replace(each, protect=()) for each in plan.stack.components))
    found = baseline.with_health(bare, plan.facts, site.hosts()).proxies
    assert {each.unread for each in found.values()} == {
        ("its reverse proxies cannot be looked for: the shell gives no answer",)
    }
