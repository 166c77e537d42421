"""Orders the steps so that as few scrapes as possible are lost and no password is sent unencrypted. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from wizard.model import Facts, PlannedStep
from wizard.planner import compose_edits, service_actions
from wizard.planner.client import ClientPlan
from wizard.planner.server import ServerPlan
from wizard.planner.turns import Turns


def order_steps(
    facts: Facts, servers: Sequence[ServerPlan], clients: Sequence[ClientPlan], turns: Turns
) -> tuple[tuple[PlannedStep, ...], ...]:
    """Orders all steps after the certificates, by stage, so that as few scrapes as possible are lost.

    Prometheus applies a new scheme to its targets some seconds after it has read it, so its reload precedes the servers'
    restarts: at the moment when it begins to use https, all servers change at once. A file that is reread at once changes
    when the clients have all credentials that it will require. CAs that only the old certificates needed are removed
    last.
    """
    unconfigured, configured = _by_web_config(servers)
    restarts = [server for server in servers if server.turn == "restart"]
    prometheus = [server for server in restarts if server.server.spec.name == "prometheus"]
    others = [server for server in restarts if server not in prometheus]
    turned = {server.server.key for server in others}
    # The Prometheus that changes the scheme of its targets is the last: from then on, every second counts.
    turning = sorted(clients, key=lambda client: client.client.service.component == "prometheus")
    compose = compose_edits.ComposeEdits(servers, clients)
    prepared = [
        step
        for server in unconfigured
        for step in _steps(server.web, server.cluster, server.flag, server.credentials, server.reload_command)
    ]
    prepared += compose.first()
    before_reloads = [step for client in clients for step in (*client.trust, *present(client.config))]
    for server in configured:
        before_reloads += _steps(server.cluster, server.credentials, server.reload_command)
        if server.turn == "restart":  # TLS added to a web configuration in use waits for the restart
            before_reloads += _steps(server.web, server.flag)
    # One stage per reload, even an empty one: plans for more or fewer hosts have the same stages.
    reloads = [
        (service_actions.reload(facts, client.client, turns if restarts else Turns()),)
        if client.config is not None
        else ()
        for client in turning
    ]
    return (
        tuple(prepared),  # nothing reads these files yet
        tuple(before_reloads),
        *reloads,
        # These clients use https now, so a password is sent only after the server has authenticated itself. A client
        # that is restarted for its own protection reads the password at its start.
        (
            *(client.login for client in clients if client.login is not None and client.client.key in turned),
            *compose.client_server_steps(others),
        ),
        (
            *_logins(facts, clients, turned),
            *(service_actions.restart(facts, server.server) for server in others),
        ),
        # Files that servers reread with the next request: the clients have the credentials already.
        (
            *(step for server in configured if server.turn != "restart" for step in present(server.web)),
            *compose.client_server_steps(prometheus),
        ),
        # Prometheus itself restarts last: it has scraped the others by then.
        tuple(service_actions.restart(facts, server.server) for server in prometheus),
        tuple(step for client in clients for step in client.narrow),
        tuple(step for server in servers for step in _narrow_bundle_steps(facts, server)),
    )


def _by_web_config(servers: Sequence[ServerPlan]) -> tuple[list[ServerPlan], list[ServerPlan]]:
    """The servers that run without a web configuration, and those with one."""
    configured = [server for server in servers if server.server.service.web_config]
    return [server for server in servers if server not in configured], configured


def _logins(facts: Facts, clients: Sequence[ClientPlan], turned: Collection[str]) -> Iterator[PlannedStep]:
    """Yields the second edits (logins) of the clients that are not restarted, each with its reload."""
    for client in clients:
        if client.login is not None and client.client.key not in turned:
            yield service_actions.login(facts, client.client, client.login)


def _narrow_bundle_steps(facts: Facts, server: ServerPlan) -> tuple[PlannedStep, ...]:
    """The step that removes old CAs from a server's bundle, with a restart if the service uses a copy."""
    if server.narrow is None or not server.server.credentials:
        return present(server.narrow)
    again = service_actions.restart(facts, server.server)
    return (replace(server.narrow, changes=(*server.narrow.changes, *again.changes)),)


def _steps(*found: PlannedStep | None) -> list[PlannedStep]:
    return [step for step in found if step is not None]


def present(step: PlannedStep | None) -> tuple[PlannedStep, ...]:
    """The step as a tuple; () for None."""
    return (step,) if step is not None else ()
