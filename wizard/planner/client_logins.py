"""Logins of a Prometheus by OAuth2 or token: the secret's permissions, the setting of the job, the reload. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wizard.components import component as find_component
from wizard.components.base import numbers
from wizard.config_files import prometheus as scrape
from wizard.config_files.prometheus import client_logins
from wizard.config_files.yaml_edit.emitter import Value
from wizard.errors import InputError
from wizard.model import (
    Answers,
    Authorization,
    Change,
    ClientLogin,
    ContentKind,
    Facts,
    FileState,
    PlannedStep,
    Probe,
    Stack,
    StepKind,
    Watched,
)
from wizard.planner import manual_commands
from wizard.planner.client_edit import edit_step
from wizard.planner.client_endpoints import Place, locate_errors
from wizard.planner.client_facts import Client
from wizard.planner.health_findings import wait_of
from wizard.planner.monitors import scrape_intervals
from wizard.planner.probes import UP_TIMEOUT, Inquiry
from wizard.planner.service_actions import reload_prometheus
from wizard.redact import Secret

SINCE: Final[Mapping[str, str]] = {
    "authorization": "2.26",
    "oauth2": "2.27",
    "oauth2.tls_config": "2.31",
}
"""The first Prometheus version with a setting, from its changelog."""
_SECRET_MODE: Final = 0o640
_NOTHING_TYPED: Final = Answers()


@dataclass(frozen=True, slots=True)
class _Known:
    """A login with its Prometheus and its place in the configuration."""

    login: ClientLogin
    client: Client
    place: Place
    secret: Secret | None = None
    """The client secret or token to write; None if its file has it already."""

    @property
    def path(self) -> str:
        """The file with the place."""
        return self.place.path or self.client.service.config_file

    @property
    def where(self) -> str:
        """host:path of that file, for messages."""
        return f"{self.client.host.spec.name}:{self.path}"


@dataclass(frozen=True, slots=True)
class LoginPlan:
    """The steps and probes for the logins in a plan."""

    known: tuple[_Known, ...] = ()
    secrets: tuple[PlannedStep, ...] = ()
    edits: tuple[PlannedStep, ...] = ()
    reloads: tuple[PlannedStep, ...] = ()

    @property
    def stages(self) -> tuple[tuple[PlannedStep, ...], ...]:
        """The stages of steps, with the secrets first: Prometheus opens them when it reads its configuration."""
        return (self.secrets, self.edits, self.reloads)

    def with_login_targets(self, found: Sequence[Watched]) -> tuple[Watched, ...]:
        """What is watched, with the receivers to which each Prometheus sends with its logins."""
        return tuple(
            replace(
                each,
                remote_writes=tuple(
                    known.place.block.url.partition("://")[2]
                    for known in self._of(each, "remote_write")
                    if known.place.block is not None
                ),
                alertmanagers=tuple(
                    address for known in self._of(each, "alertmanagers") for address in known.place.addresses
                ),
            )
            for each in found
        )

    def _of(self, watched: Watched, place: str) -> tuple[_Known, ...]:
        return tuple(
            each for each in self.known if each.client.key == watched.key and each.login.place == place
        )

    def up_probes(self, inquiry: Inquiry) -> tuple[Probe, ...]:
        """Probes of `up` for the targets of each job that logs in."""
        return tuple(
            _up(each, target, inquiry)
            for each in self.known
            if each.place.kind == "job"
            for target in each.place.targets
        )


def wanted_files(stack: Stack) -> dict[str, tuple[str, ...]]:
    """The paths to read for the logins, by host."""
    wanted: dict[str, tuple[str, ...]] = {}
    for login in stack.client_logins:
        ca_file = "" if isinstance(login.way, Authorization) else login.way.ca_file
        paths = [path for path in (login.secret_file, ca_file) if path]
        wanted[login.host] = (*wanted.get(login.host, ()), *paths)
    return wanted


def plan_logins(
    stack: Stack, facts: Facts, clients: Sequence[Client], answers: Answers = _NOTHING_TYPED
) -> LoginPlan:
    """Plans the client logins of a stack.

    Args:
        facts: as they will be after the rest of the plan.
        clients: the Prometheus servers, as in `facts`.
        answers: with the typed client secrets and tokens.

    Raises:
        InputError: the job does not exist, its Prometheus is too old, or a file is missing. ConfigError: it logs in in
            another way already.
    """
    logins = tuple(
        _find_login_place(stack, login, clients, answers.login_secrets.get(login.key))
        for login in stack.client_logins
        if login.host not in facts.away
    )
    for each in logins:
        _refuse_unfit(each)
    secrets = tuple(
        step
        for client in dict.fromkeys(each.client.key for each in logins)
        if (step := _secrets([each for each in logins if each.client.key == client])) is not None
    )
    edits, reloads = [], []
    for key in dict.fromkeys(each.client.key for each in logins):
        of_client = [each for each in logins if each.client.key == key]
        edit = _edit(of_client)
        if edit is not None:
            edits.append(edit)
        # Prometheus has not read a secret that only now becomes readable.
        if edit is not None or any(step.key == key for step in secrets):
            reloads.append(reload_prometheus(facts, of_client[0].client, what="the logins", topic="tokens"))
    return LoginPlan(logins, secrets, tuple(edits), tuple(reloads))


def _find_login_place(
    stack: Stack, login: ClientLogin, clients: Sequence[Client], secret: Secret | None
) -> _Known:
    client = next((each for each in clients if each.host.spec.name == login.host and not each.instance), None)
    if client is None:
        raise InputError(
            f"no Prometheus on {login.host} whose configuration could be read",
            where=stack.source or login.key,
            todo="Start it, or take its entries out of client_logins",
        )
    places = [each for each in client.places() if each.kind == login.place]
    place = next((each for each in places if login.name in names_of(each)), None)
    if place is None:
        choices = ", ".join(name for each in places for name in names_of(each)[:1])
        raise InputError(
            f"Prometheus on {login.host} has no {login.place} {login.name}",
            where=f"{login.host}:{client.service.config_file}",
            todo=f"Write one of these in the stack file: {choices}"
            if choices
            else "Add it there, then plan again",
        )
    return _Known(login, client, place, secret)


def names_of(place: Place) -> tuple[str, ...]:
    """The names that a stack file may use for a place."""
    if place.block is None:
        return (place.name,)
    if place.kind == "alertmanagers":
        return (str(place.block.index + 1),)
    title = place.block.title.partition(" ")[2].strip('"')
    return (title, place.block.url)


def _refuse_unfit(each: _Known) -> None:
    login, service = each.login, each.client.service
    needed = login.setting
    if not isinstance(login.way, Authorization) and login.way.ca_file:
        needed = "oauth2.tls_config"
    if service.version and numbers(service.version) < numbers(SINCE[needed]):
        raise InputError(
            f"Prometheus {service.version} does not know {needed}, which came with {SINCE[needed]}",
            where=each.where,
            todo="Update Prometheus"
            if needed != "oauth2.tls_config"
            else "Update Prometheus, or add the CA of the token endpoint to the CAs that its host trusts and leave ca_file out",
        )
    if each.place.scheme == "http":
        raise InputError(
            f"{each.place.how} asks by plain http, and the token would be sent unencrypted",
            where=each.where,
            todo="Set scheme: https there (and tls_config), then plan again",
        )
    files = each.client.host.files
    secret = files.get(login.secret_file)
    if each.secret is None and (secret is None or not secret.content.strip()):
        raise InputError(
            f"the file with the {'token' if isinstance(login.way, Authorization) else 'client secret'} is "
            f"{'empty' if secret is not None else 'not there'}",
            where=f"{login.host}:{login.secret_file}",
            todo=f"Write it there: install -m 0640 -g {each.client.group} /dev/stdin {login.secret_file}",
        )
    ca_file = "" if isinstance(login.way, Authorization) else login.way.ca_file
    if ca_file and files.get(ca_file) is None:
        raise InputError(
            "the CA of the token endpoint is not there",
            where=f"{login.host}:{ca_file}",
            todo="Copy its certificate there, or correct ca_file",
        )


def _secrets(logins: Sequence[_Known]) -> PlannedStep | None:
    client = logins[0].client
    changes: list[Change] = []
    typed = {each.login.secret_file: each.secret for each in logins if each.secret is not None}
    for path in dict.fromkeys(each.login.secret_file for each in logins):
        state, given = client.host.files.get(path), typed.get(path)
        content = given.reveal().encode() if given is not None else state.content if state else b""
        if state is not None and _is_fit(client, state) and state.content.strip() == content.strip():
            continue
        after = FileState(content, _SECRET_MODE, client.owner, client.group)
        changes.append(
            client.write(
                path,
                after,
                ContentKind.PASSWORD,
                why="Prometheus reads it, and nobody else but root.",
                by_hand=manual_commands.rights(path, after)
                if given is None
                else manual_commands.typed_secret(path, after),
            )
        )
    if not changes:
        return None
    return client.step(
        StepKind.CLIENT_PASSWORD,
        step_id=f"{StepKind.CLIENT_PASSWORD}:login:{client.place}",
        title="Write the secrets" if typed else "Set the owner and mode of the secrets",
        why="Whoever can read a client secret or a token can log in as Prometheus.",
        changes=changes,
    )


def _is_fit(client: Client, state: FileState) -> bool:
    """Whether Prometheus can read the file, and others cannot."""
    service = client.service
    reads = state.owner == service.user or (state.group == client.group and bool(state.mode & 0o040))
    return reads and not state.mode & 0o007


def _edit(logins: Sequence[_Known]) -> PlannedStep | None:
    client = logins[0].client
    before = client.texts
    after = dict(before)
    for each in logins:
        block = each.place.block
        place = (block.kind, block.index) if block is not None else ("job", each.place.name)
        with locate_errors(each.client.host.spec.name, each.path):
            after[each.path] = client_logins.set_login(
                after[each.path], place=place, key=each.login.setting, value=_value(each.login)
            )
    return edit_step(
        client,
        before,
        after,
        kind=StepKind.LOGIN,
        step_id=f"{StepKind.LOGIN}:tokens:{client.place}",
        title="Let Prometheus log in with a token",
        why=(
            "With oauth2, Prometheus fetches a token from the token endpoint and sends it with each request; with "
            "authorization, it sends the token of a file. Only one way to log in is allowed for each."
        ),
    )


def _value(login: ClientLogin) -> dict[str, Value]:
    way = login.way
    if isinstance(way, Authorization):
        authorization: dict[str, Value] = {"type": way.type} if way.type != "Bearer" else {}
        return authorization | {"credentials_file": way.credentials_file}
    value: dict[str, Value] = {
        "client_id": way.client_id,
        "client_secret_file": way.client_secret_file,
        "token_url": way.token_url,
    }
    if way.scopes:
        value["scopes"] = list(way.scopes)
    if way.endpoint_params:
        value["endpoint_params"] = dict(way.endpoint_params)
    if way.ca_file:
        value["tls_config"] = {"ca_file": way.ca_file}
    return value


def _up(each: _Known, target: scrape.Scraped, inquiry: Inquiry) -> Probe:
    client = each.client
    scheme, options = inquiry.access(client)
    job = each.place.name
    return Probe(
        id=f"{client.key}/login/{job}/{target.address}",
        host=client.host.spec.name,
        component=client.component,
        unit=client.instance,
        name=f"Prometheus logs in at {target.address} (job {job})",
        client=f"Prometheus, {job}",
        expect="up",
        kind="up",
        url=f"{scheme}://{client.service.listen}{find_component(client.component).prefix(client.service.flag)}",
        forward=client.service.forward,
        instance=target.address,
        job=job,
        asker=client.key,
        instance_label=target.instance if target.instance != target.address else "",
        job_label=target.job_label if target.job_label != job else "",
        agent=client.service.agent,
        timeout=max(UP_TIMEOUT, wait_of(*scrape_intervals(client).of(job))),
        **options,
    )
