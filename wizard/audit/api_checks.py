"""Checks of administrative endpoints: admin API, lifecycle, receivers, silences, and probes on behalf of others."""

from __future__ import annotations

from typing import Final

from wizard import endpoints
from wizard.audit.report import Check
from wizard.audit.subjects import Found, Seen, ServerView, Skipped, Unseen


def _switched_on(server: ServerView, flag: str) -> Seen:
    """A finding if a flag is on (in the unit, or in the flags that the server reports) and no credentials are needed."""
    by_unit = any(each in (f"--{flag}", f"--{flag}=true") for each in server.service.arguments)
    by_wire = server.flags.get(flag) == "true"
    if not by_unit and not by_wire:
        return
    if server.silent:
        yield Unseen(server.silent)
    elif server.is_open:
        ways = [f"--{flag} in the arguments of {server.service.unit}"] if by_unit else []
        ways += [f"{server.url('/api/v1/status/flags')} says {flag}: true"] if by_wire else []
        yield Found(evidence="; ".join((*ways, "no authentication")), severity=server.spared)


def _admin(server: ServerView) -> Seen:
    yield from _switched_on(server, "web.enable-admin-api")


def _lifecycle(server: ServerView) -> Seen:
    yield from _switched_on(server, "web.enable-lifecycle")


_RECEIVERS: Final = ("web.enable-remote-write-receiver", "web.enable-otlp-receiver")
_FEATURES: Final = ("remote-write-receiver", "otlp-write-receiver")


def _receivers(server: ServerView) -> Seen:
    for flag in _RECEIVERS:
        yield from _switched_on(server, flag)
    features = server.service.flag("enable-feature")
    on = [each for each in features.split(",") if each in _FEATURES]
    if on and server.silent:
        yield Unseen(server.silent)
    elif on and server.is_open:
        evidence = f"--enable-feature={features} in the arguments of {server.service.unit}; no authentication"
        yield Found(evidence=evidence, severity=server.spared)


def _push(server: ServerView) -> Seen:
    if server.silent:
        yield Unseen(server.silent)
        return
    if not server.is_open:
        return
    for use in server.uses:
        if use.honor_labels:
            yield Found(
                evidence=f"{server.service.listen} accepts pushes without authentication, and {use.where} says "
                "honor_labels: true",
                file=use.file,
                line=use.line,
                severity=server.spared,
            )


def _silences(server: ServerView) -> Seen:
    if server.silent:
        yield Unseen(server.silent)
    elif evidence := server.open_page_evidence("/api/v2/silences"):
        yield Found(evidence=f"{evidence}; it accepts a POST from the same clients", severity=server.spared)


def _probe(server: ServerView) -> Seen:
    if server.silent:
        yield Unseen(server.silent)
        return
    attempt = server.answers.get("/probe")
    # Without a target it probes nothing, and answers 400 to every client that it accepts.
    if attempt is not None and attempt.status == 400 and "parameter" in attempt.body:
        yield Found(
            evidence=f"GET {attempt.probe.url}: 400 ({attempt.body.strip()[:60]}), not 401",
            severity=server.spared,
        )


def _cross_origin(server: ServerView) -> Seen:
    if server.silent:
        yield Unseen(server.silent)
        return
    origin = server.service.flag("web.cors.origin") or ".*"
    if server.is_open and origin == ".*":
        yield Found(evidence="--web.cors.origin is '.*', and no authentication is required")


def _gossip(server: ServerView) -> Seen:
    service = server.service
    heads = ("--cluster.listen-address", "-cluster.listen-address")
    given = [each for each in service.arguments if each.partition("=")[0] in heads]
    place = service.flag("cluster.listen-address")
    if given and not place:
        yield Skipped()  # an empty address disables the cluster
        return
    address = place or "0.0.0.0:9094"
    flag = server.known.cluster_flag(service.version)
    host = endpoints.split(address)[0]
    if endpoints.is_loopback(host) or (flag and service.flag(flag)):
        return
    way = "by its flag" if place else "by default"
    yield Found(evidence=f"it listens for its peers on {address} {way}, without TLS")


CHECKS: Final = (
    Check(
        id="API-01",
        severity="high",
        title="The admin API has no authentication",
        means=("unit", "wire"),
        looks_at="Looks for --web.enable-admin-api on components that answer without credentials.",
        why="Whoever reaches it may delete measurements, or copy all of them to its disk.",
        remediation="Require authentication, or remove --web.enable-admin-api",
        components=("prometheus", "pushgateway"),
        step="secure",
        look=_admin,
    ),
    Check(
        id="API-02",
        severity="high",
        title="The lifecycle API has no authentication",
        means=("unit", "wire"),
        looks_at="Looks for --web.enable-lifecycle on components that answer without credentials.",
        why="Whoever reaches it may stop the program, or make it reload its configuration.",
        remediation="Require authentication, or remove --web.enable-lifecycle",
        components=("prometheus", "pushgateway"),
        step="secure",
        look=_lifecycle,
    ),
    Check(
        id="API-03",
        severity="high",
        title="A receiver for remote write or OTLP has no authentication",
        means=("unit", "wire"),
        looks_at="Looks for the flags of the receivers on a Prometheus that answers without credentials.",
        why="Anyone may write any measurement, also one that hides an outage or raises an alert.",
        remediation="Require authentication, or switch the receiver off",
        components=("prometheus",),
        step="secure",
        look=_receivers,
    ),
    Check(
        id="API-04",
        severity="high",
        title="Anyone may push metrics that count as any target's",
        means=("wire", "configuration"),
        looks_at="Requests the Pushgateway without credentials, and reads honor_labels of the job that scrapes it.",
        why="With honor_labels, what is pushed replaces the labels job and instance: anyone can speak for any host.",
        remediation="Require a password or a client certificate of those that push",
        components=("pushgateway",),
        step="secure",
        look=_push,
    ),
    Check(
        id="API-05",
        severity="high",
        title="Anyone may silence alerts",
        means=("wire",),
        looks_at="Requests the list of silences of each Alertmanager without credentials; it creates none.",
        why="Whoever silences all alerts first is not noticed afterwards.",
        remediation="Require a password or a client certificate",
        components=("alertmanager",),
        step="secure",
        look=_silences,
    ),
    Check(
        id="API-06",
        severity="medium",
        title="Anyone may make blackbox_exporter send requests",
        means=("wire",),
        looks_at="Requests /probe without a target and without credentials: the answer is an error or a 401.",
        why="It reaches servers inside your network for a stranger, and its debug output shows a module's passwords "
        "in old versions (CVE-2020-16248).",
        remediation="Require a password or a client certificate",
        components=("blackbox_exporter",),
        step="secure",
        look=_probe,
    ),
    Check(
        id="API-07",
        severity="low",
        title="Any web site may read the API through a visitor's browser",
        means=("unit", "wire"),
        looks_at="Reads --web.cors.origin of each Prometheus that answers without credentials.",
        why="A page that somebody inside opens can query a Prometheus that its author cannot reach.",
        remediation="Require authentication, or set --web.cors.origin to your own sites",
        components=("prometheus",),
        step="secure",
        look=_cross_origin,
    ),
    Check(
        id="API-08",
        severity="high",
        title="Alertmanager's gossip is open and not encrypted",
        means=("unit",),
        looks_at="Reads --cluster.listen-address and --cluster.tls-config of each Alertmanager.",
        why="Whoever reaches that port can join, read all alerts and silences, and add some.",
        remediation="Set cluster_tls for it, or switch the cluster off with --cluster.listen-address=",
        components=("alertmanager",),
        step="secure",
        look=_gossip,
    ),
)
