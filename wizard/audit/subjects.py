"""What checks are made of: a server with its answers, a client with its configuration, a host, all of them."""

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
    """A fault that a check found in its subject; what is left empty is the check's or the subject's own."""

    evidence: str
    file: str = ""
    line: int = 0
    severity: Severity | None = None
    step: str | None = None
    """None for the check's own; '' for none."""
    host: str = ""
    component: str = ""
    instance: str = ""
    title: str = ""
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Unseen:
    """Why a check could not look at its subject, a clause."""

    why: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A check that does not apply to its subject: it counts neither as passed nor as failed."""


Seen: TypeAlias = Iterator[Found | Unseen | Skipped]
"""What a check gives of one subject; nothing where it looked and found nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One place in a client's configuration that asks a server, and how."""

    client: Client = field(repr=False)
    place: Place
    address: str
    """host:port as it stands there, after relabelling."""
    scheme: str
    file: str
    line: int = 0
    """Of the job or block; 0 where that is not known."""
    honor_labels: bool = False

    @property
    def where(self) -> str:
        """The client and its place, e.g. 'job node of srv2/prometheus'."""
        return f"{self.place.how} of {self.client.key}"

    @property
    def name(self) -> str:
        """The name that the server's certificate must hold for this client."""
        return self.place.tls.get("server_name", "") or endpoints.split(self.address)[0]

    @property
    def has_credentials(self) -> bool:
        """Whether it sends a password or a token."""
        return bool(self.place.basic_auth or self.place.other_auth)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that only a service and root may read: its path, what it is, and whose."""

    path: str
    noun: str
    service: Service = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """A host: what was read there for the audit, besides what discovery knows."""

    facts: HostFacts
    files: Mapping[str, FileState | None] = field(repr=False)
    """Files that were read; None for one that is not there."""
    unread: Mapping[str, str] = field(repr=False)
    """Files that could not be read, and why."""
    secrets: tuple[SecretFile, ...] = field(default=(), repr=False)
    infos: Mapping[str, PathInfo | None] = field(repr=False)
    """Mode and owner of files that hold secrets, and of the folders above them."""
    packages: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By the path of a program, the package with its version that it comes from."""
    grafana: GrafanaView | None = field(default=None, repr=False)
    """Its Grafana, with its settings and data sources; None where none is to be seen."""
    inner: str = ""
    """The folder that stands for the root of a practice host's file system; '' for a real host."""

    @property
    def name(self) -> str:
        """As the stack names it."""
        return self.facts.spec.name

    def read(self, path: str) -> FileState | None:
        """The file as it was read; None where it is not there, or could not be read."""
        return self.files.get(path)

    def why_unread(self, path: str) -> str:
        """Why a file could not be read, with its path."""
        why = self.unread.get(path, "")
        return f"{path}: {why}" if why else f"{path} is not there"

    def readable_by_others(self, path: str) -> PathInfo | None:
        """The file at a path if users that are neither its owner nor in its group can read it."""
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
    """A component as a server: its unit, its web configuration, and what it answers to a stranger."""

    service: Service
    host: HostView = field(repr=False)
    exposure: Exposure
    answers: Mapping[str, Attempt] = field(default_factory=dict, repr=False)
    """What it answered to requests without credentials, by path."""
    flags: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its flags as it says them to a stranger; {} where it does not."""
    handshake: Handshake | None = field(default=None, repr=False)
    """With what it shows; None where it does not speak TLS."""
    old_handshake: Handshake | None = field(default=None, repr=False)
    """One that offered nothing above TLS 1.1."""
    web: WebConfig | None = field(default=None, repr=False)
    """Its web configuration; None where it has none, or it could not be read (`web_problem`)."""
    web_problem: str = ""
    uses: tuple[Use, ...] = field(default=(), repr=False)
    """The clients of the stack that ask it."""
    now: float = 0.0
    """Unix time by this machine's clock."""

    @property
    def key(self) -> str:
        """`host/component`, of a further instance `host/component/unit`."""
        return self.service.key

    @property
    def known(self) -> Component:
        """The facts of its component."""
        return find_component(self.service.component)

    @property
    def silent(self) -> str:
        """Why its answers say nothing, a clause, or ''."""
        if self.service.out_of_reach:
            return f"it cannot be probed from here: {self.service.out_of_reach}"
        return "it does not answer" if self.exposure.state == "down" else ""

    @property
    def is_open(self) -> bool:
        """Whether a client without any credentials gets answers."""
        return not self.silent and not self.exposure.password and not self.exposure.client_certificate

    @property
    def is_enclosed(self) -> bool:
        """Whether only its own machine reaches it, by its sockets or else by its flags."""
        if self.service.sockets:
            return sockets.is_enclosed(self.service.sockets)
        said = self.service.flag("web.listen-address")
        return sockets.is_enclosed((said,)) if said else False

    @property
    def spared(self) -> Severity | None:
        """The severity of a fault that only users of its own machine can use; None for the usual one."""
        return "low" if self.is_enclosed and self.host.facts.spec.connect != "practice" else None

    def url(self, path: str) -> str:
        """The address of one of its pages."""
        scheme = "https" if self.exposure.tls else "http"
        return f"{scheme}://{self.service.listen}{self.known.prefix(self.service.flag)}{path}"

    def open_page_evidence(self, path: str) -> str:
        """A request of a stranger and how it was answered, as evidence; '' if it was not answered with 200."""
        attempt = self.answers.get(path)
        return f"GET {attempt.probe.url}: 200" if attempt is not None and attempt.status == 200 else ""

    def path_of(self, named: str) -> str:
        """The absolute path, on its host, of a file that its web configuration names."""
        return named_by(self.service, named) if named else ""

    def certificate(self) -> tuple[bytes, Seen | None]:
        """The certificate (DER) that it showed, or what to say instead."""
        if self.silent:
            return b"", iter((Unseen(self.silent),))
        if self.handshake is None:
            return b"", iter((Skipped(),))
        if not self.handshake.chain:
            return b"", iter((Unseen(f"it showed no certificate: {self.handshake.reason}"),))
        return self.handshake.chain[0], None


