"""The server's end: key and certificate, web configuration, and the flag that names it.

What a person already has (a certificate that serves, users, headers) stays; only what is missing is added.
"""

from __future__ import annotations

import functools
import ipaddress
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from wizard import passwords
from wizard.certificates import issue
from wizard.components import Component
from wizard.components import component as find_component
from wizard.config_files import web_config as web
from wizard.errors import ConfigError, InputError
from wizard.model import (
    Change,
    ContentKind,
    Facts,
    FileState,
    Finding,
    MakeFolder,
    ManualCommand,
    OwnFiles,
    PlannedStep,
    Stack,
    StepKind,
    UserSpec,
    WriteFile,
)
from wizard.planner import (
    alertmanager_cluster,
    client_authentication,
    manual_commands,
    paths,
    plain_http_clients,
    server_certificates,
    trust_anchors,
)
from wizard.planner import (
    credentials as material,
)
from wizard.planner import (
    systemd_credentials as credentials,
)
from wizard.planner.certificates import Pair
from wizard.planner.client_authentication import ClientDemand
from wizard.planner.paths import Client, Server
from wizard.redact import Secret
from wizard.service_managers.registry import manager_of

Turn = Literal["none", "reread", "restart"]


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What one server needs."""

    server: Server
    pair: Pair
    """What it will show."""
    material: PlannedStep | None
    web: PlannedStep | None
    flag: PlannedStep | None
    turn: Turn
    """Whether its scheme or flags change (restart), only what it re-reads (reread), or nothing."""
    was_tls: bool
    asks_password: bool
    asks_certificate: bool
    """Whether it looks at client certificates; `client_auth_type` says how strictly."""
    client_auth_type: str = ""
    clients: bytes = b""
    """PEM: what it checks its clients against."""
    client_ca_file: str = ""
    allowed: tuple[str, ...] = ()
    """Names of which a client certificate must hold one; () for any."""
    narrow: PlannedStep | None = None
    """Takes from its bundle what vouched for the old clients, when the new ones are in use."""
    reload_command: PlannedStep | None = None
    """Reloads its unit by a signal, where the unit asks it by http."""
    credentials: PlannedStep | None = None
    """Has systemd hand it its files."""
    cluster: PlannedStep | None = None
    """Alertmanager: the TLS of its gossip."""
    warnings: tuple[Finding, ...] = ()


def plan_server(
    stack: Stack, facts: Facts, forge: material.Forge, server: Server, clients: Sequence[Client]
) -> ServerPlan:
    """What the server's own host needs.

    Args:
        clients: those that ask it.

    Raises:
        CertificateError, ConfigError, PasswordError, InputError: something there or given cannot be used.
    """
    before = facts.file(server.spec.host, server.web_file)
    with paths.located(server.spec.host, server.web_file):
        config = web.parse(before.content) if before is not None else None
    paths.refuse_out_of_reach(server.service)
    credentials.refuse_no_owner(server)
    _refuse_unsupported(server)
    pair = server_certificates.server_pair(stack, facts, forge, server, config)
    demand = client_authentication.demand(stack, facts, forge, server, config, clients)
    asks_password = "basic_auth" in server.spec.protect or bool(config and config.users)
    web_step = _web_step(facts, forge, server, before, pair, demand, asks_password=asks_password)
    was_tls = bool(server.service.web_config and config is not None and config.encrypted)
    cluster_step = alertmanager_cluster.step(stack, facts, forge, server)
    flag_step = _flag_step(server, pair, was_tls=was_tls)
    files = (server.web_file, pair.certificate_file, pair.key_file, *((demand.file,) if demand else ()))
    credentials_step = credentials.step(facts, server, files)
    restarted_for = server.spec.rate_limit is not None and (config is None or config.rate_limit is None)
    turn: Turn = "none"
    if flag_step or cluster_step or not was_tls or (web_step is not None and restarted_for):
        turn = "restart"
    elif server.credentials and (web_step or credentials_step or pair.changes or (demand and demand.changes)):
        turn = "restart"  # it has copies, made when it started
    elif web_step is not None:
        turn = "reread"
    if not was_tls:
        plain_http_clients.refuse_failing_start(server)
    step = None
    changes: tuple[Change, ...] = (*pair.changes, *(demand.changes if demand is not None else ()))
    _refuse_hidden(server, pair, web_step)
    home = server_certificates.make_home(server, "One folder holds all that the server needs.")
    if not changes and web_step is not None:
        web_step = replace(web_step, changes=(*home, *web_step.changes))
    if changes:
        changes = (*home, *changes)
        what = "a key and a certificate" if pair.changes else "the certificates of its clients"
        step = server.step(
            StepKind.SERVER_CERTIFICATE,
            title=f"Give {server.title} {what}",
            why=(
                "TLS needs a private key, which only the server may read, and a certificate that says for which "
                "names and addresses the key speaks. A client refuses a certificate without the name it asked for."
            )
            + (
                " To tell its clients from others, it needs what their certificates are checked against too."
                if demand is not None and demand.changes
                else ""
            ),
            changes=changes,
        )
    return ServerPlan(
        server,
        pair,
        step,
        web_step,
        flag_step,
        turn,
        was_tls,
        asks_password,
        asks_certificate=demand is not None,
        client_auth_type=demand.client_auth_type if demand else "",
        clients=demand.bundle if demand else b"",
        client_ca_file=demand.file if demand else "",
        allowed=demand.allowed if demand else (),
        narrow=demand.narrow if demand else None,
        reload_command=plain_http_clients.reload_step(facts, server, restarts=turn == "restart"),
        credentials=credentials_step,
        cluster=cluster_step,
        warnings=(*_weak(server, web_step, before), *_unrooted(server, pair), *_shared(server, pair)),
    )


def _weak(server: Server, web_step: PlannedStep | None, before: FileState | None) -> tuple[Finding, ...]:
    """What the web configuration will say that could be better, in the person's own settings or as chosen."""
    writes = [change for change in web_step.changes if isinstance(change, WriteFile)] if web_step else []
    state = writes[-1].after if writes else before
    if state is None:
        return ()
    toolkit = find_component(server.spec.name).known_toolkit(server.service.version)
    newer = tuple(
        Finding(
            severity="warning",
            id="unfamiliar-web-config",
            host=server.spec.host,
            component=server.spec.name,
            what=f"{server.web_file}, {said}",
            why="Firescreen does not know this setting; a newer program may. The program itself decides.",
            mend="check the spelling, or leave it if the program's documentation has it",
        )
        for said in web.unfamiliar(state.content, toolkit=toolkit)
    )
    return newer + tuple(
        Finding(
            severity="warning",
            id="weak-web-config",
            host=server.spec.host,
            component=server.spec.name,
            instance=server.spec.unit,
            what=f"{server.web_file}, {said}",
            why="It works as it stands, and lets in or shows more than it needs to.",
            mend="change that setting, unless you know why it is so",
        )
        for said in web.weak(state.content)
    )


