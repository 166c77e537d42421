"""The wanted stack: hosts, components and their protection; and the questions for a person."""

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
"""The protection that is proposed for every component: the easiest one for clients that requires authentication."""

ClientAuth: TypeAlias = Literal[
    "RequireAndVerifyClientCert", "VerifyClientCertIfGiven", "RequireAnyClientCert", "RequestClientCert"
]
"""Go's names for a server's policy on client certificates; only the first rejects clients without a verified one."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A server's limit: one request per `interval` (a Go duration such as '100ms'), and up to `burst` at once."""

    interval: str
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFiles:
    """A person's existing certificate, key and CA, as absolute paths on the component's host.

    Without `ca_file`, the certificate is self-signed. A Prometheus presents the client certificate to servers that
    require one; a server verifies its clients against the client CA.
    """

    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    client_ca_file: str = ""


SSH_PORT = 22

Connect: TypeAlias = Literal["local", "ssh", "incus", "practice", "manual"]
"""How Firescreen connects to a host; practice: a host of the practice stack; manual: a person types the commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """A host and how to connect to it."""

    name: str
    connect: Connect
    address: str = ""
    port: int = SSH_PORT
    user: str = ""
    identity_file: str = ""
    known_hosts: str = ""
    become: str = ""
    """'sudo' to run commands as root with `sudo -n`; '' to run them as the login user."""
    instance: str = ""
    """For an incus host: the instance, or remote:instance."""
    via: str = ""
    """For an incus host: the name of the host that runs the instance with Incus or LXD; '' for this machine."""
    os: str = "linux"
    """linux or windows: which commands are shown for a manual host."""

    @property
    def is_remote(self) -> bool:
        """Whether it is reached over SSH, or in an Incus instance."""
        return self.connect in ("ssh", "incus")

    @property
    def is_real(self) -> bool:
        """Whether it is a real host on which Firescreen can run commands (no practice host, and not manual)."""
        return self.connect == "local" or self.is_remote

    def ssh(self, *options: str) -> list[str]:
        """The words of an `ssh` command that logs in there, with further options before the destination."""
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
    """`host/component`, or `host/component/unit` for a further instance on that host."""
    return "/".join(part for part in (host, component, instance) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec:
    """One component on one host, and its wanted protection."""

    host: str
    name: str
    protect: tuple[Protection, ...] = ()
    names: tuple[str, ...] = ()
    """Names and addresses for the certificate; () to derive them from the scrape targets."""
    unit: str = ""
    """If a host has several instances: the unit's name without `.service`; '' for the default instance."""
    service: str = ""
    """'manual' if a person restarts it, 'docker' if it runs in a container, '' to find out."""
    project: str = ""
    """With service 'docker': the Compose project; '' for any."""
    container: str = ""
    """With service 'docker': the service in that project, or the container's name; '' for any."""
    client_auth_type: ClientAuth = "RequireAndVerifyClientCert"
    """The policy on client certificates, if `protect` has client_cert."""
    client_allowed_sans: tuple[str, ...] = ()
    """Names (SAN) of which a client certificate must have one; () to accept every certificate that the CA signed."""
    min_version: str = ""
    """TLS10 to TLS13; '' for the server's default (TLS12)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """HTTP headers of every response, e.g. X-Frame-Options."""
    rate_limit: RateLimit | None = None
    cluster_tls: bool = False
    """For an Alertmanager: whether the gossip between its peers is encrypted too."""
    files: OwnFiles = OwnFiles()
    """With certificates issued_by 'files': the person's existing files."""

    def means(self, box: Container | None) -> bool:
        """Whether a service in this container (None: in no container) matches this component's settings."""
        if self.service != "docker":
            return True
        if box is None or self.project not in ("", box.project):
            return False
        return self.container in ("", box.service, box.name)

    @property
    def key(self) -> str:
        """`host/name`, or `host/name/unit` with a unit; its name in messages."""
        return instance_key(self.host, self.name, self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSpec:
    """How certificates are issued. They expire `days` days from now; notBefore is an hour ago."""

    issued_by: Literal["ca", "self-signed", "shared", "files"] = "ca"
    key: Literal["ec-p256", "rsa-2048", "rsa-4096", "ed25519"] = "ec-p256"
    days: int = 365
    passphrase: bool = False
    """Whether the CA's key is encrypted with a passphrase that the person enters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpec:
    """One user of basic authentication; `cost` is the bcrypt cost (see components.md: 10 hides which users exist)."""

    name: str
    password: Literal["generate", "prompt", "file"] = "generate"
    file: str = ""
    cost: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The hosts, components and their wanted protection, from which servers and clients are configured."""

    hosts: tuple[HostSpec, ...]
    components: tuple[ComponentSpec, ...]
    certificates: CertificateSpec = CertificateSpec()
    users: tuple[UserSpec, ...] = (UserSpec(name="prometheus"),)
    source: str = ""
    """The file that it was read from, or '' if the wizard created it."""
    accept_broken: tuple[str, ...] = ()
    """HOST/CLIENT/COMPONENT of clients of which the person accepts that they will be rejected after the run."""

    front_doors: tuple[FrontDoor, ...] = ()
    """Reverse proxies that serve components under one name."""
    client_logins: tuple[ClientLogin, ...] = ()
    """The places where Prometheus servers log in by OAuth2 or with a token."""

    @property
    def changes_hosts(self) -> bool:
        """Whether it has settings that change hosts."""
        return bool(self.front_doors or self.client_logins) or any(
            component.protect for component in self.components
        )

    @property
    def asks_password(self) -> bool:
        """Whether any component or front door requires a password."""
        protected = any("basic_auth" in component.protect for component in self.components)
        return protected or any(door.users for door in self.front_doors)

    def doors_to(self, host: str, component: str) -> tuple[tuple[FrontDoor, DoorRoute], ...]:
        """The front doors with a route to a component on a host, each with that route."""
        return tuple(
            (door, route)
            for door in self.front_doors
            for route in door.routes
            if (door.host_of(route), route.to) == (host, component)
        )

    def host(self, name: str) -> HostSpec:
        """The host with a name; raises KeyError if there is none (the loader checks that)."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Answers:
    """A person's answers that must not be in a stack file.

    `passwords` maps user names to typed passwords; `passphrase` decrypts the CA's key, or will encrypt a new one.
    """

    passwords: Mapping[str, Secret] = field(default_factory=dict)
    passphrase: Secret | None = None
    renew: frozenset[str] = frozenset()
    """What to replace although it is still valid: 'ca', 'certificates' (all), host/component, 'passwords'."""
    login_secrets: Mapping[str, Secret] = field(default_factory=dict)
    """The client secrets or tokens to write, by the client login's key; without one, the file on the host is used."""


class Setting(NamedTuple):
    """A setting in a stack: its section, its name, and the entry that it belongs to.

    of: the key of the component, host/proxy of the front door, the key of the client login, or that of the client that
    will be rejected; '' in the other sections.
    """

    section: Literal["components", "users", "certificates", "front_doors", "client_logins", "accept_broken"]
    name: str = ""
    of: str = ""

    def __str__(self) -> str:
        """The setting as a dotted path."""
        return ".".join(part for part in (self.section, self.of, self.name) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question for a person, the same for the screens, the command line and the stack file.

    `priority` is 'high' if everybody sees it, 'low' if only experts do.
    """

    setting: Setting
    """The setting in which the answer is stored."""
    title: str
    why: str
    more: str
    kind: Literal["choice", "text", "number", "names", "password", "secret"]
    """A password is chosen by the person, a secret comes from another program; both are typed without echo."""
    default: str
    choices: tuple[tuple[str, str], ...] = ()
    """(value, label) of each choice"""
    priority: Literal["high", "low"] = "high"
    cost: str = ""
    """For a component's protection: what is interrupted, and which other clients will need credentials."""
    warning: str = ""
    """What the present answer would break, in one sentence; the answer is allowed all the same."""

    @property
    def key(self) -> str:
        """Its id, also for other programs, e.g. `certificates.days` or `components.srv1/node_exporter.protect`."""
        return str(self.setting)
