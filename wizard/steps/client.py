"""The client's end: what each Prometheus (and blackbox exporter) must have and say to be let in by its servers.

Derived from the same model as the server's end, so the two cannot disagree.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

from wizard import passwords, pki
from wizard.components import component as find_component
from wizard.configs import prometheus as scrape
from wizard.configs import web
from wizard.errors import ConfigError, InputError
from wizard.model import Facts, FileState, Finding, PlannedStep, Stack, WriteFile
from wizard.redact import Secret
from wizard.steps import clientpairs, layout, material, pairs, words
from wizard.steps.layout import Client
from wizard.steps.places import Place, secure
from wizard.steps.server import ServerPlan
from wizard.trust import relations


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
    content: bytes | None = None,
) -> ClientPlan:
    """What one client needs to be let in by these servers.

    Args:
        modules: for a blackbox exporter, the servers that each of its modules asks.
        content: its configuration, where another part of the plan has edited it already.

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
    text = before.content if content is None else content
    known = {place.how for place in client.places(text)}
    if modules is None:
        text = _with_jobs(text, client, _connectable(facts, client, plans))
        text = _split(stack, text, client, plans)
    work = _Work(stack, facts, forge, client)
    targets: list[Target] = []
    waiting: dict[str, tuple[str, str]] = {}
    for place in client.places(text):
        if modules is not None:
            asked = {plan.server.address: plan for plan in modules.get(place.name, ())}
        else:
            asked = _asked(place, client, plans)
        if not asked:
            continue
        ca_file, pair, login = work.settings(place, tuple(asked.values()))
        if login[0] and _sends_in_clear(place, tuple(asked.values())):
            waiting[place.how] = login
        now = ("", "") if place.how in waiting else login
        with layout.located(name, client.service.config_file):
            text = secure(text, place, ca_file=ca_file, pair=pair, login=now)
        targets += [
            Target(plan, client, place, address, ca_file, pair, login, known=place.how in known)
            for address, plan in asked.items()
        ]
    final = text
    for place in client.places(text):
        if place.how in waiting:
            with layout.located(name, client.service.config_file):
                final = secure(final, place, ca_file="", login=waiting[place.how])
    trust, narrow = work.trust_steps()
    return ClientPlan(
        client,
        (*trust, *work.pair_steps(), *work.password_steps()),
        _config_step(client, before, text),
        _login_step(client, replace(before, content=text), final),
        narrow,
        tuple(targets),
        tuple(_warnings(client, plans, targets)) if modules is None else (),
    )


