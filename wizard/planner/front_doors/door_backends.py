"""Steps for the components behind a front door: flags, restarts and the paths in Prometheus, all from one route. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from wizard import endpoints
from wizard.config_files import prometheus as scrape
from wizard.config_files.prometheus import url_paths
from wizard.errors import InputError
from wizard.model import ContentKind, Facts, ManualCommand, PlannedStep, Stack, StepKind
from wizard.planner.client_edit import edit_step
from wizard.planner.client_endpoints import Place, locate_errors
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import door_facts
from wizard.planner.front_doors.door_facts import Backend
from wizard.planner.front_doors.door_grafana import DoorGrafana
from wizard.planner.service_actions import reload_prometheus, run_alone
from wizard.service_managers.registry import manager_of

Behind: TypeAlias = Backend | DoorGrafana
"""A component or a Grafana behind a front door."""


@dataclass(frozen=True, slots=True)
class Moves:
    """The steps for everything that moves behind front doors, and for the clients."""

    flags: tuple[PlannedStep, ...]
    edits: tuple[PlannedStep, ...]
    reloads: tuple[PlannedStep, ...]
    restarts: tuple[PlannedStep, ...]
    """Restarts of components other than Prometheus."""
    scrapers: tuple[PlannedStep, ...]
    """Restarts of the Prometheus servers that move themselves: they read their edited configuration as they start."""


def plan_moves(
    facts: Facts,
    backends: Sequence[Backend],
    grafanas: Sequence[DoorGrafana],
    clients: Sequence[Client],
    turned: Collection[str],
) -> Moves:
    """Plans the steps for everything behind the plan's front doors; for the Grafanas, only the edits of scrape jobs.

    Args:
        turned: keys of the components that move with their restart for TLS, see `backends_switching_to_tls`.

    Raises:
        InputError: a client uses one of them in a way that would break.
    """
    moving = {
        each.key: wanted for each in backends if each.key not in turned and (wanted := wanted_flags(each))
    }
    behind: tuple[Behind, ...] = (*backends, *grafanas)
    edits = tuple(step for client in clients if (step := _edit(client, behind, turned)) is not None)
    restarted = [each for each in backends if each.key in moving]
    reloaded = [
        client
        for client in clients
        if any(step.key == client.key for step in edits) and client.key not in moving
    ]
    return Moves(
        flags=tuple(_flags(each, moving[each.key]) for each in restarted),
        edits=edits,
        reloads=tuple(
            reload_prometheus(facts, client, what="the new paths", topic="paths") for client in reloaded
        ),
        restarts=tuple(restart(facts, each) for each in restarted if each.component != "prometheus"),
        scrapers=tuple(restart(facts, each) for each in restarted if each.component == "prometheus"),
    )


def backends_switching_to_tls(stack: Stack, facts: Facts, clients: Sequence[Client]) -> tuple[Backend, ...]:
    """The components behind a front door over TLS that this plan secures: one restart sets up TLS and the path.

    A component is left out if one place in a client (a job, a block) has it together with other targets: TLS divides
    such a place, and only afterwards can the parts get different paths.
    """
    found = [
        each
        for known in door_facts.doors(stack, facts)
        for each in known.backends
        if each.over_tls and not each.service.web_config and wanted_flags(each)
    ]
    return tuple(
        each for each in found if not any(_has_other_targets(client, each, found) for client in clients)
    )


def _has_other_targets(client: Client, backend: Backend, turned: Sequence[Backend]) -> bool:
    """Whether a place of a client has a component together with targets at another path."""
    for place in client.places():
        if not any(client.means(at, backend.server) for at in place.addresses):
            continue
        ours = [each for each in turned if any(client.means(at, each.server) for at in place.addresses)]
        others = [at for at in place.addresses if not any(client.means(at, each.server) for each in ours)]
        if others or place.kind not in ("job", "alertmanagers") or len({_paths(each) for each in ours}) > 1:
            return True
    return False


def with_paths(
    client: Client, texts: Mapping[str, bytes], backends: Sequence[Behind], turned: Collection[str] = ()
) -> dict[str, bytes]:
    """The files of a Prometheus with the new paths of the components behind front doors.

    Args:
        turned: keys of components whose new path may be in the file already.

    Raises:
        InputError: a job or block uses one of them in a way that would break.
    """
    after = dict(texts)
    for place in client.places():
        ours = [each for each in backends if any(client.means(at, each.server) for at in place.addresses)]
        if ours:
            _refuse_closed(client, place, ours)
            path = place.path or client.service.config_file
            with locate_errors(client.host.spec.name, path):
                after[path] = _edit_place_path(client, place, ours, after[path], turned)
    return after


def wanted_flags(backend: Backend) -> dict[str, str]:
    """The missing or different flags of a component: both ends of the path, and the loopback address."""
    service = backend.service
    wanted = {} if backend.over_tls else {"web.listen-address": backend.address}
    wanted |= {
        "web.external-url": f"{backend.url}/",
        "web.route-prefix": backend.route.prefix or "/",
    }
    address, peers, port = backend.facts.gossip
    alone = address and not service.flag(peers)
    if alone and not endpoints.is_loopback(endpoints.split(service.flag(address))[0]):
        wanted[address] = f"127.0.0.1:{port}"
    return {name: value for name, value in wanted.items() if service.flag(name) != value}


def _flags(backend: Backend, wanted: Mapping[str, str]) -> PlannedStep:
    closed = (
        "Its web configuration demands a client certificate, so that nobody else reaches it beside the front door."
        if backend.over_tls
        else f"With --web.listen-address={backend.address} nobody reaches it beside the front door."
    )
    why = (
        f"--web.external-url and --web.route-prefix say where {backend.facts.title} is reached and below which path it "
        f"serves; the front door passes the path on as it is. {closed}"
    )
    return flag_step(backend, wanted, why=why)


def flag_step(backend: Backend, wanted: Mapping[str, str], *, why: str) -> PlannedStep:
    """Plans the flags of a component behind a front door."""
    service, server = backend.service, backend.server
    manager, place = manager_of(service), service.flags
    before = server.host.files.get(place.path)
    typed = manager.flag_commands(service, wanted=wanted, current=before)
    folders = (
        change
        for folder in server.flag_folders
        for change in server.system_folder(
            folder, why=f"{service.unit} reads its flags from a file in this folder."
        )
    )
    written = server.write(
        place.path,
        manager.set_flag(service, wanted=wanted, current=before),
        ContentKind.SERVICE_FLAGS,
        why="All other flags stay as they are.",
        by_hand=tuple(ManualCommand(script=line) for line in typed),
    )
    return backend.step(
        StepKind.FLAGS,
        title=f"Put {server.title} behind {backend.door.authority}",
        why=why,
        step_id="" if not backend.over_tls else f"{StepKind.FLAGS}:{backend.key}:door",
        changes=(*folders, written),
    )


def restart(facts: Facts, backend: Backend) -> PlannedStep:
    """Plans the restart by which a component takes its new flags."""
    service = backend.service
    moves_to = "" if backend.over_tls else backend.address
    run = run_alone(service, "restart", workspace=facts.workspace_option, moves_to=moves_to)
    after = (
        f"serves below {backend.route.prefix or '/'}"
        if backend.over_tls
        else f"listens on {backend.address} alone"
    )
    return backend.step(
        StepKind.RESTART,
        title=f"Restart {service.unit}",
        why=f"{backend.facts.title} reads its flags when it starts: from then on it {after}.",
        step_id="" if not backend.over_tls else f"{StepKind.RESTART}:{backend.key}:door",
        changes=(run,),
    )


def _edit(client: Client, backends: Sequence[Behind], turned: Collection[str]) -> PlannedStep | None:
    """Plans the edit of a Prometheus' configuration for the new paths; None if there is nothing to edit."""
    before = client.texts
    return edit_step(
        client,
        before,
        with_paths(client, before, backends, turned),
        kind=StepKind.FRONT_DOOR_PATHS,
        title="Set the new paths in Prometheus",
        why=(
            "What is behind a front door serves below its path on the loopback address too: jobs need it in metrics_path, "
            "alertmanagers in path_prefix."
        ),
    )


