"""Whether containers run as their Compose files say: what a run recreates must not bring somebody else's edit with it.

Looked at when a plan is made and again right before it is applied.
"""

from __future__ import annotations

from dataclasses import replace

from wizard.connections.base import Connection
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import ChangedError, InputError
from wizard.model import Facts, HostFacts, Plan, Service, Stack
from wizard.planner import containers
from wizard.service_managers.compose_state import compose_state


def with_pending(stack: Stack, facts: Facts, hosts: Hosts) -> Facts:
    """The facts with what Compose would change in the containers of a stack's components."""
    wanted = {(each.host, each.name) for each in stack.components}

    def asked(known: HostFacts) -> HostFacts:
        return replace(
            known,
            services=tuple(
                _with_pending(service, hosts) if (service.host, service.component) in wanted else service
                for service in known.services
            ),
        )

    return replace(facts, hosts={each.spec.name: each for each in run_parallel(asked, facts.hosts.values())})


def refuse(plan: Plan, hosts: Hosts) -> None:
    """Refuses a plan if a container that it makes anew or reloads is no longer as its Compose files say.

    Raises:
        ChangedError: somebody has edited a file, or fetched an image, since the plan was made. Nothing has been touched.
    """
    services = {change.service.key: change.service for change in plan.restarts}
    try:
        containers.refuse_pending(run_parallel(lambda one: _with_pending(one, hosts), services.values()))
    except InputError as error:
        raise ChangedError(error.what, where=error.where, todo=error.todo) from None


def difference(connection: Connection, service: Service) -> str:
    """A clause with the container as its subject: how it differs from its Compose files; '' where it does not."""
    box = service.container
    if box is None or not box.is_compose or not box.compose or box.unchangeable:
        return ""
    found = compose_state(connection, box)
    return found.difference if found.is_running and found.has_image else ""


def _with_pending(service: Service, hosts: Hosts) -> Service:
    if service.container is None:
        return service
    found = difference(hosts.connection(service.host), service)
    return replace(service, container=replace(service.container, pending=found))
