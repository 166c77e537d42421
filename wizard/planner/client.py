"""The client's end: what each Prometheus and blackbox exporter needs so that its servers accept it.

It derives from the same model as the server's end, so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wizard import endpoints
from wizard.components import component as find_component
from wizard.errors import ConfigError, InputError
from wizard.model import Facts, Finding, PlannedStep, Stack, StepKind
from wizard.planner import containers, new_jobs
from wizard.planner import credentials as material
from wizard.planner.client_edit import edit_step
from wizard.planner.client_endpoints import Place, locate_errors, secure
from wizard.planner.client_facts import Client
from wizard.planner.client_needs import ClientNeeds
from wizard.planner.divided_jobs import asked_servers, place_name, split_jobs
from wizard.planner.server import ServerPlan
from wizard.planner.server_facts import Server


@dataclass(frozen=True, slots=True)
class Target:
    """A server as the target of one place in a client's configuration."""

    plan: ServerPlan
    client: Client
    place: Place
    """The place after the plan."""
    address: str
    """The server as this place names it: host:port."""
    ca_file: str = ""
    pair: tuple[str, str] = ("", "")
    login: tuple[str, str] = ("", "")
    known: bool = True
    """Whether a job had this target before, perhaps one that is divided; False if a new job is the first to have it."""


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """The steps for one client."""

    client: Client
    trust: tuple[PlannedStep, ...]
    """CA bundles, certificates and passwords: harmless before the servers require them."""
    config: PlannedStep | None
    """The edit of its configuration."""
    login: PlannedStep | None
    """The second edit, after which a reload must follow: the passwords that wait until the client uses https."""
    narrow: tuple[PlannedStep, ...]
    """Steps that remove the CAs of replaced certificates from its bundles, after the servers use the new ones."""
    targets: tuple[Target, ...]
    warnings: tuple[Finding, ...] = field(default=())


def _present_targets(client: Client, texts: Mapping[str, bytes], plans: Sequence[ServerPlan]) -> set[str]:
    """The names of a client's places before the plan, and its jobs' addresses: parts of a divided job have new names."""
    places = client.places(texts)
    addresses = {
        each for place in places if place.kind == "job" for each in asked_servers(place, client, plans)
    }
    return {place.how for place in places} | addresses


def plan_client(
    stack: Stack,
    facts: Facts,
    factory: material.CredentialFactory,
    client: Client,
    plans: Sequence[ServerPlan],
    *,
    modules: Mapping[str, Sequence[ServerPlan]] | None = None,
    texts: Mapping[str, bytes] | None = None,
    unscraped: Sequence[Server] = (),
) -> ClientPlan:
    """Plans what one client needs so that these servers accept it.

    Args:
        modules: for a blackbox exporter, the servers that each module probes.
        texts: its configuration by path, if another part of the plan has edited it already.
        unscraped: the servers for which this client gets a job, because no Prometheus scrapes them.

    Raises:
        ConfigError, InputError: its configuration cannot be edited without guessing.
    """
    _refuse_absent(facts, client)
    present = client.texts
    now = dict(present if texts is None else texts)
    known = _present_targets(client, now, plans)
    if modules is None:
        now = split_jobs(stack, new_jobs.add(now, client, unscraped), client, plans)
    work = ClientNeeds(stack, facts, factory, client)
    targets: list[Target] = []
    waiting: dict[str, tuple[str, str]] = {}
    for place in client.places(now):
        if modules is not None:
            servers = {plan.server.address: plan for plan in modules.get(place.name, ())}
        else:
            servers = asked_servers(place, client, plans)
        if not servers:
            continue
        ca_file, pair, login = work.settings(place, tuple(servers.values()))
        if login[0] and _sends_in_clear(place, tuple(servers.values())):
            waiting[place.how] = login
        at_once = ("", "") if place.how in waiting else login
        _secure(now, client, place, ca_file=ca_file, pair=pair, login=at_once)
        targets += [
            Target(plan, client, place, address, ca_file, pair, login, bool({place.how, address} & known))
            for address, plan in servers.items()
        ]
    if targets:
        containers.refuse_unknown_client(client.service)
    _refuse_other_ports(client, now, targets)
    trust, narrow = work.trust_steps()
    return ClientPlan(
        client,
        (*trust, *work.pair_steps(), *work.password_steps()),
        _config_step(client, present, now),
        _login_step(client, now, _with_logins(now, client, waiting)),
        narrow,
        tuple(targets),
        (*(_warnings(client, plans, targets) if modules is None else ()), *work.warnings.values()),
    )


