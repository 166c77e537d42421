"""Findings about targets that may or may not be a server of the stack. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wizard import endpoints
from wizard.model import Facts, Finding
from wizard.planner import identity, paths
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server

_ASKED = {"alertmanagers": "alertmanager", "remote_write": "prometheus", "remote_read": "prometheus"}
"""The component to which each kind of client block connects."""


def of_jobs(
    facts: Facts, client: Client, jobs: Iterable[Place], server: Server, chosen: Client
) -> tuple[Finding, ...]:
    """Findings about jobs of a Prometheus, if no job is known to scrape the server.

    Args:
        chosen: the Prometheus that gets a new job for the server.
    """
    then = (
        f"That could not be settled, so {chosen.key} gets a job of its own for it. If the target is this server, "
        "the old job fails from then on."
    )
    return _unclear_target_findings(client, _doubtful(facts, client, jobs, server), server, then)


def of_blocks(
    facts: Facts, client: Client, places: Sequence[Place], servers: Sequence[Server]
) -> tuple[Finding, ...]:
    """Findings about alertmanagers, remote_write and remote_read of a Prometheus."""
    found: list[Finding] = []
    for server in servers:
        asking = [place for place in places if _ASKED.get(place.kind) == server.spec.name]
        rows = [
            row
            for row in _doubtful(facts, client, asking, server)
            if row[1].kind in ("several", "unresolved")
        ]
        then = "That could not be settled, so it is left as it is. If it is this server, it is rejected from then on."
        found += _unclear_target_findings(client, rows, server, then)
    return tuple(found)


def _doubtful(
    facts: Facts, client: Client, places: Iterable[Place], server: Server
) -> list[tuple[Place, identity.Doubt]]:
    hosts = paths.known_hosts(facts)
    return [
        (place, doubt)
        for place in places
        for doubt in identity.doubtful(
            client.host, _addresses_to_resolve(client, place, server), server.listener, hosts
        )
    ]


def _addresses_to_resolve(client: Client, place: Place, server: Server) -> list[str]:
    """The addresses of a place that the host's resolver resolves; those of a container's network are not among them."""
    box = client.service.container
    if box is None or not box.has_own_network:
        return list(place.addresses)
    return [
        address
        for address in place.addresses
        if "." in endpoints.split(address)[0] and not client.means(address, server)
    ]


def _unclear_target_findings(
    client: Client, found: Sequence[tuple[Place, identity.Doubt]], server: Server, then: str
) -> tuple[Finding, ...]:
    if not found:
        return ()
    place, doubt = found[0]
    more = f", and {len(found) - 1} more targets" if len(found) > 1 else ""
    return (
        Finding(
            id="target-unclear",
            host=client.host.spec.name,
            component="prometheus",
            what=f"{place.how} of {client.key} asks {doubt.address}{more}, which may be {server.key}: {doubt.why}",
            why=then,
            remediation="Name the server there by a name or address that leads to its host alone, then plan again",
        ),
    )
