"""The files, folders and names to read from the hosts before a plan can be made. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from itertools import chain
from urllib.parse import urlsplit

from wizard.config_files import blackbox, web_config
from wizard.config_files import prometheus as scrape
from wizard.errors import ConfigError
from wizard.model import WORKSPACE, Facts, OwnFiles, Stack
from wizard.planner import (
    client_logins,
    compose_edits,
    grafana,
    identity,
    plain_http_clients,
    systemd_credentials,
)
from wizard.planner import paths as layout
from wizard.planner.client_facts import Client, on_host
from wizard.planner.front_doors import door_files, door_sign_in, exporter_door_facts
from wizard.planner.server_facts import Server


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The paths to read, by host, given what is known so far; called until it returns nothing new.

    A `*` in the last part of a path stands for all files that match.
    """
    servers = layout.servers(stack, facts)
    return _merge(
        _stack_files(stack, facts),
        grafana.wanted_files(stack, facts),
        compose_edits.wanted_files(facts) if servers else {},
        exporter_door_facts.wanted_files(stack, facts),
        plain_http_clients.wanted_files(servers),
        systemd_credentials.wanted_files(servers),
        door_files.wanted_files(stack, facts),
        door_sign_in.wanted_files(stack, facts),
        client_logins.wanted_files(stack),
    )


