"""The restarts and reloads by which a service takes new files into use, with their texts."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from wizard.components import component as find_component
from wizard.config_files import durations
from wizard.config_files import prometheus as scrape
from wizard.errors import ConfigError
from wizard.model import Facts, PlannedStep, RunService, Service, StepKind
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server
from wizard.planner.turns import Turns
from wizard.service_managers import manual
from wizard.service_managers.registry import manager_of

NO_TURNS = Turns()


def restart(facts: Facts, server: Server) -> PlannedStep:
    """Restarts a server with its new flags and scheme."""
    return server.step(
        StepKind.RESTART,
        title=f"Restart {server.service.unit}",
        why="A port serves either http or https: after this restart it serves https.",
        changes=(_run(server.service, "restart", server=server, workspace=facts.workspace_option),),
    )


def longest_stop(server: Server) -> float:
    """Seconds that a Prometheus may take to stop because it sends samples to others; 0 for one that does not."""
    state = server.host.files.get(server.service.config_file)
    try:
        sends = state is not None and any(
            each.kind == "remote_write" for each in scrape.clients(state.content)
        )
    except ConfigError:
        return 0.0  # the planner reports the error with its place
    if not sends:
        return 0.0
    # Prometheus' own default is a minute.
    return durations.seconds(server.service.flag("storage.remote.flush-deadline") or "1m")


def reload(facts: Facts, client: Client, turns: Turns = NO_TURNS) -> PlannedStep:
    """Reloads a client.

    Args:
        turns: targets that it must scrape by https before the next change.
    """
    service = client.service
    title = find_component(service.component).title
    own_turns = turns.of(client.key)
    return client.step(
        StepKind.RELOAD,
        step_id=f"reload:{client.place}" if service.component == "prometheus" else "",
        title=f"Reload {title}",
        why=(
            "Prometheus keeps running while it reloads. It switches its targets to https within ten seconds; the "
            "servers restart in that moment, so that at most one scrape is lost."
            if own_turns.before
            else f"{title} keeps running while it reloads its configuration."
        ),
        changes=(
            _run(service, "reload", turns=own_turns, workspace=facts.workspace_option),
            *_beside(facts, client),
        ),
    )


def reload_prometheus(facts: Facts, client: Client, *, what: str, topic: str) -> PlannedStep:
    """Reloads a Prometheus for an edit that is not about its targets' protection.

    Args:
        what: what it rereads, e.g. 'the new paths'.
        topic: distinguishes this reload from others, in the step's id.
    """
    return client.step(
        StepKind.RELOAD,
        step_id=f"reload:{topic}:{client.place}",
        title="Reload Prometheus",
        why=f"Prometheus keeps running while it reads {what}.",
        changes=(
            _run(client.service, "reload", workspace=facts.workspace_option),
            *_beside(facts, client),
        ),
    )


def run_alone(service: Service, action: str, *, workspace: str = "", moves_to: str = "") -> RunService:
    """A restart or reload for which nothing else is planned; `moves_to` as in `RunService`."""
    return replace(_run(service, action, workspace=workspace), moves_to=moves_to)


def login(facts: Facts, client: Client, edit: PlannedStep) -> PlannedStep:
    """Makes the second edit of a client and the following reload one step."""
    return replace(
        edit,
        changes=(
            *edit.changes,
            _run(client.service, "reload", workspace=facts.workspace_option),
            *_beside(facts, client),
        ),
    )


def _manual(service: Service, server: Server) -> tuple[str, ...]:
    """The commands on the server's host; for one without a connection, its files must be copied there first."""
    if server.host.spec.connect != "manual":
        return manual.command(service, web_config=server.web_file)
    name = posixpath.basename(server.web_file)
    if service.kind == "windows":
        return manual.command(service, web_config=name, source=server.home, secret=("*.key", name))
    # A relative path is no use: a service has no folder that it would begin at.
    home = find_component(service.component).home
    return (
        (
            f"# On {service.host}. First copy the files in {server.home} of the machine where Firescreen runs to {home}: the "
            f"user of {service.unit} reads them, and nobody else the key."
        ),
        *manual.command(service, web_config=posixpath.join(home, name)),
    )


def _beside(facts: Facts, client: Client) -> tuple[RunService, ...]:
    """The reloads of other services that read the same configuration."""
    return tuple(_run(each, "reload", workspace=facts.workspace_option) for each in client.beside)


def _run(
    service: Service,
    action: str,
    *,
    workspace: str,
    server: Server | None = None,
    turns: Turns = NO_TURNS,
) -> RunService:
    if service.is_manual and server is not None:
        commands = _manual(service, server)
    else:
        commands = manager_of(service).manual_commands(service, action, workspace=workspace)
    return RunService(
        host=service.host,
        service=service,
        action="restart" if action == "restart" else "reload",
        why="It takes effect with this." if not service.is_manual else "You have to do this yourself.",
        by_hand=commands,
        turns=turns.before,
        turned=turns.after,
    )
