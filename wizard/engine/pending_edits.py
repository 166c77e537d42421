"""Compares containers with their Compose files: recreating one must not put somebody else's pending edit into effect.

Checked when a plan is made and again right before it is applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wizard.connections.base import Connection
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import FileChangedError, InputError
from wizard.model import Facts, HostFacts, Plan, Service, Stack
from wizard.planner import containers
from wizard.service_managers.compose_state import compose_state, compose_states


def with_pending(stack: Stack, facts: Facts, hosts: Hosts) -> Facts:
    """The facts plus, for each container of the stack's components, what Compose would change in it."""
    wanted = {(each.host, each.name) for each in stack.components}

    def with_pending_edits(known: HostFacts) -> HostFacts:
        mine = [each for each in known.services if (each.host, each.component) in wanted]
        compared = {service.key: service for service in _with_pending(mine, hosts)}
        return replace(known, services=tuple(compared.get(each.key, each) for each in known.services))

    return replace(
        facts, hosts={each.spec.name: each for each in run_parallel(with_pending_edits, facts.hosts.values())}
    )


def refuse(plan: Plan, hosts: Hosts) -> None:
    """Refuses a plan if a container that it recreates or reloads no longer matches its Compose files.

    Raises:
        FileChangedError: somebody has edited a file or pulled an image since the plan was made. Nothing has been changed.
    """
    by_host: dict[str, dict[str, Service]] = {}
    for change in plan.restarts:
        by_host.setdefault(change.host, {})[change.service.key] = change.service
    try:
        for compared in run_parallel(
            lambda services: _with_pending(list(services.values()), hosts), by_host.values()
        ):
            containers.refuse_pending(compared)
    except InputError as error:
        raise FileChangedError(error.what, where=error.where, todo=error.todo) from None


def difference(connection: Connection, service: Service) -> str:
    """How a container differs from its Compose files, as a clause with the container as subject; '' if it does not."""
    box = service.container
    if box is None or not box.is_compose or not box.compose or box.unchangeable:
        return ""
    found = compose_state(connection, box)
    return found.difference if found.is_running and found.has_image else ""


def _with_pending(services: Sequence[Service], hosts: Hosts) -> list[Service]:
    """Services of one host, with `pending` set in the containers that Compose manages."""
    boxes = [
        box
        for service in services
        if (box := service.container) is not None and box.is_compose and box.compose and not box.unchangeable
    ]
    if not boxes:
        return list(services)
    states = compose_states(hosts.connection(services[0].host), boxes)
    found = []
    for service in services:
        box = service.container
        state = states.get(box.name) if box is not None else None
        if box is not None and state is not None:
            pending = state.difference if state.is_running and state.has_image else ""
            service = replace(service, container=replace(box, pending=pending))  # noqa: PLW2901
        found.append(service)
    return found
