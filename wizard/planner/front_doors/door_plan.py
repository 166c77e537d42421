"""Plans front doors: both ends of each path, the proxy's site and the component's flags, derive from one route. Pure.

Everything that needs a path (flags, location, jobs, alertmanagers, probes, printed commands) derives it from that one
route, so that none can be forgotten.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from wizard.config_files import http_client
from wizard.model import BrokenClient, Change, Facts, Finding, Gap, PlannedStep, Stack, StepKind
from wizard.planner import (
    command_line_tools,
    credentials,
    paths,
    probe_certificates,
    workspace_files,
    workspace_steps,
)
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import (
    data_sources,
    door_backends,
    door_broken_clients,
    door_facts,
    door_grafana,
    door_refusals,
    door_sign_in,
    door_site,
    own_site,
    shared_file,
)
from wizard.planner.front_doors.door_backends import Moves
from wizard.planner.front_doors.door_facts import Backend, KnownDoor
from wizard.planner.front_doors.door_probes import DoorInquiry
from wizard.planner.front_doors.door_site import Site
from wizard.planner.server import ServerPlan
from wizard.planner.service_actions import run_alone
from wizard.redact import Secret


@dataclass(frozen=True, slots=True)
class DoorPlan:
    """The steps, warnings and clients of the front doors in a plan."""

    sites: tuple[Site, ...] = ()
    clients: tuple[Client, ...] = ()
    moves: Moves | None = None
    grafanas: tuple[PlannedStep, ...] = ()
    """Edits of grafana.ini and of Grafana's data sources."""
    grafana_restarts: tuple[PlannedStep, ...] = ()
    warnings: tuple[Finding, ...] = ()
    broken: tuple[BrokenClient, ...] = ()
    gaps: tuple[Gap, ...] = ()
    hints: tuple[str, ...] = ()
    prepared: tuple[PlannedStep, ...] = ()
    """Writes the files in the workspace."""
    secrets: tuple[Secret, ...] = ()
    """The client secrets for OpenID providers."""

    @property
    def asks_password(self) -> bool:
        """Whether one of the front doors has users with passwords."""
        return any(site.known.door.users for site in self.sites)

    @property
    def stages(self) -> tuple[tuple[PlannedStep, ...], ...]:
        """The steps on the hosts, in the order that keeps components reachable for as long as possible.

        The proxy checks its site before anything moves. A Prometheus reads the new paths at the moment when its targets
        move. The front door opens last, when its components serve already.
        """
        if self.moves is None:
            return ()
        moves = self.moves
        # One reload makes a proxy read all of its front doors.
        present = {
            (site.known.door.host, site.known.proxy.name): site
            for site in self.sites
            if site.material or site.config
        }
        return (
            tuple(site.material for site in self.sites if site.material is not None),
            tuple(site.config for site in self.sites if site.config is not None),
            (*moves.flags, *moves.edits, *self.grafanas),
            (*moves.reloads, *moves.restarts),
            (*moves.scrapers, *self._helper_restarts, *self.grafana_restarts),
            tuple(_reload(site.known, restarts=key in self._restarted) for key, site in present.items()),
        )

    @property
    def _helper_restarts(self) -> tuple[PlannedStep, ...]:
        """Restarts of the programs through which people sign in."""
        return tuple(
            step
            for site in self.sites
            if site.material is not None
            for step in door_sign_in.restart(site.known, site.material.changes)
        )

    @property
    def _restarted(self) -> set[tuple[str, str]]:
        """Host and name of each proxy that must be restarted because a reload is not enough."""
        return {(site.known.door.host, site.known.proxy.name) for site in self.sites if site.restarts}