def _refuse_closed(client: Client, place: Place, ours: Sequence[Behind]) -> None:
    """Refuses a client that connects to an address at which the component will no longer listen.

    Raises:
        InputError: names the first such address.
    """
    for backend in (each for each in ours if not each.over_tls):
        for address in place.addresses:
            if not client.means(address, backend.server):
                continue
            if client.host.spec.name != backend.host.spec.name:
                raise InputError(
                    f"{place.how} of {client.key} asks {backend.key} at {address} from another host, and behind the front "
                    f"door {backend.door.name} it listens on the loopback address alone",
                    where=f"{client.host.spec.name}:{place.path or client.service.config_file}",
                    todo=f"Leave {backend.component} out of the front door, or take it out of {place.how}",
                )
            if not endpoints.is_loopback(endpoints.split(address)[0]):
                raise InputError(
                    f"{place.how} asks {backend.key} at {address}, and behind the front door {backend.door.name} it "
                    "listens on the loopback address alone",
                    where=f"{client.host.spec.name}:{place.path or client.service.config_file}",
                    todo=f"Write localhost:{backend.server.port} there, then plan again",
                )


def _edit_place_path(
    client: Client, place: Place, ours: Sequence[Behind], content: bytes, turned: Collection[str]
) -> bytes:
    """The file with the new path in one place."""
    where = f"{client.host.spec.name}:{place.path or client.service.config_file}"
    backend = ours[0]
    others = [at for at in place.addresses if not any(client.means(at, each.server) for each in ours)]
    prefixes = {_paths(each) for each in ours}
    moves = any(each.old_prefix != each.route.prefix for each in ours)
    if place.kind == "job":
        job = next(each for each in scrape.jobs(content) if each.name == place.name)
        own = job.metrics_path
        if backend.old_prefix and own.startswith(f"{backend.old_prefix}/"):
            own = own.removeprefix(backend.old_prefix)
        path = f"{backend.route.prefix}{own}"
        moved = backend.key in turned and own.startswith(f"{backend.route.prefix}/")
        if moved or path == job.metrics_path:
            return content
        _refuse_mixed(place, backend, where, mixed=bool(others) or len(prefixes) > 1)
        return url_paths.set_metrics_path(content, job=place.name, path=path)
    if place.kind == "alertmanagers":
        assert place.block is not None
        if url_paths.path_prefix(content, place.block).strip("/") == backend.route.prefix.strip("/"):
            return content
        _refuse_mixed(place, backend, where, mixed=bool(others) or len(prefixes) > 1)
        return url_paths.set_path_prefix(content, place.block, backend.route.prefix or "/")
    if moves:
        raise InputError(
            f"{place.how} asks {backend.key}, whose path changes to {backend.route.prefix or '/'}",
            where=where,
            todo=f"Give {backend.component} a front door with a name of its own (path: /), or take {place.how} out",
        )
    return content


def _paths(backend: Behind) -> tuple[str, str]:
    """The old and the new path below which it serves."""
    return backend.old_prefix, backend.route.prefix


def _refuse_mixed(place: Place, backend: Behind, where: str, *, mixed: bool) -> None:
    if mixed:
        raise InputError(
            f"{place.how} asks {backend.key} and others too, and only {backend.component} moves to "
            f"{backend.route.prefix or '/'}",
            where=where,
            todo=f"Give {backend.component} an entry of its own there, then plan again",
        )
