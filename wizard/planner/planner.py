"""From what a person wants and what the hosts have to an ordered plan. Pure: no I/O.

Order matters. Clients learn credentials before servers demand them; a server that turns from http to https and
the Prometheus that scrapes it turn within the same breath; a file that is re-read at once is written last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

from wizard.components import component as find_component
from wizard.errors import InputError
from wizard.model import (
    Answers,
    ContentKind,
    Facts,
    FileState,
    Finding,
    Gap,
    Plan,
    PlannedStep,
    Probe,
    Stack,
    StepKind,
    facts_after,
)
from wizard.planner import (
    blackbox,
    broken_clients,
    command_line_tools,
    credentials,
    grafana,
    health_findings,
    identity_warnings,
    manual_commands,
    monitors,
    new_jobs,
    password_rotation,
    paths,
    plain_http_clients,
    probe_certificates,
    probes,
    remote_commands,
    service_actions,
    shared_certificate,
    shared_configurations,
    storage,
    transfers,
    trust_graph,
)
from wizard.planner.client import ClientPlan, Target, plan_client
from wizard.planner.paths import Client, Server
from wizard.planner.server import ServerPlan, plan_server
from wizard.probes import curl_config

CLOCK_TOLD = 30.0
"""Seconds that clocks may differ before it is told."""

CLOCK_REFUSED = 3300.0
"""Seconds that a host may be behind: certificates are good from an hour before they are made."""


def plan(stack: Stack, facts: Facts, answers: Answers) -> Plan:
    """What has to change so that the stack is as it is wanted; no steps if it already is.

    Raises:
        InputError (and the kinds below it): something that is there, or was given, cannot be used. Nothing has
            been touched.
    """
    answers = password_rotation.renewed(stack, answers)
    rotation = password_rotation.rotation(stack, facts, answers)
    turned = facts_after(facts, (change for step in rotation for change in step.changes))
    rest = replace(_plan(stack, turned, answers), answers=answers)
    if not rotation:
        return rest
    gap = Gap(
        message="a password is replaced: nobody is turned away, old and new stand side by side in between"
    )
    first = tuple(replace(step, stage=number) for number, step in enumerate(rotation))
    behind = tuple(replace(step, stage=step.stage + len(first)) for step in rest.steps)
    return replace(rest, facts=facts, steps=(*first, *behind), gaps=(gap, *rest.gaps))


def _plan(stack: Stack, facts: Facts, answers: Answers) -> Plan:
    forge = credentials.Forge(stack, facts, answers)
    servers = paths.servers(stack, facts)
    probings, told = blackbox.look(stack, facts, servers)
    scrapers = paths.scrapers(stack, facts) if servers else ()
    texts = _texts(scrapers, probings)
    jobs = new_jobs.assign(facts, scrapers, texts, servers)
    asking, told_of_grafana = grafana.look(stack, facts, servers)
    server_plans = shared_configurations.written_once(
        [
            plan_server(
                stack,
                facts,
                forge,
                server,
                (*_askers(server, scrapers, jobs, probings), *grafana.askers(asking, server)),
            )
            for server in servers
        ]
    )
    client_plans = (
        *(
            plan_client(
                stack, facts, forge, each, server_plans, texts=texts[each.key], unscraped=jobs.of(each)
            )
            for each in scrapers
        ),
        *_prober_plans(stack, facts, forge, probings, server_plans),
    )
    with_password = any(each.asks_password for each in server_plans)
    targets = tuple(target for client in client_plans for target in client.targets)
    onlookers = grafana.plan(stack, facts, forge, asking, server_plans)
    named = probes.names(targets)
    commands = command_line_tools.commands(stack, facts, server_plans, named)
    inquiry = probes.Inquiry(
        stack=stack,
        facts=facts,
        servers={each.server.key: each for each in server_plans},
        password=forge.credentials()[0].password if with_password else None,
        other_pair=stack.certificates.issued_by == "ca",
    )
    stages = (
        (
            *forge.steps,
            *_clients_step(stack, facts, forge, server_plans),
            *(_user_step(stack, facts, forge) if with_password else ()),
        ),
        (
            *(step for server_plan in server_plans for step in _there(server_plan.material)),
            *_trust_copies(facts, server_plans),
            *command_line_tools.step(stack, facts, server_plans, named),
            *onlookers.steps,
        ),
        *_ordered(facts, server_plans, client_plans, inquiry.turns(targets)),
    )
    steps = tuple(
        remote_commands.routed(facts, replace(step, stage=number))
        for number, stage in enumerate(stages)
        for step in stage
        if step.changes
    )
    transfers.refuse(stack, facts, steps)
    storage.refuse(facts, steps)
    steps = transfers.told(stack, facts, steps)
    wanted = (*inquiry.server_probes(targets), *inquiry.up_probes(targets), *inquiry.probed(probings))
    broken = broken_clients.broken_clients(stack, facts)
    return Plan(
        stack=stack,
        facts=facts,
        steps=steps,
        probes=wanted,
        watched=monitors.watched(stack, facts, inquiry.access) if wanted else (),
        broken_clients=broken,
        longest_wait=health_findings.longest_wait(facts, wanted),
        asked=_by_ssh(stack, facts),
        arrows=trust_graph.arrows((*targets, *onlookers.targets)),
        warnings=(
            *broken_clients.findings(broken, stack),
            *_away(facts),
            *_clocks(facts),
            *shared_configurations.unnamed(stack, facts),
            *health_findings.findings(stack, facts, wanted),
            *_warnings(stack, server_plans, commands),
            *(warning for each in server_plans for warning in each.warnings),
            *plain_http_clients.warnings(facts, [each.server for each in server_plans if not each.was_tls]),
            *(warning for client in client_plans for warning in client.warnings),
            *jobs.warnings,
            *_unclear(facts, scrapers, servers),
            *told,
            *told_of_grafana,
            *onlookers.warnings,
        ),
        gaps=(*_gaps(server_plans, targets), *onlookers.gaps),
        hints=command_line_tools.sentences(server_plans, commands),
        secrets=tuple(given.password for given in forge.credentials()) if with_password else (),
    )


def _askers(
    server: Server,
    scrapers: Sequence[Client],
    jobs: new_jobs.NewJobs,
    probings: Sequence[blackbox.Probing],
) -> tuple[Client, ...]:
    """The clients that ask a server, or will."""
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


def _texts(scrapers: Sequence[Client], probings: Sequence[blackbox.Probing]) -> dict[str, dict[str, bytes]]:
    """Each Prometheus' configuration by path, with what its probing jobs will ask."""
    return {
        each.key: blackbox.retarget(
            each.texts, [probing for probing in probings if probing.scraper.key == each.key]
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
    forge: credentials.Forge,
    probings: Sequence[blackbox.Probing],
    plans: Sequence[ServerPlan],
) -> tuple[ClientPlan, ...]:
    found = []
    by_prober = sorted(probings, key=lambda probing: probing.prober.key)
    for _, group in groupby(by_prober, key=lambda probing: probing.prober.key):
        mine = tuple(group)
        prober = mine[0].prober
        modules: dict[str, dict[str, ServerPlan]] = {}
        for probing in mine:
            keys = {server.key for _, _, server in probing.targets}
            modules.setdefault(probing.as_module, {}).update(
                {each.server.key: each for each in plans if each.server.key in keys}
            )
        content = blackbox.with_modules(prober.content, mine)
        asked = {name: tuple(each.values()) for name, each in modules.items()}
        texts = {prober.service.config_file: content}
        found.append(plan_client(stack, facts, forge, prober, plans, modules=asked, texts=texts))
    return tuple(found)


def _clients_step(
    stack: Stack, facts: Facts, forge: credentials.Forge, plans: Sequence[ServerPlan]
) -> tuple[PlannedStep, ...]:
    """The shared pair and the pairs of the probes, where this plan needs them."""
    shared = shared_certificate.shared_step(stack, facts, forge)
    if not any(each.asks_certificate for each in plans):
        return shared
    checked = any(each.allowed for each in plans)
    return (*shared, *probe_certificates.probe_step(stack, facts, forge, names_checked=checked))


def _user_step(stack: Stack, facts: Facts, forge: credentials.Forge) -> tuple[PlannedStep, ...]:
    changes = [change for given in forge.credentials() for change in given.step_changes]
    user = stack.users[0]
    wrong = paths.wrong_user_file(facts, user)
    changes += credentials.private(
        facts,
        wrong,
        curl_config(user.name, probes.WRONG_PASSWORD.reveal()),
        ContentKind.CURL_CONFIG,
        why="A wrong password, for the request that must be refused.",
        by_hand=manual_commands.wrong_login(wrong, user.name, probes.WRONG_PASSWORD.reveal()),
    )
    unique = tuple({(change.kind, getattr(change, "path", "")): change for change in changes}.values())
    names = " and ".join(each.name for each in stack.users)
    return (
        credentials.workspace_step(
            StepKind.USER,
            title=f"Choose a password for user {names}",
            why=(
                "TLS keeps others from reading along, but still lets everyone ask. With a password, only who "
                "knows it gets an answer."
            ),
            changes=unique,
        ),
    )


def _trust_copies(facts: Facts, plans: Sequence[ServerPlan]) -> tuple[PlannedStep, ...]:
    changes = list(
        credentials.workspace_folder(facts, "trust", "What the probes of this program check servers against.")
    )
    for server_plan in plans:
        path = paths.trust_copy(facts, server_plan.server)
        source = paths.ca_pair(facts)[0] if server_plan.pair.own_ca else server_plan.pair.trust_file
        changes += credentials.private(
            facts,
            path,
            server_plan.pair.trust,
            ContentKind.CERTIFICATE,
            why=f"The probes check {server_plan.server.key} against it, as Prometheus will.",
            by_hand=manual_commands.copy_there(source, path, FileState(b"", 0o600, "", ""))
            if source
            else manual_commands.text(path, FileState(server_plan.pair.trust, 0o600, "", "")),
            secret=False,
        )
    if not changes:
        return ()
    return (
        credentials.workspace_step(
            StepKind.TRUST_COPIES,
            title="Remember what to check the servers against",
            why="The proof at the end asks like a client: it needs the same public certificate that a client needs.",
            changes=changes,
        ),
    )


def _ordered(
    facts: Facts, servers: Sequence[ServerPlan], clients: Sequence[ClientPlan], turns: Sequence[Probe]
) -> tuple[tuple[PlannedStep, ...], ...]:
    """All steps behind the certificates, by stage, in the order that loses no more scrapes than it must.

    Prometheus carries a new scheme over to its targets some seconds after it has read it, so it goes first:
    it reads the job, and in the moment in which it begins to ask by https, the servers turn, all at once. What
    is re-read at once comes when the clients have all that will be asked of them; what only the old ones needed
    goes last.
    """
    cold = [server for server in servers if not server.server.service.web_config]
    hot = [server for server in servers if server.server.service.web_config]
    restarts = [server for server in servers if server.turn == "restart"]
    own = [server for server in restarts if server.server.spec.name == "prometheus"]
    turned = {server.server.key for server in restarts if server not in own}
    # The Prometheus that turns comes last: from that moment on, every second counts.
    turning = sorted(clients, key=lambda client: client.client.service.component == "prometheus")
    prepared = [
        step
        for server in cold
        for step in _steps(server.web, server.cluster, server.flag, server.credentials, server.reload_command)
    ]
    told = [step for client in clients for step in (*client.trust, *_there(client.config))]
    for server in hot:
        told += _steps(server.cluster, server.credentials, server.reload_command)
        if server.turn == "restart":  # TLS that is added to a running web configuration waits for the restart
            told += _steps(server.web, server.flag)
    # A stage each, also where nothing is to be read: plans for more or fewer hosts have the same stages.
    reloads = [
        (service_actions.reload(facts, client.client, turns if restarts else ()),)
        if client.config is not None
        else ()
        for client in turning
    ]
    return (
        tuple(prepared),  # nothing reads these files yet: they come first, as the story is told
        tuple(told),
        *reloads,
        # They ask by https now, so that the password is on no wire before the server proves who it is. A client
        # that turns itself reads it when it starts.
        tuple(client.login for client in clients if client.login is not None and client.client.key in turned),
        (
            *(
                service_actions.login(facts, client.client, client.login)
                for client in clients
                if client.login is not None and client.client.key not in turned
            ),
            *(service_actions.restart(facts, server.server) for server in restarts if server not in own),
        ),
        # What is re-read with the next request: the clients know already.
        tuple(step for server in hot if server.turn != "restart" for step in _there(server.web)),
        # Prometheus itself turns last: the others are scraped by then.
        tuple(service_actions.restart(facts, server.server) for server in own),
        tuple(step for client in clients for step in client.narrow),
        tuple(step for server in servers for step in _narrowed(facts, server)),
    )


def _narrowed(facts: Facts, server: ServerPlan) -> tuple[PlannedStep, ...]:
    """What takes the old out of a server's bundle; one that has a copy of it is restarted for that."""
    if server.narrow is None or not server.server.credentials:
        return _there(server.narrow)
    again = service_actions.restart(facts, server.server)
    return (replace(server.narrow, changes=(*server.narrow.changes, *again.changes)),)


def _steps(*found: PlannedStep | None) -> list[PlannedStep]:
    return [step for step in found if step is not None]


def _there(step: PlannedStep | None) -> tuple[PlannedStep, ...]:
    return (step,) if step is not None else ()


def _warnings(stack: Stack, plans: Sequence[ServerPlan], commands: Mapping[str, str]) -> tuple[Finding, ...]:
    found = []
    for server_plan in plans:
        service = server_plan.server.service
        component = find_component(service.component)
        if not component.safe(service.version):
            found.append(
                Finding(
                    severity="warning",
                    id="cve-2022-46146",
                    host=service.host,
                    component=service.component,
                    instance=service.instance,
                    what=f"{service.component} {service.version} lets a password be bypassed (CVE-2022-46146)",
                    why="An attacker who has seen a hash can poison the cache of passwords that this version keeps.",
                    mend=f"upgrade to {component.first_safe_version} or newer",
                )
            )
        asked_for_ca = stack.certificates.issued_by == "ca"
        if not server_plan.pair.changes and asked_for_ca and not server_plan.pair.own_ca:
            found.append(
                Finding(
                    severity="warning",
                    id="certificate-kept",
                    host=service.host,
                    component=service.component,
                    instance=service.instance,
                    what=f"{server_plan.pair.certificate_file} is not from your CA and still serves, so it is kept",
                    why="What is there and holds is not replaced, though you chose your own CA for new ones.",
                    mend="move it away first if your CA is to sign this one too",
                )
            )
        if component.asked_by_others and server_plan.turn != "none":
            found.append(
                Finding(
                    severity="warning",
                    id="others-ask-it-too",
                    host=service.host,
                    component=service.component,
                    instance=service.instance,
                    what=f"whoever else asks {component.title} (Grafana, scripts) will be refused until told",
                    why="Only the clients in this plan are changed with it; other programs keep their own settings.",
                    mend="give them https, the CA certificate and the password as well"
                    + (f", as in: {example}" if (example := commands.get(server_plan.server.key)) else ""),
                )
            )
        found += _open_flags(server_plan)
    return tuple(found)


def _away(facts: Facts) -> list[Finding]:
    """Hosts that nothing is planned for, because they could not be reached."""
    return [
        Finding(
            severity="warning",
            id="host-away",
            host=name,
            component="",
            what=f"{name} is left alone: {why}",
            why="The others go on without it; what runs there stays as open as it is.",
            mend="bring it within reach and apply again: only what is missing is done",
        )
        for name, why in facts.away.items()
    ]


def _by_ssh(stack: Stack, facts: Facts) -> str:
    """Of what this machine cannot reach itself, how it is asked; '' where it reaches all."""
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


def _clocks(facts: Facts) -> list[Finding]:
    """Hosts whose clocks disagree with this machine's, where the certificates get their dates.

    Raises:
        InputError: one is so far off that a new certificate would not be valid there.
    """
    found = []
    for name, known in facts.hosts.items():
        if abs(known.clock) < CLOCK_TOLD:
            continue
        way = "behind" if known.clock < 0 else "ahead"
        what = f"the clock of {name} is {abs(known.clock):.0f} s {way} of this machine's"
        if known.clock < -CLOCK_REFUSED:
            raise InputError(
                f"{what}: a new certificate would not be valid there yet",
                where=name,
                todo="set the clock first (timedatectl set-ntp true), here or there",
            )
        found.append(
            Finding(
                severity="warning",
                id="clocks-disagree",
                host=name,
                component="",
                what=what,
                why="A certificate is good from an hour before it is made: more than that apart, it is refused.",
                mend="timedatectl set-ntp true",
            )
        )
    return found


def _open_flags(server_plan: ServerPlan) -> list[Finding]:
    """Endpoints with power that are switched on and that anyone may use who gets in without a password."""
    service = server_plan.server.service
    guarded = server_plan.asks_password or server_plan.client_auth_type == "RequireAndVerifyClientCert"
    if guarded:
        return []
    return [
        Finding(
            severity="warning",
            id="powerful-endpoint-open",
            host=service.host,
            component=service.component,
            instance=service.instance,
            what=f"--{flag} is on, and neither a password nor a client certificate guards it",
            why=means,
            mend="add basic_auth or client_cert to its protection, or take the flag away",
        )
        for flag, means in find_component(service.component).opened(service.arguments)
    ]


def _gaps(plans: Sequence[ServerPlan], targets: Sequence[Target]) -> tuple[Gap, ...]:
    found: list[Gap] = []
    for server_plan in plans:
        mine = [target for target in targets if target.plan is server_plan]
        found += _own_gaps(server_plan, scraped=any(target.place.kind == "job" for target in mine))
        if server_plan.turn == "restart" and not server_plan.was_tls:
            found += [
                Gap(
                    message=f"waits some seconds for {server_plan.server.key} ({target.place.how}): what it sends is repeated",
                    host=target.client.service.host,
                    component=target.client.service.component,
                    instance=target.client.service.instance,
                )
                for target in mine
                if target.place.kind not in ("job", "module")
            ]
    return tuple(dict.fromkeys(found))


def _own_gaps(plan: ServerPlan, *, scraped: bool) -> Iterator[Gap]:
    """How long one server is not scraped, or does not scrape."""
    told = partial(
        Gap, host=plan.server.spec.host, component=plan.server.spec.name, instance=plan.server.spec.unit
    )
    if not scraped:
        yield told(message="is scraped by no Prometheus of this stack")
    elif plan.turn == "restart" and plan.server.spec.name == "prometheus":
        # Its discovery finds the first targets with a tick of five seconds.
        yield told(message="restarts: it scrapes nobody for about seven seconds", seconds=7.0)
        if (longest := service_actions.longest_stop(plan.server)) > 0:
            yield told(
                message=f"may take up to {longest:.0f} s to stop: it first sends what is left to its remote_write "
                "endpoints",
                seconds=longest,
            )
    elif plan.turn == "restart":
        yield told(message="restarts: it is missed for about a second, at most one scrape", seconds=1.0)
    elif plan.turn == "reread":
        yield told(message="is not missed: it reads its new configuration by itself")
