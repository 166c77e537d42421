"""Gathers what the checks look at, with what a scan knows already: every request here is one that a stranger could make.

Changes nothing, and sends no password to anybody.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterable, Mapping
from typing import Final

from wizard import probes
from wizard.audit.subjects import ClientView, Evidence, HostView, ServerView
from wizard.components import component as find_component
from wizard.config_files import web_config
from wizard.connections.base import Connection
from wizard.engine import Engine, Exposure, Scan
from wizard.engine.exposure import exposure
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import ConfigError, FirescreenError, PathError
from wizard.model import WORKSPACE, Attempt, FileState, HostFacts, PathInfo, Probe, Service
from wizard.planner import paths as layout
from wizard.planner.client_facts import Client
from wizard.probes.server_handshake import Handshake, shake_hands

PAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("/debug/pprof/",),
    "prometheus": ("/api/v1/status/config", "/api/v1/status/flags"),
    "alertmanager": ("/api/v2/silences", "/api/v2/status"),
    "blackbox_exporter": ("/probe",),
}
"""Pages that a stranger is tried with, by component; '' for every component. None of them changes anything."""
_PATIENCE: Final = 3.0
_PACKAGES: Final = r"""
for program; do
  if command -v dpkg-query >/dev/null; then
    owner=$(dpkg-query -S "$program" 2>/dev/null | head -n 1 | cut -d: -f1)
    [ -n "$owner" ] && dpkg-query -W -f "$program"'\t${Package} ${Version}\n' "$owner" 2>/dev/null
  elif command -v rpm >/dev/null; then
    rpm -qf --qf "$program"'\t%{NAME} %{VERSION}-%{RELEASE}\n' "$program" 2>/dev/null
  fi
done
exit 0
"""


def gather(machine: Engine, found: Scan) -> Evidence:
    """All that the checks look at."""
    facts = found.facts
    clients = (*layout.scrapers(found.stack, facts), *layout.probers(found.stack, facts))
    with machine.connections(found.stack.hosts) as hosts:
        known = [each for name, each in facts.hosts.items() if name != WORKSPACE]
        views = run_parallel(
            lambda each: _host(each, hosts, [one for one in clients if one.host is each]), known
        )
        by_name = {view.name: view for view in views}
        exposures = {each.key: each for each in found.exposures}
        services = [
            service
            for each in known
            for service in each.services
            if service.active or service.key in exposures
        ]
        servers = run_parallel(
            lambda service: _server(service, by_name[service.host], exposures.get(service.key), hosts.dial),
            services,
        )
    return Evidence(
        stack=found.stack,
        facts=facts,
        servers=tuple(servers),
        clients=tuple(_client(client, by_name[client.host.spec.name]) for client in clients),
        hosts=tuple(views),
        now=time.time(),
    )


# -- what a host has -----------------------------------------------------------------------------------------


def _host(known: HostFacts, hosts: Hosts, clients: list[Client]) -> HostView:
    unread = {path: why.problem for path, why in known.unreadable.items()}
    if known.spec.connect == "manual":
        why = "a person changes this host: its files cannot be read from here"
        named = [each.web_config for each in known.services if each.web_config]
        return HostView(facts=known, files={}, unread=dict.fromkeys(named, why), infos={})
    connection = hosts.connection(known.spec.name)
    files = dict(known.files)
    _read(connection, [each.web_config for each in known.services], files, unread)
    named = [path for each in known.services for path in _named_in_web(each, files)]
    _read(connection, [path for path in named if not _is_key(path, known, files)], files, unread)
    secrets = [path for each in known.services for path in _secrets_of(each, files)]
    secrets += [path for client in clients for path in _secrets_of_client(client)]
    inner = posixpath.dirname(posixpath.dirname(known.services[0].home)) if known.services else ""
    practice = known.spec.connect == "practice"
    return HostView(
        facts=known,
        files=files,
        unread=unread,
        infos=_infos(connection, secrets),
        packages={} if practice else _packages(connection, [each.program for each in known.services]),
        inner=inner if practice else "",
    )


def _read(
    connection: Connection, paths: Iterable[str], files: dict[str, FileState | None], unread: dict[str, str]
) -> None:
    """Adds files that are not known yet; what cannot be read is added to `unread` with the reason."""
    missing = [path for path in dict.fromkeys(paths) if path and path not in files]
    if not missing:
        return
    try:
        files |= connection.read_many(missing)
        return
    except FirescreenError:
        pass  # one of them: each by itself says which
    for path in missing:
        try:
            files[path] = connection.read(path)
        except FirescreenError as error:
            files[path], unread[path] = None, error.what


def _infos(connection: Connection, secrets: Iterable[str]) -> dict[str, PathInfo | None]:
    """Modes of files, and of all folders above them."""
    paths: dict[str, None] = {}
    for path in dict.fromkeys(secrets):
        while path not in ("", "/") and path not in paths:
            paths[path] = None
            path = posixpath.dirname(path)  # noqa: PLW2901 - the next one up
    if not paths:
        return {}
    try:
        return connection.stat_many(paths)
    except PathError:
        return {path: _info(connection, path) for path in paths}


def _info(connection: Connection, path: str) -> PathInfo | None:
    try:
        return connection.stat(path)
    except PathError:
        return None


def _packages(connection: Connection, programs: Iterable[str]) -> dict[str, str]:
    """The distribution's package that each program comes from; one that is in none is left out."""
    wanted = [path for path in dict.fromkeys(programs) if path]
    if not wanted:
        return {}
    try:
        said = connection.run_script(_PACKAGES, *wanted, timeout=20).stdout
    except FirescreenError:
        return {}
    rows = (line.partition("\t") for line in said.splitlines())
    return {path: package for path, tab, package in rows if tab}