def wanted_folders(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The folders whose existence to check, by host."""
    servers = layout.servers(stack, facts)
    return _merge(
        _stack_folders(stack, facts),
        grafana.wanted_folders(facts),
        plain_http_clients.wanted_folders(servers),
        systemd_credentials.wanted_folders(servers),
        exporter_door_facts.wanted_folders(stack, facts),
        door_files.wanted_folders(stack, facts),
    )


def wanted_names(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The names that a host's own resolver must resolve, by host: those in its clients' configurations."""
    used: dict[str, list[str]] = {}
    scrapers, probers = layout.scrapers(stack, facts), layout.probers(stack, facts)
    for client in (*scrapers, *grafana.clients(facts)):
        try:
            places = client.places()
        except ConfigError:
            continue  # the planner reports the error with its place
        addresses = used.setdefault(client.host.spec.name, [])
        for place in places:
            addresses += place.addresses
            probed = [each for target in place.targets if (each := _netloc(target.param_target))]
            for prober in probers if probed else ():
                used.setdefault(prober.host.spec.name, []).extend(probed)
    hosts = layout.known_hosts(facts)
    return {
        name: names
        for name, addresses in used.items()
        if (names := identity.names_to_resolve(addresses, hosts))
    }


def _netloc(target: str) -> str:
    """host:port of a blackbox exporter's target; '' if the target is not a URL."""
    try:
        return urlsplit(target if "://" in target else f"http://{target}").netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _merge(*wanted: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    hosts = dict.fromkeys(host for each in wanted for host in each)
    return {
        host: tuple(dict.fromkeys(path for each in wanted for path in each.get(host, ()))) for host in hosts
    }


def _stack_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The paths to read, by host, given what is known so far; called until it returns nothing new.

    Files name other files (a web configuration names its key), so this takes a few rounds.
    """
    pairs = (
        layout.ca_pair(facts),
        layout.probe_pair(facts),
        layout.stranger_pair(facts),
        layout.other_pair(facts),
        layout.shared_pair(facts),
    )
    wanted: dict[str, list[str]] = {WORKSPACE: [*chain.from_iterable(pairs)]}
    for user in stack.users:
        wanted[WORKSPACE] += [*layout.user_files(facts, user), layout.wrong_user_file(facts, user)]
        if user.file:
            wanted[WORKSPACE].append(posixpath.abspath(user.file))
    for server in layout.servers(stack, facts):
        wanted[WORKSPACE].append(layout.trust_copy(facts, server))
        if server.spec.name in layout.TOOLS:
            wanted[WORKSPACE].append(layout.tools_file(facts, server))
        paths = [server.web_file, *server.pair, *server.spare_pair, server.client_ca]
        paths += _own_files(server.spec.files)
        if server.spec.cluster_tls:
            paths += [server.cluster_file, *server.cluster_pair, server.cluster_ca]
        if server.service.flags.path:
            paths.append(server.service.flags.path)
        paths += server.own_dropins
        paths += _paths_in_web_config(server)
        wanted.setdefault(server.spec.host, []).extend(paths)
    for client in (*layout.scrapers(stack, facts), *layout.probers(stack, facts)):
        paths = [client.service.config_file, *client.pair, *client.spare_pair]
        paths += _included_files(client)
        paths += [client.password_file(user) for user in stack.users]
        for server in layout.servers(stack, facts):
            paths += [client.trust_file(server, own_ca=own) for own in (True, False)]
        paths += _paths_of_client(client)
        paths += _own_files(client.own)
        wanted[WORKSPACE].append(layout.trust_copy(facts, layout.as_server(client)))
        wanted.setdefault(client.host.spec.name, []).extend(paths)
    for host, path in _web_configurations(stack, facts):
        wanted.setdefault(host, []).append(path)
    return {host: tuple(dict.fromkeys(paths)) for host, paths in wanted.items()}


def _stack_folders(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The folders whose existence to check, by host."""
    wanted: dict[str, list[str]] = {
        WORKSPACE: [
            layout.workspace_path(facts, name)
            for name in ("ca", "users", "trust", "clients", "shared", "tools")
        ]
    }
    for client in (*layout.scrapers(stack, facts), *layout.probers(stack, facts)):
        if client.service.container is not None:
            wanted.setdefault(client.host.spec.name, []).append(client.service.home)
    for server in layout.servers(stack, facts):
        folders = list(server.homes)
        folders += server.flag_folders
        wanted.setdefault(server.spec.host, []).extend(folders)
    return {host: tuple(dict.fromkeys(paths)) for host, paths in wanted.items()}


def _web_configurations(stack: Stack, facts: Facts) -> Iterator[tuple[str, str]]:
    """Yields host and path of each web configuration in use: behind mutual TLS, only this file tells whether there is a password."""
    for component in stack.components:
        host = facts.hosts.get(component.host)
        service = host.service(component.name, component.unit) if host else None
        if service is not None and service.web_config and service.container is None:
            yield component.host, service.web_config


def _paths_in_web_config(server: Server) -> list[str]:
    state = server.host.files.get(server.web_file)
    if state is None:
        return []
    try:
        config = web_config.parse(state.content)
    except ConfigError:
        return []  # the planner reports the error with its place
    paths = (config.cert_file, config.key_file, config.client_ca_file)
    return [posixpath.join(server.home, name) for name in paths if name]


def _own_files(files: OwnFiles) -> list[str]:
    paths = (files.cert_file, files.key_file, files.ca_file)
    return [
        name for name in (*paths, files.client_cert_file, files.client_key_file, files.client_ca_file) if name
    ]


def _included_files(client: Client) -> list[str]:
    """The paths and globs of the files that a client's configuration includes."""
    if client.service.component != "prometheus" or not client.content:
        return []
    try:
        return list(scrape.included_patterns(client.content, client.folder))
    except ConfigError:
        return []  # the planner reports the error with its place


def _paths_of_client(client: Client) -> list[str]:
    """The files that a client's configuration names: CAs, pairs, passwords, target lists, its own bundles."""
    try:
        texts = client.texts
    except ConfigError:
        return []
    return [name for path, content in texts.items() for name in _paths_in(client, path, content)]


def _paths_in(client: Client, path: str, content: bytes) -> list[str]:
    folder = posixpath.dirname(path)
    try:
        if client.service.component == "blackbox_exporter":
            modules = blackbox.modules(content)
            paths = [client.place_trust(f"module {module.name}") for module in modules]
            settings = [(module.tls, module.basic_auth) for module in modules]
        else:
            jobs, blocks = scrape.jobs(content), scrape.clients(content)
            paths = [*scrape.sd_files(content, folder)]
            paths += [client.place_trust(f"job {job.name}") for job in jobs]
            paths += [client.place_trust(block.title) for block in blocks]
            settings = [(job.tls, job.basic_auth) for job in jobs]
            settings += [(block.tls, block.basic_auth) for block in blocks]
    except ConfigError:
        return []
    paths += [tls.get(key, "") for tls, _ in settings for key in ("ca_file", "cert_file", "key_file")]
    paths += [basic.get("password_file", "") for _, basic in settings]
    return [on_host(client.service, posixpath.join(folder, name)) for name in paths if name]
