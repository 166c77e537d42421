"""Planned changes as data: preview, apply, undo and journal all use the same objects."""

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
    """What a file contains."""

    CERTIFICATE = "certificate"
    """One or several certificates, without a key."""
    PRIVATE_KEY = "private-key"
    PASSWORD = "password"
    CURL_CONFIG = "curl-config"
    """User and password in a configuration file for curl."""
    HTTP_CLIENT_CONFIG = "http-client-config"
    """A file for --http.config.file of promtool and amtool."""
    WEB_CONFIG = "web-config"
    CLUSTER_CONFIG = "cluster-config"
    """The TLS settings of Alertmanager's gossip."""
    PROMETHEUS_CONFIG = "prometheus-config"
    BLACKBOX_CONFIG = "blackbox-config"
    ALERT_RULES = "alert-rules"
    PROXY_CONFIG = "proxy-config"
    """The configuration of a front door for its reverse proxy."""
    PASSWORD_HASHES = "password-hashes"
    """Users and bcrypt hashes of a front door, in the format of htpasswd."""
    SIGN_IN_SECRET = "sign-in-secret"
    """The client secret of a front door at an OpenID provider, and the key of its sessions."""
    DATA_SOURCES = "data-sources"
    """Grafana's provisioned data sources."""
    SERVICE_FLAGS = "service-flags"
    """A file from which a service manager reads a service's command line or other settings, e.g. a systemd drop-in."""
    BACKUP = "backup"
    """The previous content of a file from a journal or a copy, whatever it is."""


_VALIDATED = (
    ContentKind.WEB_CONFIG,
    ContentKind.CLUSTER_CONFIG,
    ContentKind.PROMETHEUS_CONFIG,
    ContentKind.BLACKBOX_CONFIG,
    ContentKind.PROXY_CONFIG,
)
"""Kinds of files that are validated as a staged file before they replace the old one."""


class StepKind(StrEnum):
    """What a step does. The id of a step begins with this value."""

    CA = "ca"
    USER = "user"
    SHARED_CERTIFICATE = "shared"
    PROBE_CERTIFICATES = "clients"
    TRUST_COPIES = "proof"
    """CA certificates in the workspace against which the probes verify servers."""
    COMMAND_LINE_TOOLS = "tools"
    SERVER_CERTIFICATE = "certificate"
    WEB_CONFIG = "web"
    FLAGS = "flag"
    SYSTEMD_CREDENTIALS = "credentials"
    RELOAD_COMMAND = "reload-command"
    CLUSTER = "cluster"
    RESTART = "switch"
    TRUST = "trust"
    """CA certificates on a client's host against which it verifies servers."""
    CLIENT_CERTIFICATE = "client"
    CLIENT_PASSWORD = "password"
    SCRAPE_CONFIG = "job"
    BLACKBOX_MODULES = "modules"
    GRAFANA = "grafana"
    RELOAD = "reload"
    LOGIN = "login"
    """A client's second edit, which adds the password file."""
    NARROW = "narrow"
    """Removes replaced certificates from a CA bundle."""
    ROTATE = "rotate"
    """A part of replacing a password that is in use."""
    FRONT_DOOR = "door"
    """The configuration of a reverse proxy, and the files that it names."""
    FRONT_DOOR_PATHS = "paths"
    """Sets the path prefix below which Prometheus scrapes a server or sends alerts."""
    FRONT_DOOR_RELOAD = "open-door"
    UPKEEP = "upkeep"
    """Installs the timer for renewals or the alert rules."""
    RESTORE = "restore"
    """Restores files that somebody else has changed."""


