"""The client's end: what each Prometheus (and blackbox exporter) must have and say to be let in by its servers.

Derived from the same model as the server's end, so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wizard import endpoints, passwords
from wizard.certificates import issue, signatures
from wizard.components import component as find_component
from wizard.config_files import prometheus as scrape
from wizard.config_files import web_config
from wizard.errors import ConfigError, InputError
from wizard.model import ContentKind, Facts, FileState, Finding, PlannedStep, Stack, StepKind, WriteFile
from wizard.planner import (
    certificates,
    client_certificates,
    identity,
    manual_commands,
    new_jobs,
    paths,
    systemd_credentials,
    trust_anchors,
)
from wizard.planner import (
    credentials as material,
)
from wizard.planner.client_endpoints import Place, secure
from wizard.planner.paths import Client, Server
from wizard.planner.server import ServerPlan


@dataclass(frozen=True, slots=True)
class Target:
    """A server as one place of a client asks it."""

    plan: ServerPlan
    client: Client
    place: Place
    """As it will be."""
    address: str
    """As the place names it: host:port."""
    ca_file: str = ""
    pair: tuple[str, str] = ("", "")
    login: tuple[str, str] = ("", "")
    known: bool = True
    """Whether it was asked before; False for a job that is added."""


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """What one client needs."""

    client: Client
    trust: tuple[PlannedStep, ...]
    """CA bundles, certificates and passwords: harmless before the servers ask for them."""
    config: PlannedStep | None
    """The edit of its configuration."""
    login: PlannedStep | None
    """What waits until it asks by https: the password. Its second edit; a reload has to follow."""
    narrow: tuple[PlannedStep, ...]
    """Takes from its bundles what vouched for the old servers, when the new ones are in use."""
    targets: tuple[Target, ...]
    warnings: tuple[Finding, ...] = field(default=())


def plan_client(
    stack: Stack,
    facts: Facts,
    forge: material.Forge,
    client: Client,
    plans: Sequence[ServerPlan],
    *,
    modules: Mapping[str, Sequence[ServerPlan]] | None = None,
    texts: Mapping[str, bytes] | None = None,
    unscraped: Sequence[Server] = (),
) -> ClientPlan:
    """What one client needs to be let in by these servers.

    Args:
        modules: for a blackbox exporter, the servers that each of its modules asks.
        texts: its configuration by path, where another part of the plan has edited it already.
        unscraped: the servers for which this client gets a job, because nobody scrapes them.

    Raises:
        ConfigError, InputError: its configuration cannot be edited without a guess.
    """
    name = client.host.spec.name
    before = facts.file(name, client.service.config_file)
    if before is None:
        raise ConfigError(
            f"{client.service.component} runs with a configuration file that is not there",
            where=f"{name}:{client.service.config_file}",
            todo=f"put it back, or take this {client.service.component} out of the stack",
        )
    there = client.texts
    now = dict(there if texts is None else texts)
    known = {place.how for place in client.places(now)}
    if modules is None:
        now = _split(stack, new_jobs.add(now, client, unscraped), client, plans)
    work = _Work(stack, facts, forge, client)
    targets: list[Target] = []
    waiting: dict[str, tuple[str, str]] = {}
    for place in client.places(now):
        if modules is not None:
            asked = {plan.server.address: plan for plan in modules.get(place.name, ())}
        else:
            asked = _asked(place, client, plans)
        if not asked:
            continue
        ca_file, pair, login = work.settings(place, tuple(asked.values()))
        if login[0] and _sends_in_clear(place, tuple(asked.values())):
            waiting[place.how] = login
        at_once = ("", "") if place.how in waiting else login
        _secure(now, client, place, ca_file=ca_file, pair=pair, login=at_once)
        targets += [
            Target(plan, client, place, address, ca_file, pair, login, known=place.how in known)
            for address, plan in asked.items()
        ]
    _refuse_other_ports(client, now, targets)
    final = dict(now)
    for place in client.places(now):
        if place.how in waiting:
            _secure(final, client, place, ca_file="", login=waiting[place.how])
    trust, narrow = work.trust_steps()
    return ClientPlan(
        client,
        (*trust, *work.pair_steps(), *work.password_steps()),
        _config_step(client, there, now),
        _login_step(client, now, final),
        narrow,
        tuple(targets),
        (*(_warnings(client, plans, targets) if modules is None else ()), *work.warnings.values()),
    )


class _Work:
    """Gathers what one client needs while its places are gone through: each file once, for all of them."""

    def __init__(self, stack: Stack, facts: Facts, forge: material.Forge, client: Client) -> None:
        self._stack, self._facts, self._forge, self._client = stack, facts, forge, client
        self._trusted: dict[str, dict[str, ServerPlan]] = {}
        self._logs_in = False
        self._logins: dict[str, list[tuple[str, tuple[str, str], bool]]] = {}
        self._pair: certificates.Pair | None = None
        self.warnings: dict[tuple[str, str], Finding] = {}
        """What is to be said of CA files that are kept, by their path and the server."""

    def settings(
        self, place: Place, plans: Sequence[ServerPlan]
    ) -> tuple[str, tuple[str, str], tuple[str, str]]:
        """CA file, pair and login for a place that asks these servers; '' where what it says already serves."""
        return self._trust(place, plans), self._shown(place, plans), self._login(place, plans)

    def _trust(self, place: Place, plans: Sequence[ServerPlan]) -> str:
        named = place.tls.get("ca_file", "")
        state = self._client.host.files.get(self._client.resolve(place, named)) if named else None
        ours = {self._client.trust_file(plan.server, own_ca=plan.pair.own_ca): plan for plan in plans}
        path = next(iter(ours)) if len(ours) == 1 else self._client.place_trust(place.how)
        mine = self._client.resolve(place, named) == path
        believed = state is not None and all(
            signatures.vouches(state.content, plan.pair.certificate) for plan in plans
        )
        if believed and not mine:
            self._say_unrooted(place, plans, named)
            return named
        self._trusted.setdefault(path, {}).update({plan.server.key: plan for plan in plans})
        return named if mine else path

    def _say_unrooted(self, place: Place, plans: Sequence[ServerPlan], named: str) -> None:
        path = self._client.resolve(place, named)
        state = self._client.host.files[path]
        for plan in plans:
            for finding in trust_anchors.unrooted(
                state.content if state is not None else b"",
                plan.pair.certificate,
                host=self._client.host.spec.name,
                component=self._client.service.component,
                path=path,
                server=plan.server.key,
            ):
                self.warnings[path, plan.server.key] = finding

    def _shown(self, place: Place, plans: Sequence[ServerPlan]) -> tuple[str, str]:
        asking = [plan for plan in plans if plan.asks_certificate]
        if not asking:
            return "", ""
        if not self._forge.renews(f"client:{self._client.key}"):
            bundles = [plan.clients for plan in asking if plan.clients]
            kept = [client_certificates.kept_place_pair(self._client, place, bundle) for bundle in bundles]
            if kept and all(kept):
                return kept[0] or ("", "")
        make = self._forge.once
        self._pair = make(
            f"client:{self._client.key}",
            lambda: client_certificates.client_pair(self._stack, self._facts, self._forge, self._client),
        )
        return self._pair.certificate_file, self._pair.key_file

    def _login(self, place: Place, plans: Sequence[ServerPlan]) -> tuple[str, str]:
        asking = [plan for plan in plans if plan.asks_password]
        if not asking:
            return "", ""
        serves = self._serves(place, asking)
        self._refuse_two_logins(place, asking, serves=serves)
        if serves:
            return "", ""
        if place.other_auth and place.kind != "module":
            raise ConfigError(
                f"{place.how} authenticates with {place.other_auth}, and {asking[0].server.key} asks for a password: "
                "Prometheus allows one way",
                where=_where(self._client, place),
                todo=f"remove {place.other_auth} there, or protect the server without basic_auth",
            )
        user = self._stack.users[0]
        self._logs_in = True
        return user.name, self._client.password_file(user)

    def _refuse_two_logins(self, place: Place, asking: Sequence[ServerPlan], *, serves: bool) -> None:
        """Two places may log in to a server differently only if it knows both users; ours would replace a login.

        Raises:
            InputError: names the two places.
        """
        said = place.basic_auth.get("username", ""), place.basic_auth.get("password_file", "")
        if not said[0]:
            return
        for plan in asking:
            others = self._logins.setdefault(plan.server.key, [])
            for other, other_said, other_serves in others:
                if other_said != said and not (serves and other_serves):
                    raise InputError(
                        f"{other} logs in to {plan.server.key} as {other_said[0]} and {place.how} as {said[0]}, "
                        "and the server does not know both with what they send",
                        where=_where(self._client, place),
                        todo="give both one login, or write both users into the server's web configuration first",
                    )
            others.append((place.how, said, serves))

    def _serves(self, place: Place, asking: Sequence[ServerPlan]) -> bool:
        """Whether the login that the place has already is one that every server takes, as the person set it up."""
        user, named = place.basic_auth.get("username", ""), place.basic_auth.get("password_file", "")
        path = self._client.resolve(place, named) if named else ""
        if not user or not path or path == self._client.password_file(self._stack.users[0]):
            return False
        state = self._client.host.files.get(path)
        if state is None:
            return False
        password = passwords.sent(state.content)
        given = {each.user.name: each.password for each in self._forge.credentials()}
        if user in given and given[user].reveal() != password.reveal():
            return False  # that user's hash is about to change
        for plan in asking:
            web_state = plan.server.host.files.get(plan.server.web_file)
            known = web_config.parse(web_state.content).users.get(user, "") if web_state is not None else ""
            if not known or not passwords.matches(password, known):
                return False
        return True

    def trust_steps(self) -> tuple[tuple[PlannedStep, ...], tuple[PlannedStep, ...]]:
        """The bundles, old and new side by side where something is replaced; and what takes the old out again."""
        wide, narrow = [], []
        for path, plans in self._trusted.items():
            before = self._client.host.files.get(path)
            there = before.content if before is not None else b""
            missing = [
                plan.pair.trust
                for plan in plans.values()
                if not signatures.vouches(certificates.as_go_reads(there), plan.pair.certificate)
            ]
            between = certificates.bundle([*((there,) if there else ()), *missing])
            final = certificates.bundle([plan.pair.trust for plan in plans.values()])
            if missing and between != there:
                wide.append(self._trust_step(path, before, between, tuple(plans.values())))
            replaced = any(plan.pair.changes and plan.was_tls for plan in plans.values())
            if replaced and final != between:
                state = FileState(between, 0o644, self._client.owner, self._client.group)
                narrow.append(
                    replace(
                        self._trust_step(path, state, final, tuple(plans.values())),
                        id=f"narrow:{self._client.key}:{path}",
                        kind=StepKind.NARROW,
                        title="Stop trusting what was replaced",
                        why=(
                            "Old and new stood side by side so that no scrape was lost. The servers show the new "
                            "certificates now."
                        ),
                    )
                )
        return tuple(wide), tuple(narrow)

    def _trust_step(
        self, path: str, before: FileState | None, content: bytes, plans: tuple[ServerPlan, ...]
    ) -> PlannedStep:
        name, program = self._client.host.spec.name, self._client.service.component
        after = FileState(content, 0o644, self._client.owner, self._client.group)
        first = plans[0]
        source = paths.ca_pair(self._facts)[0] if first.pair.own_ca else first.pair.trust_file
        copied = manual_commands.copy if first.pair.own_ca else manual_commands.copy_there
        single = content == first.pair.trust and bool(source)
        title = find_component(program).title
        if first.pair.own_ca:
            what = "your CA's certificate"
        elif len(plans) == 1:
            what = f"{first.server.spec.name}'s certificate"
        else:
            what = "the servers' certificates"
        same_host = (
            first.pair.own_ca
            or first.server.host.spec.name == name
            or self._stack.host(name).connect == "practice"
        )
        return self._client.step(
            StepKind.TRUST,
            step_id=f"trust:{name}:{path}",
            title=f"Give {title} {what}",
            why=(
                f"{title} can only tell the real server from an impostor if it knows what to check the "
                "certificate against. This file is public; it opens nothing."
            ),
            changes=(
                WriteFile(
                    host=name,
                    path=path,
                    before=before,
                    after=after,
                    content_kind=ContentKind.CERTIFICATE,
                    why=f"{title} checks {', '.join(plan.server.key for plan in plans)} against it.",
                    about=issue.describe(content),
                    by_hand=copied(source, path, after)
                    if single and same_host
                    else manual_commands.text(path, after),
                ),
            ),
        )

    def pair_steps(self) -> tuple[PlannedStep, ...]:
        """The certificate that the client shows, if it had to be made."""
        if self._pair is None or not self._pair.changes:
            return ()
        name, title = self._client.host.spec.name, find_component(self._client.service.component).title
        return (
            self._client.step(
                StepKind.CLIENT_CERTIFICATE,
                title=f"Give {title} a certificate of its own",
                why=(
                    "A server that looks at client certificates lets in only who shows one that it trusts. The key "
                    f"that goes with it stays on {name}: who has it can pose as this {title}."
                ),
                changes=self._pair.changes,
            ),
        )

    def password_steps(self) -> tuple[PlannedStep, ...]:
        """The password in a file of the client's own."""
        if not self._logs_in:
            return ()
        given = self._forge.credentials()[0]
        path = self._client.password_file(given.user)
        before = self._client.host.files.get(path)
        content = given.password.reveal().encode()
        if before is not None and before.content.strip() == content:
            return ()
        systemd_credentials.refuse_no_reader(self._client, path)
        name, title = self._client.host.spec.name, find_component(self._client.service.component).title
        after = FileState(content, 0o640, self._client.owner, self._client.group)
        instance = f":{self._client.service.instance}" if self._client.service.instance else ""
        whose = "" if self._client.service.component == "prometheus" else f":{self._client.service.component}"
        return (
            self._client.step(
                StepKind.CLIENT_PASSWORD,
                step_id=f"password:{name}{whose}{instance}",
                title=f"Give {title} the password",
                why=(
                    "The server keeps a hash; the client has to send the password itself. In a file of its own it "
                    "stays out of the configuration, which many people read."
                ),
                changes=(
                    WriteFile(
                        host=name,
                        path=path,
                        before=before,
                        after=after,
                        content_kind=ContentKind.PASSWORD,
                        why=f"Readable for root and the group that {title} runs with, for nobody else.",
                        secret=True,
                        by_hand=manual_commands.copy(
                            paths.user_files(self._facts, given.user)[0], path, after
                        ),
                    ),
                ),
            ),
        )


