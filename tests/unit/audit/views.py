"""Makes the evidence that checks read, as discovery would have collected it, for cases that no practice stack has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from wizard.audit import AuditFinding, AuditReport, Case, Score
from wizard.audit.catalogue import check_of
from wizard.audit.grafana_view import GrafanaView
from wizard.audit.runner import cases
from wizard.audit.subjects import Evidence, HostView, ServerView
from wizard.config_files import web_config
from wizard.engine import Exposure
from wizard.model import Connect, Facts, FileState, HostFacts, HostSpec, OwnFiles, Service, Stack
from wizard.planner.grafana import Grafana

NOW = 1_800_000_000.0
OPEN = {"tls": False, "password": False, "client_certificate": False, "state": "open"}
SECURED = {"tls": True, "password": True, "client_certificate": False, "state": "secured"}


def host(
    name: str = "srv1", *, connect: Connect = "ssh", files: dict[str, str] | None = None, **more: Any
) -> HostView:
    facts = HostFacts(
        spec=HostSpec(name=name, connect=connect, address="192.0.2.1"), names=("192.0.2.1", name), root=True
    )
    states = {path: FileState(text.encode()) for path, text in (files or {}).items()}
    return HostView(
        facts=facts, files=states, unread=more.pop("unread", {}), infos=more.pop("infos", {}), **more
    )


def server(
    component: str = "node_exporter",
    *,
    at: HostView | None = None,
    exposed: dict[str, Any] | None = None,
    web: str = "",
    answers: dict[str, Any] | None = None,
    **service: Any,
) -> ServerView:
    on = at or host()
    defaults = {
        "version": "",
        "unit": component,
        "listen": "192.0.2.1:9100",
        "manager": "systemd",
        "active": True,
    }
    made_service = Service(host=on.name, component=component, **{**defaults, **service})
    exposure = Exposure(
        host=on.name,
        component=component,
        address=made_service.listen,
        version=made_service.version,
        manager="systemd",
        unit=made_service.unit,
        words="",
        **(exposed or OPEN),
    )
    return ServerView(
        service=made_service,
        host=replace(on, facts=replace(on.facts, services=(made_service,))),
        exposure=exposure,
        web=web_config.parse(web.encode()) if web else None,
        now=NOW,
        **(answers or {}),
    )


def evidence(*servers: ServerView, hosts: tuple[HostView, ...] = (), proxies: Any = None) -> Evidence:
    views = {each.name: each for each in (*(one.host for one in servers), *hosts)}
    facts = Facts(hosts={name: view.facts for name, view in views.items()}, proxies=proxies or {})
    return Evidence(
        stack=Stack(hosts=(), components=()),
        facts=facts,
        servers=servers,
        clients=(),
        hosts=tuple(views.values()),
        now=NOW,
    )


def cases_of(check: str, seen: Evidence) -> list[Case]:
    """Runs one check and returns its cases."""
    return list(cases([check_of(check)], seen))


def findings_of(check: str, seen: Evidence) -> list[AuditFinding]:
    return [finding for case in cases_of(check, seen) for finding in case.findings]


def grafana(files: dict[str, str], *, version: str = "grafana 12.0.1", **more: Any) -> HostView:
    view = host(files={f"/etc/grafana/{name}": text for name, text in files.items()})
    facts = replace(view.facts, files=view.files)
    service = Service(
        host="srv1",
        component="grafana",
        manager="manual",
        unit="grafana",
        config_file="/etc/grafana/grafana.ini",
    )
    client = Grafana(facts, service, OwnFiles())
    return replace(view, facts=facts, grafana=GrafanaView(clients=(client,), package=version, **more))


def report(*findings: AuditFinding, cases_: tuple[Case, ...] = (), **more: Any) -> AuditReport:
    fields = {"checked": 3, "could_not_check": (), "score": Score(value=50, parts=())}
    return AuditReport(
        stack=Stack(hosts=(), components=(), source=str(Path("firescreen.yaml"))),
        findings=findings,
        cases=cases_,
        **{**fields, **more},
    )


def finding(check: str = "EXP-01", **more: Any) -> AuditFinding:
    of = check_of(check)
    fields = {
        "id": of.id,
        "severity": of.severity,
        "host": "srv1",
        "component": "node_exporter",
        "title": of.title,
        "evidence": "GET http://192.0.2.1:9100/metrics: 200",
        "remediation": of.remediation,
    }
    return AuditFinding(**{**fields, **more})