def _unrooted(server: Server, pair: Pair) -> tuple[Finding, ...]:
    """Whether the CA file that the person named lacks the root."""
    path = server.spec.files.ca_file
    if not path or pair.certificate_file != server.spec.files.cert_file:
        return ()
    state = server.host.files.get(path)
    return trust_anchors.unrooted(
        state.content if state is not None else b"",
        pair.certificate,
        host=server.spec.host,
        component=server.spec.name,
        path=path,
        server=server.key,
    )


def _shared(server: Server, pair: Pair) -> tuple[Finding, ...]:
    """What to say of a server whose user or group is that of others: they read what it reads."""
    service = server.service
    if not service.shared_with or server.credentials:
        return ()
    others = ", ".join(service.shared_with)
    return (
        Finding(
            severity="warning",
            id="key-readable-by-others",
            host=server.spec.host,
            component=server.spec.name,
            what=f"{service.unit} runs as {service.user}:{service.group}, which others do too: they can read "
            f"{pair.key_file} and {server.web_file}; now: {others}",
            why="Who can read the private key can pose as this server. LoadCredential= does not help: the copies belong "
            "to the same user.",
            mend=f"Give it a user of its own: useradd --system {server.spec.name}; User={server.spec.name}",
        ),
    )


def _refuse_hidden(server: Server, pair: Pair, web_step: PlannedStep | None) -> None:
    """Whether systemd keeps the unit from what it is to read.

    Raises:
        InputError: it would not find its files.
    """
    service = server.service
    if server.credentials:
        return
    for path in (pair.certificate_file, pair.key_file, *((server.web_file,) if web_step else ())):
        hidden = service.hides(path)
        if hidden:
            raise InputError(
                f"the unit {service.unit} cannot see {hidden}: systemd hides it (ProtectHome, PrivateTmp)",
                where=f"{server.spec.host}:{path}",
                todo=f"keep its files below /etc, e.g. in {find_component(server.spec.name).home}",
            )


