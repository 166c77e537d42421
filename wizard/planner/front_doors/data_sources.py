"""Edits of Grafana's provisioned data sources whose component moves behind a front door: they get its new path. Pure.

A data source is only reported, with the lines to write, if its Grafana runs on another host or in a container, or if
the browser sends the requests: the loopback address is not the component's there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from wizard import endpoints
from wizard.config_files import grafana as provisioning
from wizard.errors import ConfigError
from wizard.model import BrokenClient, Facts, Finding, PlannedStep, StepKind
from wizard.planner import client_edit, grafana
from wizard.planner.front_doors.door_facts import Backend
from wizard.planner.grafana import Grafana


@dataclass(frozen=True, slots=True)
class DataSources:
    """The edits of data sources, the clients that the plan cannot edit, and warnings."""

    edits: tuple[PlannedStep, ...] = ()
    broken: tuple[BrokenClient, ...] = ()
    warnings: tuple[Finding, ...] = ()

    def on(self, host: str) -> bool:
        """Whether data sources of the Grafana on a host are edited."""
        return any(step.host == host for step in self.edits)


def plan(facts: Facts, backends: Sequence[Backend], restarted: Collection[str]) -> DataSources:
    """Plans the edits of the data sources that query a component behind a front door.

    Args:
        restarted: hosts whose Grafana is behind a front door itself: the plan restarts it anyway.
    """
    edits, broken, warnings = [], [], []
    for client in grafana.clients(facts):
        texts = {path: state.content for path, state in client.files}
        before = dict(texts)
        for backend in backends:
            broken += _edit_data_sources(client, backend, texts)
        step = _step(client, before, texts)
        if step is not None:
            edits.append(step)
            if client.host.spec.name not in restarted:
                warnings.append(_restart(client))
    return DataSources(tuple(edits), tuple(broken), tuple(warnings))


def _edit_data_sources(client: Grafana, backend: Backend, texts: dict[str, bytes]) -> list[BrokenClient]:
    """Edits the data sources that query a component in `texts`; returns those that cannot be edited."""
    near = client.host.spec.name == backend.host.spec.name
    moves = backend.old_prefix != backend.route.prefix
    wheres: list[str] = []
    lines: list[str] = []
    for path, content in list(texts.items()):
        try:
            sources = provisioning.datasources(content)
        except ConfigError:
            continue  # `grafana.clients` reports the error
        for source in sources:
            place = grafana.place_of(source)
            if not any(client.means(at, backend.server) for at in place.addresses):
                continue
            url = _url(source.url, backend)
            if source.url.rstrip("/") == url.rstrip("/"):
                continue
            if (near or backend.over_tls) and client.service.container is None and source.access != "direct":
                try:
                    texts[path] = provisioning.set_url(texts[path], name=source.name, url=url)
                    continue
                except ConfigError:
                    pass
            if moves or not (near or backend.over_tls):
                inside = near and client.service.container is None
                wheres.append(f"{client.host.spec.name}:{place.path or place.name}")
                lines += (f"url: {url}",) if inside or backend.over_tls else _through_door(backend)
    if not wheres or not (moves or not (backend.is_closed or backend.over_tls)):
        return []
    host = client.host.spec.name
    return [
        BrokenClient(
            key=f"{host}/grafana/{backend.component if near else backend.key}",
            host=host,
            client="grafana",
            server=backend.key,
            component=backend.component,
            where=tuple(wheres),
            lines=tuple(dict.fromkeys(lines)),
        )
    ]


def _through_door(backend: Backend) -> Iterator[str]:
    """Yields the lines of a data source that queries a component through the front door, with a user or certificate."""
    door = backend.door
    users = (*door.machines, *door.people)
    yield f"url: {backend.url}"
    if users:
        yield "basicAuth: true"
        yield f"basicAuthUser: {users[0]}"
    secrets = ["basicAuthPassword"] if users else ["tlsClientCert", "tlsClientKey"]
    options = [] if users else ["tlsAuth: true"]
    if not (door.cert_file or door.site) or door.ca_file:
        options.append("tlsAuthWithCACert: true")
        secrets.append("tlsCACert")
    yield from (f"jsonData: {{{', '.join(options)}}}",) if options else ()
    yield f"secureJsonData: {{{', '.join(f'{each}: …' for each in secrets)}}}"


def _url(url: str, backend: Backend) -> str:
    """The new URL of a data source. A URL that is not on loopback becomes localhost, except over TLS."""
    parts = urlsplit(url)
    host, _ = endpoints.split(parts.netloc.rpartition("@")[2])
    netloc = parts.netloc if endpoints.is_loopback(host) else f"localhost:{backend.server.port}"
    path, old = parts.path, backend.old_prefix
    if old and f"{path}/".startswith(f"{old}/"):
        path = path.removeprefix(old)
    if backend.over_tls:
        return f"{parts.scheme}://{parts.netloc}{backend.route.prefix}{path.rstrip('/')}"
    return f"http://{netloc}{backend.route.prefix}{path.rstrip('/')}"


def _step(client: Grafana, before: dict[str, bytes], after: dict[str, bytes]) -> PlannedStep | None:
    changes = client_edit.edits(client, before, after, why=grafana.READS)
    if not changes:
        return None
    return client.step(
        StepKind.GRAFANA,
        step_id=":".join(filter(None, ("grafana", client.host.spec.name, client.instance, "paths"))),
        title="Set the new paths in the data sources of Grafana",
        why="What is behind a front door serves below its path on the loopback address too.",
        changes=changes,
    )


def _restart(client: Grafana) -> Finding:
    host = client.host.spec.name
    return Finding(
        id="grafana-restart",
        host=host,
        component="grafana",
        what=f"Grafana on {host} has to be restarted by you after the run",
        why="Grafana reads its data sources at its start only, and Firescreen does not restart it.",
        remediation=f"Restart it: {client.restart_command}",
    )
