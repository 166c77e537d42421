"""What a stack's hosts are to hold, as a whole: what a plan would write, and what is there already and belongs to it.

A plan says what is missing; an export has to say how it is to be. Pure: everything comes from the plan's facts.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wizard.components import component as find_component
from wizard.config_files import alertmanager_cluster, web_config
from wizard.model import (
    WORKSPACE,
    Facts,
    FileState,
    MakeFolder,
    PathInfo,
    Plan,
    RunService,
    Service,
    Stack,
    WriteFile,
    facts_after,
)
from wizard.planner import blackbox, grafana
from wizard.planner import paths as layout
from wizard.planner.client_endpoints import Place
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A file that a person brought and that the stack uses: it stays where it is and is not exported."""

    host: str
    path: str


class Picture:
    """How the hosts of a plan's stack are to be."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.facts = facts_after(plan.facts, plan.changes)
        self._servers = layout.servers(plan.stack, self.facts)
        self._scrapers = layout.scrapers(plan.stack, self.facts)
        there, self.needed = _in_place(plan.stack, self.facts, self._servers, self._scrapers)
        changed = _changed(plan)
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
                    yield Folder(
                        host=server.spec.host,
                        path=path,
                        stage=THERE,
                        mode=info.mode,
                        owner=info.owner,
                        group=info.group,
                    )
        for host, path in dict.fromkeys((each.host, posixpath.dirname(each.path)) for each in self.files):
            # A folder that Firescreen made for a Grafana; what packages made is theirs.
            info = self.facts.hosts[host].folders.get(path)
            if info is not None and posixpath.basename(path) == "firescreen" and (host, path) not in known:
                yield Folder(
                    host=host, path=path, stage=THERE, mode=info.mode, owner=info.owner, group=info.group
                )
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
        planned = set()
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

    def _read_at(self, change: RunService) -> tuple[str, ...]:
        """What a service reads when it is restarted, or reloaded, as the plan wants it."""
        service = change.service
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
        copied = [server.web_file, *_named_by(server)] if server.credentials else []
        named = (server.service.flags.path, _cluster_file(server), *unit, *copied)
        return tuple(dict.fromkeys(path for path in named if path))


def _cluster_file(server: Server) -> str:
    return server.cluster_file if server.spec.cluster_tls else ""


def _changed(plan: Plan) -> tuple[Wanted, ...]:
    """What the plan writes on hosts, each file once."""
    found: dict[tuple[str, str], Wanted] = {}
    for step in plan.steps:
        for change in step.changes:
            if not isinstance(change, WriteFile) or change.host == WORKSPACE:
                continue
            key = (change.host, change.path)
            earlier = found.get(key)
            secret = change.secret or _closed(change.after)
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
    return Wanted(host=host, path=path, states=((THERE, state),), before=state, secret=_closed(state))


def _closed(state: FileState | None) -> bool:
    """Whether a file is a secret: not everybody on its host may read it, or it holds a password or a key."""
    if state is None:
        return False
    text = state.content.decode("utf-8", "replace")
    return not state.mode & 0o004 or redact(text) != text


# -- what is there already ----------------------------------------------------------------------------------


def _in_place(
    stack: Stack, facts: Facts, servers: tuple[Server, ...], scrapers: tuple[Client, ...]
) -> tuple[tuple[tuple[str, str], ...], tuple[Needed, ...]]:
    """(host, path) of the files in use that are Firescreen's to write, and those that a person brought."""
    ours: dict[tuple[str, str], None] = {}
    brought: dict[tuple[str, str], None] = {}

    def use(host: str, path: str, mine: tuple[str, ...]) -> None:
        (ours if path in mine else brought)[host, path] = None

    for server in servers:
        for path in _configurations(server):
            ours[server.spec.host, path] = None
        for path in _named_by(server):
            use(server.spec.host, path, _of_server(server))
    for host, path in _data_sources(stack, facts, servers):
        ours[host, path] = None
    for client, places in _asking(stack, facts, servers, scrapers):
        ours |= dict.fromkeys(
            (client.service.host, place.path or client.service.config_file) for place in places
        )
        mine = _of_client(client, stack, servers)
        for place in places:
            named = [place.tls.get(key, "") for key in ("ca_file", "cert_file", "key_file")]
            named.append(place.basic_auth.get("password_file", ""))
            for path in (client.resolve(place, name) for name in named if name):
                use(client.service.host, path, mine)
    needed = tuple(Needed(host=host, path=path) for host, path in brought)
    return tuple(ours), needed


