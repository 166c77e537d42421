"""Which existing files on hosts belong to a stack: those that Firescreen writes, or that a person provided. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wizard.components import component as find_component
from wizard.config_files import alertmanager_cluster, web_config
from wizard.export.front_doors import Doors
from wizard.model import Authorization, Facts, FileState, Stack
from wizard.planner import blackbox, client_logins, grafana, paths
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.planner.client_logins import LoginPlan
from wizard.planner.server_facts import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A file that a person provided and that the stack uses: it stays where it is and is not exported."""

    host: str
    path: str


def in_place(
    stack: Stack, facts: Facts, servers: tuple[Server, ...], scrapers: tuple[Client, ...], doors: Doors
) -> tuple[tuple[tuple[str, str], ...], tuple[Needed, ...]]:
    """Returns (host, path) of the used files that Firescreen writes, and the files that a person provided."""
    ours: dict[tuple[str, str], None] = {}
    brought: dict[tuple[str, str], None] = {}

    def use(host: str, path: str, mine: tuple[str, ...]) -> None:
        (ours if path in mine else brought)[host, path] = None

    for server in servers:
        for path in _configurations(server):
            ours[server.spec.host, path] = None
        for path in named_by(server):
            use(server.spec.host, path, _of_server(server))
    for host, path in _data_sources(stack, facts, servers):
        ours[host, path] = None
    for client, places in _clients_of(stack, facts, servers, scrapers):
        ours |= dict.fromkeys(
            (client.service.host, place.path or client.service.config_file) for place in places
        )
        mine = _of_client(client, stack, servers)
        for place in places:
            named = [place.tls.get(key, "") for key in ("ca_file", "cert_file", "key_file")]
            named.append(place.basic_auth.get("password_file", ""))
            for path in (client.resolve(place, name) for name in named if name):
                use(client.service.host, path, mine)
    clients = paths.scrapers(stack, facts) if stack.client_logins else ()
    known = client_logins.plan_logins(stack, facts, clients)
    ours |= dict.fromkeys((*doors.files(), *_login_files(known)))
    brought |= dict.fromkeys((*doors.provided_files(), *_token_endpoint_cas(known)))
    needed = tuple(Needed(host=host, path=path) for host, path in brought)
    return tuple(ours), needed


def _of_server(server: Server) -> tuple[str, ...]:
    """Returns Firescreen's paths for a server's keys and certificates, without the person's own."""
    names = (*server.pair, *server.spare_pair, server.client_ca, *server.cluster_pair, server.cluster_ca)
    own = server.spec.files
    return tuple(name for name in names if name not in (own.cert_file, own.key_file, own.client_ca_file))


def _configurations(server: Server) -> Iterator[str]:
    """Yields the server's existing configuration files that contain its protection."""
    component = find_component(server.spec.name)
    files: Mapping[str, FileState | None] = server.host.files
    if files.get(server.web_file) is not None:
        yield server.web_file
    flags = files.get(server.service.flags.path)
    flag = component.web_flag(server.service.version)
    if flags is not None and flag.encode() in flags.content:
        yield server.service.flags.path
    yield from (path for path in server.own_dropins if files.get(path) is not None)
    if server.spec.cluster_tls and files.get(server.cluster_file) is not None:
        yield server.cluster_file


def named_by(server: Server) -> Iterator[str]:
    """Yields the keys and certificates that the server's configurations name."""
    state = server.host.files.get(server.web_file)
    if state is not None:
        config = web_config.parse(state.content)
        for name in (config.cert_file, config.key_file, config.client_ca_file):
            if name:
                yield posixpath.join(server.home, name)
    state = server.host.files.get(server.cluster_file) if server.spec.cluster_tls else None
    if state is not None:
        cluster = alertmanager_cluster.parse(state.content)
        for section in (cluster.server, cluster.client):
            for key in ("cert_file", "key_file", "client_ca_file", "ca_file"):
                if section.get(key):
                    yield posixpath.join(posixpath.dirname(server.cluster_file), section[key])


def _clients_of(
    stack: Stack, facts: Facts, servers: tuple[Server, ...], scrapers: tuple[Client, ...]
) -> Iterator[tuple[Client, tuple[Place, ...]]]:
    """Yields the clients of the servers, with the places in their configuration that name a server."""
    for scraper in scrapers:
        places = tuple(
            place
            for place in scraper.places()
            if any(scraper.means(address, server) for address in place.addresses for server in servers)
        )
        if places:
            yield scraper, places
    probings, _ = blackbox.look(stack, facts, servers)
    for prober in {each.prober.key: each.prober for each in probings}.values():
        used = {each.as_module for each in probings if each.prober.key == prober.key}
        yield prober, tuple(place for place in prober.places() if place.name in used)


def _data_sources(stack: Stack, facts: Facts, servers: tuple[Server, ...]) -> Iterator[tuple[str, str]]:
    """Yields (host, path) of the provisioning files that name the servers, and of the copies made for them."""
    for each in grafana.look(stack, facts, servers)[0]:
        host = each.client.service.host
        yield host, each.path
        text = facts.hosts[host].files[each.path]
        for path in _of_client(each.client, stack, servers):
            if text is not None and path.encode() in text.content:
                yield host, path


def _of_client(client: Client, stack: Stack, servers: tuple[Server, ...]) -> tuple[str, ...]:
    """Returns Firescreen's paths for a client's files, without the person's own."""
    names = [*client.pair, *client.spare_pair]
    names += [client.password_file(user) for user in stack.users]
    names += [client.trust_file(server, own_ca=own) for server in servers for own in (True, False)]
    names += [client.place_trust(place.how) for place in client.places()]
    own = client.own
    return tuple(name for name in names if name not in (own.client_cert_file, own.client_key_file))


def _login_files(plan: LoginPlan) -> Iterator[tuple[str, str]]:
    """Yields (host, path) of the configurations with logins, and of their secrets, whose owner and mode matter."""
    for each in plan.known:
        yield each.login.host, each.path
        yield each.login.host, each.login.secret_file


def _token_endpoint_cas(plan: LoginPlan) -> Iterator[tuple[str, str]]:
    """Yields (host, path) of the CA certificates of token endpoints."""
    for each in plan.known:
        way = each.login.way
        if not isinstance(way, Authorization) and way.ca_file:
            yield each.login.host, way.ca_file
