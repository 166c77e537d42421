"""The state before a run: reasons that Prometheus gives, how a target is recognised later, and what is excused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wizard.config_files.durations import seconds
from wizard.config_files.prometheus.intervals import Intervals, intervals
from wizard.engine import baseline
from wizard.engine.prometheus_recovery import find
from wizard.engine.regressions import excuse
from wizard.model import (
    AlertmanagerHealth,
    Attempt,
    Baseline,
    Probe,
    ProbedHealth,
    PrometheusHealth,
    ProxyAnswer,
    ProxyRoute,
    RemoteWriteHealth,
    RuleHealth,
    TargetHealth,
)
from wizard.planner.health_findings import format_duration
from wizard.probes import cause_of


@pytest.mark.parametrize(
    ("text", "number"),
    [("15s", 15), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("1d", 86400), ("", 0), ("5", 0), ("5x", 0)],
)
def test_prometheus_durations_are_parsed(text: str, number: float) -> None:
    assert seconds(text) == number


def test_a_jobs_interval_defaults_to_the_global_one_or_a_minute() -> None:
    text = (
        b"x: &slow {scrape_interval: 5m}\nglobal: {scrape_interval: 30s, scrape_timeout: 20s}\nscrape_configs:\n"
        b"- job_name: a\n- {job_name: b, scrape_interval: 10s}\n- {job_name: c, scrape_timeout: 3s}\n- {<<: *slow, job_name: d}\n"
    )
    found = intervals(text)
    assert [found.of(name) for name in "abcdz"] == [(30, 20), (10, 10), (30, 3), (300, 20), (30, 20)]
    assert intervals(b"") == Intervals((60, 10), {})


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("server returned HTTP status 400 Bad Request", "scheme"),
        ('Get "https://h:9100/metrics": http: server gave HTTP response to HTTPS client', "scheme"),
        ("server returned HTTP status 401 Unauthorized", "login"),
        (
            'Get "https://h/metrics": tls: failed to verify certificate: x509: certificate signed by unknown authority',
            "certificate",
        ),
        ('Get "https://h:1/metrics": remote error: tls: certificate required', "certificate"),
        ("unable to read basic auth password: open /etc/p: no such file or directory", "login"),
        ("unable to load specified CA cert /x: open /x: permission denied", "certificate"),
        ('Get "http://h:9100/metrics": dial tcp 192.0.2.1:9100: connect: connection refused', "other"),
        ('Get "http://nosuch:9100/metrics": dial tcp: lookup nosuch on 192.0.2.1:53: no such host', "other"),
        ("server returned HTTP status 404 Not Found", "other"),
        ("server returned HTTP status 503 Service Unavailable", "other"),
        ('"INVALID" is not a valid start token', "other"),
        ("context deadline exceeded", "other"),
        ("", "other"),
    ],
)
def test_the_reason_of_a_failed_scrape_is_named(error: str, cause: str) -> None:
    assert cause_of(error) == cause


def target(
    pool: str, instance: str, *, scheme: str = "http", health: str = "up", **more: object
) -> TargetHealth:
    made = TargetHealth(
        pool=pool,
        labels={"job": pool, "instance": instance},
        address=instance,
        url=f"{scheme}://{instance}/metrics",
        health=health,  # type: ignore[arg-type]
    )
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_target_is_recognised_after_its_job_was_edited_or_divided() -> None:
    before = target("node", "srv1:9100")
    edited = target("node", "srv1:9100", scheme="https")
    divided = replace(edited, pool="node-https")
    assert find(before, [target("node", "srv2:9100"), edited]) is edited
    assert find(before, [target("node", "srv2:9100"), divided]) is divided, "its label job is kept"
    renamed = target("node-https", "srv1:9100", scheme="https")
    assert find(before, [renamed]) is renamed, "by its address, where no label is kept"
    assert find(before, [target("node", "srv1:9101")]) is None
    assert find(before, []) is None


def test_a_target_is_recognised_although_its_scheme_label_changed() -> None:
    before = target("probe", "b:9115", labels={"job": "probe", "instance": "http://srv1/x", "scheme": "http"})
    after = replace(before, labels={"job": "probe", "instance": "https://srv1/x", "scheme": "https"})
    assert find(before, [after]) is after
    assert find(before, [replace(after, labels={**after.labels, "instance": "httpsrv1"})]) is None


def test_one_of_two_jobs_for_a_server_does_not_replace_the_other() -> None:
    """The old job fails and a new one was added: that the new target is up does not count for the old one."""
    before = target("node", "metrics-a:9100")
    added = target("node_exporter", "192.0.2.1:9100", scheme="https")
    broken = replace(before, health="down")
    assert find(before, [added, broken]) is broken
    assert find(before, [added]) is None


def attempt(reason: str, **more: object) -> Attempt:
    probe = Probe(
        id="x", host="srv1", component="node_exporter", name="", client="", expect="up", url="http://p",
        kind="up", instance="srv1:9100", job="node", asker="p/prometheus",
    )  # fmt: skip
    made = Attempt(probe=probe, ok=False, outcome="down", reason=reason)
    return replace(made, **more)  # type: ignore[arg-type]


def reported(*targets: TargetHealth) -> Baseline:
    return Baseline(taken=1.0, prometheis=(PrometheusHealth(host="p", targets=targets),))


GONE = "dial tcp: lookup srv1: no such host"


def test_only_targets_that_were_down_before_are_excused() -> None:
    down = target("node", "srv1:9100", health="down", error=GONE)
    before = reported(down)
    assert GONE in excuse(before, attempt(GONE))
    assert excuse(before, attempt("server returned HTTP status 404 Not Found")), "another reason of its own"
    assert not excuse(before, attempt("x509: certificate signed by unknown authority")), (
        "that is of our making"
    )
    assert not excuse(before, attempt("server returned HTTP status 401 Unauthorized"))
    assert not excuse(before, attempt(GONE, pending=True)), "it was not scraped since"
    assert not excuse(before, attempt("connection refused", outcome="error")), (
        "Prometheus itself cannot be asked"
    )
    assert not excuse(before, attempt("", ok=True, outcome="up"))
    assert not excuse(None, attempt(GONE))
    assert not excuse(reported(), attempt(GONE))
    for other in (
        target("node", "srv1:9100"),
        target("node", "srv1:9100", health="unknown"),
        replace(down, error="server returned HTTP status 401 Unauthorized"),
        target("node", "srv2:9100", health="down", error=GONE),
    ):
        assert not excuse(reported(other), attempt(GONE)), other
    unasked = replace(before, prometheis=(PrometheusHealth(host="p", unanswered="refused"),))
    assert not excuse(unasked, attempt(GONE)), "what could not be looked at excuses nothing"
    elsewhere = replace(before, prometheis=(replace(before.prometheis[0], host="q"),))
    assert not excuse(elsewhere, attempt(GONE)), "another Prometheus' word is not this one's"


def test_a_saved_baseline_is_read_back_unchanged(tmp_path: Path) -> None:
    kept = Baseline(
        taken=12.5,
        prometheis=(
            PrometheusHealth(
                host="p",
                targets=(target("node", "srv1:9100", health="down", error=GONE),),
                alertmanagers=(AlertmanagerHealth(url="http://a:9093/api/v2/alerts", status=200),),
                rules=(RuleHealth(group="f g", name="r", health="ok"),),
                reloaded=True,
                remote_writes=(
                    RemoteWriteHealth(name="n", url="http://w", delivered=3, failed=0, newest=1.0),
                ),
                probed=(ProbedHealth(labels={"job": "b"}, success=True, at=1.0),),
            ),
            PrometheusHealth(host="q", unanswered="refused"),
        ),
        proxies=(
            ProxyAnswer(
                route=ProxyRoute(
                    host="p", program="nginx", file="/f", line=3, upstream="127.0.0.1:9090", scheme="http"
                ),
                status=200,
            ),
        ),
    )
    baseline.keep(tmp_path, kept)
    assert baseline.read_baseline(tmp_path) == kept
    assert (tmp_path / "baseline.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "baseline.json").write_text('{"taken": 1}')
    assert baseline.read_baseline(tmp_path) is None
    assert baseline.read_baseline(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (40, "40 s"),
        (100, "100 s"),
        (325, "5 min 25 s"),
        (300, "5 min"),
        (7200, "2 h"),
        (3600 + 85, "1 h 1 min 25 s"),
    ],
)
def test_durations_are_shown_in_readable_units(number: float, text: str) -> None:
    assert format_duration(number) == text