def named_by(service: Service, path: str) -> str:
    """The absolute path, on the host, of a file that a web configuration names."""
    if service.container is not None and path.startswith("/"):
        return service.container.on_host(path) or path
    return posixpath.join(posixpath.dirname(service.web_config), path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientView:
    """A Prometheus or a blackbox exporter as a client: its configuration with all that it includes."""

    client: Client
    host: HostView = field(repr=False)
    texts: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """By path, its own file first."""
    problem: str = ""
    """Why its configuration could not be read, or ''."""
    rules: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Its rule files, by path."""
    places: tuple[Place, ...] = ()
    """What it asks."""
    asks_tls: bool = False
    """Whether anything that it asks speaks TLS."""
    pushgateway_ports: frozenset[int] = frozenset()
    """The ports of the Pushgateways of the stack."""

    @property
    def service(self) -> Service:
        """The component itself."""
        return self.client.service


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOn:
    """A route of a reverse proxy to one of the servers, and what the proxy answered there to a stranger."""

    route: ProxyRoute
    server: ServerView
    url: str
    """An API page of the server, as a client of the proxy asks for it."""
    status: int | None
    """None where the proxy gave no answer to its own host."""
    quit_url: str = ""
    quit_status: int | None = None
    """Of a GET of /-/quit, which stops nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was looked at."""

    stack: Stack
    facts: Facts = field(repr=False)
    servers: tuple[ServerView, ...]
    clients: tuple[ClientView, ...]
    hosts: tuple[HostView, ...]
    now: float
    """Unix time by this machine's clock."""
    passed_on: tuple[PassedOn, ...] = ()
    """What reverse proxies on the hosts answer a stranger in the name of the servers behind them."""

    def server(self, key: str) -> ServerView | None:
        """The server of that key."""
        return next((each for each in self.servers if each.key == key), None)