class _Work:
    """Gathers what one client needs while its places are gone through: each file once, for all of them."""

    def __init__(self, stack: Stack, facts: Facts, forge: material.Forge, client: Client) -> None:
        self._stack, self._facts, self._forge, self._client = stack, facts, forge, client
        self._trusted: dict[str, dict[str, ServerPlan]] = {}
        self._logs_in = False
        self._logins: dict[str, list[tuple[str, tuple[str, str], bool]]] = {}
        self._pair: pairs.Pair | None = None

    def settings(
        self, place: Place, plans: Sequence[ServerPlan]
    ) -> tuple[str, tuple[str, str], tuple[str, str]]:
        """CA file, pair and login for a place that asks these servers; '' where what it says already serves."""
        return self._trust(place, plans), self._shown(place, plans), self._login(place, plans)

    def _trust(self, place: Place, plans: Sequence[ServerPlan]) -> str:
        named = place.tls.get("ca_file", "")
        state = self._client.host.files.get(posixpath.join(self._client.folder, named)) if named else None
        ours = {self._client.trust_file(plan.server, own_ca=plan.pair.own_ca): plan for plan in plans}
        path = next(iter(ours)) if len(ours) == 1 else self._client.place_trust(place.how)
        mine = posixpath.join(self._client.folder, named) == path
        believed = state is not None and all(
            relations.vouches(state.content, plan.pair.certificate) for plan in plans
        )
        if believed and not mine:
            return named
        self._trusted.setdefault(path, {}).update({plan.server.key: plan for plan in plans})
        return named if mine else path

    def _shown(self, place: Place, plans: Sequence[ServerPlan]) -> tuple[str, str]:
        asking = [plan for plan in plans if plan.asks_certificate]
        if not asking:
            return "", ""
        if not self._forge.renews(f"client:{self._client.key}"):
            bundles = [plan.clients for plan in asking if plan.clients]
            kept = [clientpairs.kept_place_pair(self._client, place.tls, bundle) for bundle in bundles]
            if kept and all(kept):
                return kept[0] or ("", "")
        make = self._forge.once
        self._pair = make(
            f"client:{self._client.key}",
            lambda: clientpairs.client_pair(self._stack, self._facts, self._forge, self._client),
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
                where=f"{self._client.host.spec.name}:{self._client.service.config_file}",
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
                        where=f"{self._client.host.spec.name}:{self._client.service.config_file}",
                        todo="give both one login, or write both users into the server's web configuration first",
                    )
            others.append((place.how, said, serves))

    def _serves(self, place: Place, asking: Sequence[ServerPlan]) -> bool:
        """Whether the login that the place has already is one that every server takes, as the person set it up."""
        user, named = place.basic_auth.get("username", ""), place.basic_auth.get("password_file", "")
        path = posixpath.join(self._client.folder, named) if named else ""
        if not user or not path or path == self._client.password_file(self._stack.users[0]):
            return False
        state = self._client.host.files.get(path)
        if state is None:
            return False
        password = Secret(state.content.decode("utf-8", "replace").strip())
        given = {each.user.name: each.password for each in self._forge.credentials()}
        if user in given and given[user].reveal() != password.reveal():
            return False  # that user's hash is about to change
        for plan in asking:
            web_state = plan.server.host.files.get(plan.server.web_file)
            known = web.parse(web_state.content).users.get(user, "") if web_state is not None else ""
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
                if not relations.vouches(there, plan.pair.certificate)
            ]
            between = pairs.bundle([*((there,) if there else ()), *missing])
            final = pairs.bundle([plan.pair.trust for plan in plans.values()])
            if missing:
                wide.append(self._trust_step(path, before, between, tuple(plans.values())))
            replaced = any(plan.pair.changes and plan.was_tls for plan in plans.values())
            if replaced and final != between:
                state = FileState(between, 0o644, self._client.owner, self._client.service.group)
                narrow.append(
                    replace(
                        self._trust_step(path, state, final, tuple(plans.values())),
                        id=f"narrow:{self._client.key}:{path}",
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
        after = FileState(content, 0o644, self._client.owner, self._client.service.group)
        first = plans[0]
        source = layout.ca_pair(self._facts)[0] if first.pair.own_ca else first.pair.trust_file
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
        return PlannedStep(
            id=f"trust:{name}:{path}",
            title=f"Give {title} {what}",
            host=name,
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
                    why=f"{title} checks {', '.join(plan.server.key for plan in plans)} against it.",
                    about=pki.describe(content),
                    by_hand=words.copy(source, path, after)
                    if single and same_host
                    else words.text(path, after),
                ),
            ),
        )

    def pair_steps(self) -> tuple[PlannedStep, ...]:
        """The certificate that the client shows, if it had to be made."""
        if self._pair is None or not self._pair.changes:
            return ()
        name, title = self._client.host.spec.name, find_component(self._client.service.component).title
        return (
            PlannedStep(
                id=f"client:{self._client.key}",
                title=f"Give {title} a certificate of its own",
                host=name,
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
        name, title = self._client.host.spec.name, find_component(self._client.service.component).title
        after = FileState(content, 0o640, self._client.owner, self._client.service.group)
        whose = "" if self._client.service.component == "prometheus" else f":{self._client.service.component}"
        return (
            PlannedStep(
                id=f"password:{name}{whose}",
                title=f"Give {title} the password",
                host=name,
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
                        why=f"Readable for root and the group that {title} runs with, for nobody else.",
                        secret=True,
                        by_hand=words.copy(layout.user_files(self._facts, given.user)[0], path, after),
                    ),
                ),
            ),
        )


def _asked(place: Place, client: Client, plans: Sequence[ServerPlan]) -> dict[str, ServerPlan]:
    """The servers that a place asks, by the address under which it does."""
    return {
        address: plan for address in place.addresses for plan in plans if client.means(address, plan.server)
    }


def _sends_in_clear(place: Place, plans: Sequence[ServerPlan]) -> bool:
    """Whether a login would go over plain http for a while.

    Prometheus takes a login with the reload, but asks what it discovers (its targets, its Alertmanagers) by the
    old scheme until its next tick, some seconds later. A remote URL holds its scheme itself.
    """
    return place.kind in ("job", "alertmanagers", "module") and any(not plan.was_tls for plan in plans)


