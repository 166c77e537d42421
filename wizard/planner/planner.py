"""Makes an ordered plan from the stack file and the facts of its hosts. Pure: no I/O.

Order matters. Clients get credentials before servers require them. A server that changes from http to https and the
Prometheus that scrapes it change at the same moment. A file that is reread at once is written last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from wizard.model import (
    EXPORTERS,
    Answers,
    BrokenClient,
    Change,
    Facts,
    Finding,
    Gap,
    MakeFolder,
    Plan,
    PlannedStep,
    Probe,
    RunService,
    Stack,
    StepKind,
    Watched,
    facts_after,
)
from wizard.planner import (
    blackbox,
    broken_clients,
    certificate_names,
    client_logins,
    command_line_tools,
    containers,
    credentials,
    gaps,
    grafana,
    grafana_plan,
    health_findings,
    identity_warnings,
    monitors,
    new_jobs,
    password_rotation,
    paths,
    plain_http_clients,
    plan_warnings,
    probes,
    remote_commands,
    shared_configurations,
    step_order,
    storage,
    transfers,
    trust_graph,
    workspace_steps,
)
from wizard.planner.client import ClientPlan, Target, plan_client
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import door_backends, door_plan, exporter_door
from wizard.planner.front_doors.door_facts import Backend
from wizard.planner.front_doors.door_probes import DoorInquiry
from wizard.planner.server import ServerPlan, plan_server
from wizard.planner.server_facts import Server


def plan(stack: Stack, facts: Facts, answers: Answers) -> Plan:
    """Plans the changes that make the hosts match the stack; no steps if they match already.

    Raises:
        InputError (and its subclasses): something on a host, or a given value, cannot be used. Nothing has
            been changed.
    """
    answers = password_rotation.with_new_password(stack, answers)
    rotation = password_rotation.rotation(stack, facts, answers)
    turned = facts_after(facts, (change for step in rotation for change in step.changes))
    main_plan = replace(_plan(stack, turned, answers), answers=answers, facts=turned)
    if not rotation:
        return main_plan
    gap = Gap(message="a password is replaced: servers accept both meanwhile, so that no scrape is rejected")
    first = tuple(replace(step, stage=number) for number, step in enumerate(rotation))
    behind = tuple(replace(step, stage=step.stage + len(first)) for step in main_plan.steps)
    return replace(main_plan, facts=facts, steps=(*first, *behind), gaps=(gap, *main_plan.gaps))


@dataclass(frozen=True, slots=True)
class _Ends:
    """Both ends of all connections, as after the plan."""

    servers: tuple[ServerPlan, ...]
    clients: tuple[ClientPlan, ...]
    onlookers: grafana_plan.GrafanaPlan
    probings: tuple[blackbox.Probing, ...]
    warnings: tuple[Finding, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        """The servers as targets of their clients."""
        return tuple(target for client in self.clients for target in client.targets)

    def direct(self, stack: Stack) -> tuple[ServerPlan, ...]:
        """The servers that people and their tools reach directly, not through a front door."""
        return tuple(each for each in self.servers if not each.server.behind_doors(stack))

    @property
    def ask_password(self) -> bool:
        """Whether a server requires a password."""
        return any(each.asks_password for each in self.servers)


def _plan(stack: Stack, facts: Facts, answers: Answers) -> Plan:
    one_port = exporter_door.plan_doors(stack, facts)
    facts = one_port.facts_after(facts)
    factory = credentials.CredentialFactory(stack, facts, answers)
    ends = _ends(stack, facts, factory, one_port)
    targets, server_names = ends.targets, probes.names(ends.targets)
    asks_password = ends.ask_password or any(door.users for door in stack.front_doors)
    secrets = tuple(given.password for given in factory.credentials()) if asks_password else ()
    inquiry = probes.Inquiry(
        stack=stack,
        facts=facts,
        servers={each.server.key: each for each in ends.servers},
        password=next(iter(secrets), None),
        other_pair=stack.certificates.issued_by == "ca",
    )
    tools = command_line_tools.step(stack, facts, ends.direct(stack), server_names)
    ordered = step_order.order_steps(facts, ends.servers, ends.clients, inquiry.turns(targets))
    moved = facts_after(facts, _changes(ordered))
    doors = door_plan.plan_doors(stack, moved, factory, ends.servers)
    at_doors = door_plan.inquiry(stack, facts, factory, doors)
    behind = facts_after(moved, _changes(doors.stages))
    closing = one_port.loopback_steps(facts, ends.clients)
    logins = client_logins.plan_logins(stack, behind, paths.scrapers(stack, behind), answers)
    stages = (
        *_preparation_stages(
            stack, facts, factory, ends, (*tools, *doors.prepared), asks_password=asks_password
        ),
        *one_port.opening,
        *ordered,
        *closing,
        *doors.stages,
        *logins.stages,
    )
    steps = _number_steps(facts, stages)
    transfers.refuse(stack, facts, steps)
    storage.refuse(facts, steps)
    containers.refuse_pending(
        change.service for step in steps for change in step.changes if isinstance(change, RunService)
    )
    wanted = _probes(inquiry, ends, (one_port, at_doors, doors, logins))
    broken = (*broken_clients.broken_clients(stack, facts), *one_port.broken, *doors.broken)
    commands = command_line_tools.commands(stack, facts, ends.direct(stack), server_names)
    return Plan(
        stack=stack,
        facts=facts,
        steps=transfers.describe_transfers(stack, facts, steps),
        probes=wanted,
        watched=_all_monitored(stack, inquiry, at_doors, logins) if wanted or logins.known else (),
        broken_clients=broken,
        longest_wait=health_findings.longest_wait(facts, wanted),
        asked=_ssh_note(stack, facts),
        arrows=(
            *trust_graph.arrows((*targets, *ends.onlookers.targets), at_doors, doors.clients),
            *one_port.arrows(),
        ),
        warnings=_warnings(stack, facts, ends, (doors, broken), wanted, commands),
        gaps=(*gaps.gaps(ends.servers, ends.clients), *ends.onlookers.gaps, *one_port.gaps(), *doors.gaps),
        hints=(*command_line_tools.sentences(ends.direct(stack), commands), *doors.hints),
        secrets=(*secrets, *doors.secrets),
    )


def _changes(stages: Sequence[Sequence[PlannedStep]]) -> Iterator[Change]:
    return (change for stage in stages for step in stage for change in step.changes)


def _probes(
    inquiry: probes.Inquiry,
    ends: _Ends,
    others: tuple[exporter_door.ExporterDoors, DoorInquiry, door_plan.DoorPlan, client_logins.LoginPlan],
) -> tuple[Probe, ...]:
    """All probes of a plan; the ones of components behind front doors go through these."""
    one_port, at_doors, doors, logins = others
    targets = ends.targets
    of_servers = inquiry.server_probes(targets)
    found = (
        *at_doors.with_new_paths(of_servers),
        *(*inquiry.up_probes(targets), *inquiry.blackbox_probes(ends.probings)),
        *logins.up_probes(inquiry),
    )
    return (
        *at_doors.through_doors(found),
        *one_port.probes(of_servers),
        *(*at_doors.probes(), *at_doors.up_probes(doors.clients)),
    )


def _all_monitored(
    stack: Stack, inquiry: probes.Inquiry, at_doors: DoorInquiry, logins: client_logins.LoginPlan
) -> tuple[Watched, ...]:
    """Each Prometheus of the stack, with the probes to query it, and the receivers that it must reach."""
    return logins.with_login_targets(
        at_doors.with_door_access(monitors.monitored_prometheus(stack, inquiry.facts, inquiry.access))
    )


def _warnings(
    stack: Stack,
    facts: Facts,
    ends: _Ends,
    at_doors: tuple[door_plan.DoorPlan, Sequence[BrokenClient]],
    wanted: Sequence[Probe],
    commands: Mapping[str, str],
) -> tuple[Finding, ...]:
    """All warnings of a plan."""
    doors, broken = at_doors
    return (
        *broken_clients.findings(broken, stack),
        *certificate_names.missing_name_findings(stack, facts, paths.servers(stack, facts)),
        *plan_warnings.of_unreachable_hosts(facts),
        *plan_warnings.of_clocks(facts),
        *shared_configurations.unlisted_instances(stack, facts),
        *health_findings.findings(stack, facts, wanted),
        *plan_warnings.of_servers(stack, ends.servers, commands),
        *ends.warnings,
        *doors.warnings,
        *door_plan.strict_transport(doors),
    )


def _number_steps(facts: Facts, stages: Sequence[Sequence[PlannedStep]]) -> tuple[PlannedStep, ...]:
    """The steps that change something, with the number of their stage; a folder is created once."""
    made: set[tuple[str, str]] = set()
    found = []
    for number, stage in enumerate(stages):
        for step in stage:
            changes = []
            for change in step.changes:
                place = change.host, change.path
                if isinstance(change, MakeFolder) and place in made:
                    continue
                if isinstance(change, MakeFolder):
                    made.add(place)
                changes.append(change)
            if changes:
                found.append(
                    remote_commands.with_route(facts, replace(step, stage=number, changes=tuple(changes)))
                )
    return tuple(found)


def _ends(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, one_port: exporter_door.ExporterDoors
) -> _Ends:
    """Plans all servers and clients of the stack, with their warnings."""
    servers = paths.servers(stack, facts)
    probings, of_probings = blackbox.look(stack, facts, servers)
    scrapers = paths.scrapers(stack, facts) if servers else ()
    turning = door_backends.backends_switching_to_tls(stack, facts, scrapers)
    path_flags = {each.key: door_backends.wanted_flags(each) for each in turning}
    texts = _texts(scrapers, probings, turning)
    jobs = new_jobs.assign(facts, scrapers, texts, servers)
    asking, of_grafana = grafana.look(stack, facts, servers)

    def plan_one(server: Server) -> ServerPlan:
        askers = (*_askers(server, scrapers, jobs, probings), *grafana.askers(asking, server))
        if server.component == EXPORTERS:
            return exporter_door.plan_server(stack, facts, factory, server, askers, one_port)
        flags = path_flags.get(server.key, {})
        return plan_server(stack, facts, factory, server, askers, path_flags=flags)

    plans = shared_configurations.written_once([plan_one(server) for server in servers])
    clients = (
        *(
            plan_client(stack, facts, factory, each, plans, texts=texts[each.key], unscraped=jobs.of(each))
            for each in scrapers
        ),
        *_prober_plans(stack, facts, factory, probings, plans),
    )
    onlookers = grafana_plan.plan(stack, facts, factory, asking, plans)
    warnings = (
        *(warning for each in plans for warning in each.warnings),
        *plain_http_clients.warnings(facts, [each.server for each in plans if not each.was_tls]),
        *(warning for client in clients for warning in client.warnings),
        *jobs.warnings,
        *_unclear(facts, scrapers, servers),
        *of_probings,
        *of_grafana,
        *onlookers.warnings,
    )
    return _Ends(tuple(plans), clients, onlookers, tuple(probings), warnings)


def _preparation_stages(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    ends: _Ends,
    tools: tuple[PlannedStep, ...],
    *,
    asks_password: bool,
) -> tuple[tuple[PlannedStep, ...], tuple[PlannedStep, ...]]:
    """The first two stages: new files in the workspace, and the files that each host gets from it."""
    made = (
        *factory.steps,
        *workspace_steps.certificate_steps(stack, facts, factory, ends.servers),
        *(workspace_steps.user_step(stack, facts, factory) if asks_password else ()),
    )
    # Probes of servers and of front doors present the same certificates: one step creates them for both.
    kinds = {step.kind for step in made} & {StepKind.PROBE_CERTIFICATES}
    tools = tuple(step for step in tools if step.kind not in kinds)
    given = (
        *(step for each in ends.servers for step in step_order.present(each.material)),
        *workspace_steps.trust_copies(facts, [(each.server, each.pair) for each in ends.servers]),
        *tools,
        *ends.onlookers.steps,
    )
    return made, given


def _askers(
    server: Server,
    scrapers: Sequence[Client],
    jobs: new_jobs.NewJobs,
    probings: Sequence[blackbox.Probing],
) -> tuple[Client, ...]:
    """The clients that connect to a server now or after the plan."""
    through = {
        probing.prober.key: probing.prober
        for probing in probings
        if any(each.key == server.key for _, _, each in probing.targets)
    }
    asking = (
        scraper
        for scraper in scrapers
        if any(each.key == server.key for each in jobs.of(scraper))
        or any(scraper.means(address, server) for place in scraper.places() for address in place.addresses)
    )
    return (*asking, *through.values())


def _texts(
    scrapers: Sequence[Client], probings: Sequence[blackbox.Probing], turning: Sequence[Backend]
) -> dict[str, dict[str, bytes]]:
    """Each Prometheus' configuration by path, with the later targets: https URLs to probe, and new paths."""
    return {
        each.key: blackbox.retarget(
            door_backends.with_paths(each, each.texts, turning),
            [probing for probing in probings if probing.scraper.key == each.key],
        )
        for each in scrapers
    }


