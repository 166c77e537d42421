"""From what a person wants and what the hosts have to an ordered plan. Pure: no I/O.

Order matters. Clients learn credentials before servers demand them; a server that turns from http to https and
the Prometheus that scrapes it turn within the same breath; a file that is re-read at once is written last.
"""

from __future__ import annotations

from collections.abc import Sequence

from wizard.components import component as find_component
from wizard.model import (
    WORKSPACE,
    Answers,
    Facts,
    Finding,
    Plan,
    PlannedStep,
    Probe,
    RunService,
    Service,
    Stack,
)
from wizard.probes import curl_config
from wizard.redact import Secret
from wizard.services import manual
from wizard.steps import layout, material, proof, words
from wizard.steps.client import ClientPlan, Target, plan_client
from wizard.steps.server import ServerPlan, plan_server


def plan(stack: Stack, facts: Facts, answers: Answers) -> Plan:
    """What has to change so that the stack is as it is wanted; no steps if it already is.

    Raises:
        InputError (and the kinds below it): something that is there, or was given, cannot be used. Nothing has
            been touched.
    """
    forge = material.Forge(stack, facts, answers)
    servers = layout.servers(stack, facts)
    server_plans = tuple(plan_server(stack, facts, forge, server) for server in servers)
    client_plans = tuple(
        plan_client(stack, facts, forge, scraper, server_plans)
        for scraper in layout.scrapers(facts)
        if server_plans
    )
    with_password = any("basic_auth" in server.spec.protect for server in servers)
    password = forge.credentials()[0].password if with_password else None
    targets = tuple(target for client in client_plans for target in client.targets)
    steps = (
        *forge.steps,
        *(_user_step(stack, facts, forge) if with_password else ()),
        *(step for server_plan in server_plans for step in _there(server_plan.material)),
        *_trust_copies(facts, server_plans),
        *_ordered(facts, server_plans, client_plans, _turns(stack, facts, targets, password)),
    )
    return Plan(
        stack=stack,
        facts=facts,
        steps=tuple(step for step in steps if step.changes),
        probes=_probes(stack, facts, server_plans, targets, password),
        warnings=(*_warnings(stack, server_plans), *(w for client in client_plans for w in client.warnings)),
        gaps=_gaps(server_plans, targets),
        secrets=tuple(given.password for given in forge.credentials()) if with_password else (),
    )


def _probes(
    stack: Stack,
    facts: Facts,
    server_plans: Sequence[ServerPlan],
    targets: Sequence[Target],
    password: Secret | None,
) -> tuple[Probe, ...]:
    named = {target.plan.server.key: target.address for target in targets}
    probes: list[Probe] = []
    for server_plan in server_plans:
        server = server_plan.server
        probes += proof.server_probes(
            stack, facts, server, password=password, url_host=named.get(server.key, "")
        )
    return (*probes, *proof.up_probes(stack, facts, targets, password=password))


def _turns(
    stack: Stack, facts: Facts, targets: Sequence[Target], password: Secret | None
) -> tuple[Probe, ...]:
    """Targets that are scraped by http now and by https after this."""
    turning = [target for target in targets if not target.plan.was_tls and target.known]
    return proof.up_probes(stack, facts, turning, password=password, before=True)


def _user_step(stack: Stack, facts: Facts, forge: material.Forge) -> tuple[PlannedStep, ...]:
    changes = [change for given in forge.credentials() for change in given.step_changes]
    user = stack.users[0]
    wrong = layout.wrong_user_file(facts, user)
    changes += material.private(
        facts,
        wrong,
        curl_config(user.name, proof.WRONG_PASSWORD.reveal()),
        why="A wrong password, for the request that must be refused.",
        by_hand=words.wrong_login(wrong, user.name, proof.WRONG_PASSWORD.reveal()),
    )
    unique = tuple({(change.kind, getattr(change, "path", "")): change for change in changes}.values())
    return (
        PlannedStep(
            id="user",
            title=f"Choose a password for user {user.name}",
            host=WORKSPACE,
            why=(
                "TLS keeps others from reading along, but still lets everyone ask. With a password, only who "
                "knows it gets an answer."
            ),
            changes=unique,
        ),
    )


def _trust_copies(facts: Facts, plans: Sequence[ServerPlan]) -> tuple[PlannedStep, ...]:
    changes = list(
        material.workspace_folder(facts, "trust", "What the probes of this program check servers against.")
    )
    for server_plan in plans:
        path = layout.trust_copy(facts, server_plan.server)
        source = layout.ca_pair(facts)[0] if server_plan.own_ca else server_plan.certificate_file
        changes += material.private(
            facts,
            path,
            server_plan.trust,
            why=f"The probes check {server_plan.server.key} against it, as Prometheus will.",
            by_hand=words.private_copy(source, path),
            secret=False,
        )
    if not changes:
        return ()
    return (
        PlannedStep(
            id="proof",
            title="Remember what to check the servers against",
            host=WORKSPACE,
            why="The proof at the end asks like a client: it needs the same public certificate that a client needs.",
            changes=tuple(changes),
        ),
    )


