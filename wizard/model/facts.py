"""The facts about hosts: services, files, proxies and so on, as discovered."""

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
"""Name of the pseudo host for the workspace, whose files are changed like those of any host."""

MANUAL = "manual"
"""The service manager of services that a person restarts."""


@dataclass(frozen=True, slots=True)
class FileState:
    """The state of a file when it was read; `mode` has the permission bits, e.g. 0o640."""

    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    attributes: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)
    """Access control list and other extended attributes (see `connections.attributes`); only filled in by `examine`."""

    @property
    def rights(self) -> str:
        """Mode and owner, e.g. '0640 root:prometheus'."""
        return f"{self.mode:04o} {self.owner}:{self.group}"


@dataclass(frozen=True, slots=True)
class PathInfo:
    """Type, mode, owner and size of a path, with links followed."""

    kind: Literal["file", "folder", "other"]
    mode: int
    owner: str
    group: str
    size: int


@dataclass(frozen=True, slots=True)
class Examined:
    """The result of examining a path that a plan may write.

    problem: why it cannot be written, or '' (an unprivileged user could redirect root's write, it is immutable, …), with
    `where` and `todo` like in errors. attributes: see `FileState.attributes`. guarded: whether an unprivileged user can
    change its folder.
    """

    problem: str = ""
    where: str = ""
    todo: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of a command; the outputs are decoded with replacement characters."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The file system of a path."""

    path: str
    """The path itself if it exists, else its nearest existing parent, with links resolved."""
    mount: str
    """The mount point of its file system."""
    read_only: bool = False
    immutable: bool = False
    """Whether `path` is marked as immutable or append-only (chattr)."""
    free: int | None = None
    """Free bytes; None if unknown."""


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
    """What splits the variable's value into arguments: systemd (removes quotes), a shell that expands the variable (splits
    at blanks and keeps quotes), or a shell that gets the value as code from systemd."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """Another program that keeps a service running; this program itself is never restarted.

    kind: supervisord, runit, s6, daemontools, pm2, monit, tmux, screen or unit (a systemd unit that runs other programs
    too, or starts the service through a shell). name: the service's name in that program. file: the file with its
    command. line: the beginning of that command line. Both are '' if unknown. restart: the commands that restart only
    this service. renew: the commands for a restart after its command line was changed; () if `restart` is enough.
    """

    kind: str
    name: str
    file: str = ""
    line: str = ""
    restart: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One instance of a component on a host, as discovered."""

    host: str
    component: str
    manager: str
    """The name of its service manager, see `service_managers.registry`; `MANUAL` if a person restarts it."""
    unit: str
    """The systemd unit, the practice service's name, or another name that a person knows it by."""
    instance: str = ""
    """'' for the default instance of the component on its host; the `unit` of a further one."""
    program: str = ""
    version: str = ""
    arguments: tuple[str, ...] = ()
    """The flags with which it runs (or would run), without the program name."""
    listen: str = ""
    """address:port at which clients reach it, e.g. 192.0.2.1:9100; on this machine 127.0.0.1:9100"""
    sockets: tuple[str, ...] = ()
    """address:port of each TCP socket on which it listens (`*`: all addresses); () if unknown."""
    forward: Forward | None = None
    """The tunnel to it, if this machine cannot connect to `listen` directly."""
    out_of_reach: str = ""
    """Why this machine cannot connect to it at all; '' if it can."""
    user: str = "root"
    group: str = "root"
    active: bool = False
    flags: FlagPlace = FlagPlace("manual")
    config_file: str = ""
    web_config: str = ""
    """The web configuration with which it runs, or ''."""
    home: str = ""
    """The folder for its web.yml, key and certificate."""
    hidden: tuple[str, ...] = ()
    """Folders that systemd hides from it (/home, /root, /tmp …); use `hides` to test a path."""
    bound: tuple[str, ...] = ()
    """Paths inside `hidden` that systemd mounts for it all the same."""
    pid: int = 0
    kind: str = ""
    """'' or, if `manager` is manual, what it runs as: container, windows, process."""
    stop_timeout: float = 0.0
    """Seconds that systemd waits for it to end (TimeoutStopSec=); a year if there is no limit."""
    dynamic: bool = False
    """Whether its user exists only while it runs (DynamicUser=yes), so that it cannot own files."""
    credentials: str = ""
    """The folder in which systemd provides (or will provide) copies of its files (LoadCredential=); '' if it reads them
    directly."""
    shared_with: tuple[str, ...] = ()
    """Other programs that run with its user or group, if these are shared ones; () for a user of its own."""
    supervision: Supervision | None = None
    """The program that keeps it running, if that is not its service manager."""
    container: Container | None = field(default=None, repr=False)
    """The container that it runs in; None if it runs in none, or the container engine cannot be queried."""
    unit_text: str = field(default="", repr=False)
    """The unit file and drop-ins, joined by `config_files.unit_settings.join_files`; '' if systemd does not manage it."""

    @property
    def agent(self) -> bool:
        """Whether it is a Prometheus in agent mode, which scrapes and sends samples but answers no queries."""
        return "--agent" in self.arguments or "agent" in self.flag("enable-feature").split(",")

    @property
    def key(self) -> str:
        """`host/component`, or `host/component/unit` for a further instance; its name in messages."""
        return instance_key(self.host, self.component, self.instance)

    def hides(self, path: str) -> str:
        """The hidden folder that contains an absolute path, or '' if the service can see the path."""
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
        """The value of `--name=value` or `--name value` in its arguments, or ''."""
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
    """A line in a unit, crontab, monitoring check or script that requests a component by plain http.

    host, port: the destination as written there. unit: the unit of the file, including `.service`, or ''.
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
    """A setting of grafana.ini that is overridden by an environment variable or a command-line argument."""

    section: str
    key: str
    value: str
    said_by: str
    """The override as written: `GF_SERVER_ROOT_URL=https://…` or `cfg:server.root_url=https://…`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrafanaServer:
    """The Grafana of a host; the service's `config_file` is its grafana.ini."""

    service: Service
    overrides: tuple[GrafanaOverride, ...] = ()

    def override(self, section: str, key: str) -> GrafanaOverride | None:
        """The override of a setting, or None."""
        return next((each for each in self.overrides if (each.section, each.key) == (section, key)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The facts about one host."""

    spec: HostSpec
    names: tuple[str, ...] = ()
    """Names and addresses by which the host is reached, best first."""
    root: bool = False
    """Whether commands run as root."""
    grafana: tuple[Container, ...] = ()
    """Containers with Grafana; only read if something is to be protected."""
    grafana_server: GrafanaServer | None = None
    """The Grafana that runs as a systemd unit, or None."""
    docker_denied: bool = False
    """Whether Docker runs but this user may not use it: its containers are unknown, or known only as processes."""
    selinux: bool = False
    """Whether SELinux is enforced; only read if a component runs in a container."""
    user: str = ""
    """The user with which Firescreen works there; without root, new files belong to this user and `group`."""
    group: str = ""
    promtool: str = ""
    """The path of promtool, or ''."""
    clock: float = 0.0
    """Seconds by which its clock is ahead of this machine's."""
    services: tuple[Service, ...] = ()
    proxies: tuple[Service, ...] = ()
    """The installed reverse proxies that can be front doors; `component` is the proxy's name."""
    callers: tuple[Caller, ...] = ()
    """Scripts and so on that request a component by plain http, and will fail when it only accepts https."""
    files: Mapping[str, FileState | None] = field(default_factory=dict)
    """The files that were read, by path; None if one does not exist."""
    folders: Mapping[str, PathInfo | None] = field(default_factory=dict)
    storage: Mapping[str, Storage] = field(default_factory=dict)
    """The file systems of files and folders, by path."""
    resolved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The addresses to which the host resolves names in its configurations, by `endpoints.canonical` name; () if none."""
    resolver: str = ""
    """Why names could not be resolved there, as a clause ('getent is not installed there'); '' if they could."""
    unreadable: Mapping[str, Examined] = field(default_factory=dict)
    """Files that were not read because the path is not a regular file, or an unprivileged user could redirect root's
    read; they count as missing in `files`."""
    examined: Mapping[str, Examined] = field(default_factory=dict)
    """The paths that a plan may write; empty if nothing is to be protected."""

    def service(self, component: str, instance: str = "") -> Service | None:
        """The service of a component on this host, preferably an active one; None if there is none.

        Args:
            instance: the unit of a further instance; '' for the default one.
        """
        found = [
            service
            for service in self.services
            if service.component == component and service.instance == instance
        ]
        return max(found, key=lambda service: service.active) if found else None


class Spare(NamedTuple):
    """A generated password that is not in use yet, with its bcrypt hash."""

    password: Secret
    hashed: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts about all hosts, including the workspace."""

    hosts: Mapping[str, HostFacts]
    workspace: str = ""
    """Absolute path of the workspace."""
    workspace_option: str = ""
    """The value for --workspace in printed commands: the same path, or '' for the user's default workspace."""
    away: Mapping[str, str] = field(default_factory=dict)
    """Why hosts are unreachable, by name: nothing is planned for them."""
    spares: Mapping[str, Spare] = field(default_factory=dict, repr=False)
    """New passwords for users that may need one, by user name."""
    health: Mapping[str, PrometheusHealth] = field(default_factory=dict, repr=False)
    """The health that each Prometheus of the stack reports, by `host/component`."""
    proxies: Mapping[str, Proxies] = field(default_factory=dict, repr=False)
    """The running reverse proxies of each host."""
    unreachable: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Why a Prometheus cannot connect to a server, by (host of the Prometheus, host:port of the server)."""

    def file(self, host: str, path: str) -> FileState | None:
        """The state of a file; raises KeyError if it was not read (see `planner.required_files.wanted_files`)."""
        return self.hosts[host].files[path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A message about the stack. `id` is stable, so that other programs can rely on it."""

    severity: Severity = "warning"
    id: str
    host: str
    component: str = ""
    what: str
    why: str = ""
    remediation: str = ""
    instance: str = ""
    """The unit of a further instance of the component on its host; '' for the default one."""

    @property
    def where(self) -> str:
        """`host/component`, `host/component/unit` for a further instance, or `host`; '' if it is about no host."""
        return instance_key(self.host, self.component, self.instance)
