"""What a person wants: hosts, components and how they are to be protected; and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from wizard.model.client_login import ClientLogin
from wizard.model.containers import Container
from wizard.model.front_door import DoorRoute, FrontDoor
from wizard.redact import Secret

Protection: TypeAlias = Literal["tls", "basic_auth", "client_cert"]

RECOMMENDED: tuple[Protection, ...] = ("tls", "basic_auth")
"""What is proposed for every component that is found: it asks the least of clients that keeps strangers out."""

ClientAuth: TypeAlias = Literal[
    "RequireAndVerifyClientCert", "VerifyClientCertIfGiven", "RequireAnyClientCert", "RequestClientCert"
]
"""What a server does about client certificates, in Go's words; only the first rejects clients without one."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Requests that a server answers: one each `interval` (a Go duration such as '100ms'), `burst` at once."""

    interval: str
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFiles:
    """Certificate, key and CA that a person already has, as absolute paths on the component's host.

    An empty `ca_file` means that the certificate signs itself. The client pair is what a Prometheus shows to the
    servers that ask for a certificate; the client CA is what a server checks its clients against.
    """

    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    client_ca_file: str = ""


SSH_PORT = 22

Connect: TypeAlias = Literal["local", "ssh", "incus", "practice", "manual"]
"""How Firescreen reaches a host; practice: one of the practice stack, manual: the person types the commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """How a host is reached."""

    name: str
    connect: Connect
    address: str = ""
    port: int = SSH_PORT
    user: str = ""
    identity_file: str = ""
    known_hosts: str = ""
    become: str = ""
    """'' for as one is, 'sudo' for root by way of `sudo -n`."""
    instance: str = ""
    """Of an incus host: the instance, or remote:instance."""
    via: str = ""
    """Of an incus host: the name of the host whose incus (or LXD) holds the instance; '' for this machine."""
    os: str = "linux"
    """linux or windows: which commands are shown for a manual host."""

    @property
    def is_remote(self) -> bool:
        """Whether commands and connections go to it over SSH or into a container."""
        return self.connect in ("ssh", "incus")

    @property
    def is_real(self) -> bool:
        """Whether it is a host of its own on which Firescreen can run commands."""
        return self.connect == "local" or self.is_remote

    def ssh(self, *options: str) -> list[str]:
        """The words of an `ssh` that logs in there, with more options before the destination."""
        words = ["ssh", *options]
        if self.port != SSH_PORT:
            words += ["-p", str(self.port)]
        if self.identity_file:
            words += ["-i", self.identity_file]
        if self.known_hosts:
            words += ["-o", f"UserKnownHostsFile={self.known_hosts}"]
        address = self.address or self.name
        return [*words, f"{self.user}@{address}" if self.user else address]


def instance_key(host: str, component: str, instance: str = "") -> str:
    """`host/component`, and of a further instance on that host `host/component/unit`."""
    return "/".join(part for part in (host, component, instance) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec:
    """One component on one host, and how it is to be protected."""

    host: str
    name: str
    protect: tuple[Protection, ...] = ()
    names: tuple[str, ...] = ()
    """Names and addresses for the certificate; empty: found from the real targets."""
    unit: str = ""
    """Which one, where a host has several: the unit's name without `.service`; '' for the usual one."""
    service: str = ""
    """'' for found out, 'manual': restarts are left to the person, or 'docker': it runs in a container."""
    project: str = ""
    """With service docker: the Compose project; '' for any."""
    container: str = ""
    """With service docker: the service of that project, or the container's name; '' for any."""
    client_auth_type: ClientAuth = "RequireAndVerifyClientCert"
    """How client certificates are demanded, where `protect` holds client_cert."""
    client_allowed_sans: tuple[str, ...] = ()
    """Names (SAN) that a client certificate must hold one of; empty: any that the CA signed."""
    min_version: str = ""
    """TLS10 to TLS13; '' leaves it to the server (TLS12)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """HTTP headers of every answer, e.g. X-Frame-Options."""
    rate_limit: RateLimit | None = None
    cluster_tls: bool = False
    """Alertmanager: whether the gossip between its peers is to be encrypted too."""
    files: OwnFiles = OwnFiles()
    """With certificates issued_by 'files': what the person already has."""

    def means(self, box: Container | None) -> bool:
        """Whether it may be what runs in this container (None: in none)."""
        if self.service != "docker":
            return True
        if box is None or self.project not in ("", box.project):
            return False
        return self.container in ("", box.service, box.name)

    @property
    def key(self) -> str:
        """`host/name`, with a unit `host/name/unit`: the way messages name it."""
        return instance_key(self.host, self.name, self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSpec:
    """Where certificates come from. `days` counts from now; notBefore lies an hour back."""

    issued_by: Literal["ca", "self-signed", "shared", "files"] = "ca"
    key: Literal["ec-p256", "rsa-2048", "rsa-4096", "ed25519"] = "ec-p256"
    days: int = 365
    passphrase: bool = False
    """Whether the CA's key is encrypted with a passphrase that the person gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpec:
    """One user of basic authentication; `cost` is bcrypt's (see components.md: 10 hides who exists)."""

    name: str
    password: Literal["generate", "prompt", "file"] = "generate"
    file: str = ""
    cost: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Which components run on which hosts and how they are to be protected. Both ends derive from it."""

    hosts: tuple[HostSpec, ...]
    components: tuple[ComponentSpec, ...]
    certificates: CertificateSpec = CertificateSpec()
    users: tuple[UserSpec, ...] = (UserSpec(name="prometheus"),)
    source: str = ""
    """The file that it was read from, or '' when the wizard made it."""
    accept_broken: tuple[str, ...] = ()
    """HOST/CLIENT/COMPONENT of clients that will be rejected after the run, and that the person accepts as such."""

    front_doors: tuple[FrontDoor, ...] = ()
    """Reverse proxies that serve components under one name."""
    client_logins: tuple[ClientLogin, ...] = ()
    """Where Prometheus servers log in by OAuth2, or with a token."""

    @property
    def changes_hosts(self) -> bool:
        """Whether it wants anything of its hosts."""
        return bool(self.front_doors or self.client_logins) or any(
            component.protect for component in self.components
        )

    @property
    def asks_password(self) -> bool:
        """Whether any component or front door is to ask for one."""
        protected = any("basic_auth" in component.protect for component in self.components)
        return protected or any(door.users for door in self.front_doors)

    def doors_to(self, host: str, component: str) -> tuple[tuple[FrontDoor, DoorRoute], ...]:
        """The front doors that lead to a component of a host, with the route of each."""
        return tuple(
            (door, route)
            for door in self.front_doors
            for route in door.routes
            if (door.host_of(route), route.to) == (host, component)
        )

    def host(self, name: str) -> HostSpec:
        """The host of that name; KeyError if there is none (the loader checks)."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a stack file must not hold: texts that were asked for.

    `passwords` maps a user name to the password typed; `passphrase` unlocks, or will lock, the CA's key.
    """

    passwords: Mapping[str, Secret] = field(default_factory=dict)
    passphrase: Secret | None = None
    renew: frozenset[str] = frozenset()
    """What to replace although it serves: 'ca', 'certificates' (all), host/component, 'passwords'."""
    login_secrets: Mapping[str, Secret] = field(default_factory=dict)
    """The client secret or token to write for a client login, by its key; without one the file on the host is used."""


class Setting(NamedTuple):
    """A place in a stack: its section, there a name, and what it is set for.

    of: the key of the component, host/proxy of the front door, the key of the client login, or that of the client that
    will be rejected; '' in the other sections.
    """

    section: Literal["components", "users", "certificates", "front_doors", "client_logins", "accept_broken"]
    name: str = ""
    of: str = ""

    def __str__(self) -> str:
        """As a path in the stack file."""
        return ".".join(part for part in (self.section, self.of, self.name) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing to ask, the same for the screen, the command line and the stack file.

    `priority` is 'high' (a newcomer sees it) or 'low' (an expert does).
    """

    setting: Setting
    """Where the answer is stored."""
    title: str
    why: str
    more: str
    kind: Literal["choice", "text", "number", "names", "password", "secret"]
    """A password is the person's own choice, a secret was given by another program: both are typed hidden."""
    default: str
    choices: tuple[tuple[str, str], ...] = ()
    """(value, what a person reads)"""
    priority: Literal["high", "low"] = "high"
    cost: str = ""
    """Of the protection of a component: what is interrupted, and who else then needs credentials."""
    warning: str = ""
    """What the present answer would break, in one sentence; it can be used all the same."""

    @property
    def key(self) -> str:
        """`certificates.days`, `components.srv1/node_exporter.protect` …: its id, also for other programs."""
        return str(self.setting)