def _ordered(
    facts: Facts, servers: Sequence[ServerPlan], clients: Sequence[ClientPlan], turns: Sequence[Probe]
) -> tuple[PlannedStep, ...]:
    """All steps behind the certificates, in the order that loses no more scrapes than it must.

    Prometheus carries a new scheme over to its targets some seconds after it has read it, so it goes first:
    it reads the job, and in the moment in which it begins to ask by https, the server turns.
    """
    steps: list[PlannedStep] = []
    cold = [server for server in servers if not server.server.service.web_config]
    hot = [server for server in servers if server.server.service.web_config]
    for server in cold:  # nothing reads these files yet: they come first, as the story is told
        steps += [*_there(server.web), *_there(server.flag)]
    for client in clients:
        steps += [*client.trust, *_there(client.job)]
    restarts = [server for server in servers if server.turn == "restart"]
    for server in hot:
        if server.turn == "restart":  # TLS that is added to a running web configuration waits for the restart
            steps += _there(server.web)
    steps += [
        _reload(facts, client, turns if restarts else ()) for client in clients if client.job is not None
    ]
    for server in hot:
        if server.turn != "restart":  # re-read with the next request: the clients know already
            steps += _there(server.web)
    # Prometheus itself turns last: the others are scraped by then.
    own = [server for server in restarts if server.server.spec.name == "prometheus"]
    steps += [_restart(facts, server) for server in restarts if server not in own]
    steps += [step for client in clients for step in client.later]
    steps += [_restart(facts, server) for server in own]
    return tuple(steps)


def _there(step: PlannedStep | None) -> tuple[PlannedStep, ...]:
    return (step,) if step is not None else ()


def _restart(facts: Facts, plan: ServerPlan) -> PlannedStep:
    server = plan.server
    return PlannedStep(
        id=f"switch:{server.key}",
        title=f"Restart {server.service.unit}",
        host=server.spec.host,
        why="One port speaks either http or https: from this moment on it is https.",
        changes=(_run(server.service, "restart", server=server, workspace=facts.workspace_option),),
    )


def _reload(facts: Facts, client: ClientPlan, turns: Sequence[Probe]) -> PlannedStep:
    service = client.scraper.service
    mine = tuple(turn for turn in turns if turn.url.endswith(f"//{service.listen}"))
    return PlannedStep(
        id=f"reload:{service.host}",
        title="Let Prometheus read its configuration again",
        host=service.host,
        why=(
            "A reload keeps Prometheus running and its data in place. It takes up to ten seconds until it asks "
            "its targets by https; the server turns in that moment, so that no more than one scrape is lost."
            if mine
            else "A reload keeps Prometheus running and its data in place; it now scrapes as the job says."
        ),
        changes=(_run(service, "reload", turns=mine, workspace=facts.workspace_option),),
    )


def _run(
    service: Service,
    action: str,
    *,
    workspace: str,
    server: layout.Server | None = None,
    turns: tuple[Probe, ...] = (),
) -> RunService:
    if service.manager == "systemd":
        commands: tuple[str, ...] = (f"systemctl {action} {service.unit}",)
        if action == "restart" and service.flags.kind == "dropin":
            commands = ("systemctl daemon-reload", *commands)
    elif service.manager == "process":
        commands = (words.practice(service, action, workspace=workspace),)
    elif server is not None:
        commands = manual.command(service, web_config=server.named(server.web_file))
        if server.host.spec.connect == "manual":
            commands = (
                f"# Copy the files in {server.home} to where {service.unit} runs on {service.host}.",
                *commands,
            )
    else:
        commands = (f"kill -HUP {service.pid}",) if service.pid else ()
    return RunService(
        host=service.host,
        service=service,
        action="restart" if action == "restart" else "reload",
        why="It takes effect with this." if service.manager != "manual" else "This one is yours to do.",
        by_hand=commands,
        turns=turns,
    )


def _warnings(stack: Stack, plans: Sequence[ServerPlan]) -> tuple[Finding, ...]:
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
                    what=f"{service.component} {service.version} lets a password be bypassed (CVE-2022-46146)",
                    why="An attacker who has seen a hash can poison the cache of passwords that this version keeps.",
                    mend=f"upgrade to {component.first_safe_version} or newer",
                )
            )
        asked_for_ca = stack.certificates.issued_by == "ca"
        if server_plan.material is None and asked_for_ca and not server_plan.own_ca:
            found.append(
                Finding(
                    severity="warning",
                    id="certificate-kept",
                    host=service.host,
                    component=service.component,
                    what=f"{server_plan.certificate_file} signs itself and still serves, so it is kept",
                    why="What is there and holds is not replaced, though you chose your own CA for new ones.",
                    mend="move it away first if your CA is to sign this one too",
                )
            )
        if component.is_client and server_plan.turn != "none":
            found.append(
                Finding(
                    severity="warning",
                    id="others-ask-it-too",
                    host=service.host,
                    component=service.component,
                    what=f"whoever else asks {component.title} (Grafana, scripts) will be refused until told",
                    why="Only the scrape jobs are changed with it; other programs keep their own settings.",
                    mend="give them https, the CA certificate and the password as well",
                )
            )
        inside = [
            folder
            for folder in service.hidden
            if server_plan.server.home.startswith(folder.rstrip("/") + "/")
        ]
        if inside:
            found.append(
                Finding(
                    severity="warning",
                    id="hidden-from-service",
                    host=service.host,
                    component=service.component,
                    what=f"the unit cannot see {inside[0]}, where its files would lie",
                    why="systemd hides that folder from it (ProtectHome, PrivateTmp).",
                    mend="keep its files under /etc",
                )
            )
    return tuple(found)


def _gaps(plans: Sequence[ServerPlan], targets: Sequence[Target]) -> tuple[str, ...]:
    sentences = []
    for server_plan in plans:
        key = server_plan.server.key
        scraped = any(target.plan is server_plan for target in targets)
        if not scraped:
            sentences.append(f"{key}: no Prometheus of this stack scrapes it")
        elif server_plan.turn == "restart":
            sentences.append(f"{key} restarts: it is missed for about a second, at most one scrape")
        elif server_plan.turn == "reread":
            sentences.append(f"{key} is not missed: it reads its new configuration by itself")
    return tuple(sentences)