def plan_doors(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, servers: Sequence[ServerPlan]
) -> DoorPlan:
    """Plans the front doors of a stack.

    Args:
        facts: as they will be after the rest of the plan.
        servers: the plans of the servers to which front doors connect over TLS.

    Raises:
        InputError (and its subclasses): the hosts' present state does not allow one of them.
    """
    known = door_facts.doors(stack, facts)
    if not known:
        return DoorPlan()
    for each in known:
        door_refusals.refuse_unfit(facts, each)
        if each.door.site:
            own_site.refuse_unfit(facts, each)
        if each.grafana is not None:
            door_grafana.refuse_unfit(each.grafana)
    door_sign_in.refuse_unfit(facts, known)
    sites = _sites(stack, facts, factory, known, servers)
    backends = tuple(backend for each in known for backend in each.backends)
    clients = paths.scrapers(stack, facts)
    grafanas = tuple(each.grafana for each in known if each.grafana is not None)
    turned = {each.server.key for each in servers if each.path_flags}
    moves = door_backends.plan_moves(facts, backends, grafanas, clients, turned)
    sources = data_sources.plan(facts, backends, {each.host.spec.name for each in grafanas})
    flags = {each.key: door_grafana.flags(each) for each in grafanas}
    return DoorPlan(
        sites=sites,
        clients=clients,
        moves=moves,
        grafanas=(*(step for step in flags.values() if step is not None), *sources.edits),
        grafana_restarts=tuple(
            door_grafana.restart(each, facts.workspace_option)
            for each in grafanas
            if flags[each.key] is not None or sources.on(each.host.spec.name)
        ),
        warnings=(*sources.warnings, *door_grafana.warnings(grafanas)),
        broken=(*sources.broken, *door_broken_clients.broken_clients(facts, known)),
        gaps=(
            *_gaps(backends, turned),
            *(gap for each in grafanas for gap in door_grafana.gaps(each)),
        ),
        hints=tuple(_hints(facts, known)),
        prepared=_workspace_steps_for_sites(stack, facts, factory, sites),
        secrets=door_sign_in.client_secrets(facts, known),
    )


def _sites(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    known: Sequence[KnownDoor],
    servers: Sequence[ServerPlan],
) -> tuple[Site, ...]:
    firsts = {(each.door.host, each.proxy.name): each for each in reversed(known)}
    clients_of = {
        (each.door.host, each.proxy.name): each for each in reversed(known) if each.door.sign_in is not None
    }
    trusts = {each.server.key: each.pair.trust for each in servers}
    return shared_file.with_shared_files(
        [
            door_site.plan_site(
                stack,
                facts,
                factory,
                each,
                first=firsts[each.door.host, each.proxy.name] is each,
                first_to_sign_in=clients_of.get((each.door.host, each.proxy.name)) is each,
                trusts=trusts,
            )
            for each in known
        ]
    )


def inquiry(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, found: DoorPlan
) -> DoorInquiry:
    """What the probes of the front doors need."""
    users = {each.user.name: each.password for each in factory.credentials()} if found.asks_password else {}
    return DoorInquiry(stack=stack, facts=facts, sites=found.sites, passwords=users)


def _workspace_steps_for_sites(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, sites: Sequence[Site]
) -> tuple[PlannedStep, ...]:
    shown = [(site.known.server, site.pair) for site in sites]
    steps = list(workspace_steps.trust_copies(facts, shown, owners="front doors"))
    if any(site.known.door.client_cert for site in sites):
        steps += probe_certificates.probe_step(stack, facts, factory, names_checked=False)
    changes: list[Change] = []
    for site in sites:
        for backend in site.known.backends:
            if backend.component in paths.TOOLS:
                changes += _tool(stack, facts, site.known, backend)
    if changes:
        folder = workspace_files.workspace_folder(
            facts, "tools", "The settings of your command-line tools are in one folder."
        )
        steps.append(
            workspace_files.workspace_step(
                StepKind.COMMAND_LINE_TOOLS,
                title="Write client settings for promtool and amtool",
                why="With --http.config.file they read CA, user and client certificate for the front door from a file.",
                changes=(*folder, *changes),
            )
        )
    return tuple(steps)


def _tool(stack: Stack, facts: Facts, known: KnownDoor, backend: Backend) -> tuple[Change, ...]:
    content = http_client.text(**_settings(stack, facts, known))
    return workspace_files.http_client_settings(facts, paths.tools_file(facts, backend.server), content)