def _asked(place: Place, client: Client, plans: Sequence[ServerPlan]) -> dict[str, ServerPlan]:
    """The servers that a place asks, by the address under which it does."""
    return {
        address: plan for address in place.addresses if (plan := _meant(client, address, plans)) is not None
    }


def _meant(client: Client, address: str, plans: Sequence[ServerPlan]) -> ServerPlan | None:
    """The server that an address means; of several hosts with one name, that to which it leads here."""
    found = [plan for plan in plans if client.means(address, plan.server)]
    if len(found) < 2:
        return next(iter(found), None)
    owners, _ = identity.hosts_of(client.host, address, [plan.server.host for plan in found])
    names = [owner.spec.name for owner in owners]
    return next((plan for plan in found if plan.server.spec.host in names), found[0])


def _where(client: Client, place: Place) -> str:
    return f"{client.host.spec.name}:{place.path or client.service.config_file}"


def _secure(
    texts: dict[str, bytes],
    client: Client,
    place: Place,
    *,
    ca_file: str,
    login: tuple[str, str],
    pair: tuple[str, str] = ("", ""),
) -> None:
    """Edits the file in which a place stands."""
    path = place.path or client.service.config_file
    with paths.located(client.host.spec.name, path):
        texts[path] = secure(texts[path], place, ca_file=ca_file, pair=pair, login=login)