def _connectable(facts: Facts, client: Client, plans: Sequence[ServerPlan]) -> list[ServerPlan]:
    """The servers that the client's host can connect to, as far as is known."""
    host = client.host.spec.name
    return [plan for plan in plans if (host, plan.server.address) not in facts.unreachable]


def _with_jobs(content: bytes, client: Client, plans: Sequence[ServerPlan]) -> bytes:
    """The configuration with a job for each server that none scrapes."""
    for plan in plans:
        places = client.places(content)
        if any(place.kind == "job" and _asked(place, client, (plan,)) for place in places):
            continue
        if not find_component(plan.server.spec.name).scraped:
            continue
        names = {place.name for place in places if place.kind == "job"}
        component = plan.server.spec.name
        name = _free_name(component, f"{component}-{plan.server.spec.host}", names)
        content = scrape.add_job(content, job=name, target=plan.server.address, scheme="https")
    return content


def _free_name(first: str, second: str, taken: set[str]) -> str:
    """A job name that is not taken: one of two, or the second with a number."""
    numbered = (f"{second}-{number}" for number in count(2))
    return next(name for name in chain((first, second), numbered) if name not in taken)


def _split(stack: Stack, content: bytes, client: Client, plans: Sequence[ServerPlan]) -> bytes:
    """The configuration with our servers in jobs of their own: a job has one scheme and one login.

    Raises:
        InputError: they stand together with others in a list that is not ours to divide.
    """
    where = f"{client.host.spec.name}:{client.service.config_file}"
    for place in client.places(content):
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
        for host, addresses in by_plan.items():
            names = {job.name for job in scrape.jobs(content)}
            new = _free_name(f"{place.name}-https", f"{place.name}-{host}-https", names)
            content = scrape.split_job(
                content, job=place.name, targets=list(dict.fromkeys(addresses)), new_job=new
            )
    return content


def _fits(stack: Stack, place: Place, client: Client, plans: Sequence[ServerPlan]) -> bool:
    """Whether a place asks by https already, believes these servers, and sends what they want."""
    named = place.tls.get("ca_file", "")
    state = client.host.files.get(posixpath.join(client.folder, named)) if named else None
    if place.scheme != "https" or state is None:
        return False
    user = stack.users[0]
    said = (place.basic_auth.get("username", ""), place.basic_auth.get("password_file", ""))
    return all(
        relations.vouches(state.content, plan.pair.certificate)
        and (not plan.asks_password or said == (user.name, client.password_file(user)))
        and (
            not plan.asks_certificate
            or clientpairs.kept_place_pair(client, place.tls, plan.clients) is not None
        )
        for plan in plans
    )


def _config_step(client: Client, before: FileState, content: bytes) -> PlannedStep | None:
    title = find_component(client.service.component).title
    prometheus = client.service.component == "prometheus"
    return _edit(
        client,
        before,
        content,
        name=f"job:{client.host.spec.name}" if prometheus else f"modules:{client.key}",
        title=f"Tell {title} to ask over TLS",
        why=(
            f"{title} speaks plain http until it is told otherwise. With scheme, CA and what it needs to be let in, "
            f"{title} checks whom it talks to and is let in. Only the lines shown change."
        ),
    )


def _login_step(client: Client, before: FileState, content: bytes) -> PlannedStep | None:
    title = find_component(client.service.component).title
    return _edit(
        client,
        before,
        content,
        name=f"login:{client.key}",
        title=f"Let {title} log in",
        why=(
            f"{title} is given the password in a second edit, when it asks by https already: it carries a new scheme "
            "over some seconds after a new login, and until then would send the password for everyone to read."
        ),
    )


def _edit(
    client: Client, before: FileState, content: bytes, *, name: str, title: str, why: str
) -> PlannedStep | None:
    if content == before.content:
        return None
    after = replace(before, content=content)
    path, host = client.service.config_file, client.host.spec.name
    prometheus = client.service.component == "prometheus"
    return PlannedStep(
        id=name,
        title=title,
        host=host,
        why=why,
        changes=(
            WriteFile(
                host=host,
                path=path,
                before=before,
                after=after,
                why="Every other byte of the file stays as it is.",
                check="prometheus-config" if prometheus else "blackbox-config",
                by_hand=words.patch(path, before, after),
            ),
        ),
    )


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
