"""Checks of the client side: the configurations of Prometheus and blackbox_exporter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wizard import endpoints
from wizard.audit.config_settings import Setting, settings
from wizard.audit.report import Check
from wizard.audit.subjects import ClientView, Found, Seen, Skipped, Unseen
from wizard.audit.version_checks import is_packaged
from wizard.components.base import numbers
from wizard.config_files.yaml_edit import fields
from wizard.redact import plain

_USERINFO: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@", re.IGNORECASE)
_SAFE_REDIRECTS: Final = "3.13.0"
_CREDENTIALS: Final = ("basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file")


def _client_settings(client: ClientView) -> Iterator[tuple[str, Setting]]:
    """(file, setting) for every setting of a client's configuration."""
    for path, content in client.texts.items():
        for setting in settings(content):
            yield path, setting


def _skip_verify(client: ClientView) -> Seen:
    if client.problem:
        yield Unseen(client.problem)
    for path, setting in _client_settings(client):
        if setting.key == "insecure_skip_verify" and fields.truth(setting.text):
            yield Found(evidence="insecure_skip_verify: true", file=path, line=setting.line)


def _in_url(client: ClientView) -> Seen:
    if client.problem:
        yield Unseen(client.problem)
    for path, setting in _client_settings(client):
        if _USERINFO.search(setting.text):
            yield Found(evidence=f"{setting.key} holds a user and a password", file=path, line=setting.line)


def _honors(client: ClientView) -> Seen:
    if client.problem:
        yield Unseen(client.problem)
    honoring: dict[tuple[str, int], int] = {}
    for path, setting in _client_settings(client):
        job = setting.path[1] if len(setting.path) == 3 else None
        if setting.path[2:] == ("honor_labels",) and fields.truth(setting.text) and isinstance(job, int):
            honoring[path, job] = setting.line
    for (path, index), line in honoring.items():
        job = _job(client, path, index)
        if job and not _speaks_for_others(client, path, job, index):
            yield Found(evidence=f"job {plain(job, 80)}: honor_labels: true", file=path, line=line)


def _job(client: ClientView, path: str, index: int) -> str:
    return next(
        (
            setting.text
            for each, setting in _client_settings(client)
            if each == path and setting.path[1:] == (index, "job_name")
        ),
        "",
    )


def _speaks_for_others(client: ClientView, path: str, job: str, index: int) -> bool:
    """Whether a job scrapes a Pushgateway or a federation, which are made to pass on the labels of others."""
    metrics = [
        setting.text
        for each, setting in _client_settings(client)
        if each == path and setting.path[1:] == (index, "metrics_path")
    ]
    if any(text.rstrip("/").endswith("/federate") for text in metrics):
        return True
    own = client.service.config_file
    places = [
        each
        for each in client.places
        if each.kind == "job" and each.name == job and (each.path or own) == path
    ]
    ports = {endpoints.split(address)[1] for place in places for address in place.addresses}
    # Default ports: 9091 Pushgateway, 9102 statsd_exporter, 9108 graphite_exporter.
    return bool(ports) and ports <= {9091, 9102, 9108} | client.pushgateway_ports


def _redirects(client: ClientView) -> Seen:
    service = client.service
    if client.problem:
        yield Unseen(client.problem)
        return
    if service.version and numbers(service.version) >= numbers(_SAFE_REDIRECTS):
        yield Skipped()
        return
    if not service.version:
        yield Unseen("its version is not known")
        return
    jobs: dict[tuple[str, int], dict[str, Setting]] = {}
    for path, setting in _client_settings(client):
        if (
            setting.path[:1] == ("scrape_configs",)
            and len(setting.path) > 2
            and isinstance(setting.path[1], int)
        ):
            jobs.setdefault((path, setting.path[1]), {}).setdefault(str(setting.path[2]), setting)
    sending: dict[str, list[tuple[str, int]]] = {}
    for (path, _), job in jobs.items():
        redirects = job.get("follow_redirects")
        credentials = [each for each in _CREDENTIALS if each in job]
        if credentials and (redirects is None or fields.truth(redirects.text)):
            name = job["job_name"].text if "job_name" in job else ""
            sending.setdefault(path, []).append((plain(name, 80), job[credentials[0]].line))
    packaged = is_packaged(client.host, service)
    for path, found in sending.items():
        names = ", ".join(name for name, _ in found)
        yield Found(
            evidence=f"{'possibly: ' if packaged else ''}Prometheus {service.version} sends credentials on to where "
            f"a target redirects it (CVE-2023-45289): {'job' if len(found) == 1 else 'jobs'} {names}",
            file=path,
            line=found[0][1],
            severity="low" if packaged else None,
            certain=not packaged,
        )


CHECKS: Final = (
    Check(
        id="CFG-01",
        severity="high",
        title="A client does not verify the server's certificate",
        means=("configuration",),
        looks_at="Looks for insecure_skip_verify: true in the configurations of Prometheus and blackbox_exporter.",
        why="Whoever answers in the server's place gets the password, and can make up the metrics.",
        remediation="Remove insecure_skip_verify, and name the CA in ca_file",
        scope="client",
        step="secure",
        look=_skip_verify,
    ),
    Check(
        id="CFG-02",
        severity="high",
        title="A password stands in a URL",
        means=("configuration",),
        looks_at="Looks for user:password@ in the URLs and targets of the configurations.",
        why="URLs are shown on Prometheus' pages, in its API and in logs.",
        remediation="Use basic_auth with password_file",
        scope="client",
        look=_in_url,
    ),
    Check(
        id="CFG-03",
        severity="medium",
        title="An exporter may replace the labels job and instance",
        means=("configuration",),
        looks_at="Looks for honor_labels: true on jobs that scrape neither a Pushgateway nor a federation.",
        why="A program on one host can then report measurements in the name of any other host.",
        remediation="Remove honor_labels from that job",
        scope="client",
        components=("prometheus",),
        look=_honors,
    ),
    Check(
        id="CFG-04",
        severity="medium",
        title="Credentials follow a redirect to another host",
        means=("configuration", "unit"),
        looks_at="Looks for jobs with credentials and without follow_redirects: false, before Prometheus 3.13. "
        "Low for a distribution's version, which may be built with a newer Go.",
        why="A target that is taken over can redirect Prometheus, and gets the password that others accept too.",
        remediation="Set follow_redirects: false on that job, or update Prometheus to 3.13",
        scope="client",
        components=("prometheus",),
        look=_redirects,
    ),
)