def _refuse_other_ports(client: Client, texts: Mapping[str, bytes], targets: Sequence[Target]) -> None:
    """A target without a port is asked on the port of its scheme, and https has another than http.

    Raises:
        InputError: a target would be asked on another port than before.
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
                where=_where(client, target.place),
                todo=f"write {endpoints.joined(host, port)} there, then plan again",
            )


def _sends_in_clear(place: Place, plans: Sequence[ServerPlan]) -> bool:
    """Whether a login would go over plain http for a while.

    Prometheus takes a login with the reload, but asks what it discovers (its targets, its Alertmanagers) by the
    old scheme until its next tick, some seconds later. A remote URL holds its scheme itself.
    """
    return place.kind in ("job", "alertmanagers", "module") and any(not plan.was_tls for plan in plans)


def _split(
    stack: Stack, texts: Mapping[str, bytes], client: Client, plans: Sequence[ServerPlan]
) -> dict[str, bytes]:
    """The configuration with our servers in jobs of their own: a job has one scheme and one login.

    Raises:
        InputError: they stand together with others in a list that is not ours to divide.
    """
    found = dict(texts)
    for place in client.places(found):
        where = _where(client, place)
        asked = _asked(place, client, plans)
        others = [address for address in place.addresses if address not in asked]
        if not asked or not others or _fits(stack, place, client, tuple(asked.values())):
            continue
        if place.kind != "job":
            raise InputError(
                f"{place.how} names {next(iter(asked))} together with {others[0]}, which stays as it is, "
                "and they share one scheme and one login",
                where=where,
                todo="protect both, or give each an entry of its own",
            )
        mine = [target for target in place.targets if target.address in asked]
        foreign = next((target for target in mine if target.source != "static"), None)
        if foreign is not None:
            raise InputError(
                f"job {place.name} takes {foreign.address} from {foreign.source}, together with {others[0]}, "
                "which stays as it is, and a job has one scheme and one login",
                where=where,
                todo="protect them all, or move it to a list and a job of its own",
            )
        # One new job for each server: they may be protected differently later.
        by_plan: dict[str, list[str]] = {}
        for target in mine:
            by_plan.setdefault(asked[target.address].server.spec.host, []).append(target.discovered)
        path = place.path or client.service.config_file
        for host, addresses in by_plan.items():
            names = {each.name for each in client.places(found) if each.kind == "job"}
            new = new_jobs.free_name(f"{place.name}-https", f"{place.name}-{host}-https", names)
            found[path] = scrape.split_job(
                found[path], job=place.name, targets=list(dict.fromkeys(addresses)), new_job=new
            )
    return found


def _fits(stack: Stack, place: Place, client: Client, plans: Sequence[ServerPlan]) -> bool:
    """Whether a place asks by https already, believes these servers, and sends what they want."""
    named = place.tls.get("ca_file", "")
    state = client.host.files.get(client.resolve(place, named)) if named else None
    if place.scheme != "https" or state is None:
        return False
    user = stack.users[0]
    said = (place.basic_auth.get("username", ""), place.basic_auth.get("password_file", ""))
    return all(
        signatures.vouches(state.content, plan.pair.certificate)
        and (not plan.asks_password or said == (user.name, client.password_file(user)))
        and (
            not plan.asks_certificate
            or client_certificates.kept_place_pair(client, place, plan.clients) is not None
        )
        for plan in plans
    )


def _config_step(
    client: Client, before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> PlannedStep | None:
    title = find_component(client.service.component).title
    prometheus = client.service.component == "prometheus"
    return _edit(
        client,
        before,
        after,
        kind=StepKind.SCRAPE_CONFIG if prometheus else StepKind.BLACKBOX_MODULES,
        step_id=f"job:{client.place}" if prometheus else "",
        title=f"Tell {title} to ask over TLS",
        why=(
            f"{title} speaks plain http until it is told otherwise. With scheme, CA and what it needs to be let in, "
            f"{title} checks whom it talks to and is let in. Only the lines shown change."
        ),
    )


def _login_step(
    client: Client, before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> PlannedStep | None:
    title = find_component(client.service.component).title
    return _edit(
        client,
        before,
        after,
        kind=StepKind.LOGIN,
        title=f"Let {title} log in",
        why=(
            f"{title} is given the password in a second edit, when it asks by https already: it carries a new scheme "
            "over some seconds after a new login, and until then would send the password for everyone to read."
        ),
    )


def _edit(
    client: Client,
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    *,
    kind: StepKind,
    title: str,
    why: str,
    step_id: str = "",
) -> PlannedStep | None:
    """One step that edits the files of a client's configuration, the included ones first; None if nothing changes."""
    changes = []
    for path in reversed(list(after)):
        state = client.host.files[path]
        if after[path] == before[path] or state is None:
            continue
        states = replace(state, content=before[path]), replace(state, content=after[path])
        changes.append(
            WriteFile(
                host=client.host.spec.name,
                path=path,
                before=states[0],
                after=states[1],
                why="Every other byte of the file stays as it is.",
                content_kind=client.config_kind,
                by_hand=manual_commands.patch(path, *states),
            )
        )
    return client.step(kind, step_id=step_id, title=title, why=why, changes=changes) if changes else None