def _named_in_web(service: Service, files: Mapping[str, FileState | None]) -> list[str]:
    """The files that a web configuration names, absolute."""
    state = files.get(service.web_config) if service.web_config else None
    if state is None:
        return []
    try:
        web = web_config.parse(state.content)
    except ConfigError:
        return []
    folder = posixpath.dirname(service.web_config)
    named = (web.cert_file, web.key_file, web.client_ca_file)
    return [posixpath.join(folder, name) for name in named if name]


def _is_key(path: str, known: HostFacts, files: Mapping[str, FileState | None]) -> bool:
    """Whether a web configuration names it as a private key: those are not read."""
    for service in known.services:
        state = files.get(service.web_config) if service.web_config else None
        if state is None:
            continue
        try:
            named = web_config.parse(state.content).key_file
        except ConfigError:
            continue
        if named and posixpath.join(posixpath.dirname(service.web_config), named) == path:
            return True
    return False


def _secrets_of(service: Service, files: Mapping[str, FileState | None]) -> list[str]:
    """The files of a server that only it and root may read."""
    return [service.web_config, *_named_in_web(service, files)[1:2]] if service.web_config else []


def _secrets_of_client(client: Client) -> list[str]:
    """The keys and password files that a client's configuration names."""
    try:
        places = client.places()
    except ConfigError:
        return []
    return [
        client.resolve(place, name)
        for place in places
        for name in (place.tls.get("key_file", ""), place.basic_auth.get("password_file", ""))
        if name
    ]


def _client(client: Client, host: HostView) -> ClientView:
    try:
        texts = client.texts
    except ConfigError as error:
        return ClientView(client=client, host=host, problem=str(error))
    path = client.service.config_file
    problem = "" if texts else host.unread.get(path, "")
    return ClientView(client=client, host=host, texts=texts, problem=problem)


# -- what a server answers -----------------------------------------------------------------------------------


def _server(service: Service, host: HostView, seen: Exposure | None, dial: probes.Dial) -> ServerView:
    seen = seen or exposure(service, dial)
    web, problem = _web(service, host)
    if service.out_of_reach or seen.state == "down":
        return ServerView(
            service=service, host=host, exposure=seen, web=web, web_problem=problem, now=time.time()
        )
    known = find_component(service.component)
    scheme = "https" if seen.tls else "http"
    prefix = known.prefix(service.flag)
    pages = {
        known.metrics_path(service.flag): known.metrics_path(service.flag),
        **{page: prefix + page for page in (*PAGES[""], *PAGES.get(service.component, ()))},
    }
    trusts = probes.Trusts()
    answers = {
        page: _ask(service, f"{scheme}://{service.listen}{path}", dial, trusts)
        for page, path in pages.items()
    }
    first: Handshake | None = None
    old: Handshake | None = None
    if seen.tls:
        first = shake_hands(service.listen, forward=service.forward, dial=dial)
        old = shake_hands(service.listen, forward=service.forward, dial=dial, old=True)
    return ServerView(
        service=service,
        host=host,
        exposure=seen,
        answers=answers,
        handshake=first,
        old_handshake=old,
        web=web,
        web_problem=problem,
        now=time.time(),
    )


def _web(service: Service, host: HostView) -> tuple[web_config.WebConfig | None, str]:
    """A web configuration, or why there is none to look at."""
    path = service.web_config
    if not path:
        return None, ""
    state = host.read(path)
    if state is None:
        return None, host.unread.get(path, f"{path} is not there")
    try:
        return web_config.parse(state.content), ""
    except ConfigError as error:
        return None, f"{path}: {error}"


def _ask(service: Service, url: str, dial: probes.Dial, trusts: probes.Trusts) -> Attempt:
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
        insecure=True,  # nothing is sent that would need a trusted server
        timeout=_PATIENCE,
    )
    return probes.run(probe, dial=dial, trusts=trusts, follow=False)
