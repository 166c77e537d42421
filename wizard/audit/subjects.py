"""The subjects of checks: a server with its responses, a client with its configuration, a host, or all of them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from wizard import endpoints
from wizard.audit.grafana_view import GrafanaView
from wizard.audit.report import Severity
from wizard.components import Component
from wizard.components import component as find_component
from wizard.config_files.web_config import WebConfig
from wizard.engine import Exposure
from wizard.model import Attempt, Facts, FileState, HostFacts, PathInfo, ProxyRoute, Service, Stack
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.probes.server_handshake import Handshake
from wizard.service_managers import sockets


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding that a check yields; empty fields are filled in from the check or its subject."""

    evidence: str
    file: str = ""
    line: int = 0
    severity: Severity | None = None
    step: str | None = None
    """None for that of the check; '' for no step."""
    host: str = ""
    component: str = ""
    instance: str = ""
    title: str = ""
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Unseen:
    """Yielded by a check that could not examine its subject, with the reason as a clause."""

    why: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Yielded by a check that does not apply to its subject: it counts neither as passed nor as failed."""


Seen: TypeAlias = Iterator[Found | Unseen | Skipped]
"""The results of a check for one subject; empty if it passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One place in a client's configuration that connects to a server, and how."""

    client: Client = field(repr=False)
    place: Place
    address: str
    """host:port after relabelling."""
    scheme: str
    file: str
    line: int = 0
    """The line of the job or block; 0 if unknown."""
    honor_labels: bool = False

    @property
    def where(self) -> str:
        """The place and its client, e.g. 'job node of srv2/prometheus'."""
        return f"{self.place.how} of {self.client.key}"

    @property
    def name(self) -> str:
        """The name that this client requires in the server's certificate."""
        return self.place.tls.get("server_name", "") or endpoints.split(self.address)[0]

    @property
    def has_credentials(self) -> bool:
        """Whether the client sends a password or a token."""
        return bool(self.place.basic_auth or self.place.other_auth)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that only root and its service should be able to read; `noun` says what it contains."""

    path: str
    noun: str
    service: Service = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """A host with everything that was read there for the audit."""

    facts: HostFacts
    files: Mapping[str, FileState | None] = field(repr=False)
    """The files that were read, by path; None if one does not exist."""
    unread: Mapping[str, str] = field(repr=False)
    """Why files could not be read, by path."""
    secrets: tuple[SecretFile, ...] = field(default=(), repr=False)
    infos: Mapping[str, PathInfo | None] = field(repr=False)
    """Mode and owner of files with secrets, and of the folders above them, by path."""
    packages: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Name and version of the package that a program comes from, by the program's path."""
    grafana: GrafanaView | None = field(default=None, repr=False)
    """Its Grafana instances; None if none was found."""
    inner: str = ""
    """The folder that serves as the root file system of a practice host; '' for a real host."""

    @property
    def name(self) -> str:
        """The host's name in the stack."""
        return self.facts.spec.name

    def read(self, path: str) -> FileState | None:
        """The content of a file; None if it does not exist or could not be read."""
        return self.files.get(path)

    def why_unread(self, path: str) -> str:
        """Why a file could not be read, with its path."""
        why = self.unread.get(path, "")
        return f"{path}: {why}" if why else f"{path} is not there"

    def readable_by_others(self, path: str) -> PathInfo | None:
        """Mode and owner of a file if users that are neither its owner nor in its group can read it, else None."""
        info = self.infos.get(path)
        if info is None or info.kind != "file" or not info.mode & 0o004:
            return None
        folder = posixpath.dirname(path)
        while folder not in ("", "/") and folder != self.inner:
            above = self.infos.get(folder)
            if above is not None and not above.mode & 0o001:
                return None
            folder = posixpath.dirname(folder)
        return info


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    """A component as a server: its unit, its web configuration, and its responses to requests without credentials."""

    service: Service
    host: HostView = field(repr=False)
    exposure: Exposure
    answers: Mapping[str, Attempt] = field(default_factory=dict, repr=False)
    """Its responses to requests without credentials, by path."""
    flags: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its flags as it reports them without credentials; {} if it does not."""
    handshake: Handshake | None = field(default=None, repr=False)
    """A TLS handshake with the certificates that it presents; None without TLS."""
    old_handshake: Handshake | None = field(default=None, repr=False)
    """A handshake that offered nothing above TLS 1.1."""
    web: WebConfig | None = field(default=None, repr=False)
    """Its web configuration; None if it has none, or it could not be read (`web_problem`)."""
    web_problem: str = ""
    uses: tuple[Use, ...] = field(default=(), repr=False)
    """The places in the configurations of the stack's clients that connect to it."""
    now: float = 0.0
    """Unix time by this machine's clock."""

    @property
    def key(self) -> str:
        """`host/component`, or `host/component/unit` for a further instance."""
        return self.service.key

    @property
    def known(self) -> Component:
        """The description of its component."""
        return find_component(self.service.component)

    @property
    def silent(self) -> str:
        """Why it could not be probed, as a clause; '' if it could."""
        if self.service.out_of_reach:
            return f"it cannot be probed from here: {self.service.out_of_reach}"
        return "it does not answer" if self.exposure.state == "down" else ""

    @property
    def is_open(self) -> bool:
        """Whether it answers clients without credentials."""
        return not self.silent and not self.exposure.password and not self.exposure.client_certificate

    @property
    def is_enclosed(self) -> bool:
        """Whether only its own machine can connect to it, by its sockets or, if these are unknown, by its flags."""
        if self.service.sockets:
            return sockets.is_enclosed(self.service.sockets)
        address = self.service.flag("web.listen-address")
        return sockets.is_enclosed((address,)) if address else False

    @property
    def spared(self) -> Severity | None:
        """The reduced severity of findings if only users of its own machine can connect; None for the usual one."""
        return "low" if self.is_enclosed and self.host.facts.spec.connect != "practice" else None

    def url(self, path: str) -> str:
        """The URL of one of its pages."""
        scheme = "https" if self.exposure.tls else "http"
        return f"{scheme}://{self.service.listen}{self.known.prefix(self.service.flag)}{path}"

    def open_page_evidence(self, path: str) -> str:
        """The request of a page as evidence, if it returned 200 without credentials; else ''."""
        attempt = self.answers.get(path)
        return f"GET {attempt.probe.url}: 200" if attempt is not None and attempt.status == 200 else ""

    def path_of(self, named: str) -> str:
        """The absolute path on its host of a file in its web configuration; '' for ''."""
        return named_by(self.service, named) if named else ""

    def certificate(self) -> tuple[bytes, Seen | None]:
        """The certificate (DER) that it presented, or b'' and the result that a check has to yield instead."""
        if self.silent:
            return b"", iter((Unseen(self.silent),))
        if self.handshake is None:
            return b"", iter((Skipped(),))
        if not self.handshake.chain:
            return b"", iter((Unseen(f"it showed no certificate: {self.handshake.reason}"),))
        return self.handshake.chain[0], None


