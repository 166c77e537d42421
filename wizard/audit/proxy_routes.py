"""Requests each route of the hosts' reverse proxies without credentials. The requests change nothing."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.audit.subjects import PassedOn, ServerView
from wizard.engine import vantage_point
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.model import Facts, ProxyRoute
from wizard.planner import identity


def passed_on(facts: Facts, servers: Sequence[ServerView], hosts: Hosts) -> tuple[PassedOn, ...]:
    """Requests every route that leads to one of the servers, from the proxy's own host."""
    pairs = [
        (route, server)
        for each in facts.proxies.values()
        for route in each.routes
        if route.scheme != "tcp"
        for server in servers
        if identity.means(
            facts.hosts[route.host], route.upstream, identity.Listener(server.host.facts, server.service)
        )
    ]
    return tuple(run_parallel(lambda pair: _probe_route(*pair, hosts), pairs))


def _probe_route(route: ProxyRoute, server: ServerView, hosts: Hosts) -> PassedOn:
    """Requests a page of the server through the proxy, which may pass its path on unchanged or without the prefix."""

    def status(url: str) -> int | None:
        return vantage_point.status(hosts, route.host, url, there="127.0.0.1")

    own = server.known.prefix(server.service.flag)
    site = route.url.removesuffix(route.path)
    places = [route.url.rstrip("/")]
    if own and f"{own}/".startswith(f"{route.path.rstrip('/')}/"):
        places.insert(0, f"{site}{own}")
    # A route of an exporter_exporter leads to the page of one module already.
    page = "" if "?" in route.path else server.known.api_path or "/metrics"
    place, found = places[0], status(f"{places[0]}{page}")
    for other in places[1:]:
        if found == 200:
            break
        again = status(f"{other}{page}")
        if again == 200 or found is None:
            place, found = other, again
    quit_url = f"{place}/-/quit"
    return PassedOn(
        route=route,
        server=server,
        url=f"{place}{page}",
        status=found,
        quit_url=quit_url,
        quit_status=status(quit_url),
    )
