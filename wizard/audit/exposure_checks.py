"""Checks of what clients without credentials can read: metrics, configuration, profiles, unencrypted traffic."""

from __future__ import annotations

from typing import Final

from wizard.audit.report import Check
from wizard.audit.subjects import Found, Seen, ServerView, Skipped, Unseen


def _metrics(server: ServerView) -> Seen:
    if server.silent:
        yield Unseen(server.silent)
        return
    page = server.known.metrics_path(server.service.flag)
    if evidence := server.open_page_evidence(page):
        yield Found(evidence=evidence, severity=server.spared)


def _plain_http(server: ServerView) -> Seen:
    if server.silent:
        yield Unseen(server.silent)
    elif not server.exposure.tls and not server.is_enclosed:
        sockets = ", ".join(server.service.sockets)
        listening = f"; it listens on {sockets}" if sockets else ""
        yield Found(evidence=f"{server.service.listen} answers plain HTTP{listening}")


def _profiles(server: ServerView) -> Seen:
    if server.silent:
        yield Unseen(server.silent)
    elif evidence := server.open_page_evidence("/debug/pprof/"):
        yield Found(evidence=evidence, severity=server.spared)


def _settings(server: ServerView) -> Seen:
    if server.silent:
        yield Unseen(server.silent)
        return
    pages = ("/api/v1/status/config", "/api/v1/status/flags", "/api/v2/status")
    open_pages = [evidence for page in pages if (evidence := server.open_page_evidence(page))]
    if open_pages:
        yield Found(evidence="; ".join(open_pages), severity=server.spared)


def _published_port(server: ServerView) -> Seen:
    box = server.service.container
    if box is None:
        yield Skipped()
        return
    if not server.is_open:
        return
    # A port is published on IPv4 and on IPv6, which counts as one finding.
    ports = {
        port.port: port for port in box.published if port.is_everywhere and port.inside == box.inside_port
    }
    for port in ports.values():
        yield Found(
            evidence=f"{box.words} publishes its port {port.inside} as {port.port} on all addresses of the host, "
            "and it answers without authentication",
            file=box.file,
        )


CHECKS: Final = (
    Check(
        id="EXP-01",
        severity="high",
        title="Metrics are readable without authentication",
        means=("wire",),
        looks_at="Requests the metrics of each component without credentials.",
        why="Metrics tell anyone who connects which versions, users, disks and addresses a machine has.",
        remediation="Require a password or a client certificate",
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
        components=("prometheus", "alertmanager"),
        step="secure",
        look=_settings,
    ),
    Check(
        id="EXP-05",
        severity="medium",
        title="A container's port is published on all addresses, without authentication",
        means=("configuration", "wire"),
        looks_at="Looks at the published ports of each container, as its daemon describes them.",
        why="Docker opens a published port past the host's firewall.",
        remediation="Publish it on 127.0.0.1 only, or require authentication",
        step="secure",
        look=_published_port,
    ),
)
