"""Gathers the evidence for the checks, in addition to a scan. Every request is made without credentials.

Changes nothing, and sends no password.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from wizard import endpoints, probes
from wizard.audit.config_settings import settings
from wizard.audit.host_files import host_view, rule_files
from wizard.audit.proxy_routes import passed_on
from wizard.audit.subjects import ClientView, Evidence, HostView, ServerView, Use
from wizard.components import component as find_component
from wizard.config_files import prometheus as scrape
from wizard.config_files import web_config
from wizard.config_files.yaml_edit import fields
from wizard.engine import Engine, Exposure, Scan
from wizard.engine.exposure import exposure
from wizard.engine.parallel import run_parallel
from wizard.errors import ConfigError
from wizard.model import WORKSPACE, Attempt, Probe, Service
from wizard.planner import grafana, identity
from wizard.planner import paths as layout
from wizard.planner.client_facts import Client
from wizard.probes.server_handshake import shake_hands

FLAGS: Final = "/api/v1/status/flags"
PAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("/debug/pprof/",),
    "prometheus": ("/api/v1/status/config", FLAGS),
    "alertmanager": ("/api/v2/silences", "/api/v2/status"),
    "blackbox_exporter": ("/probe",),
}
"""Pages to request without credentials, by component; '' for every component. None of them changes anything."""
_PATIENCE: Final = 3.0


def gather(machine: Engine, found: Scan) -> Evidence:
    """Gathers the evidence for all checks."""
    facts = found.facts
    clients = (*layout.scrapers(found.stack, facts), *layout.probers(found.stack, facts))
    grafanas = tuple(grafana.clients(facts))
    with machine.connections(found.stack.hosts) as hosts:
        known = [each for name, each in facts.hosts.items() if name != WORKSPACE]
        views = run_parallel(
            lambda each: host_view(
                each,
                hosts,
                [client for client in clients if client.host is each],
                [client for client in grafanas if client.host is each],
            ),
            known,
        )
        by_name = {view.name: view for view in views}
        gateways = frozenset(
            endpoints.split(service.listen)[1]
            for host in known
            for service in host.services
            if service.component == "pushgateway"
        )
        client_views = tuple(
            replace(_client(client, by_name[client.host.spec.name]), pushgateway_ports=gateways)
            for client in clients
        )
        uses = [use for client in client_views for use in _uses(client)]
        exposures = {each.key: each for each in found.exposures}
        services = [
            service
            for each in known
            for service in each.services
            if service.active or service.key in exposures
        ]
        servers = run_parallel(
            lambda service: _server(
                service, by_name[service.host], exposures.get(service.key), uses, hosts.dial
            ),
            services,
        )
        passed = passed_on(facts, servers, hosts)
    return Evidence(
        stack=found.stack,
        facts=facts,
        servers=tuple(servers),
        clients=client_views,
        hosts=tuple(views),
        now=time.time(),
        passed_on=passed,
    )


# -- clients -------------------------------------------------------------------------------------------------


def _client(client: Client, host: HostView) -> ClientView:
    try:
        texts = client.texts
        places = client.places()
    except ConfigError as error:
        return ClientView(client=client, host=host, problem=str(error))
    path = client.service.config_file
    problem = "" if texts else host.why_unread(path)
    return ClientView(
        client=client,
        host=host,
        texts=texts,
        problem=problem,
        places=places,
        rules=rule_files(client, host.files),
        asks_tls=any(place.scheme == "https" for place in places if place.kind != "module"),
    )


def _uses(client: ClientView) -> list[Use]:
    """The addresses that a client scrapes or connects to, each with file and line of its configuration."""
    lines: dict[tuple[str, str], int] = {}
    honoring: set[tuple[str, str]] = set()
    for path, content in client.texts.items() if client.service.component == "prometheus" else ():
        for job in scrape.jobs(content):
            lines[path, job.name] = job.line
        for honored in settings(content):
            if honored.path[2:] == ("honor_labels",) and fields.truth(honored.text):
                honoring.add((path, scrape.jobs(content)[int(honored.path[1])].name))
    own = client.service.config_file
    found: list[Use] = []
    for place in client.places:
        path = place.path or own
        line = place.block.line if place.block is not None else lines.get((path, place.name), 0)
        schemes = {target.address: target.scheme for target in place.targets}
        found += [
            Use(
                client=client.client,
                place=place,
                address=address,
                scheme=schemes.get(address, place.scheme),
                file=path,
                line=line,
                honor_labels=(path, place.name) in honoring,
            )
            for address in place.addresses
            if address
        ]
    return found


# -- servers -------------------------------------------------------------------------------------------------


def _server(
    service: Service, host: HostView, scanned: Exposure | None, uses: Sequence[Use], dial: probes.Dial
) -> ServerView:
    # The exposure in the scan may be that of a front door; the checks need that of the component itself.
    seen = scanned if scanned is not None and scanned.address == service.listen else exposure(service, dial)
    web, problem = _web(service, host)
    listener = identity.Listener(host.facts, service)
    view = ServerView(
        service=service,
        host=host,
        exposure=seen,
        web=web,
        web_problem=problem,
        uses=tuple(
            use for use in uses if identity.means(use.client.host, use.address, listener, scheme=use.scheme)
        ),
        now=time.time(),
    )
    if view.silent:
        return view
    known = find_component(service.component)
    prefix = known.prefix(service.flag)
    metrics = known.metrics_path(service.flag)
    pages = {metrics: metrics}
    pages |= {page: prefix + page for page in (*PAGES[""], *PAGES.get(service.component, ()))}
    scheme = "https" if seen.tls else "http"
    trusts = probes.Trusts()
    bodies: dict[str, bytes] = {}
    answers = {
        page: _ask(
            service, f"{scheme}://{service.listen}{path}", dial, trusts, partial(bodies.__setitem__, page)
        )
        for page, path in pages.items()
    }
    view = replace(view, answers=answers, flags=_flags(bodies.get(FLAGS, b"")))
    if not seen.tls:
        return view
    return replace(
        view,
        handshake=shake_hands(service.listen, forward=service.forward, dial=dial),
        old_handshake=shake_hands(service.listen, forward=service.forward, dial=dial, old=True),
    )


def _web(service: Service, host: HostView) -> tuple[web_config.WebConfig | None, str]:
    """The web configuration of a service, or None and why it could not be read ('' if it has none)."""
    path = service.web_config
    if not path:
        return None, ""
    state = host.read(path)
    if state is None:
        return None, host.why_unread(path)
    try:
        return web_config.parse(state.content), ""
    except ConfigError as error:
        return None, f"{path}: {error}"


def _flags(body: bytes) -> Mapping[str, str]:
    """The flags in a response of Prometheus' API; {} if it has none."""
    try:
        data = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {str(name): str(value) for name, value in data.items()} if isinstance(data, dict) else {}


def _ask(
    service: Service,
    url: str,
    dial: probes.Dial,
    trusts: probes.Trusts,
    keep_body: Callable[[bytes], None],
) -> Attempt:
    probe = Probe(
        id=f"audit/{service.key}",
        host=service.host,
        component=service.component,
        unit=service.instance,
        name="what a stranger gets",
        client="anyone",
        expect="200",
        url=url,
        forward=service.forward,
        insecure=True,  # no secret is sent, so the server need not be trusted
        timeout=_PATIENCE,
    )
    return probes.run(
        probe, dial=dial, trusts=trusts, follow=False, on_body=keep_body if FLAGS in url else None
    )