def _of_server(server: Server) -> tuple[str, ...]:
    """The names that Firescreen gives to a server's keys and certificates, without those that are the person's own."""
    names = (*server.pair, *server.spare_pair, server.client_ca, *server.cluster_pair, server.cluster_ca)
    own = server.spec.files
    return tuple(name for name in names if name not in (own.cert_file, own.key_file, own.client_ca_file))


def _configurations(server: Server) -> Iterator[str]:
    """The server's own configurations that are there and say what is wanted of them."""
    component = find_component(server.spec.name)
    files: Mapping[str, FileState | None] = server.host.files
    if files.get(server.web_file) is not None:
        yield server.web_file
    flags = files.get(server.service.flags.path)
    flag = component.web_flag(server.service.version)
    if flags is not None and flag.encode() in flags.content:
        yield server.service.flags.path
    yield from (path for path in server.own_dropins if files.get(path) is not None)
    if server.spec.cluster_tls and files.get(server.cluster_file) is not None:
        yield server.cluster_file


def _named_by(server: Server) -> Iterator[str]:
    """Keys and certificates that the server's configurations name."""
    state = server.host.files.get(server.web_file)
    if state is not None:
        config = web_config.parse(state.content)
        for name in (config.cert_file, config.key_file, config.client_ca_file):
            if name:
                yield posixpath.join(server.home, name)
    state = server.host.files.get(server.cluster_file) if server.spec.cluster_tls else None
    if state is not None:
        said = alertmanager_cluster.parse(state.content)
        for section in (said.server, said.client):
            for key in ("cert_file", "key_file", "client_ca_file", "ca_file"):
                if section.get(key):
                    yield posixpath.join(posixpath.dirname(server.cluster_file), section[key])


def _asking(
    stack: Stack, facts: Facts, servers: tuple[Server, ...], scrapers: tuple[Client, ...]
) -> Iterator[tuple[Client, tuple[Place, ...]]]:
    """The clients of the servers, with the places that ask them."""
    for scraper in scrapers:
        places = tuple(
            place
            for place in scraper.places()
            if any(scraper.means(address, server) for address in place.addresses for server in servers)
        )
        if places:
            yield scraper, places
    probings, _ = blackbox.look(stack, facts, servers)
    for prober in {each.prober.key: each.prober for each in probings}.values():
        used = {each.as_module for each in probings if each.prober.key == prober.key}
        yield prober, tuple(place for place in prober.places() if place.name in used)


def _data_sources(stack: Stack, facts: Facts, servers: tuple[Server, ...]) -> Iterator[tuple[str, str]]:
    """(host, path) of Grafana's own: the provisioning files that name the servers, and the copies that were made for them."""
    for each in grafana.look(stack, facts, servers)[0]:
        host = each.client.service.host
        yield host, each.path
        text = facts.hosts[host].files[each.path]
        for path in _of_client(each.client, stack, servers):
            if text is not None and path.encode() in text.content:
                yield host, path


def _of_client(client: Client, stack: Stack, servers: tuple[Server, ...]) -> tuple[str, ...]:
    """The names that Firescreen gives to what a client gets, without those that are the person's own."""
    names = [*client.pair, *client.spare_pair]
    names += [client.password_file(user) for user in stack.users]
    names += [client.trust_file(server, own_ca=own) for server in servers for own in (True, False)]
    names += [client.place_trust(place.how) for place in client.places()]
    own = client.own
    return tuple(name for name in names if name not in (own.client_cert_file, own.client_key_file))
