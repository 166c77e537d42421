"""What a stranger gets: metrics, configuration, profiles, traffic in clear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wizard.audit.report import Check
from wizard.audit.subjects import Found, ServerView, Unseen


def _metrics(server: ServerView) -> Iterator[Found | Unseen]:
    if server.silent:
        yield Unseen(server.silent)
        return
    page = server.known.metrics_path(server.service.flag)
    if evidence := server.got(page):
        yield Found(evidence=evidence, severity=server.spared)


def _plain_http(server: ServerView) -> Iterator[Found | Unseen]:
    if server.silent:
        yield Unseen(server.silent)
    elif not server.exposure.tls and not server.is_enclosed:
        sockets = ", ".join(server.service.sockets)
        listening = f"; it listens on {sockets}" if sockets else ""
        yield Found(evidence=f"{server.service.listen} answers plain HTTP{listening}")


def _profiles(server: ServerView) -> Iterator[Found | Unseen]:
    if server.silent:
        yield Unseen(server.silent)
    elif evidence := server.got("/debug/pprof/"):
        yield Found(evidence=evidence, severity=server.spared)


def _settings(server: ServerView) -> Iterator[Found | Unseen]:
    if server.silent:
        yield Unseen(server.silent)
        return
    pages = ("/api/v1/status/config", "/api/v1/status/flags", "/api/v2/status")
    open_pages = [evidence for page in pages if (evidence := server.got(page))]
    if open_pages:
        yield Found(evidence="; ".join(open_pages), severity=server.spared)


CHECKS: Final = (
    Check(
        id="EXP-01",
        severity="high",
        title="Metrics are readable without authentication",
        means=("wire",),
        looks_at="Requests the metrics of each component without credentials.",
        why="Metrics tell anyone who connects which versions, users, disks and addresses a machine has.",
        remediation="Require a password or a client certificate",
        scope="server",
        step="secure",
        look=_metrics,
    ),
    Check(
        id="EXP-02",
        severity="high",
        title="Plain HTTP is served beyond the host itself",
        means=("wire", "unit"),
        looks_at="Requests each component by plain HTTP, and compares its listening sockets with the loopback.",
        why="Whoever is on the path reads metrics, and passwords where they are sent.",
        remediation="Serve TLS",
        scope="server",
        step="secure",
        look=_plain_http,
    ),
    Check(
        id="EXP-03",
        severity="medium",
        title="Profiles of the running program are readable without authentication",
        means=("wire",),
        looks_at="Requests /debug/pprof/ of each component without credentials.",
        why="A profile costs the program half a minute of work, and a heap dump shows what it has in memory.",
        remediation="Require a password or a client certificate: it covers every page of the server",
        scope="server",
        step="secure",
        look=_profiles,
    ),
    Check(
        id="EXP-04",
        severity="medium",
        title="Configuration and flags are readable without authentication",
        means=("wire",),
        looks_at="Requests the status pages of Prometheus and Alertmanager without credentials.",
        why="They name every target, every file with a password, and every flag.",
        remediation="Require a password or a client certificate",
        scope="server",
        components=("prometheus", "alertmanager"),
        step="secure",
        look=_settings,
    ),
)
