"""What a host has, as found out and not as assumed; and how a host is spoken to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from wizard.model.containers import Container
from wizard.model.health import PrometheusHealth, Proxies
from wizard.model.probes import Forward
from wizard.model.stack import HostSpec, instance_key
from wizard.redact import Secret

Severity: TypeAlias = Literal["open", "warning", "ok"]

WORKSPACE = "workspace"
"""Name of the host that stands for the workspace: its files are changes like any other."""

MANUAL = "manual"
"""The service manager of what a person restarts."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What a path held when it was looked at; `mode` are the permission bits, e.g. 0o640."""

    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    attributes: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)
    """Access control list and other extended attributes, see `connections.attributes`; known once `examine` was asked."""

    @property
    def rights(self) -> str:
        """Mode and owner, e.g. '0640 root:prometheus'."""
        return f"{self.mode:04o} {self.owner}:{self.group}"


@dataclass(frozen=True, slots=True)
class PathInfo:
    """What stands at a path, links followed; `kind` is file, folder or other."""

    kind: Literal["file", "folder", "other"]
    mode: int
    owner: str
    group: str
    size: int


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out of a path that may be written.

    problem: why it cannot be, or '' (an unprivileged user could lead root elsewhere, it is immutable, …), with `where`
    and `todo` as errors have them. attributes: see `FileState.attributes`. guarded: whether an unprivileged user can
    change its folder.
    """

    problem: str = ""
    where: str = ""
    todo: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended; the outputs are decoded with replacement characters."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What a path lies on."""

    path: str
    """What exists of the path, with links resolved: itself, or the nearest folder."""
    mount: str
    """Where its file system is mounted."""
    read_only: bool = False
    immutable: bool = False
    """Whether `path` is marked as immutable or append-only (chattr)."""
    free: int | None = None
    """Bytes that are left there; None where the host cannot say."""


