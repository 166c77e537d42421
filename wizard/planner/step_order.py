"""Orders the steps so that as few scrapes as possible are lost and no password is sent in clear. Pure."""

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

    Prometheus carries a new scheme over to its targets some seconds after it has read it, so it comes before the servers:
    it reads the job, and in the moment in which it begins to ask by https, the servers turn, all at once. What
    is re-read at once comes when the clients have all that will be asked of them; what only the old ones needed
    goes last.
    """
    unconfigured, configured = _by_web_config(servers)
    restarts = [server for server in servers if server.turn == "restart"]
    own = [server for server in restarts if server.server.spec.name == "prometheus"]
    others = [server for server in restarts if server not in own]
    turned = {server.server.key for server in others}
    # The Prometheus that turns comes last: from that moment on, every second counts.
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
        if server.turn == "restart":  # TLS that is added to a running web configuration waits for the restart
            before_reloads += _steps(server.web, server.flag)
    # A stage each, also where nothing is to be read: plans for more or fewer hosts have the same stages.
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
        # They ask by https now, so that the password is on no wire before the server proves who it is. A client
        # that turns itself reads it when it starts.
        (
            *(client.login for client in clients if client.login is not None and client.client.key in turned),
            *compose.client_server_steps(others),
        ),
        (
            *_logins(facts, clients, turned),
            *(service_actions.restart(facts, server.server) for server in others),
        ),
        # What is re-read with the next request: the clients know already.
        (
            *(step for server in configured if server.turn != "restart" for step in present(server.web)),
            *compose.client_server_steps(own),
        ),
        # Prometheus itself turns last: the others are scraped by then.
        tuple(service_actions.restart(facts, server.server) for server in own),
        tuple(step for client in clients for step in client.narrow),
        tuple(step for server in servers for step in _narrow_bundle_steps(facts, server)),
    )


def _by_web_config(servers: Sequence[ServerPlan]) -> tuple[list[ServerPlan], list[ServerPlan]]:
    """Those that run without a web configuration, and those that have one."""
    configured = [server for server in servers if server.server.service.web_config]
    return [server for server in servers if server not in configured], configured


def _logins(facts: Facts, clients: Sequence[ClientPlan], turned: Collection[str]) -> Iterator[PlannedStep]:
    """The second edits (logins) of the clients that are not restarted, each with its reload."""
    for client in clients:
        if client.login is not None and client.client.key not in turned:
            yield service_actions.login(facts, client.client, client.login)


def _narrow_bundle_steps(facts: Facts, server: ServerPlan) -> tuple[PlannedStep, ...]:
    """The step that removes old CAs from a server's bundle, with a restart where the service uses a copy."""
    if server.narrow is None or not server.server.credentials:
        return present(server.narrow)
    again = service_actions.restart(facts, server.server)
    return (replace(server.narrow, changes=(*server.narrow.changes, *again.changes)),)


def _steps(*found: PlannedStep | None) -> list[PlannedStep]:
    return [step for step in found if step is not None]


def present(step: PlannedStep | None) -> tuple[PlannedStep, ...]:
    """The step where there is one."""
    return (step,) if step is not None else ()
