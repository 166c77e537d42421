"""The complete desired state of a stack's hosts: what a plan would write, and what already exists and belongs to it.

A plan contains only the differences; an export must describe the whole state. Pure: everything comes from the plan's
facts.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Set
from dataclasses import dataclass

from wizard.export.existing_files import in_place, named_by
from wizard.export.front_doors import Doors
from wizard.model import (
    WORKSPACE,
    FileState,
    MakeFolder,
    PathInfo,
    Plan,
    RunService,
    Service,
    WriteFile,
    facts_after,
)
from wizard.planner import paths as layout
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server
from wizard.redact import redact

THERE = -1
"""Stage of files that already exist: if one is missing, it is written before all changes of the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One file of a host, with all its contents from the present one to the final one."""

    host: str
    path: str
    states: tuple[tuple[int, FileState | None], ...]
    """(stage, content written in it), in order; the last is the final content. None: removed."""
    before: FileState | None
    """The content when the export was made."""
    secret: bool
    check: str = ""
    """As in `WriteFile`."""

    @property
    def sums(self) -> tuple[str, ...]:
        """Returns the SHA-256 of every allowed content, hexadecimal, the final one last; '' for a missing file."""
        states = (self.before, *(state for _, state in self.states))
        found = [hashlib.sha256(state.content).hexdigest() if state else "" for state in states]
        return tuple(reversed(dict.fromkeys(reversed(found))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of a host; `mode` contains its permission bits."""

    host: str
    path: str
    stage: int
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A restart or reload in which a service reads the written files."""

    stage: int
    service: Service
    action: str
    """'restart' or 'reload'."""
    files: tuple[str, ...]
    """The files that the service reads only then."""
    by_hand: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    """After a reload: host:port of the targets that Prometheus must scrape by https before anything else is done."""
    secured: bool = False
    """With `awaited`: whether that Prometheus itself serves TLS by then."""
    ready: str = ""
    """After a restart: the URL that answers 200 once a component serves behind its reverse proxy.

    '' for a component that then serves TLS.
    """


class Picture:
    """The desired state of a plan's hosts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.facts = facts_after(plan.facts, plan.changes)
        self._servers = layout.servers(plan.stack, self.facts)
        self._scrapers = layout.scrapers(plan.stack, self.facts)
        self.doors = Doors(plan, self.facts)
        there, self.needed = in_place(plan.stack, self.facts, self._servers, self._scrapers, self.doors)
        changed = _written_files(plan)
        self.files: tuple[Wanted, ...] = (
            *(
                _present(host, path, state)
                for host, path in there
                if (host, path) not in {(each.host, each.path) for each in changed}
                and (state := self.facts.file(host, path)) is not None
            ),
            *changed,
        )
        self.folders = tuple(self._folders())
        self.turns = tuple(self._turns())

    @property
    def scrapers(self) -> tuple[Client, ...]:
        """Returns every Prometheus on the stack's hosts, as it will be."""
        return self._scrapers

    def server(self, client: Client) -> Server | None:
        """Returns a client as one of the protected servers; None if it is not one."""
        return next((server for server in self._servers if server.key == client.key), None)

    @property
    def last(self) -> int:
        """Returns the stage after the plan's last one."""
        return max((step.stage for step in self.plan.steps), default=0) + 1

    def _folders(self) -> Iterator[Folder]:
        made = [
            (step.stage, change)
            for step in self.plan.steps
            for change in step.changes
            if isinstance(change, MakeFolder) and change.host != WORKSPACE
        ]
        yielded = {(change.host, change.path) for _, change in made}
        for server in self._servers:
            paths = [server.home]
            if server.service.flags.kind == "dropin":
                paths.append(posixpath.dirname(server.service.flags.path))
            for path in paths:
                info: PathInfo | None = server.host.folders.get(path)
                if info is not None and (server.spec.host, path) not in yielded:
                    yielded.add((server.spec.host, path))
                    yield _there(server.spec.host, path, info)
        for host, path in self.doors.folders():
            info = self.facts.hosts[host].folders.get(path)
            if info is not None and (host, path) not in yielded:
                yielded.add((host, path))
                yield _there(host, path, info)
        for host, path in dict.fromkeys((each.host, posixpath.dirname(each.path)) for each in self.files):
            # A folder that Firescreen made for a Grafana; folders made by packages are left to them.
            info = self.facts.hosts[host].folders.get(path)
            if info is not None and posixpath.basename(path) == "firescreen" and (host, path) not in yielded:
                yield _there(host, path, info)
        for stage, change in made:
            yield Folder(
                host=change.host,
                path=change.path,
                stage=stage,
                mode=change.mode,
                owner=change.owner,
                group=change.group,
            )

    def _turns(self) -> Iterator[Turn]:
        """Yields the plan's restarts and reloads, then those that a later export may need."""
        planned = set[tuple[str, str]]()
        for step in self.plan.steps:
            for change in step.changes:
                if isinstance(change, RunService):
                    planned.add((change.service.key, change.action))
                    yield Turn(
                        stage=step.stage,
                        service=change.service,
                        action=change.action,
                        files=self._read_at(change),
                        by_hand=change.by_hand,
                        awaited=tuple(turn.instance for turn in change.turns),
                        secured=any(turn.url.startswith("https:") for turn in change.turns),
                        ready=self.doors.ready(change.service) if change.action == "restart" else "",
                    )
        for server in self._servers:
            if (server.key, "restart") not in planned:
                own = server.spec.name == "prometheus"
                files = self._read_at_start(server)
                yield Turn(
                    stage=self.last + own,
                    service=server.service,
                    action="restart",
                    files=files,
                    by_hand=(f"# Restart {server.service.unit} on {server.spec.host}.",),
                )
        yield from self._turns_at_doors(planned)
        for client in (*self._scrapers, *layout.probers(self.plan.stack, self.facts)):
            read = layout.config_files(self.facts, client.service)
            mine = any(each.host == client.service.host and each.path in read for each in self.files)
            if mine and (client.key, "reload") not in planned:
                yield Turn(
                    stage=self.last + 1,
                    service=client.service,
                    action="reload",
                    files=read,
                    by_hand=(
                        f"# Let {client.service.unit} on {client.service.host} read its configuration.",
                    ),
                )

    def _turns_at_doors(self, planned: Set[tuple[str, str]]) -> Iterator[Turn]:
        """Yields those of components behind reverse proxies before that of the proxy."""
        for service, action, files in self.doors.services():
            # A restart also reads everything that a reload would read.
            if not {(service.key, action), (service.key, "restart")} & planned:
                yield Turn(
                    stage=self.last + (action == "reload"),
                    service=service,
                    action=action,
                    files=files,
                    ready=self.doors.ready(service),
                )

    def _read_at(self, change: RunService) -> tuple[str, ...]:
        """Returns what a service reads in a restart or reload of the plan."""
        service = change.service
        if self.doors.has(service) or change.moves_to:
            return self.doors.read_by(service)
        if change.action == "reload":
            return layout.config_files(self.facts, service)
        for server in self._servers:
            if server.key == service.key:
                return (server.web_file, *self._read_at_start(server))
        return ()

    def _read_at_start(self, server: Server) -> tuple[str, ...]:
        """Returns the files that a service reads only at a restart; with systemd credentials, these are all."""
        folder = f"/etc/systemd/system/{server.service.unit}.service.d/"
        unit = [
            each.path for each in self.files if each.host == server.spec.host and each.path.startswith(folder)
        ]
        copied = [server.web_file, *named_by(server)] if server.credentials else []
        read = self.doors.read_by(server.service)  # of an exporter_exporter
        named = (server.service.flags.path, _cluster_file(server), *unit, *copied, *read)
        return tuple(dict.fromkeys(path for path in named if path))