@dataclass(frozen=True, slots=True)
class FlagPlace:
    """Where a service's command-line flags are set.

    kind: 'envfile' (`variable` in `path`, e.g. ARGS in /etc/default/…), 'dropin' (a unit's ExecStart, `path` is
    the drop-in to write), 'argfile' (a practice service's own file), 'compose' (the service `variable` of the Compose
    file `path`), 'quadlet' (Podman's `.container` file `path`) or 'manual'.
    """

    kind: Literal["envfile", "dropin", "argfile", "compose", "quadlet", "manual"]
    path: str = ""
    variable: str = ""
    reader: Literal["systemd", "shell", "code"] = "systemd"
    """Who splits the variable's value into arguments: systemd (quotes are removed), a shell that expands it (at blanks,
    quotes stay), or a shell that gets it as code from systemd."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """Another program that keeps a service running, and is never restarted for it.

    kind: supervisord, runit, s6, daemontools, pm2, monit, tmux, screen or unit (a systemd unit that holds more, or
    that starts it by way of a shell). name: what that program calls the service. file: where its command stands, and
    `line` what begins there, each '' where that is not known. restart: what a person types to restart it alone.
    renew: the same after its command was changed; () where `restart` does.
    """

    kind: str
    name: str
    file: str = ""
    line: str = ""
    restart: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One component as it stands on a host, as found out, not as assumed."""

    host: str
    component: str
    manager: str
    """The name of its service manager, see `service_managers.registry`; `MANUAL` for a person."""
    unit: str
    """systemd's unit, the practice service's name, or what a person calls it."""
    instance: str = ""
    """'' for the usual one of its component on its host; of a further one its `unit`."""
    program: str = ""
    version: str = ""
    arguments: tuple[str, ...] = ()
    """Its flags as it runs (or would run), program name left out."""
    listen: str = ""
    """address:port under which clients reach it, e.g. 192.0.2.1:9100; on this machine 127.0.0.1:9100"""
    sockets: tuple[str, ...] = ()
    """address:port of each TCP socket that it listens on (`*`: all addresses); () where that cannot be seen."""
    forward: Forward | None = None
    """How it is asked where this machine cannot reach `listen` itself."""
    out_of_reach: str = ""
    """Why this machine can ask it in no way, or ''."""
    user: str = "root"
    group: str = "root"
    active: bool = False
    flags: FlagPlace = FlagPlace("manual")
    config_file: str = ""
    web_config: str = ""
    """The web configuration that it runs with, or ''."""
    home: str = ""
    """The folder for its web.yml, key and certificate."""
    hidden: tuple[str, ...] = ()
    """Folders that systemd hides from it (/home, /root, /tmp …); ask `hides`."""
    bound: tuple[str, ...] = ()
    """What systemd shows it all the same, though it lies in `hidden`."""
    pid: int = 0
    kind: str = ""
    """'' or what runs it when `manager` is manual: container, windows, process."""
    stop_timeout: float = 0.0
    """Seconds that systemd waits for it to end (TimeoutStopSec=); a year for as long as it takes."""
    dynamic: bool = False
    """Whether its user exists only while it runs (DynamicUser=yes), so that no file can belong to it."""
    credentials: str = ""
    """The folder in which systemd hands it copies of its files (LoadCredential=), or is to; '' where it reads them."""
    shared_with: tuple[str, ...] = ()
    """What else runs as its user or in its group now, where these are nobody's own; () for a user of its own."""
    supervision: Supervision | None = None
    """What keeps it running, where that is another program."""
    container: Container | None = field(default=None, repr=False)
    """The container that it runs in, as the daemon describes it; None for none, or where no daemon can be asked."""
    unit_text: str = field(default="", repr=False)
    """The unit's files as `config_files.unit_settings.join_files` puts them together; '' where systemd does not manage it."""

    @property
    def agent(self) -> bool:
        """Whether it is a Prometheus in agent mode: it scrapes and sends on, and answers no queries."""
        return "--agent" in self.arguments or "agent" in self.flag("enable-feature").split(",")

    @property
    def key(self) -> str:
        """`host/component`, of a further instance `host/component/unit`: the way messages name it."""
        return instance_key(self.host, self.component, self.instance)

    def hides(self, path: str) -> str:
        """The folder with which systemd hides an absolute path from it, or ''."""
        within = [
            each for each in (*self.hidden, *self.bound) if f"{path}/".startswith(f"{each.rstrip('/')}/")
        ]
        nearest = max(within, key=len, default="")
        return "" if nearest in self.bound else nearest

    @property
    def is_manual(self) -> bool:
        """Whether a person restarts it and sets its flags."""
        return self.manager == MANUAL

    def flag(self, name: str) -> str:
        """The value of `--name=value` or `--name value` as it runs, or ''."""
        for index, argument in enumerate(self.arguments):
            if argument in (f"--{name}", f"-{name}"):
                following = self.arguments[index + 1 : index + 2]
                return following[0] if following and not following[0].startswith("--") else ""
            head, sign, value = argument.partition("=")
            if sign and head in (f"--{name}", f"-{name}"):
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Caller:
    """A line on a host that asks a component by plain http: of a unit, a cron table, a monitor's check or a script.

    host, port: what it asks, as written there. unit: the unit whose file it is, with its `.service`, or ''.
    """

    kind: Literal["unit", "cron", "check", "script"]
    path: str
    line: int
    text: str
    host: str
    port: int
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrafanaOverride:
    """A setting that a variable of its environment, or a word of its command line, takes away from grafana.ini."""

    section: str
    key: str
    value: str
    said_by: str
    """As it stands there: `GF_SERVER_ROOT_URL=https://…` or `cfg:server.root_url=https://…`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrafanaServer:
    """Grafana on a host; the service's `config_file` is its grafana.ini."""

    service: Service
    overrides: tuple[GrafanaOverride, ...] = ()

    def override(self, section: str, key: str) -> GrafanaOverride | None:
        """What wins over grafana.ini for a setting, or None."""
        return next((each for each in self.overrides if (each.section, each.key) == (section, key)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What was read from one host."""

    spec: HostSpec
    names: tuple[str, ...] = ()
    """Names and addresses that the host answers to, best first."""
    root: bool = False
    grafana: tuple[Container, ...] = ()
    """Containers that Grafana runs in; only asked for where something is to be protected."""
    grafana_server: GrafanaServer | None = None
    """The Grafana that systemd runs here, or None."""
    docker_denied: bool = False
    """Whether Docker runs here and this user may not ask it: its containers are not known, or only as processes."""
    selinux: bool = False
    """Whether SELinux is enforced; only asked where something runs in a container."""
    user: str = ""
    """Who we are there, and our primary group: they own what is made without root."""
    group: str = ""
    promtool: str = ""
    """Path of promtool there, or ''."""
    clock: float = 0.0
    """Seconds by which its clock is ahead of this machine's."""
    services: tuple[Service, ...] = ()
    proxies: tuple[Service, ...] = ()
    """The reverse proxies that are installed here and can be front doors; `component` is the proxy's name."""
    callers: tuple[Caller, ...] = ()
    """What asks a component by plain http and is no component: it stops working when that speaks https."""
    files: Mapping[str, FileState | None] = field(default_factory=dict)
    folders: Mapping[str, PathInfo | None] = field(default_factory=dict)
    storage: Mapping[str, Storage] = field(default_factory=dict)
    """What the files and folders lie on."""
    resolved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Addresses to which its own resolver leads names that its configurations use; () if it knows none.

    The names are as `endpoints.canonical` has them.
    """
    resolver: str = ""
    """Why names could not be resolved there, a clause ('getent is not installed there'), or ''."""
    unreadable: Mapping[str, Examined] = field(default_factory=dict)
    """Files that were not read, since what stands there is none or an unprivileged user could lead root elsewhere;
    they count as absent in `files`."""
    examined: Mapping[str, Examined] = field(default_factory=dict)
    """Paths that a plan may write; empty where nothing is to be protected."""

    def service(self, component: str, instance: str = "") -> Service | None:
        """The service of that component here, the active one first.

        Args:
            instance: the unit of a further one of its kind; '' for the usual one.
        """
        found = [
            service
            for service in self.services
            if service.component == component and service.instance == instance
        ]
        return max(found, key=lambda service: service.active) if found else None


class Spare(NamedTuple):
    """A password that was made and is nobody's yet, with its bcrypt hash."""

    password: Secret
    hashed: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read from all the hosts, the workspace among them."""

    hosts: Mapping[str, HostFacts]
    workspace: str = ""
    """Absolute path of the workspace."""
    workspace_option: str = ""
    """The same path where a command has to name it: '' for the user's usual one."""
    away: Mapping[str, str] = field(default_factory=dict)
    """Hosts that could not be reached, and why: nothing is planned for them, the others go on."""
    spares: Mapping[str, Spare] = field(default_factory=dict, repr=False)
    """A new password for users that may need one, by name."""
    health: Mapping[str, PrometheusHealth] = field(default_factory=dict, repr=False)
    """What each Prometheus of the stack reports, by `host/component`."""
    proxies: Mapping[str, Proxies] = field(default_factory=dict, repr=False)
    """The reverse proxies that run on each host."""
    unreachable: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(host of a Prometheus, host:port) of servers that it cannot connect to, and why."""

    def file(self, host: str, path: str) -> FileState | None:
        """The file as read; KeyError if it was not asked for (see `planner.required_files.wanted_files`)."""
        return self.hosts[host].files[path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to tell, a warning where nothing else is said: `id` is stable, so that other programs can rely on it."""

    severity: Severity = "warning"
    id: str
    host: str
    component: str = ""
    what: str
    why: str = ""
    remediation: str = ""
    instance: str = ""
    """The unit of a further instance of that component on its host; '' for the usual one."""

    @property
    def where(self) -> str:
        """`host/component`, of a further instance `host/component/unit`; less where it is about less."""
        return instance_key(self.host, self.component, self.instance)