def _settings(stack: Stack, facts: Facts, known: KnownDoor) -> dict[str, str]:
    settings = {"ca_file": paths.trust_copy(facts, known.server)}
    user = known.user(stack)
    if user is not None:
        return settings | {"username": user.name, "password_file": paths.user_files(facts, user)[0]}
    certificate, key = paths.probe_pair(facts)
    return settings | {"cert_file": certificate, "key_file": key}


def _hints(facts: Facts, doors: Sequence[KnownDoor]) -> list[str]:
    """Yields the addresses for people and their tools."""
    found: list[str] = []
    for known in doors:
        found += door_sign_in.hints(known)
        if known.grafana is not None:
            whom = "Grafana" if known.grafana.route.has_own_login else "the front door and at Grafana"
            found.append(f"Grafana is at {known.grafana.url}/ for those who log in at {whom}.")
        for backend in known.backends:
            found.append(
                f"{backend.facts.title} is at {backend.url}/ for those who log in at the front door."
            )
            config = f"--http.config.file={paths.tools_file(facts, backend.server)}"
            if backend.component == "prometheus" and not backend.service.agent:
                command = ["promtool", "query", "instant", config, backend.url, "up"]
                note = command_line_tools.newer_promtool(backend.service)
                found.append(f"To query {backend.key}{note}: {shlex.join(command)}")
            elif backend.component == "alertmanager":
                command = ["amtool", config, f"--alertmanager.url={backend.url}", "alert"]
                found.append(f"To ask {backend.key}: {shlex.join(command)}")
    return found


def _reload(known: KnownDoor, *, restarts: bool) -> PlannedStep:
    run = run_alone(known.service, "restart" if restarts else "reload")
    if restarts:
        return known.step(
            StepKind.FRONT_DOOR_RELOAD,
            title=f"Restart {known.proxy.title}",
            why=f"{known.proxy.title} loads a new module, which takes a restart: its other sites are down for about 1 s.",
            changes=(run,),
        )
    return known.step(
        StepKind.FRONT_DOOR_RELOAD,
        title=f"Reload {known.proxy.title}",
        why=f"{known.proxy.title} answers by the new configuration from then on; no request to its other sites is lost.",
        changes=(run,),
    )


def _gaps(backends: Sequence[Backend], turned: Collection[str]) -> tuple[Gap, ...]:
    """How long each component that moves is down, and how long it is unreachable.

    Args:
        turned: keys of the components that move with their restart for TLS.
    """
    found = []
    for backend in backends:
        if not door_backends.wanted_flags(backend):
            continue
        missing = backend.facts.restart_seconds
        scrapes = backend.component == "prometheus"
        if backend.key not in turned:
            found.append(
                Gap(
                    message=f"restarts: it scrapes nothing for about {missing:.0f} s"
                    if scrapes
                    else f"is down for about {missing:.0f} s: at most one scrape is lost",
                    seconds=missing,
                    host=backend.host.spec.name,
                    component=backend.component,
                    instance=backend.instance,
                )
            )
        found.append(
            Gap(
                message=f"serves below {backend.url}/ from then on, and at its own address below "
                f"{backend.route.prefix or '/'} with a client certificate"
                if backend.over_tls
                else f"is reached by others at {backend.url}/ alone from then on",
                host=backend.host.spec.name,
                component=backend.component,
                instance=backend.instance,
            )
        )
    return tuple(found)


def strict_transport(found: DoorPlan) -> list[Finding]:
    """The warnings about Strict-Transport-Security."""
    return [
        Finding(
            id="hsts",
            host=site.known.door.host,
            component=site.known.proxy.name,
            what=f"browsers will use nothing but https for {site.known.door.name} for {site.known.door.hsts_days} days, "
            "on every port",
            why="They remember it, also when this is undone: other http services under that name cannot be opened then.",
            remediation="Begin with hsts_days: 1",
        )
        for site in found.sites
        if site.known.door.hsts_days and site.config is not None
    ]
