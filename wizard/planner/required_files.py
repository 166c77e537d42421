"""What is to be read from the hosts before a plan can be made: of the stack itself, and of who looks on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from wizard.errors import ConfigError
from wizard.model import Facts, Stack
from wizard.planner import (
    grafana,
    identity,
    paths,
    plain_http_clients,
    systemd_credentials,
)


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Paths to read, by host, given what is known so far; asked again until nothing new is wanted.

    A `*` in the last part of a path stands for all that is there.
    """
    servers = paths.servers(stack, facts)
    return _together(
        paths.wanted_files(stack, facts),
        grafana.wanted_files(stack, facts),
        plain_http_clients.wanted_files(servers),
        systemd_credentials.wanted_files(servers),
    )


def wanted_folders(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Folders whose existence matters, by host."""
    servers = paths.servers(stack, facts)
    return _together(
        paths.wanted_folders(stack, facts),
        grafana.wanted_folders(facts),
        plain_http_clients.wanted_folders(servers),
        systemd_credentials.wanted_folders(servers),
    )


def wanted_names(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Names that a host's own resolver has to be asked for, by host: those that its clients' configurations use."""
    used: dict[str, list[str]] = {}
    scrapers, probers = paths.scrapers(stack, facts), paths.probers(stack, facts)
    for client in (*scrapers, *grafana.clients(facts)):
        try:
            places = client.places()
        except ConfigError:
            continue  # the planner says so, with the place
        addresses = used.setdefault(client.host.spec.name, [])
        for place in places:
            addresses += place.addresses
            probed = [each for target in place.targets if (each := _netloc(target.param_target))]
            for prober in probers if probed else ():
                used.setdefault(prober.host.spec.name, []).extend(probed)
    hosts = paths.known_hosts(facts)
    return {
        name: names
        for name, addresses in used.items()
        if (names := identity.names_to_resolve(addresses, hosts))
    }


def _netloc(target: str) -> str:
    """host:port of what a blackbox exporter is to probe; '' if it is no URL."""
    try:
        return urlsplit(target if "://" in target else f"http://{target}").netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _together(*wanted: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    hosts = dict.fromkeys(host for each in wanted for host in each)
    return {
        host: tuple(dict.fromkeys(path for each in wanted for path in each.get(host, ()))) for host in hosts
    }