def _refuse_unsupported(server: Server) -> None:
    """What the person wants of a web configuration that this version does not know.

    Raises:
        InputError: names the first.
    """
    spec = server.spec
    component = find_component(spec.name)
    missing = web.unsupported(
        component.toolkit(server.service.version),
        client_allowed_sans=spec.client_allowed_sans,
        headers=spec.headers or None,
        rate_limit=spec.rate_limit,
    )
    if missing:
        raise InputError(
            f"{spec.name} {server.service.version}: {missing[0]}",
            where=server.key,
            todo=f"upgrade {spec.name}, or take that setting out of its entry",
        )


def _web_step(
    facts: Facts,
    forge: material.Forge,
    server: Server,
    before: FileState | None,
    pair: Pair,
    demand: ClientDemand | None,
    *,
    asks_password: bool,
) -> PlannedStep | None:
    """The web configuration with what is missing of TLS, users and clients; None if it already says so."""
    config = web.parse(before.content) if before is not None else web.WebConfig()
    known = config.users
    hashes: dict[str, str] = {}
    fresh = []
    if asks_password:
        for given in forge.credentials():
            user = given.user
            if user.name not in known or not passwords.matches(given.password, known[user.name]):
                # One for all servers: it costs time by its nature, and the password is the same.
                hashes[user.name] = forge.once(
                    f"hash:{user.name}", functools.partial(_hash, facts, user, given.password)
                )
                fresh.append((user, paths.user_files(facts, user)[0]))
    spec = server.spec
    content = web.secure(
        before.content if before is not None else None,
        cert_file=_as_written(server, config.cert_file, pair.certificate_file),
        key_file=_as_written(server, config.key_file, pair.key_file),
        users=hashes or None,
        client_ca_file=_as_written(server, config.client_ca_file, demand.file) if demand is not None else "",
        client_auth_type=demand.client_auth_type if demand is not None else "",
        client_allowed_sans=demand.allowed if demand is not None else (),
        min_version=spec.min_version,
        headers=spec.headers or None,
        rate_limit=spec.rate_limit,
    )
    if before is not None and before.content == content:
        return None
    after = _closed(server, before, content)
    why = f"This file tells {spec.name} which key and certificate to speak TLS with."
    if demand is not None:
        why += " From then on it asks who is calling, and looks at the certificate that the caller shows."
    if hashes:
        why += " It holds a bcrypt hash of the password, from which the password cannot be read back."
    return server.step(
        StepKind.WEB_CONFIG,
        title=f"Write {server.title}'s web configuration",
        why=why,
        changes=(
            WriteFile(
                host=spec.host,
                path=server.web_file,
                before=before,
                after=after,
                why="Written for root and the service alone: even a hash is nobody else's business.",
                content_kind=ContentKind.WEB_CONFIG,
                by_hand=manual_commands.web_config(server.web_file, before, after, tuple(fresh)),
            ),
        ),
    )


def _as_written(server: Server, there: str, path: str) -> str:
    """A file as the web configuration names it already, or as it is to; '' for none."""
    if there and posixpath.join(server.home, there) == path:
        return there
    return server.named(path) if path else ""


def _closed(server: Server, before: FileState | None, content: bytes) -> FileState:
    """A web configuration that others cannot read and the service can."""
    if before is None:
        return FileState(content, server.secret_mode, server.owner, server.group)
    if before.mode & 0o007 == 0:
        return FileState(content, before.mode, before.owner, before.group)
    # The service may have read it by the rights of others, which are taken from it.
    if server.host.root:
        return FileState(content, server.secret_mode, before.owner, server.group)
    reads = server.service.user == before.owner or server.group == before.group
    return FileState(content, 0o640 if reads else before.mode, before.owner, before.group)