def _unclear(facts: Facts, scrapers: Sequence[Client], servers: Sequence[Server]) -> tuple[Finding, ...]:
    return tuple(
        finding
        for scraper in scrapers
        for finding in identity_warnings.of_blocks(facts, scraper, scraper.places(), servers)
    )


def _prober_plans(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    probings: Sequence[blackbox.Probing],
    plans: Sequence[ServerPlan],
) -> tuple[ClientPlan, ...]:
    found = []
    by_prober = sorted(probings, key=lambda probing: probing.prober.key)
    for _, group in groupby(by_prober, key=lambda probing: probing.prober.key):
        prober_probings = tuple(group)
        prober = prober_probings[0].prober
        modules: dict[str, dict[str, ServerPlan]] = {}
        for probing in prober_probings:
            keys = {server.key for _, _, server in probing.targets}
            modules.setdefault(probing.as_module, {}).update(
                {each.server.key: each for each in plans if each.server.key in keys}
            )
        content = blackbox.with_modules(prober.content, prober_probings)
        servers = {name: tuple(each.values()) for name, each in modules.items()}
        texts = {prober.service.config_file: content}
        found.append(plan_client(stack, facts, factory, prober, plans, modules=servers, texts=texts))
    return tuple(found)


def _ssh_note(stack: Stack, facts: Facts) -> str:
    """The components that this machine cannot reach itself, with how it queries them; '' if it reaches all."""
    found = [
        component.key
        for component in stack.components
        if component.host in facts.hosts
        and (service := facts.hosts[component.host].service(component.name, component.unit))
        and service.forward
    ]
    if not found:
        return ""
    return f"Asked through SSH, since this machine cannot reach {'it' if len(found) == 1 else 'them'}: {', '.join(found)}"
