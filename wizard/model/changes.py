"""What will change, as data: preview, apply, undo and journal all come from the same object."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from wizard.model.facts import Facts, FileState, Service
from wizard.model.manual_commands import Route, Typed, is_typed_here, render_commands
from wizard.model.probes import Probe
from wizard.model.stack import instance_key
from wizard.redact import redact, secret_fingerprint


class ContentKind(StrEnum):
    """What a file holds."""

    CERTIFICATE = "certificate"
    """One or several, without a key."""
    PRIVATE_KEY = "private-key"
    PASSWORD = "password"
    CURL_CONFIG = "curl-config"
    """User and password as curl reads them."""
    HTTP_CLIENT_CONFIG = "http-client-config"
    """What promtool and amtool take as --http.config.file."""
    WEB_CONFIG = "web-config"
    CLUSTER_CONFIG = "cluster-config"
    """The TLS of Alertmanager's gossip."""
    PROMETHEUS_CONFIG = "prometheus-config"
    BLACKBOX_CONFIG = "blackbox-config"
    ALERT_RULES = "alert-rules"
    PROXY_CONFIG = "proxy-config"
    """A front door, as a reverse proxy reads it."""
    PASSWORD_HASHES = "password-hashes"
    """Users and bcrypt hashes of a front door, as htpasswd writes them."""
    SIGN_IN_SECRET = "sign-in-secret"
    """What a front door needs to be a client of an OpenID provider: its secret, and the key of its sessions."""
    DATA_SOURCES = "data-sources"
    """Grafana's provisioning."""
    SERVICE_FLAGS = "service-flags"
    """Where a service manager reads the command line of a service, or more about how it is run."""
    BACKUP = "backup"
    """What a journal kept of a file, whatever that held."""


_VALIDATED = (
    ContentKind.WEB_CONFIG,
    ContentKind.CLUSTER_CONFIG,
    ContentKind.PROMETHEUS_CONFIG,
    ContentKind.BLACKBOX_CONFIG,
    ContentKind.PROXY_CONFIG,
)
"""What is validated as a staged file before it replaces the old one."""


class StepKind(StrEnum):
    """What a step does; its id begins with the value."""

    CA = "ca"
    USER = "user"
    SHARED_CERTIFICATE = "shared"
    PROBE_CERTIFICATES = "clients"
    TRUST_COPIES = "proof"
    """What the probes check the servers against."""
    COMMAND_LINE_TOOLS = "tools"
    SERVER_CERTIFICATE = "certificate"
    WEB_CONFIG = "web"
    FLAGS = "flag"
    SYSTEMD_CREDENTIALS = "credentials"
    RELOAD_COMMAND = "reload-command"
    CLUSTER = "cluster"
    RESTART = "switch"
    TRUST = "trust"
    """What a client checks the servers against."""
    CLIENT_CERTIFICATE = "client"
    CLIENT_PASSWORD = "password"
    SCRAPE_CONFIG = "job"
    BLACKBOX_MODULES = "modules"
    GRAFANA = "grafana"
    RELOAD = "reload"
    LOGIN = "login"
    """A client's second edit, which names the password."""
    NARROW = "narrow"
    """Takes what was replaced out of a bundle."""
    ROTATE = "rotate"
    """Part of the replacement of a password that is in use."""
    FRONT_DOOR = "door"
    """The configuration of a reverse proxy, and what it names."""
    FRONT_DOOR_PATHS = "paths"
    """Where a Prometheus scrapes, or sends alerts to, below a path."""
    FRONT_DOOR_RELOAD = "open-door"
    UPKEEP = "upkeep"
    """The timer that renews, or what it needs."""
    RESTORE = "restore"
    """Restores what somebody else has changed."""


