"""The server's end: key and certificate, web configuration, and the flag that names it.

What the person has already (a valid certificate, users, headers) stays; only what is missing is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from wizard.components import component as find_component
from wizard.config_files import web_config as web
from wizard.errors import InputError
from wizard.model import Change, Facts, FileState, Finding, PlannedStep, Stack, StepKind
from wizard.planner import (
    alertmanager_cluster,
    client_authentication,
    containers,
    plain_http_clients,
    server_certificates,
    service_flags,
    trust_anchors,
    web_configuration,
)
from wizard.planner import credentials as material
from wizard.planner import systemd_credentials as credentials
from wizard.planner.certificates import Pair
from wizard.planner.client_authentication import ClientDemand
from wizard.planner.client_endpoints import locate_errors
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server, refuse_out_of_reach

Turn = Literal["none", "reread", "restart"]


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """The steps for one server."""

    server: Server
    pair: Pair
    """The certificate and key that it will present."""
    material: PlannedStep | None
    web: PlannedStep | None
    flag: PlannedStep | None
    turn: Turn
    """'restart' if its scheme or flags change, 'reread' if only files change that it rereads, or 'none'."""
    was_tls: bool
    asks_password: bool
    asks_certificate: bool
    """Whether it requests client certificates; `client_auth_type` says how strictly."""
    client_auth_type: str = ""
    clients: bytes = b""
    """PEM: the CAs (or pinned certificates) with which it verifies clients."""
    client_ca_file: str = ""
    allowed: tuple[str, ...] = ()
    """The names of which a client certificate must have one; () for any."""
    narrow: PlannedStep | None = None
    """Removes the CAs of replaced client certificates from its bundle, after the new ones are in use."""
    reload_command: PlannedStep | None = None
    """Makes its unit reload with a signal, if the unit's own command uses http."""
    credentials: PlannedStep | None = None
    """Makes systemd pass its files to it as credentials."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """For a server in a container: the flags in its Compose file, with their values."""
    path_flags: Mapping[str, str] = field(default_factory=dict)
    """For a server behind a front door over TLS: the flags for its path, which the step `flag` sets too."""
    cluster: PlannedStep | None = None
    """For Alertmanager: TLS for its gossip."""
    warnings: tuple[Finding, ...] = ()


def plan_server(
    stack: Stack,
    facts: Facts,
    factory: material.CredentialFactory,
    server: Server,
    clients: Sequence[Client],
    *,
    path_flags: Mapping[str, str],
) -> ServerPlan:
    """Plans what the server's own host needs.

    Args:
        clients: the clients that connect to it.
        path_flags: for a server behind a front door: the flags for its path, set with the same restart.

    Raises:
        CertificateError, ConfigError, PasswordError, InputError: something on the host, or a given value, cannot be used.
    """
    before, config = _present_web_config(facts, server)
    pair = server_certificates.server_pair(stack, facts, factory, server, config)
    demand = client_authentication.demand(stack, facts, factory, server, config, clients)
    asks_password = "basic_auth" in server.spec.protect or bool(config and config.users)
    web_step = web_configuration.web_step(
        facts, factory, server, before, pair, demand, asks_password=asks_password
    )
    was_tls = bool(server.service.web_config and config is not None and config.encrypted)
    cluster_step = alertmanager_cluster.step(stack, facts, factory, server)
    keeps_links = was_tls or server.behind_doors(stack)  # its links lead to the front door then
    flag_step = service_flags.flag_step(server, pair, keeps_links=keeps_links, paths=path_flags)
    files = (server.web_file, pair.certificate_file, pair.key_file, *((demand.file,) if demand else ()))
    credentials_step = credentials.step(server, files)
    changes = (*pair.changes, *(demand.changes if demand else ()))
    copied = server.credentials and (web_step or credentials_step or changes)  # at a start only
    restarts = flag_step or cluster_step or not was_tls or copied or _adds_limit(server, config, web_step)
    turn: Turn = "restart" if restarts else "reread" if web_step is not None else "none"
    _refuse_unstartable(server, pair, web_step, was_tls=was_tls)
    if not changes and web_step is not None:
        web_step = replace(web_step, changes=(*_home(server), *web_step.changes))
    return ServerPlan(
        server,
        pair,
        _certificate_step(server, pair, demand) if changes else None,
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
        reload_command=plain_http_clients.reload_step(server, restarts=turn == "restart"),
        credentials=credentials_step,
        flags=service_flags.of_container(server, pair, keeps_links=keeps_links),
        cluster=cluster_step,
        path_flags=path_flags,
        warnings=_warnings(server, web_step, before, pair),
    )


def _adds_limit(server: Server, config: web.WebConfig | None, web_step: PlannedStep | None) -> bool:
    """Whether its web configuration gets its first rate limit, which takes effect only with a restart."""
    limited = config is not None and config.rate_limit is not None
    return web_step is not None and server.spec.rate_limit is not None and not limited


def _warnings(
    server: Server, web_step: PlannedStep | None, before: FileState | None, pair: Pair
) -> tuple[Finding, ...]:
    return (
        *web_configuration.weak(server, web_step, before),
        *_missing_root_findings(server, pair),
        *_shared_user_findings(server, pair),
    )


def _present_web_config(facts: Facts, server: Server) -> tuple[FileState | None, web.WebConfig | None]:
    """The present web configuration, unless something prevents Firescreen from securing this server."""
    before = facts.file(server.spec.host, server.web_file)
    with locate_errors(server.spec.host, server.web_file):
        config = web.parse(before.content) if before is not None else None
    refuse_out_of_reach(server.service)
    containers.refuse_unchangeable(server.service)
    credentials.refuse_no_owner(server)
    web_configuration.refuse_unsupported(server)
    return before, config


def _home(server: Server) -> tuple[Change, ...]:
    return server_certificates.make_home(server, "All files of the server are in one folder.")


def _certificate_step(server: Server, pair: Pair, demand: ClientDemand | None) -> PlannedStep:
    """The server's key and certificate, and the CAs for its clients, as far as they are new."""
    of_clients = demand.changes if demand is not None else ()
    what = (
        f"Create key and certificate for {server.title}"
        if pair.changes
        else f"Install the client CA for {server.title}"
    )
    why = (
        "TLS needs a private key that only the server can read, and a certificate with the names and addresses "
        "of the server. Clients do not trust a certificate without the name that they connect to."
    )
    if of_clients:
        why += " To verify the certificates of its clients, the server needs their CA certificate too."
    return server.step(
        StepKind.SERVER_CERTIFICATE,
        title=what,
        why=why,
        changes=(*_home(server), *pair.changes, *of_clients),
    )


