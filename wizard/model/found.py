"""What a host has, as found out and not as assumed; and how a host is spoken to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias

from wizard.model.wanted import HostSpec
from wizard.redact import Secret, fingerprint

Severity: TypeAlias = Literal["open", "warning", "ok"]

WORKSPACE = "workspace"
"""Name of the host that stands for Firescreen's own folder: its files are changes like any other."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What a path held when it was looked at; `mode` are the permission bits, e.g. 0o640."""

    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    attributes: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)
    """Access control list and other extended attributes, see `hosts.attributes`; known once `examine` was asked."""

    @property
    def sha256(self) -> str:
        """Fingerprint of the content (12 hexadecimal digits)."""
        return fingerprint(self.content)


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


class Connection(Protocol):
    """A host within reach. Every method may raise `errors.HostError`; none waits without a bound."""

    name: str

    def read(self, path: str) -> FileState | None:
        """The file at `path` (links followed), or None if there is none."""
        ...

    def info(self, path: str) -> PathInfo | None:
        """What stands at `path`, or None."""
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; empty if there is no such folder."""
        ...

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes `state` beside `path` under a temporary name that holds `tag`; returns that name.

        The temporary file has its final mode, owner, group and attributes (and none that its folder would give it)
        before its first byte, and is on the disk (fsync) when this returns. Links are followed where that is
        safe (`hosts.safe_path`): the temporary name lies beside the real file, in a folder that is held.
        """
        ...

    def staged_name(self, path: str, *, tag: str) -> str:
        """The name that `stage` would use: recovery removes it if a run was cut off."""
        ...

    def commit(self, staged: str, path: str) -> None:
        """Renames a staged file onto `path` in one atomic step."""
        ...

    def remove(self, path: str) -> None:
        """Removes a file; no error if it is already gone."""
        ...

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Makes one folder (its parent exists); no error if it is there."""
        ...

    def remove_folder(self, path: str) -> bool:
        """Removes a folder if it is empty; says whether it is gone."""
        ...

    def set_folder_rights(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Gives a folder another owner and mode."""
        ...

    def examine(self, paths: Iterable[str]) -> dict[str, Examined]:
        """Whether each path can be written, and what a rename would drop of what stands there; changes nothing."""
        ...

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program, never through a shell. A time-out is a HostError, a bad exit code is not."""
        ...

    def close(self) -> None:
        """Ends the connection; safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class FlagPlace:
    """Where a service's command-line flags are set.

    kind: 'envfile' (`variable` in `path`, e.g. ARGS in /etc/default/…), 'dropin' (a unit's ExecStart, `path` is
    the drop-in to write), 'argfile' (a practice service's own file) or 'manual'.
    """

    kind: Literal["envfile", "dropin", "argfile", "manual"]
    path: str = ""
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """A way to a server by way of an SSH connection, as `ssh -L` makes one: its host connects to the server.

    host: whose connection. place: address:port as that host reaches the server, e.g. 127.0.0.1:9100.
    """

    host: HostSpec
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One component as it stands on a host, as found out, not as assumed."""

    host: str
    component: str
    manager: Literal["systemd", "process", "manual"]
    unit: str
    """systemd's unit, the practice service's name, or what a person calls it."""
    program: str = ""
    version: str = ""
    arguments: tuple[str, ...] = ()
    """Its flags as it runs (or would run), program name left out."""
    listen: str = ""
    """address:port under which clients reach it, e.g. 192.0.2.1:9100; on this machine 127.0.0.1:9100"""
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
    """Folders that its sandbox hides from it (/home, /root, /tmp …); ask `hides`."""
    bound: tuple[str, ...] = ()
    """What its sandbox shows it all the same, though it lies in `hidden`."""
    pid: int = 0
    kind: str = ""
    """'' or what runs it when `manager` is manual: container, windows, process."""
    unit_text: str = field(default="", repr=False)
    """What systemd holds of the unit, where its flags are to be set by a drop-in."""

    def hides(self, path: str) -> str:
        """The folder by which its sandbox hides an absolute path from it, or ''."""
        within = [
            each for each in (*self.hidden, *self.bound) if f"{path}/".startswith(f"{each.rstrip('/')}/")
        ]
        nearest = max(within, key=len, default="")
        return "" if nearest in self.bound else nearest

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


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What was read from one host."""

    spec: HostSpec
    names: tuple[str, ...] = ()
    """Names and addresses that the host answers to, best first."""
    root: bool = False
    user: str = ""
    """Who we are there, and our primary group: they own what is made without root."""
    group: str = ""
    promtool: str = ""
    """Path of promtool there, or ''."""
    clock: float = 0.0
    """Seconds by which its clock is ahead of this machine's."""
    services: tuple[Service, ...] = ()
    files: Mapping[str, FileState | None] = field(default_factory=dict)
    folders: Mapping[str, PathInfo | None] = field(default_factory=dict)
    unreadable: Mapping[str, Examined] = field(default_factory=dict)
    """Files that were not read, since what stands there is none or an unprivileged user could lead root elsewhere;
    they count as absent in `files`."""
    examined: Mapping[str, Examined] = field(default_factory=dict)
    """Paths that a plan may write; empty where nothing is to be protected."""

    def service(self, component: str) -> Service | None:
        """The service of that component here, the active one first."""
        found = [service for service in self.services if service.component == component]
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
    """Absolute path of Firescreen's own folder."""
    workspace_option: str = ""
    """The same path where a command has to name it: '' for the user's usual one."""
    away: Mapping[str, str] = field(default_factory=dict)
    """Hosts that could not be reached, and why: nothing is planned for them, the others go on."""
    spares: Mapping[str, Spare] = field(default_factory=dict, repr=False)
    """A new password for users that may need one, by name."""

    def file(self, host: str, path: str) -> FileState | None:
        """The file as read; KeyError if it was not asked for (see `steps.wanted_files`)."""
        return self.hosts[host].files[path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to tell: `id` is stable, so that other programs can rely on it."""

    severity: Severity
    id: str
    host: str
    component: str
    what: str
    why: str = ""
    mend: str = ""