def _flag_step(server: Server, pair: Pair, *, was_tls: bool) -> PlannedStep | None:
    """The flags that name the web configuration and follow from it, where the service's flags are set."""
    component = find_component(server.spec.name)
    flag = component.web_flag(server.service.version)
    if not flag:
        raise ConfigError(
            f"{server.spec.name} {server.service.version} cannot do TLS",
            where=server.key,
            todo=f"upgrade it to {component.first_safe_version} or newer",
        )
    place = server.service.flags
    if place.kind == "manual" and server.service.is_manual:
        return None  # the restart's own words name the flag
    there = (
        server.service.flag(flag) == server.web_flag_value
        if server.credentials
        else server.service.web_config
    )
    wanted = {} if there else {flag: server.web_flag_value}
    if not was_tls:
        wanted |= _link_flag(component, server, pair)
    if server.spec.cluster_tls:
        gossip_flag = component.cluster_flag(server.service.version)
        if not server.service.flag(gossip_flag):
            wanted[gossip_flag] = server.cluster_file
    if place.kind == "manual":
        _refuse_unreachable_flags(server, flag, wanted)
        return None
    if not wanted:
        return None
    before = server.host.files.get(place.path)
    after = manager_of(server.service).set_flag(server.service, wanted=wanted, current=before)
    changes: list[Change] = []
    for parent in server.flag_folders:
        if server.host.folders.get(parent) is not None:
            continue
        changes.append(
            MakeFolder(
                host=server.spec.host,
                path=parent,
                mode=0o755,
                owner="root",
                group="root",
                why="systemd reads additions to a unit from this folder."
                if place.kind == "dropin"
                else f"{server.service.unit} reads its flags from a file in this folder, which is not there yet.",
                by_hand=manual_commands.folder(parent, mode=0o755, owner="root", group="root"),
            )
        )
    changes.append(
        WriteFile(
            host=server.spec.host,
            path=place.path,
            before=before,
            after=after,
            content_kind=ContentKind.SERVICE_FLAGS,
            why=f"Without --{flag} the program never opens the file. All its other flags stay.",
            by_hand=tuple(
                ManualCommand(script=line)
                for line in manager_of(server.service).flag_commands(
                    server.service, wanted=wanted, current=before
                )
            ),
        )
    )
    return server.step(
        StepKind.FLAGS,
        title=f"Start {server.title} with the web configuration",
        why=(
            f"{server.spec.name} takes its web configuration from the flag --{flag}. A server that was started "
            "without TLS has to be restarted once; later edits of the file are read by themselves."
        ),
        changes=changes,
    )


def _refuse_unreachable_flags(server: Server, flag: str, wanted: dict[str, str]) -> None:
    """A unit that would be restarted without the flag: it would serve as before, and all that asks it would fail."""
    if flag in wanted:
        unit = server.service.unit
        raise ConfigError(
            f"{unit} starts {server.spec.name} through something else (a shell, a script), so its flags cannot be set",
            where=server.key,
            todo=f"Start the program itself in ExecStart (`systemctl edit --full {unit}`), or add "
            f"--{flag}={server.web_file} where it is started and say `service: manual` for it in the stack",
        )


def _hash(facts: Facts, user: UserSpec, password: Secret) -> str:
    """The hash of a user's password; that of a spare one is there already."""
    spare = facts.spares.get(user.name)
    return (
        spare.hashed
        if spare is not None and spare.password is password
        else passwords.hash_password(password, user.cost)
    )


def _link_flag(component: Component, server: Server, pair: Pair) -> dict[str, str]:
    """The address in the links that the program sends, which says http until it is told otherwise."""
    if not component.url_flag:
        return {}
    now = server.service.flag(component.url_flag)
    names = issue.summary(pair.certificate).names
    if now:
        own = now.startswith("http:") and _is_own(now, server, names)
        return {component.url_flag: f"https{now[4:]}"} if own else {}
    name = next((each for each in names if not _is_address(each) and each != "localhost"), "")
    name = name or next(iter(names), "")
    return (
        {component.url_flag: f"https://{f'[{name}]' if ':' in name else name}:{server.port}/"} if name else {}
    )


def _is_own(url: str, server: Server, names: Sequence[str]) -> bool:
    """Whether a URL leads to the program itself, and not to a reverse proxy in front of it."""
    try:
        parts = urlsplit(url)
        name, port = (parts.hostname or "").rstrip("."), parts.port or 80
    except ValueError:
        return False
    if port != server.port:
        return False
    own = name in {each.lower().rstrip(".") for each in names}
    return own or Client(server.host, server.service, OwnFiles()).means(f"{name}:{port}", server)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