def _with_logins(
    texts: Mapping[str, bytes], client: Client, waiting: Mapping[str, tuple[str, str]]
) -> dict[str, bytes]:
    """The configuration after the second edit, which adds the logins that wait for https; `waiting` is by place."""
    final = dict(texts)
    for place in client.places(texts):
        if place.how in waiting:
            _secure(final, client, place, ca_file="", login=waiting[place.how])
    return final


def _refuse_absent(facts: Facts, client: Client) -> None:
    name = client.host.spec.name
    if facts.file(name, client.service.config_file) is None:
        raise ConfigError(
            f"{client.service.component} runs with a configuration file that is not there",
            where=f"{name}:{client.service.config_file}",
            todo=f"Restore it, or remove this {client.service.component} from the stack",
        )


def _secure(
    texts: dict[str, bytes],
    client: Client,
    place: Place,
    *,
    ca_file: str,
    login: tuple[str, str],
    pair: tuple[str, str] = ("", ""),
) -> None:
    """Edits the file with a place."""
    path = place.path or client.service.config_file
    with locate_errors(client.host.spec.name, path):
        texts[path] = secure(texts[path], place, ca_file=ca_file, pair=pair, login=login)


def _refuse_other_ports(client: Client, texts: Mapping[str, bytes], targets: Sequence[Target]) -> None:
    """Refuses targets without a port: these have the default port of their scheme, which differs between http and https.

    Raises:
        InputError: a target would get another port than before.
    """
    if not any(target.place.kind in ("job", "alertmanagers") for target in targets):
        return
    after = {place.how: place.addresses for place in client.places(texts)}
    for target in targets:
        if target.place.kind in ("job", "alertmanagers") and target.address not in after[target.place.how]:
            host, port = endpoints.split(target.address)
            raise InputError(
                f"{target.place.how} names {host} without a port: by https it would be asked on port 443, and "
                f"{target.plan.server.key} listens on {port}",
                where=place_name(client, target.place),
                todo=f"Write {endpoints.join_host_port(host, port)} there, then plan again",
            )


def _sends_in_clear(place: Place, plans: Sequence[ServerPlan]) -> bool:
    """Whether a login would go over plain http for a while.

    Prometheus takes a login with the reload, but uses the old scheme for discovered addresses (targets, Alertmanagers)
    until its next tick, some seconds later. A remote URL contains its scheme itself.
    """
    return place.kind in ("job", "alertmanagers", "module") and any(not plan.was_tls for plan in plans)


def _config_step(
    client: Client, before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> PlannedStep | None:
    title = find_component(client.service.component).title
    prometheus = client.service.component == "prometheus"
    return edit_step(
        client,
        before,
        after,
        kind=StepKind.SCRAPE_CONFIG if prometheus else StepKind.BLACKBOX_MODULES,
        step_id=f"job:{client.place}" if prometheus else "",
        title=f"Switch {title} to https",
        why=(
            f"{title} uses plain http by default. With scheme, CA certificate and credentials it verifies its servers, "
            "and they accept it. Only the lines shown change."
        ),
    )


def _login_step(
    client: Client, before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> PlannedStep | None:
    title = find_component(client.service.component).title
    return edit_step(
        client,
        before,
        after,
        kind=StepKind.LOGIN,
        title=f"Add the login to the configuration of {title}",
        why=(
            f"This is a second edit, made when {title} uses https already: it applies a new scheme some seconds after a "
            "new login, and would send the password unencrypted until then."
        ),
    )


def _warnings(client: Client, plans: Sequence[ServerPlan], targets: Sequence[Target]) -> list[Finding]:
    found = []
    host, before = client.host.spec.name, client.places()
    unknown = [place for place in before if place.kind == "job" and not place.static]
    for plan in plans:
        known = any(asked_servers(place, client, (plan,)) for place in before if place.kind == "job")
        if unknown and not known:
            title = find_component(plan.server.spec.name).title
            found.append(
                Finding(
                    id="targets-from-discovery",
                    host=host,
                    component="prometheus",
                    what=f"no job names {plan.server.address}, and job {unknown[0].name} takes its targets from discovery",
                    why=f"If it discovers {title} on {plan.server.spec.host}, its scrapes of that target will be rejected.",
                    remediation="Check the targets page afterwards, and give that job the same scheme, CA and password",
                )
            )
    dropping = [
        target for target in targets if target.place.kind == "remote_write" and target.plan.turn == "restart"
    ]
    found += [
        Finding(
            id="remote-write-drops",
            host=host,
            component="prometheus",
            what=f"{target.place.how} sends to {target.address}: samples that are answered with 400 or 401 are dropped",
            why="Prometheus retries after a network error or 5xx, but drops samples after a 4xx.",
            remediation="Change other programs that write there first, or they lose samples",
        )
        for target in dropping
    ]
    return found