def named_by(service: Service, path: str) -> str:
    """The absolute path on the host of a file in a service's web configuration."""
    if service.container is not None and path.startswith("/"):
        return service.container.on_host(path) or path
    return posixpath.join(posixpath.dirname(service.web_config), path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientView:
    """A Prometheus or a blackbox exporter as a client: its configuration with all included files."""

    client: Client
    host: HostView = field(repr=False)
    texts: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The contents of its configuration files by path, the main file first."""
    problem: str = ""
    """Why its configuration could not be read, or ''."""
    rules: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Its rule files, by path."""
    places: tuple[Place, ...] = ()
    """The places in its configuration that connect to servers."""
    asks_tls: bool = False
    """Whether it connects to any server by TLS."""
    pushgateway_ports: frozenset[int] = frozenset()
    """The ports of the Pushgateways of the stack."""

    @property
    def service(self) -> Service:
        """The component itself."""
        return self.client.service


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOn:
    """A route of a reverse proxy to one of the servers, and the response to a request without credentials."""

    route: ProxyRoute
    server: ServerView
    url: str
    """The URL of an API page of the server at the proxy."""
    status: int | None
    """The HTTP status; None if the proxy did not answer its own host."""
    quit_url: str = ""
    quit_status: int | None = None
    """The HTTP status of a GET of /-/quit, which stops nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that the checks examine."""

    stack: Stack
    facts: Facts = field(repr=False)
    servers: tuple[ServerView, ...]
    clients: tuple[ClientView, ...]
    hosts: tuple[HostView, ...]
    now: float
    """Unix time by this machine's clock."""
    passed_on: tuple[PassedOn, ...] = ()
    """The routes of the hosts' reverse proxies to the servers, with the responses to requests without credentials."""

    def server(self, key: str) -> ServerView | None:
        """The server with a key, or None."""
        return next((each for each in self.servers if each.key == key), None)