def _warnings(client: Client, plans: Sequence[ServerPlan], targets: Sequence[Target]) -> list[Finding]:
    found = []
    host, before = client.host.spec.name, client.places()
    unknown = [place for place in before if place.kind == "job" and not place.static]
    for plan in plans:
        known = any(_asked(place, client, (plan,)) for place in before if place.kind == "job")
        if unknown and not known:
            title = find_component(plan.server.spec.name).title
            found.append(
                Finding(
                    severity="warning",
                    id="targets-from-discovery",
                    host=host,
                    component="prometheus",
                    what=f"no job names {plan.server.address}, and job {unknown[0].name} takes its targets from discovery",
                    why=f"If it finds {title} on {plan.server.spec.host}, it will be refused after this.",
                    mend="look at the targets page afterwards, and give that job the same scheme, CA and password",
                )
            )
    dropping = [
        target for target in targets if target.place.kind == "remote_write" and target.plan.turn == "restart"
    ]
    found += [
        Finding(
            severity="warning",
            id="remote-write-drops",
            host=host,
            component="prometheus",
            what=f"{target.place.how} sends to {target.address}: samples that meet a 400 or 401 are dropped",
            why="Prometheus repeats what fails on the way, but gives up at once on a client error.",
            mend="other programs that write there must be told before, or they lose what they send",
        )
        for target in dropping
    ]
    return found
