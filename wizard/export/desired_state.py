"""What a stack's hosts are to hold, as a whole: what a plan would write, and what is there already and belongs to it.

A plan says what is missing; an export has to say how it is to be. Pure: everything comes from the plan's facts.
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
"""Stage of what is in place already: written before all that the plan changes, should it be missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One file of a host, with all that it holds on the way to how it is to be."""

    host: str
    path: str
    states: tuple[tuple[int, FileState | None], ...]
    """(stage, what is written then), in order; the last is the final one. None: removed."""
    before: FileState | None
    """What was there when the export was made."""
    secret: bool
    check: str = ""
    """As of `WriteFile`."""

    @property
    def sums(self) -> tuple[str, ...]:
        """SHA-256 of everything that may stand there, hexadecimal; the final one last, '' for nothing."""
        states = (self.before, *(state for _, state in self.states))
        found = [hashlib.sha256(state.content).hexdigest() if state else "" for state in states]
        return tuple(reversed(dict.fromkeys(reversed(found))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of a host; `mode` are its permission bits."""

    host: str
    path: str
    stage: int
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A moment in which a service takes what was written."""

    stage: int
    service: Service
    action: str
    """restart or reload"""
    files: tuple[str, ...]
    """Those that it reads only in that moment."""
    by_hand: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    """After a reload: host:port of the targets that Prometheus must ask by https before anything else is done."""
    secured: bool = False
    """With `awaited`: whether that Prometheus speaks TLS itself by then."""
    ready: str = ""
    """After a restart: the URL that answers 200 once a component serves behind its front door; '' for one that then
    speaks TLS."""


class Picture:
    """How the hosts of a plan's stack are to be."""

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
        """Every Prometheus of the stack's hosts, as it will be."""
        return self._scrapers

    def server(self, client: Client) -> Server | None:
        """A client as one of the servers that are protected; None if it is not."""
        return next((server for server in self._servers if server.key == client.key), None)

    @property
    def last(self) -> int:
        """The stage behind the plan's last."""
        return max((step.stage for step in self.plan.steps), default=0) + 1

    def _folders(self) -> Iterator[Folder]:
        made = [
            (step.stage, change)
            for step in self.plan.steps
            for change in step.changes
            if isinstance(change, MakeFolder) and change.host != WORKSPACE
        ]
        known = {(change.host, change.path) for _, change in made}
        for server in self._servers:
            paths = [server.home]
            if server.service.flags.kind == "dropin":
                paths.append(posixpath.dirname(server.service.flags.path))
            for path in paths:
                info: PathInfo | None = server.host.folders.get(path)
                if info is not None and (server.spec.host, path) not in known:
                    known.add((server.spec.host, path))
                    yield _there(server.spec.host, path, info)
        for host, path in self.doors.folders():
            info = self.facts.hosts[host].folders.get(path)
            if info is not None and (host, path) not in known:
                known.add((host, path))
                yield _there(host, path, info)
        for host, path in dict.fromkeys((each.host, posixpath.dirname(each.path)) for each in self.files):
            # A folder that Firescreen made for a Grafana; what packages made is theirs.
            info = self.facts.hosts[host].folders.get(path)
            if info is not None and posixpath.basename(path) == "firescreen" and (host, path) not in known:
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
        """The plan's own; and behind them those of services that need nothing now, and may after a new start."""
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
        """What is behind front doors before the proxy that leads there."""
        for service, action, files in self.doors.services():
            # What restarts has read all that a reload would have it read.
            if not {(service.key, action), (service.key, "restart")} & planned:
                yield Turn(
                    stage=self.last + (action == "reload"),
                    service=service,
                    action=action,
                    files=files,
                    ready=self.doors.ready(service),
                )

    def _read_at(self, change: RunService) -> tuple[str, ...]:
        """What a service reads when it is restarted, or reloaded, as the plan wants it."""
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
        """What the server of a running service reads at a restart only; one that has copies reads nothing else."""
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
    """What the plan writes on hosts, each file once."""
    found: dict[tuple[str, str], Wanted] = {}
    for step in plan.steps:
        for change in step.changes:
            if not isinstance(change, WriteFile) or change.host == WORKSPACE:
                continue
            key = (change.host, change.path)
            # In the order of their last states: what a configuration names by then is there before it.
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
    """Whether a file is a secret: not everybody on its host may read it, or it holds a password or a key."""
    if state is None:
        return False
    text = state.content.decode("utf-8", "replace")
    return not state.mode & 0o004 or redact(text) != text
