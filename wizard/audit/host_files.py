"""Reads the files of a host that the checks need, in addition to those that discovery has read. Changes nothing."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from wizard.audit import grafana_view
from wizard.audit.config_settings import settings
from wizard.audit.grafana_view import GrafanaView
from wizard.audit.subjects import HostView, SecretFile, named_by
from wizard.config_files import web_config
from wizard.connections.base import Connection
from wizard.engine.hosts import Hosts
from wizard.errors import ConfigError, FirescreenError, PathError
from wizard.model import FileState, HostFacts, PathInfo, Service
from wizard.planner.client_facts import Client
from wizard.planner.grafana import Grafana

Files = dict[str, FileState | None]

_MOST_KEYS: Final = 40
"""Maximum number of files per host that are compared with CA certificates."""
_FOLDERS_OF_KEYS: Final = ("ca", "CA", "certs", "pki", "private", "ssl", "tls")
_KEY_NAMES: Final = ("*.key", "*.pem", "*-key*", "*_key*")
_PACKAGES: Final = r"""
for program; do
  if command -v dpkg-query >/dev/null; then
    owner=$(dpkg-query -S "$program" 2>/dev/null | head -n 1 | cut -d: -f1)
    [ -n "$owner" ] && dpkg-query -W -f "$program"'\t${Package} ${Version}\n' "$owner" 2>/dev/null
  elif command -v rpm >/dev/null; then
    rpm -qf --qf "$program"'\t%{NAME} %{VERSION}-%{RELEASE}\n' "$program" 2>/dev/null
  fi
done
for name in grafana grafana-enterprise; do
  dpkg-query -W -f 'grafana\t${Package} ${Version}\n' "$name" 2>/dev/null ||
    rpm -q --qf 'grafana\t%{NAME} %{VERSION}-%{RELEASE}\n' "$name" 2>/dev/null
done
exit 0
"""


def host_view(known: HostFacts, hosts: Hosts, clients: list[Client], grafanas: Sequence[Grafana]) -> HostView:
    """Reads everything about one host that the checks need."""
    unread = {path: why.problem for path, why in known.unreadable.items()}
    if known.spec.connect == "manual":
        why = "its files cannot be read from here, since a person changes this host"
        named = [each.web_config for each in known.services if each.web_config]
        return HostView(facts=known, files={}, unread=dict.fromkeys(named, why), infos={})
    connection = hosts.connection(known.spec.name)
    practice = known.spec.connect == "practice"
    files: Files = {**dict.fromkeys(unread), **known.files}
    wanted = [path for each in known.services for path in (each.web_config, _own_config(each))]
    _read(connection, wanted, files, unread)
    named = [path for each in known.services for path in _named_in_web(each, files)[::2]]
    _read(connection, named, files, unread)
    _read_rules(connection, clients, files, unread)
    secrets = tuple(
        secret
        for secret in (
            *(each for service in known.services for each in _secrets_of_server(service, files)),
            *(each for client in clients for each in _secrets_of_client(client)),
        )
        if secret.path
    )
    _read_keys(connection, files, unread)
    programs = _absolute(each.program for each in known.services)
    if not practice:
        connection.ask_ahead([(_PACKAGES, *programs), (grafana_view.LOOK,)])
    packages = {} if practice else _packages(connection, programs)
    seen = _grafana(connection, grafanas, packages.get("grafana", ""), practice=practice)
    settings_files = [seen.ini(each) for each in seen.instances]
    _read(connection, settings_files, files, unread)
    has_settings = any(path in unread or files.get(path) is not None for path in settings_files)
    is_there = bool(seen.running or seen.clients) or has_settings
    return HostView(
        facts=known,
        files=files,
        unread=unread,
        infos=_infos(connection, [each.path for each in secrets]),
        packages=packages,
        secrets=secrets,
        grafana=seen if is_there else None,
        inner=posixpath.dirname(posixpath.dirname(known.services[0].home))
        if practice and known.services
        else "",
    )


def _grafana(
    connection: Connection, found: Sequence[Grafana], package: str, *, practice: bool
) -> GrafanaView:
    """The Grafana instances of a host, with the settings from its processes and its unit."""
    own = [each.service.config_file for each in found if each.service.container is None]
    seen = GrafanaView(
        clients=tuple(each for each in found if each.files),
        config_file=own[0] if own else grafana_view.INI,
        package=package,
    )
    if practice:
        return seen
    try:
        output = connection.run_script(grafana_view.LOOK, timeout=20).stdout
    except FirescreenError:
        return seen
    running, lines = grafana_view.parse(output)
    return replace(seen, running=running, lines=lines)


def _secrets_of_server(service: Service, files: Files) -> list[SecretFile]:
    """A server's files with secrets: its web configuration and its private key."""
    if not service.web_config:
        return []
    keys = _named_in_web(service, files)[1:2]
    return [
        SecretFile(service.web_config, "web configuration", service),
        *(SecretFile(path, "private key", service) for path in keys),
    ]