class Role(StrEnum):
    """At which end of a connection the component of a step is."""

    SERVER = "server"
    CLIENT = "client"
    WORKSPACE = "workspace"
    """At neither: files of Firescreen's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByHand:
    """A change that a person could make too."""

    by_hand: tuple[Typed, ...] = ()
    route: Route | None = None
    """How a person gets to the host from the machine where Firescreen runs; None where that is the host."""

    @property
    def typed_here(self) -> bool:
        """Whether `commands` are typed on the machine where Firescreen runs and not on the host."""
        return is_typed_here(self.by_hand, self.route)

    def commands(self) -> tuple[str, ...]:
        """What a person would type for the same result."""
        return render_commands(self.by_hand, self.route)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile(_ByHand):
    """A file made, edited or (with `after` None) removed. `before` None: there was none."""

    host: str
    path: str
    before: FileState | None
    after: FileState | None
    why: str
    content_kind: ContentKind
    secret: bool = False
    """Show a fingerprint in place of the content."""
    about: tuple[str, ...] = ()
    """What the content says, for a person: a certificate's text tells nobody anything."""

    @property
    def kind(self) -> str:
        """create, edit, mode (only owner or mode) or remove."""
        if self.after is None:
            return "remove"
        if self.before is None:
            return "create"
        return "edit" if self.before.content != self.after.content else "mode"

    @property
    def check(self) -> str:
        """How the staged file is validated before it replaces the old one; '' for not at all."""
        return self.content_kind if self.content_kind in _VALIDATED else ""

    def title(self) -> str:
        """What a list of changes says."""
        return f"{self.kind} {self.path}"

    def diff(self, context: int = 3) -> str:
        """A unified diff with secrets masked; of a secret file only fingerprints; '' for nothing."""
        if self.secret:
            return "".join(
                f"{sign} {_describe(state)} (content not shown)\n"
                for sign, state in (("-", self.before), ("+", self.after))
                if state is not None
            )
        old, new = (_lines(state) for state in (self.before, self.after))
        text = "\n".join(
            line.rstrip("\r\n")
            for line in difflib.unified_diff(
                old,
                new,
                "/dev/null" if self.before is None else self.path,
                "/dev/null" if self.after is None else self.path,
                n=context,
            )
        )
        lines = [f"# {line}" for line in self.about]
        lines += [redact(text)] if text else []
        if self.before is not None and self.after is not None:
            was, becomes = self.before.rights, self.after.rights
            if was != becomes:
                lines.append(f"mode and owner: {was} -> {becomes}")
        elif self.after is not None:
            lines.append(f"mode and owner: {self.after.rights}")
        return "\n".join(lines) + "\n" if lines else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeFolder(_ByHand):
    """A folder that does not exist yet."""

    host: str
    path: str
    mode: int
    owner: str
    group: str
    why: str
    kind: str = field(default="folder", init=False)

    def title(self) -> str:
        """What a list of changes says."""
        return f"make folder {self.path}"

    def diff(self, context: int = 3) -> str:
        """One line: the folder with its mode and owner."""
        return f"+ {self.path}/  {self.mode:04o} {self.owner}:{self.group}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunService:
    """A service that is restarted or reloaded."""

    host: str
    service: Service
    action: Literal["restart", "reload"]
    why: str
    by_hand: tuple[str, ...] = ()
    """As its service manager prints it."""
    moves_to: str = ""
    """Of a restart: address:port on its own host at which it listens after it, where that is another; else ''."""
    turns: tuple[Probe, ...] = ()
    """After a reload: the targets that Prometheus must ask by https before the next change is made.

    It may take some ten seconds to carry a new scheme over to its targets; a server that turned before then
    would be missed for as long.
    """
    turned: tuple[Probe, ...] = ()
    """The same targets, asked as this Prometheus is reached when the run has ended: an undo asks them in this way."""

    @property
    def kind(self) -> str:
        """restart or reload."""
        return self.action

    @property
    def path(self) -> str:
        """The unit: what `plan --json` names where other changes name a file."""
        return self.service.unit

    def title(self) -> str:
        """What a list of changes says."""
        return f"{self.action} {self.service.unit}"

    def diff(self, context: int = 3) -> str:
        """One line; of a container, also the commands, as several ways lead to a new one."""
        told = self.by_hand if self.service.container is not None and not self.service.is_manual else ()
        return "".join(f"! {line}\n" for line in (self.title(), *(f"  {each}" for each in told)))

    def commands(self) -> tuple[str, ...]:
        """What a person would type on the host for the same result."""
        return self.by_hand


Change: TypeAlias = WriteFile | MakeFolder | RunService


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """Changes that belong together: one idea, on one host."""

    id: str
    """Stable, for other programs; what a step is stands in the fields below."""
    kind: StepKind
    title: str
    host: str
    why: str
    changes: tuple[Change, ...]
    role: Role = Role.WORKSPACE
    component: str = ""
    """What it is about; '' where that is no component."""
    instance: str = ""
    """The unit of a further instance of that component on its host; '' for the usual one."""
    stage: int = 0
    """Steps of one stage on different hosts do not wait for each other; a stage begins when the one before is done."""

    @property
    def key(self) -> str:
        """`host/component`, of a further instance `host/component/unit`; the host alone where it is about no component."""
        return instance_key(self.host, self.component, self.instance)


def facts_after(facts: Facts, changes: Iterable[Change]) -> Facts:
    """What the hosts will hold once these changes are made; of services, nothing is said."""
    hosts = dict(facts.hosts)
    for change in changes:
        if isinstance(change, WriteFile):
            known = hosts[change.host]
            hosts[change.host] = replace(known, files={**known.files, change.path: change.after})
    return replace(facts, hosts=hosts)


def _lines(state: FileState | None) -> list[str]:
    if state is None:
        return []
    return state.content.decode("utf-8", "backslashreplace").splitlines(keepends=True)


def _describe(state: FileState) -> str:
    return f"{state.rights}, fingerprint {secret_fingerprint(state.content)}"