class Role(StrEnum):
    """At which end of a connection a step's component is."""

    SERVER = "server"
    CLIENT = "client"
    WORKSPACE = "workspace"
    """At neither end: files in the workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByHand:
    """A change with the commands by which a person could make it."""

    by_hand: tuple[Typed, ...] = ()
    route: Route | None = None
    """How a person reaches the host from the machine where Firescreen runs; None if it is that machine."""

    @property
    def typed_here(self) -> bool:
        """Whether `commands` have to be typed on the machine where Firescreen runs, and not on the host."""
        return is_typed_here(self.by_hand, self.route)

    def commands(self) -> tuple[str, ...]:
        """The commands that a person would type for the same result."""
        return render_commands(self.by_hand, self.route)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile(_ByHand):
    """A file that is created (`before` is None), edited, or removed (`after` is None)."""

    host: str
    path: str
    before: FileState | None
    after: FileState | None
    why: str
    content_kind: ContentKind
    secret: bool = False
    """Whether a fingerprint is shown instead of the content."""
    about: tuple[str, ...] = ()
    """A description of the content for a person, e.g. of a certificate, whose PEM text is not readable."""

    @property
    def kind(self) -> str:
        """'create', 'edit', 'mode' (only owner or mode change) or 'remove'."""
        if self.after is None:
            return "remove"
        if self.before is None:
            return "create"
        return "edit" if self.before.content != self.after.content else "mode"

    @property
    def check(self) -> str:
        """Which check the staged file must pass before it replaces the old one; '' for none."""
        return self.content_kind if self.content_kind in _VALIDATED else ""

    def title(self) -> str:
        """The text in a list of changes."""
        return f"{self.kind} {self.path}"

    def diff(self, context: int = 3) -> str:
        """A unified diff with secrets masked; only fingerprints for a secret file; '' if nothing changes."""
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
    """A folder that is created."""

    host: str
    path: str
    mode: int
    owner: str
    group: str
    why: str
    kind: str = field(default="folder", init=False)

    def title(self) -> str:
        """The text in a list of changes."""
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
    """The commands by which a person does it, from its service manager."""
    moves_to: str = ""
    """For a restart: the new address:port on its own host if it changes; else ''."""
    turns: tuple[Probe, ...] = ()
    """For a reload: the targets that Prometheus must scrape by https before the next change is made.

    Prometheus may take ten seconds to apply a new scheme to its targets; a server that switched to https earlier would
    not be scraped during that time.
    """
    turned: tuple[Probe, ...] = ()
    """The same targets, queried with the credentials that this Prometheus requires after the run; used by an undo."""

    @property
    def kind(self) -> str:
        """'restart' or 'reload'."""
        return self.action

    @property
    def path(self) -> str:
        """The unit; `plan --json` has it where other changes have the path of a file."""
        return self.service.unit

    def title(self) -> str:
        """The text in a list of changes."""
        return f"{self.action} {self.service.unit}"

    def diff(self, context: int = 3) -> str:
        """One line; for a container also the commands, because there are several ways to recreate one."""
        is_container = self.service.container is not None and not self.service.is_manual
        commands = self.by_hand if is_container else ()
        return "".join(f"! {line}\n" for line in (self.title(), *(f"  {each}" for each in commands)))

    def commands(self) -> tuple[str, ...]:
        """The commands that a person would type on the host for the same result."""
        return self.by_hand


Change: TypeAlias = WriteFile | MakeFolder | RunService


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """Changes on one host that belong together."""

    id: str
    """A stable identifier for other programs; product code uses the fields below instead."""
    kind: StepKind
    title: str
    host: str
    why: str
    changes: tuple[Change, ...]
    role: Role = Role.WORKSPACE
    component: str = ""
    """The component that it changes; '' if it changes none."""
    instance: str = ""
    """The unit of a further instance of the component on its host; '' for the default one."""
    stage: int = 0
    """Steps of the same stage on different hosts run in parallel; a stage begins after the previous one is done."""

    @property
    def key(self) -> str:
        """`host/component`, `host/component/unit` for a further instance, or `host` if it changes no component."""
        return instance_key(self.host, self.component, self.instance)


def facts_after(facts: Facts, changes: Iterable[Change]) -> Facts:
    """The facts with the files as they will be after these changes; services stay as they are."""
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