def _secrets_of_client(client: Client) -> list[SecretFile]:
    """The private keys and password files in a client's configuration."""
    return [
        SecretFile(client.resolve(place, name), noun, client.service)
        for place in client.known_places
        for noun, name in (
            ("private key", place.tls.get("key_file", "")),
            ("password file", place.basic_auth.get("password_file", "")),
        )
        if name
    ]


def _own_config(service: Service) -> str:
    """The configuration file of an Alertmanager, which discovery does not read; '' for other components."""
    return service.config_file if service.component == "alertmanager" else ""


def _named_in_web(service: Service, files: Mapping[str, FileState | None]) -> list[str]:
    """The absolute paths of certificate, key and client CA in a web configuration, in this order; '' if not set."""
    state = files.get(service.web_config) if service.web_config else None
    if state is None:
        return []
    try:
        web = web_config.parse(state.content)
    except ConfigError:
        return []
    return [
        named_by(service, name) if name else "" for name in (web.cert_file, web.key_file, web.client_ca_file)
    ]


def _read(connection: Connection, paths: Iterable[str], files: Files, unread: dict[str, str]) -> None:
    """Reads files that are not in `files` yet; adds unreadable ones to `unread` with the reason."""
    missing = [path for path in dict.fromkeys(paths) if path and path not in files]
    if not missing:
        return
    try:
        files |= connection.read_many(missing)
        return
    except FirescreenError:
        pass  # at least one cannot be read: read them one by one to find out which
    for path in missing:
        try:
            files[path] = connection.read(path)
        except FirescreenError as error:
            files[path], unread[path] = None, error.what


def rule_patterns(client: Client) -> list[str]:
    """The absolute paths and globs of a Prometheus' rule files."""
    if client.service.component != "prometheus" or not client.content:
        return []
    try:
        patterns = [each.text for each in settings(client.content) if each.path[:1] == ("rule_files",)]
    except ConfigError:
        return []
    box = client.service.container
    paths = [posixpath.join(client.folder, text) for text in patterns if text]
    return [(box.on_host(path) or path) if box is not None else path for path in paths]


def rule_files(client: Client, files: Mapping[str, FileState | None]) -> dict[str, bytes]:
    """The contents of a Prometheus' rule files, by path, from the files that were read."""
    found: dict[str, bytes] = {}
    for pattern in rule_patterns(client):
        for path, state in files.items():
            if state is not None and fnmatch.fnmatch(path, pattern):
                found[path] = state.content
    return found


def _read_rules(connection: Connection, clients: list[Client], files: Files, unread: dict[str, str]) -> None:
    for client in clients:
        for pattern in rule_patterns(client):
            folder, last = posixpath.split(pattern)
            if not any(sign in pattern for sign in "*?["):
                _read(connection, [pattern], files, unread)
                continue
            names = fnmatch.filter(_names(connection, folder), last)
            _read(connection, [posixpath.join(folder, name) for name in names], files, unread)


def _names(connection: Connection, folder: str) -> tuple[str, ...]:
    try:
        return connection.names(folder)
    except PathError:
        return ()


def _read_keys(connection: Connection, files: Files, unread: dict[str, str]) -> None:
    """Reads possible private keys beside known certificates; a check decides whether one belongs to a CA."""
    beside = dict.fromkeys(
        posixpath.dirname(path)
        for path, state in files.items()
        if state is not None and b"-----BEGIN CERTIFICATE" in state.content
    )
    below = (
        posixpath.join(folder, name)
        for folder in beside
        for name in _names(connection, folder)
        if name in _FOLDERS_OF_KEYS
    )
    folders = dict.fromkeys((*beside, *below))
    wanted = [
        posixpath.join(folder, name)
        for folder in folders
        for name in _names(connection, folder)
        if any(fnmatch.fnmatch(name.lower(), pattern) for pattern in _KEY_NAMES)
    ]
    _read(connection, wanted[:_MOST_KEYS], files, unread)


def _infos(connection: Connection, secrets: Iterable[str]) -> dict[str, PathInfo | None]:
    """Mode and owner of files and of all folders above them."""
    paths: dict[str, None] = {}
    for secret in dict.fromkeys(secrets):
        path = secret
        while path not in ("", "/") and path not in paths:
            paths[path] = None
            path = posixpath.dirname(path)
    return connection.stat_known(paths) if paths else {}


def _absolute(programs: Iterable[str]) -> list[str]:
    return [path for path in dict.fromkeys(programs) if path.startswith("/")]


def _packages(connection: Connection, programs: Sequence[str]) -> dict[str, str]:
    """Name and version of each program's distribution package, and of `grafana`; only for programs from packages."""
    try:
        output = connection.run_script(_PACKAGES, *programs, timeout=20).stdout
    except FirescreenError:
        return {}
    rows = (line.partition("\t") for line in output.splitlines())
    return {path: package for path, tab, package in rows if tab}
