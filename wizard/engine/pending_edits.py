"""Whether containers run as their Compose files say: what a run recreates must not bring somebody else's edit with it.

Looked at when a plan is made and again right before it is applied.
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
    """The facts with what Compose would change in the containers of a stack's components."""
    wanted = {(each.host, each.name) for each in stack.components}

    def with_pending_edits(known: HostFacts) -> HostFacts:
        mine = [each for each in known.services if (each.host, each.component) in wanted]
        looked = {service.key: service for service in _with_pending(mine, hosts)}
        return replace(known, services=tuple(looked.get(each.key, each) for each in known.services))

    return replace(
        facts, hosts={each.spec.name: each for each in run_parallel(with_pending_edits, facts.hosts.values())}
    )


def refuse(plan: Plan, hosts: Hosts) -> None:
    """Refuses a plan if a container that it makes anew or reloads is no longer as its Compose files say.

    Raises:
        FileChangedError: somebody has edited a file, or fetched an image, since the plan was made. Nothing has been touched.
    """
    hosts_of: dict[str, dict[str, Service]] = {}
    for change in plan.restarts:
        hosts_of.setdefault(change.host, {})[change.service.key] = change.service
    try:
        for looked in run_parallel(lambda mine: _with_pending(list(mine.values()), hosts), hosts_of.values()):
            containers.refuse_pending(looked)
    except InputError as error:
        raise FileChangedError(error.what, where=error.where, todo=error.todo) from None


def difference(connection: Connection, service: Service) -> str:
    """A clause with the container as its subject: how it differs from its Compose files; '' where it does not."""
    box = service.container
    if box is None or not box.is_compose or not box.compose or box.unchangeable:
        return ""
    found = compose_state(connection, box)
    return found.difference if found.is_running and found.has_image else ""


def _with_pending(services: Sequence[Service], hosts: Hosts) -> list[Service]:
    """Services of one host, the containers of Compose among them with what is pending."""
    asked = [
        box
        for service in services
        if (box := service.container) is not None and box.is_compose and box.compose and not box.unchangeable
    ]
    if not asked:
        return list(services)
    states = compose_states(hosts.connection(services[0].host), asked)
    found = []
    for service in services:
        box = service.container
        state = states.get(box.name) if box is not None else None
        if box is not None and state is not None:
            pending = state.difference if state.is_running and state.has_image else ""
            service = replace(service, container=replace(box, pending=pending))  # noqa: PLW2901
        found.append(service)
    return found