def _missing_root_findings(server: Server, pair: Pair) -> tuple[Finding, ...]:
    """Warns if the CA file that the person named lacks the root CA."""
    path = server.spec.files.ca_file
    if not path or pair.certificate_file != server.spec.files.cert_file:
        return ()
    state = server.host.files.get(path)
    return trust_anchors.missing_root_findings(
        state.content if state is not None else b"",
        pair.certificate,
        host=server.spec.host,
        component=server.spec.name,
        path=path,
        server=server.key,
    )


def _shared_user_findings(server: Server, pair: Pair) -> tuple[Finding, ...]:
    """Warns if other services run as the server's user or group: they can read its private key."""
    service = server.service
    if not service.shared_with or server.credentials:
        return ()
    others = ", ".join(service.shared_with)
    return (
        Finding(
            id="key-readable-by-others",
            host=server.spec.host,
            component=server.spec.name,
            what=f"{service.unit} runs as {service.user}:{service.group}, which others do too: they can read "
            f"{pair.key_file} and {server.web_file}; now: {others}",
            why="Whoever can read the private key can impersonate this server. LoadCredential= does not help: the copies "
            "belong to the same user.",
            remediation=f"Give it a user of its own: useradd --system {server.spec.name}; User={server.spec.name}",
        ),
    )


def _refuse_unstartable(server: Server, pair: Pair, web_step: PlannedStep | None, *, was_tls: bool) -> None:
    """Refuses a unit that would fail: its start uses plain http, or systemd hides the files from it.

    Raises:
        InputError: the server would not start, or not find its files.
    """
    if not was_tls:
        plain_http_clients.refuse_failing_start(server)
    service = server.service
    if server.credentials:
        return
    for path in (pair.certificate_file, pair.key_file, *((server.web_file,) if web_step else ())):
        hidden = service.hides(path)
        if hidden:
            raise InputError(
                f"the unit {service.unit} cannot see {hidden}: systemd hides it (ProtectHome, PrivateTmp)",
                where=f"{server.spec.host}:{path}",
                todo=f"Keep its files below /etc, e.g. in {find_component(server.spec.name).home}",
            )