def _there(host: str, path: str, info: PathInfo) -> Folder:
    return Folder(host=host, path=path, stage=THERE, mode=info.mode, owner=info.owner, group=info.group)


def _cluster_file(server: Server) -> str:
    return server.cluster_file if server.spec.cluster_tls else ""


def _written_files(plan: Plan) -> tuple[Wanted, ...]:
    """Returns the files that the plan writes on hosts, each file once."""
    found: dict[tuple[str, str], Wanted] = {}
    for step in plan.steps:
        for change in step.changes:
            if not isinstance(change, WriteFile) or change.host == WORKSPACE:
                continue
            key = (change.host, change.path)
            # Ordered by their last state: files that a configuration names in its last state exist before it.
            earlier = found.pop(key, None)
            secret = change.secret or _is_secret(change.after)
            found[key] = Wanted(
                host=change.host,
                path=change.path,
                states=(*(earlier.states if earlier else ()), (step.stage, change.after)),
                before=earlier.before if earlier else change.before,
                secret=secret or (earlier is not None and earlier.secret),
                check=change.check,
            )
    return tuple(found.values())


def _present(host: str, path: str, state: FileState) -> Wanted:
    return Wanted(host=host, path=path, states=((THERE, state),), before=state, secret=_is_secret(state))


def _is_secret(state: FileState | None) -> bool:
    """Returns whether a file is secret: not readable by everybody on its host, or contains a password or a key."""
    if state is None:
        return False
    text = state.content.decode("utf-8", "replace")
    return not state.mode & 0o004 or redact(text) != text
