"""Checks of Prometheus as a client: its targets, its scrape jobs, its alerts."""

from __future__ import annotations

import posixpath
import time
from urllib.parse import quote

from wizard import probes
from wizard.config_files.prometheus import ScrapeJob
from wizard.labs.content import Check
from wizard.labs.inspection import Look
from wizard.labs.results import NotYet, result_text
from wizard.model import Attempt, Probe
from wizard.redact import plain


def prometheus(check: Check, look: Look, patience: float) -> list[str]:
    """Checks whether Prometheus reports a target as up, and verifies its certificate."""
    expect = check.options["expect"]
    began = look.now()
    attempt = _up(
        check, look, not_before=began if patience else 0.0, patience=patience, final=expect == "any"
    )
    place = look.scrape_address(check.of)
    if expect == "any":
        word = "up" if attempt.ok else f"down, {result_text(attempt)}" if attempt.reason else "down"
        return [f"Prometheus reports for {place}: {word}"]
    if not attempt.ok:
        loaded, written = look.loaded_job(check.of), look.written_job(check.of)
        todo = (
            "Check scheme, ca_file and the paths in prometheus.yml. After a reload it can take ten seconds."
        )
        if "HTTP status 404" in attempt.reason:
            todo = "Set metrics_path in its job to the path at which it serves its metrics, then reload Prometheus."
        if loaded is not None and written is not None and _differ(loaded, written):
            todo = f"Prometheus has not loaded the changed prometheus.yml. Run: {look.restart_command('prometheus/prometheus', 'reload')}"
        raise NotYet(f"Prometheus cannot scrape {place} yet: {result_text(attempt)}", todo)
    if expect == "verified":
        job = look.loaded_job(check.of)
        if job is None or job.scheme != "https":
            raise NotYet(
                f"Prometheus scrapes {place} without TLS",
                "Add scheme: https and tls_config to its job.",
            )
        if job.tls.get("insecure_skip_verify", "").lower() in ("true", "yes", "on"):
            raise NotYet(
                "Prometheus does not verify the certificate",
                f"Remove insecure_skip_verify from the job, then: {look.restart_command('prometheus/prometheus', 'reload')}",
            )
        return [f"Prometheus scrapes {place} and verifies its certificate: up=1"]
    return [f"Prometheus scrapes {place}: up=1"]


def _differ(one: ScrapeJob, other: ScrapeJob) -> bool:
    """Returns whether two versions of a job have different settings."""
    ways = [
        (job.scheme, {key for key, value in job.tls.items() if value != "false"}, set(job.basic_auth))
        for job in (one, other)
    ]
    return ways[0] != ways[1]


def await_scrape(checks: tuple[Check, ...], look: Look, patience: float) -> None:
    """Waits until Prometheus has scraped each target of these checks, for at most `patience` seconds."""
    began = look.now()
    for check in checks:
        if check.kind == "prometheus":
            _up(check, look, not_before=began, patience=patience, final=True)


def _up(check: Check, look: Look, *, not_before: float, patience: float, final: bool) -> Attempt:
    """Returns what Prometheus reports; with `final`, the first result of a scrape after `not_before`."""
    host, _, component = check.of.partition("/")
    deadline = time.monotonic() + patience
    while True:
        client = look.client("prometheus/prometheus")
        probe = Probe(
            id=f"lab/up/{check.of}",
            host=host,
            component=component,
            name="up of the target",
            client="the lab",
            expect="up",
            url=f"{client.scheme}://{look.scrape_address('prometheus/prometheus')}{look.prefix()}",
            **look.way("prometheus/prometheus"),
            kind="up",
            instance=look.scrape_address(check.of),
            not_before=not_before,
            **client.options(),
        )
        attempt = probes.run(probe, dial=look.dial)
        waiting = attempt.reason.startswith(("not scraped yet", "Prometheus has no target"))
        done = not waiting if final else attempt.ok
        if done or time.monotonic() > deadline:
            return attempt
        time.sleep(0.1)
        look.forget()


def sends_password(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks whether the job sends a password from a file."""
    loaded, written = look.loaded_job(check.of), look.written_job(check.of)
    basic_auth = written.basic_auth if written else {}
    if not basic_auth.get("username"):
        raise NotYet(
            "the scrape job does not send a password yet",
            "Add basic_auth with username and password_file to the job, indented like scheme.",
        )
    if not basic_auth.get("password_file"):
        raise NotYet(
            "the password is in prometheus.yml itself, which many people can read",
            "Move it to its own file, and name that with password_file.",
        )
    path, state = look.beside_prometheus(basic_auth["password_file"])
    if state is None or not state.content.strip():
        raise NotYet(
            f"there is no password in {path} yet", "Create the file, or correct its path in prometheus.yml."
        )
    if loaded is None or loaded.basic_auth.get("username") != basic_auth["username"]:
        raise NotYet(
            "Prometheus has not loaded the changed prometheus.yml",
            f"Run: {look.restart_command('prometheus/prometheus', 'reload')}",
        )
    return [
        f"Prometheus sends user {plain(basic_auth['username'], 60)} and the password from {posixpath.basename(path)}"
    ]


def query(check: Check, look: Look, patience: float) -> list[str]:
    """Checks whether a PromQL query has a result."""
    deadline = time.monotonic() + patience
    while True:
        look.forget()
        answer = look.api(f"/api/v1/query?query={quote(check.options['promql'], safe='')}")
        if isinstance(answer, dict) and answer.get("result"):
            return [check.options["means"]]
        if time.monotonic() > deadline:
            raise NotYet(
                f"not yet: {check.options['means']}",
                f"This query has no result: {check.options['promql']}",
            )
        time.sleep(0.2)


def alerts(check: Check, look: Look, patience: float) -> list[str]:
    """Checks whether the alerts of Prometheus arrive at the Alertmanager."""
    deadline = time.monotonic() + patience
    place = look.scrape_address(check.of)
    while True:
        look.forget()
        response = look.api("/api/v1/alertmanagers")
        urls = (
            [str(each.get("url", "")) for each in response.get("activeAlertmanagers", ())]
            if isinstance(response, dict)
            else []
        )
        secure = [url for url in urls if url.startswith(f"https://{place}/")]
        which = f'{{alertmanager=~"https://{place}/.*"}}[5s]'
        promql = (
            f"rate(prometheus_notifications_sent_total{which}) > 0 unless on(alertmanager) "
            f"rate(prometheus_notifications_errors_total{which}) > 0"
        )
        sent = look.api(f"/api/v1/query?query={quote(promql, safe='')}")
        if secure and isinstance(sent, dict) and sent.get("result"):
            return [f"alerts of Prometheus arrive at {secure[0].partition('/api')[0]}"]
        if time.monotonic() > deadline:
            if not secure:
                raise NotYet(
                    f"Prometheus does not send alerts to https://{place} yet",
                    "Check the section alerting: scheme, tls_config, basic_auth and static_configs belong to the same "
                    "list item.",
                )
            raise NotYet(
                f"alerts do not arrive at {secure[0]} yet",
                "Search the log of Prometheus for: Error sending alert",
            )
        time.sleep(0.3)
